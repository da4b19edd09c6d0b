//! The game's project as it is, and a copy that the addon's library has been taken away from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::project;
use crate::workspace::Workspace;

/// Which of the two classes a process plays with.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Peer {
    Ours,
    /// The engine's own, because the library is not there.
    BuiltIn,
}

impl Peer {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Ours => "MioWebSocketMultiplayerPeer",
            Self::BuiltIn => "WebSocketMultiplayerPeer",
        }
    }
}

pub(super) struct Projects {
    with: PathBuf,
    without: PathBuf,
}

impl Projects {
    pub(super) fn prepare(workspace: &Workspace, engine: &Path) -> Result<Self> {
        let with = workspace.root.join("godot_project");
        project::prepare(workspace, engine, &with)?;
        let without = workspace.target.join("demo").join(format!("without-{}", std::process::id()));
        let projects = Self { with, without };
        strip(&projects.with, &projects.without)?;
        project::import(workspace, engine, &projects.without)?;
        Ok(projects)
    }

    pub(super) fn folder(&self, peer: Peer) -> &Path {
        match peer {
            Peer::Ours => &self.with,
            Peer::BuiltIn => &self.without,
        }
    }
}

impl Drop for Projects {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.without).ok();
    }
}

/// Copies a project without what an export without the library leaves out.
fn strip(from: &Path, to: &Path) -> Result<()> {
    let mut files = Vec::new();
    project::collect(from, &mut files)?;
    for file in files {
        let path = file.strip_prefix(from).context("a file is outside its project")?;
        if is_native(path) {
            continue;
        }
        let copy = to.join(path);
        let folder = copy.parent().context("a file has no folder")?;
        fs::create_dir_all(folder)
            .with_context(|| format!("failed to create {}", folder.display()))?;
        fs::copy(&file, &copy).with_context(|| format!("failed to copy {}", file.display()))?;
    }
    Ok(())
}

/// The addon's library and the file that names it.
fn is_native(path: &Path) -> bool {
    let is_library = path.starts_with("addons/mio_websocket/bin");
    is_library || path.to_string_lossy().contains(".gdextension")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_files_are_told_from_scripts() {
        let folder = Path::new("addons/mio_websocket");
        for native in ["bin/lib.so", "mio_websocket.gdextension", "mio_websocket.gdextension.uid"] {
            assert!(is_native(&folder.join(native)), "{native}");
        }
        assert!(!is_native(&folder.join("mio_web_socket.gd")));
    }
}
