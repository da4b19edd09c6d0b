//! The notices that the licences of others ask for, from the tree of crates that are in a library.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::target::Target;
use crate::library::PACKAGE;
use crate::workspace::Workspace;

const INTRODUCTION: &str = "\
Third-party notices of Mio WebSocket for Godot
===============================================

The libraries in bin/ contain, beside Mio WebSocket itself, the software listed here. Where a crate
may be used under one of several licences that include MIT, it is used under MIT.

The crates under the Mozilla Public License 2.0 are unchanged. Their source code is at the address
that stands beside them, in the version that stands there, and stays under that licence.

Beside these there is the Rust standard library (https://github.com/rust-lang/rust, copyright of the
Rust project's contributors, MIT OR Apache-2.0), which contains LLVM's compiler-rt and, on Android,
LLVM's libunwind (https://github.com/llvm/llvm-project, Apache-2.0 WITH LLVM-exception), and on Windows
parts of MinGW-w64's runtime (https://www.mingw-w64.org, in the public domain or under MIT-like terms).
";
const MPL: &str = include_str!("MPL-2.0.txt");
/// How the files begin in which crates keep their licences.
const FILES: [&str; 4] = ["LICENSE", "LICENCE", "COPYING", "NOTICE"];
/// Files with terms that are not those chosen, where MIT is among the choices.
const NOT_CHOSEN: [&str; 5] = ["APACHE", "UNLICENSE", "ISC", "ZLIB", "BSL"];

/// A crate in the library.
#[derive(Debug, PartialEq)]
struct Crate {
    name: String,
    version: String,
    licence: String,
    address: String,
    authors: Vec<String>,
    texts: Vec<String>,
}

/// The notices for the libraries of `targets`.
pub(super) fn write(workspace: &Workspace, targets: &[Target]) -> Result<String> {
    let mut metadata = workspace.cargo();
    metadata.args(["metadata", "--format-version=1", "--locked"]);
    for triple in targets.iter().flat_map(|target| target.triples()) {
        metadata.args(["--filter-platform", triple]);
    }
    let output =
        metadata.stderr(Stdio::inherit()).output().context("failed to run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed");
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let mut crates = Vec::new();
    for package in linked(&metadata)? {
        crates.push(read(package)?);
    }
    crates.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    text(&crates)
}

/// The packages whose code is in the library: what the binding depends on in turn, without what
/// runs when it is compiled.
fn linked(metadata: &Value) -> Result<Vec<&Value>> {
    let by_id = |list: &'static str, value: &'_ Value| -> BTreeMap<String, usize> {
        let items = value[list].as_array().map(Vec::as_slice).unwrap_or_default();
        (0..).zip(items).filter_map(|(i, item)| Some((item["id"].as_str()?.into(), i))).collect()
    };
    let packages = by_id("packages", metadata);
    let nodes = by_id("nodes", &metadata["resolve"]);
    let package = |id: &str| packages.get(id).map(|index| &metadata["packages"][*index]);

    let root = packages
        .keys()
        .find(|id| package(id).is_some_and(|found| found["name"] == PACKAGE))
        .with_context(|| format!("cargo metadata does not know {PACKAGE}"))?;
    let mut waiting = vec![root.as_str()];
    let mut seen = BTreeSet::new();
    let mut linked = Vec::new();
    while let Some(id) = waiting.pop() {
        let found = package(id).with_context(|| format!("cargo metadata lacks {id}"))?;
        if !seen.insert(id) || is_macro(found) {
            continue;
        }
        // Members of this workspace have the addon's own licence.
        if !found["source"].is_null() {
            linked.push(found);
        }
        let node = &metadata["resolve"]["nodes"][nodes[id]];
        for dependency in node["deps"].as_array().into_iter().flatten() {
            let kinds = dependency["dep_kinds"].as_array();
            if kinds.into_iter().flatten().any(|kind| kind["kind"].is_null()) {
                waiting.extend(dependency["pkg"].as_str());
            }
        }
    }
    Ok(linked)
}

fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array();
    targets.into_iter().flatten().any(|target| target["kind"][0] == "proc-macro")
}

fn read(package: &Value) -> Result<Crate> {
    let field = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
    let name = field("name");
    let licence = field("license");
    ensure!(!licence.is_empty(), "{name} does not say its licence");
    let address = [field("repository"), field("homepage"), field("documentation")]
        .into_iter()
        .find(|address| !address.is_empty())
        .unwrap_or_default();
    let manifest = field("manifest_path");
    let folder = Path::new(&manifest).parent().context("a crate without a folder")?;
    let authors = package["authors"].as_array().into_iter().flatten();
    let authors = authors.filter_map(Value::as_str).map(str::to_owned).collect();
    let texts = texts(folder, &licence)?;
    Ok(Crate { name, version: field("version"), licence, address, authors, texts })
}

