//! `cargo xtask test`: every check there is, in order of what is cheap and tells most.

mod actor;
mod cargo;
pub(crate) mod contract;
mod editor;
mod examples;
pub(crate) mod hostile;
mod interop;
mod links;
pub(crate) mod package;
mod proxies;
mod scenes;
mod snippets;

use std::net::TcpListener;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::autobahn;
use crate::demo;
use crate::library::{self, Profile};
use crate::report::{Report, Tally, Verdict};
use crate::soak;
use crate::workspace::Workspace;

use self::scenes::Scene;

/// A named check.
struct Check {
    name: &'static str,
    run: fn(&Workspace, &[Scene]) -> Result<Verdict>,
}

const CHECKS: &[Check] = &[
    Check { name: "fmt", run: |workspace, _| cargo::fmt(workspace) },
    Check { name: "clippy", run: |workspace, _| cargo::clippy(workspace) },
    Check { name: "core", run: |workspace, _| cargo::core(workspace) },
    Check { name: "docs", run: |workspace, _| cargo::docs(workspace) },
    Check { name: "docs-links", run: |workspace, _| links::run(workspace) },
    Check { name: "deny", run: |workspace, _| cargo::deny(workspace) },
    Check { name: "library", run: |workspace, _| build(workspace) },
    Check { name: ENGINE, run: scenes::run },
    Check { name: "editor", run: |workspace, _| editor::run(workspace) },
    Check { name: "snippets", run: |workspace, _| snippets::run(workspace) },
    Check { name: "autobahn", run: |workspace, _| autobahn::check(workspace) },
    Check { name: "interop", run: |workspace, _| interop::run(workspace) },
    Check { name: "proxies", run: |workspace, _| proxies::run(workspace) },
    Check { name: "hostile", run: |workspace, _| hostile::check(workspace) },
    Check { name: "demo", run: |workspace, _| demo::check(workspace) },
    Check { name: "examples", run: |workspace, _| examples::run(workspace) },
    Check { name: "package", run: |workspace, _| package::check(workspace) },
    Check { name: "soak", run: |workspace, _| soak::check(workspace) },
];

/// The check that runs the engine tests, and so is also chosen by their names.
const ENGINE: &str = "engine";

/// Runs the checks that `filters` choose (all, if there are none) and prints the account. Whether
/// none failed.
pub(crate) fn run(workspace: &Workspace, filters: &[String]) -> Result<bool> {
    let (checks, scenes) = choose(filters, scenes::find(workspace)?)?;
    let mut report = Report::default();
    for (index, check) in checks.iter().enumerate() {
        println!("== {} ({} of {})", check.name, index + 1, checks.len());
        let started = Instant::now();
        let verdict = (check.run)(workspace, &scenes).unwrap_or_else(|error| {
            println!("{}: {error:#}", check.name);
            Verdict::Counted(Tally::one(false))
        });
        if let Verdict::Skipped(reason) = &verdict {
            println!("SKIPPED {}: {reason}", check.name);
        }
        report.add(check.name, verdict, started.elapsed());
    }
    Ok(report.finish())
}

/// The checks and scenes that have one of `filters` in their name. A scene brings its check along;
/// a check chosen by its own name brings all its scenes.
fn choose(filters: &[String], scenes: Vec<Scene>) -> Result<(Vec<&'static Check>, Vec<Scene>)> {
    if filters.is_empty() {
        return Ok((CHECKS.iter().collect(), scenes));
    }
    for filter in filters {
        let known = CHECKS.iter().map(|check| check.name).chain(scenes.iter().map(Scene::name));
        if !known.clone().any(|name| name.contains(filter)) {
            bail!("no check has {filter:?} in its name; there are: {}", join(known));
        }
    }
    let chosen = |name: &str| filters.iter().any(|filter| name.contains(filter));
    let all_scenes = chosen(ENGINE);
    let scenes: Vec<Scene> =
        scenes.into_iter().filter(|scene| all_scenes || chosen(scene.name())).collect();
    let checks = CHECKS
        .iter()
        .filter(|check| chosen(check.name) || check.name == ENGINE && !scenes.is_empty())
        .collect();
    Ok((checks, scenes))
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn build(workspace: &Workspace) -> Result<Verdict> {
    let path = library::build(workspace, Profile::Debug)?;
    println!("{}", path.display());
    Ok(Verdict::Counted(Tally::one(true)))
}

/// A port that nobody listens on now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr().context("a socket has no address")?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(filters: &[&str]) -> Option<(Vec<&'static str>, Vec<String>)> {
        let filters: Vec<String> = filters.iter().map(|filter| (*filter).to_owned()).collect();
        let scenes = ["test_demo_names", "sub/test_rpc"].map(Scene::named).into();
        let (checks, scenes) = choose(&filters, scenes).ok()?;
        let names = scenes.iter().map(|scene| scene.name().to_owned()).collect();
        Some((checks.iter().map(|check| check.name).collect(), names))
    }

    #[test]
    fn no_filter_means_everything_in_order() {
        let (checks, scenes) = chosen(&[]).expect("valid");
        let expected = [
            "fmt",
            "clippy",
            "core",
            "docs",
            "docs-links",
            "deny",
            "library",
            "engine",
            "editor",
            "snippets",
            "autobahn",
            "interop",
            "proxies",
            "hostile",
            "demo",
            "examples",
            "package",
            "soak",
        ];
        assert_eq!(checks, expected);
        assert_eq!(scenes.len(), 2);
    }

    #[test]
    fn scene_brings_its_check_along_and_no_other_scene() {
        let (checks, scenes) = chosen(&["rpc"]).expect("valid");
        assert_eq!((checks, scenes), (vec!["engine"], vec!["sub/test_rpc".to_owned()]));
    }

    #[test]
    fn check_brings_all_its_scenes() {
        let (checks, scenes) = chosen(&["engine", "fmt"]).expect("valid");
        assert_eq!(checks, ["fmt", "engine"]);
        assert_eq!(scenes.len(), 2);
    }

    #[test]
    fn filter_may_hit_checks_and_scenes() {
        let (checks, scenes) = chosen(&["demo"]).expect("valid");
        assert_eq!((checks, scenes.len()), (vec!["engine", "demo"], 1));
    }

    #[test]
    fn filter_that_hits_nothing_is_an_error() {
        assert!(chosen(&["core", "nonsense"]).is_none());
    }
}
