//! The engine tests: every `tests/engine/**/test_*.gd`, one headless engine process each.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::certificates;
use crate::engine;
use crate::library::{self, Profile};
use crate::process::{self, Echo, Outcome, Stderr};
use crate::project;
use crate::report::{GREEN, RED, Tally, Verdict, paint};
use crate::scan;
use crate::workspace::Workspace;

/// The tests' Godot project.
const PROJECT: &str = "tests/engine";
/// For a test that does not say `# timeout: SECONDS` in its first lines.
const LIMIT: Duration = Duration::from_secs(60);
/// How many of a test's first lines may hold its limit.
const HEAD: usize = 10;
/// More would make the machine's load part of the result.
const AT_ONCE: usize = 2;

/// One test script.
pub(super) struct Scene {
    /// Its path in the project without the extension.
    name: String,
    limit: Duration,
}

impl Scene {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    #[cfg(test)]
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), limit: LIMIT }
    }
}

/// What a scene's run came to.
pub(super) struct Run {
    problems: Vec<String>,
    passes: usize,
    log: Vec<String>,
    took: Duration,
}

/// All test scripts, by name.
pub(super) fn find(workspace: &Workspace) -> Result<Vec<Scene>> {
    let folder = workspace.root.join(PROJECT);
    let mut files = Vec::new();
    if folder.exists() {
        project::collect(&folder, &mut files)?;
    }
    let mut scenes = Vec::new();
    for file in files {
        let Some(name) = file.strip_prefix(&folder).ok().and_then(name) else {
            continue;
        };
        let text = fs::read_to_string(&file)?;
        scenes.push(Scene { name, limit: limit(&text)? });
    }
    scenes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(scenes)
}

/// The name of the test that a file of the project is, if it is one.
fn name(file: &Path) -> Option<String> {
    let stem = file.file_stem()?.to_str()?;
    let is_test = file.extension()? == "gd" && stem.starts_with("test_");
    if !is_test || file.starts_with("addons") {
        return None;
    }
    Some(file.with_extension("").to_str()?.replace('\\', "/"))
}

/// The limit that a script declares, or the usual one.
fn limit(text: &str) -> Result<Duration> {
    for line in text.lines().take(HEAD) {
        if let Some(seconds) = line.trim_start_matches('#').trim().strip_prefix("timeout:") {
            let Ok(seconds) = seconds.trim().parse() else { bail!("bad limit: {line}") };
            return Ok(Duration::from_secs(seconds));
        }
    }
    Ok(LIMIT)
}

/// Runs `scenes`, a few at a time; each counts as one case.
pub(super) fn run(workspace: &Workspace, scenes: &[Scene]) -> Result<Verdict> {
    if scenes.is_empty() {
        bail!("there is no {PROJECT}/**/test_*.gd");
    }
    // Nothing to do if the check before this one did it.
    library::build(workspace, Profile::Debug)?;
    let engine = engine::find(workspace)?;
    let folder = workspace.root.join(PROJECT);
    project::prepare(workspace, &engine, &folder)?;
    let certificates = certificates::folder(workspace)?;

    let waiting = Mutex::new(scenes.iter());
    let tally = Mutex::new(Tally::default());
    let play_all = || {
        loop {
            // In a statement of its own, so that the lock is not held while the scene plays.
            let scene = lock(&waiting).next();
            let Some(scene) = scene else { break };
            let run = play(workspace, &engine, &folder, &certificates, scene);
            // Held while printing: a log stays in one piece.
            let mut tally = lock(&tally);
            tally.add(Tally::one(tell(&scene.name, run)));
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(play_all);
        }
    });
    Ok(Verdict::Counted(*lock(&tally)))
}

fn play(
    workspace: &Workspace,
    engine: &Path,
    folder: &Path,
    certificates: &Path,
    scene: &Scene,
) -> Result<Run> {
    let started = Instant::now();
    let mut command = engine::headless(engine, folder, workspace)?;
    command.arg("--script").arg(format!("res://{}.gd", scene.name));
    command.env(certificates::VARIABLE, certificates);
    let outcome = process::run(&scene.name, command, scene.limit, Stderr::Merged, Echo::Silent)?;
    Ok(Run::new(outcome, started.elapsed()))
}

impl Run {
    pub(super) fn new(outcome: Outcome, took: Duration) -> Self {
        let findings = scan::scan(&outcome.lines);
        let mut problems = findings.problems;
        problems.extend(outcome.end.problem());
        if findings.passes == 0 {
            problems.push("it printed no PASS line".to_owned());
        }
        Self { problems, passes: findings.passes, log: outcome.lines, took }
    }
}

/// Prints how a scene went, with its log if it failed. Whether it passed.
pub(super) fn tell(name: &str, run: Result<Run>) -> bool {
    match run {
        Ok(run) if run.problems.is_empty() => {
            let seconds = run.took.as_secs_f32();
            println!("{} {name} ({} cases, {seconds:.1} s)", paint("ok    ", GREEN), run.passes);
            true
        }
        Ok(run) => {
            let seconds = run.took.as_secs_f32();
            println!("{} {name} ({seconds:.1} s)", paint("FAILED", RED));
            for problem in &run.problems {
                println!("    {problem}");
            }
            println!("---- log of {name}");
            for line in &run.log {
                println!("{line}");
            }
            println!("---- end of {name}");
            false
        }
        Err(error) => {
            println!("{} {name}: {error:#}", paint("FAILED", RED));
            false
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is inside stays whole: a count, an iterator.
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_from_helpers() {
        assert_eq!(name(Path::new("test_rpc.gd")).as_deref(), Some("test_rpc"));
        assert_eq!(name(Path::new("sub/test_a.gd")).as_deref(), Some("sub/test_a"));
        for other in ["support.gd", "test_rpc.gd.uid", "test_rpc.tscn", "addons/x/test_a.gd"] {
            assert_eq!(name(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn script_may_declare_its_limit() {
        let limit = |text| limit(text).ok();
        assert_eq!(limit("extends SceneTree\n# timeout: 120\n"), Some(Duration::from_secs(120)));
        assert_eq!(limit("extends SceneTree\n"), Some(LIMIT));
        assert_eq!(limit("# timeout: long\n"), None);
    }
}
