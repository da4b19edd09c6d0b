//! Where things are in this checkout.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The checkout and its build folder.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Cargo's build folder, wherever the environment or a configuration file puts it.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Finds the checkout this program belongs to.
    pub(crate) fn find() -> Result<Self> {
        // `cargo run` names the member's folder at run time; the one known at compile time may be
        // that of another checkout when two share a build folder.
        let member = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = member
            .ancestors()
            .nth(2)
            .context("the workspace root is two folders above rust/xtask")?
            .to_path_buf();

        let mut metadata = cargo(&root);
        metadata.args(["metadata", "--format-version=1", "--no-deps"]);
        let output =
            metadata.stderr(Stdio::inherit()).output().context("failed to run cargo metadata")?;
        ensure!(output.status.success(), "cargo metadata failed");
        let metadata: Value =
            serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
        let target = metadata["target_directory"]
            .as_str()
            .context("cargo metadata names no target_directory")?
            .into();
        Ok(Self { root, target })
    }

    /// A cargo command in the checkout.
    pub(crate) fn cargo(&self) -> Command {
        cargo(&self.root)
    }

    /// The addon's folder, as games copy it.
    pub(crate) fn addon(&self) -> PathBuf {
        self.root.join("addons/mio_websocket")
    }
}

fn cargo(root: &Path) -> Command {
    // Set by `cargo run`: the same cargo, of the same toolchain.
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    // Set by `cargo run` for this program. Build scripts that watch them, ring's does, would run
    // again each time, and all that depends on them would be built again.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        }) {
            command.env_remove(name);
        }
    }
    command
}
