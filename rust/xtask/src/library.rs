//! Building the library and putting it where the engine looks for it.

use std::env::consts;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{self, Echo, Stderr};
use crate::workspace::Workspace;

/// The binding's package, and the name of its library.
pub(crate) const PACKAGE: &str = "mio_websocket";
/// A clean build of the engine's binding takes minutes on two cores.
pub(crate) const BUILD_LIMIT: Duration = Duration::from_secs(45 * 60);

/// What the library is built for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Profile {
    /// The editor, tests and debug exports load this one.
    Debug,
    /// What a game ships.
    Release,
}

impl Profile {
    /// The engine's word for it.
    fn tag(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// Builds the library and copies it into the addon. Returns where it is.
pub(crate) fn build(workspace: &Workspace, profile: Profile) -> Result<PathBuf> {
    let configuration = workspace.addon().join("mio_websocket.gdextension");
    let text = fs::read_to_string(&configuration)
        .with_context(|| format!("failed to read {}", configuration.display()))?;
    let (os, arch) = (consts::OS, engine_arch(consts::ARCH));
    let entry = library_path(&text, os, profile.tag(), arch).with_context(|| {
        format!("{} has no {os} {} {arch} library", configuration.display(), profile.tag())
    })?;
    let destination = workspace.addon().join(entry);

    eprintln!("building the library ({}; minutes the first time)", profile.tag());
    let mut command = workspace.cargo();
    command.args(["build", "--package", PACKAGE, "--message-format=json-render-diagnostics"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    // The lines are for us; cargo's own progress goes to the terminal.
    let outcome = process::run("build", command, BUILD_LIMIT, Stderr::Inherited, Echo::Silent)?;
    if let Some(problem) = outcome.end.problem() {
        bail!("cargo build --package {PACKAGE}: {problem}");
    }
    let artifact = outcome
        .lines
        .iter()
        .rev()
        .find_map(|line| artifact(line, consts::DLL_SUFFIX))
        .with_context(|| format!("cargo built no {PACKAGE} library"))?;
    replace(&artifact, &destination)?;
    Ok(destination)
}

/// The dynamic library named in one of cargo's messages, if it is that of the binding.
pub(crate) fn artifact(message: &str, suffix: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_library =
        |kind: &Value| kind.as_array().is_some_and(|kinds| kinds.contains(&"cdylib".into()));
    if message["reason"] != "compiler-artifact"
        || message["target"]["name"] != PACKAGE
        || !is_library(&message["target"]["kind"])
    {
        return None;
    }
    let files = message["filenames"].as_array()?;
    files
        .iter()
        .filter_map(Value::as_str)
        // Windows also names an import library and debug information.
        .find(|file| file.ends_with(suffix))
        .map(PathBuf::from)
}

/// The path of a library in the `[libraries]` section of a .gdextension file; an entry may leave
/// out the architecture.
pub(crate) fn library_path<'a>(text: &'a str, os: &str, tag: &str, arch: &str) -> Option<&'a str> {
    let exact = format!("{os}.{tag}.{arch}");
    let universal = format!("{os}.{tag}");
    let entries: Vec<(&str, &str)> = text
        .lines()
        .skip_while(|line| line.trim() != "[libraries]")
        .skip(1)
        .take_while(|line| !line.trim_start().starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(key, path)| (key.trim(), path.trim().trim_matches('"')))
        .collect();
    let find = |wanted: &str| entries.iter().find(|(key, _)| *key == wanted).map(|(_, path)| *path);
    find(&exact).or_else(|| find(&universal))
}

/// The engine's word for one of Rust's architectures; those for systems are the same.
fn engine_arch(arch: &str) -> &str {
    match arch {
        "aarch64" => "arm64",
        "x86" => "x86_32",
        other => other,
    }
}

/// Puts a copy at `to` in one step: an engine that runs keeps the file it has mapped.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().context("the library has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let mut name = to.file_name().context("the library has no name")?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = folder.join(name);
    fs::copy(from, &temporary)
        .with_context(|| format!("failed to copy {} into {}", from.display(), folder.display()))?;
    fs::rename(&temporary, to)
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
        .with_context(|| format!("failed to replace {} (is an engine using it?)", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[configuration]\nentry_symbol = \"x\"\nlinux.debug.x86_64 = \"no\"\n\n\
                        [libraries]\nlinux.debug.x86_64 = \"bin/a.so\"\n\
                        macos.debug = \"bin/b.dylib\"\n\n[icons]\nlinux.release.x86_64 = \"no\"\n";

    #[test]
    fn entry_with_the_architecture_is_found() {
        assert_eq!(library_path(TEXT, "linux", "debug", "x86_64"), Some("bin/a.so"));
    }

    #[test]
    fn entry_without_the_architecture_serves_all() {
        assert_eq!(library_path(TEXT, "macos", "debug", "arm64"), Some("bin/b.dylib"));
    }

    #[test]
    fn other_sections_do_not_count() {
        assert_eq!(library_path(TEXT, "linux", "release", "x86_64"), None);
    }

    #[test]
    fn addon_names_a_library_for_this_machine() {
        let text = include_str!("../../../addons/mio_websocket/mio_websocket.gdextension");
        for tag in ["debug", "release"] {
            let path = library_path(text, consts::OS, tag, engine_arch(consts::ARCH));
            assert!(path.is_some_and(|path| path.ends_with(consts::DLL_SUFFIX)), "{path:?}");
        }
    }

    #[test]
    fn artifact_is_the_dynamic_library_of_the_binding() {
        let file = format!("/t/libmio_websocket{}", consts::DLL_SUFFIX);
        let message = format!(
            r#"{{"reason":"compiler-artifact","target":{{"name":"mio_websocket","kind":["cdylib"]}},"filenames":["/t/x.lib","{file}"]}}"#
        );
        let artifact = |message: &str| artifact(message, consts::DLL_SUFFIX);
        assert_eq!(artifact(&message), Some(PathBuf::from(file)));
        assert_eq!(artifact(&message.replace("\"mio_websocket\"", "\"serde\"")), None);
        assert_eq!(artifact("{\"reason\":\"build-finished\",\"success\":true}"), None);
        assert_eq!(artifact("not json"), None);
    }
}