/// The licence files of a crate that matter, in the order of their names.
fn texts(folder: &Path, licence: &str) -> Result<Vec<String>> {
    let choices: Vec<&str> = licence.split(" OR ").flat_map(|part| part.split('/')).collect();
    let mit = choices.len() > 1 && choices.iter().any(|choice| choice.trim() == "MIT");
    let mut files = BTreeSet::new();
    for file in fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        let is_licence = FILES.iter().any(|start| name.starts_with(start));
        let chosen = !mit || !NOT_CHOSEN.iter().any(|other| name.contains(other));
        if path.is_file() && is_licence && chosen {
            files.insert(path);
        }
    }
    let mut texts = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)
            .with_context(|| format!("failed to read {}", file.display()))?;
        texts.push(text.replace("\r\n", "\n").trim_end().to_owned());
    }
    Ok(texts)
}

fn text(crates: &[Crate]) -> Result<String> {
    let mut text = INTRODUCTION.to_owned();
    text.push_str("\nCrates\n------\n\n");
    // Each text once, with those that it belongs to.
    let mut texts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in crates {
        text.push_str(&format!("{} {}, {}", one.name, one.version, one.licence));
        if !one.address.is_empty() {
            text.push_str(&format!(", {}", one.address));
        }
        text.push('\n');
        if one.licence == "MPL-2.0" {
            ensure!(!one.address.is_empty(), "{} does not say where its source is", one.name);
            texts.entry(MPL.trim_end()).or_default().push(&one.name);
        } else if one.texts.is_empty() {
            // Its terms are those of its licence's name; its authors are all there is to add.
            if !one.authors.is_empty() {
                text.push_str(&format!("    by {}\n", one.authors.join(", ")));
            }
        }
        for licence in &one.texts {
            texts.entry(licence).or_default().push(&one.name);
        }
    }
    let mut texts: Vec<_> = texts.into_iter().map(|(text, names)| (names, text)).collect();
    texts.sort();
    for (names, licence) in texts {
        let names = names.join(", ");
        text.push_str(&format!(
            "\n\n{}\n{names}\n{}\n\n{licence}\n",
            "=".repeat(80),
            "-".repeat(80)
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(id: &str, kind: &str) -> Value {
        let source = (id != PACKAGE).then_some("registry");
        json!({ "id": id, "name": id, "source": source, "targets": [{ "kind": [kind] }] })
    }

    fn dependency(id: &str, kind: Option<&str>) -> Value {
        json!({ "pkg": id, "dep_kinds": [{ "kind": kind }] })
    }

    #[test]
    fn only_what_is_linked_counts() {
        let metadata = json!({
            "packages": [
                package(PACKAGE, "cdylib"), package("a", "lib"), package("b", "lib"),
                package("macro", "proc-macro"), package("builder", "lib"), package("test", "lib"),
                package("syn", "lib"),
            ],
            "resolve": { "nodes": [
                { "id": PACKAGE, "deps": [
                    dependency("a", None), dependency("macro", None), dependency("test", Some("dev")),
                ] },
                { "id": "a", "deps": [dependency("b", None), dependency("builder", Some("build"))] },
                { "id": "b", "deps": [] },
                { "id": "macro", "deps": [dependency("syn", None)] },
                { "id": "builder", "deps": [] }, { "id": "test", "deps": [] }, { "id": "syn", "deps": [] },
            ] },
        });
        let mut names: Vec<_> = linked(&metadata)
            .expect("a tree")
            .iter()
            .filter_map(|package| package["name"].as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b"]);
    }

    fn one(name: &str, licence: &str, texts: &[&str]) -> Crate {
        Crate {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.to_owned(),
            address: "https://example.com".to_owned(),
            authors: Vec::new(),
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    #[test]
    fn same_text_is_there_once_for_all_who_have_it() {
        let crates = [one("a", "MIT", &["Terms"]), one("b", "MIT", &["Terms"])];
        let text = text(&crates).expect("a text");
        assert_eq!(text.matches("Terms\n").count(), 1);
        assert!(text.contains("\na, b\n"), "{text}");
    }

    #[test]
    fn source_of_the_engines_binding_is_named() {
        let text = text(&[one("godot", "MPL-2.0", &[])]).expect("a text");
        assert!(text.contains("godot 1.0.0, MPL-2.0, https://example.com\n"), "{text}");
        assert!(text.contains("Mozilla Public License Version 2.0"), "{text}");
    }
}
