//! Making a Godot project of this repository ready to run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use crate::engine;
use crate::process::{self, Echo, Stderr};
use crate::workspace::Workspace;

/// The addon as the projects see it: each has a link to the addons folder.
const EXTENSION: &str = "res://addons/mio_websocket/mio_websocket.gdextension";
const IMPORT_LIMIT: Duration = Duration::from_secs(120);

/// Tells the project in `folder` about the addon, and imports it if it holds what needs that.
pub(crate) fn prepare(workspace: &Workspace, engine: &Path, folder: &Path) -> Result<()> {
    let extension = folder.join(EXTENSION.trim_start_matches("res://"));
    if !extension.exists() {
        bail!(
            "{} is missing: {} must be a link to the addons folder (on Windows, git needs \
             core.symlinks=true)",
            extension.display(),
            folder.join("addons").display()
        );
    }

    // An engine that never imported the project would run it without the addon, and say nothing.
    let cache = folder.join(".godot");
    let list = cache.join("extension_list.cfg");
    let text = format!("{EXTENSION}\n");
    if fs::read_to_string(&list).ok().as_ref() != Some(&text) {
        fs::create_dir_all(&cache)
            .with_context(|| format!("failed to create {}", cache.display()))?;
        fs::write(&list, &text).with_context(|| format!("failed to write {}", list.display()))?;
    }

    // The engine does not touch its own list of names when nothing in it changes.
    let stamp = cache.join("xtask_import");
    let imported = modified(&stamp);
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    if !files.iter().any(|file| needs_import(file, imported)) {
        return Ok(());
    }
    import(workspace, engine, folder)?;
    fs::write(&stamp, "").with_context(|| format!("failed to write {}", stamp.display()))
}

/// Has the engine look through all files of the project in `folder`.
pub(crate) fn import(workspace: &Workspace, engine: &Path, folder: &Path) -> Result<()> {
    eprintln!("importing {}", folder.display());
    let mut command = engine::headless(engine, folder, workspace)?;
    command.arg("--import");
    let outcome = process::run("import", command, IMPORT_LIMIT, Stderr::Merged, Echo::Silent)?;
    if let Some(problem) = outcome.end.problem() {
        bail!("the import of {}: {problem}\n{}", folder.display(), outcome.lines.join("\n"));
    }
    Ok(())
}

/// Whether a file is one the engine has to see before the project runs, and was written since the
/// last import: scripts with a global name, and resources that are converted.
fn needs_import(file: &Path, imported: Option<SystemTime>) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str());
    let matters = match extension {
        Some("gd") => fs::read_to_string(file)
            .is_ok_and(|text| text.lines().any(|line| line.starts_with("class_name "))),
        Some("import") => true,
        _ => false,
    };
    matters
        && imported.is_none_or(|imported| modified(file).is_some_and(|written| written > imported))
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).ok()?.modified().ok()
}

/// Makes `link` lead to `folder`, for a project that is made at run time.
pub(crate) fn link(folder: &Path, link: &Path) -> Result<()> {
    #[cfg(unix)]
    let made = std::os::unix::fs::symlink(folder, link);
    #[cfg(windows)]
    let made = std::os::windows::fs::symlink_dir(folder, link);
    made.with_context(|| format!("failed to link {} to {}", link.display(), folder.display()))
}

/// Copies a project, or a part of one, without what is hidden.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("failed to copy {} to {}", from.display(), to.display());
    fs::create_dir_all(to).with_context(failed)?;
    for entry in fs::read_dir(from).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let (path, name) = (entry.path(), entry.file_name());
        if !path.is_dir() {
            fs::copy(&path, to.join(name)).with_context(failed)?;
        } else if !name.to_string_lossy().starts_with('.') {
            copy(&path, &to.join(name))?;
        }
    }
    Ok(())
}

/// All files of a project, those of its addons too; nothing hidden.
pub(crate) fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("failed to read {}", folder.display()))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
