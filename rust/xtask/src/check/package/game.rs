//! A new project with the unpacked addon, and the game that is exported of it.

use std::env::consts;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use zip::ZipArchive;

use super::{Played, debians, judge, write};
use crate::debian;
use crate::engine;
use crate::package::{self, target::Target};
use crate::workspace::Workspace;

/// Its sources.
const PROJECT: &str = "tests/package";
pub(super) const EXTENSION: &str = "res://addons/mio_websocket/mio_websocket.gdextension";
/// As the preset in the project is called.
const PRESET: &str = "Game";
const PRESETS: &str = "export_presets.cfg";

pub(super) struct Game<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) folder: PathBuf,
}

impl<'a> Game<'a> {
    /// A project that no engine has seen.
    pub(super) fn unpack(workspace: &'a Workspace, archive: &Path) -> Result<Self> {
        let folder = package::folder(workspace).join("game");
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("failed to remove {}", folder.display()))?;
        }
        for entry in fs::read_dir(workspace.root.join(PROJECT))? {
            let path = entry?.path();
            let name = path.file_name().context("a file without a name")?;
            write(&folder.join(name), &fs::read(&path)?)?;
        }
        let file =
            File::open(archive).with_context(|| format!("failed to open {}", archive.display()))?;
        let mut archive = ZipArchive::new(file).context("not an archive")?;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index)?;
            let inside = entry.enclosed_name().context("a file outside of the archive")?;
            ensure!(inside.starts_with("addons/mio_websocket"), "{} is in it", inside.display());
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            write(&folder.join(inside), &content)?;
        }
        Ok(Self { workspace, folder })
    }

    /// Opens it in the editor for the first time, which must find the addon by itself.
    pub(super) fn import(&self, engine: &Path) -> Result<Played> {
        let mut command = engine::headless(engine, &self.folder, self.workspace)?;
        // The engine crashes at its end if it is asked to end (`--import` does too) while it still reads
        // the documentation of an extension that it has just met: godotengine/godot#111048. So it gets
        // some seconds.
        command.args(["--editor", "--frame-delay", "20", "--quit-after", "300"]);
        let played = judge("import", command, false)?;
        let list = fs::read_to_string(self.folder.join(".godot/extension_list.cfg"))
            .context("the editor found no extension")?;
        ensure!(list.lines().any(|line| line == EXTENSION), "the editor found only {list}");
        Ok(played)
    }

    /// Plays it in the editor's engine.
    pub(super) fn play(&self, engine: &Path) -> Result<Played> {
        judge("game", engine::headless(engine, &self.folder, self.workspace)?, true)
    }

    /// Where the addon has its library for `target`.
    pub(super) fn library(&self, target: Target) -> Result<PathBuf> {
        let addon = self.folder.join("addons/mio_websocket");
        let text = fs::read_to_string(addon.join("mio_websocket.gdextension"))?;
        Ok(addon.join(package::library(&text, target)?))
    }

    /// Exports it with the release template and plays what comes out.
    pub(super) fn export_and_play(&self, engine: &Path) -> Result<Played> {
        let Some(debian) = debians(self.workspace, engine) else {
            return Ok(Played::Not("only with Debian's Godot, which has a template".to_owned()));
        };
        let template = debian::template(&debian)?;
        let presets = self.folder.join(PRESETS);
        let architecture = if consts::ARCH == "aarch64" { "arm64" } else { consts::ARCH };
        let text = fs::read_to_string(self.workspace.root.join(PROJECT).join(PRESETS))?
            .replace("TEMPLATE", &template.display().to_string())
            .replace("ARCHITECTURE", architecture);
        write(&presets, text.as_bytes())?;

        let out = package::folder(self.workspace).join("exported");
        if out.exists() {
            fs::remove_dir_all(&out)?;
        }
        fs::create_dir_all(&out)?;
        // A program looks for its pack beside the one that was started and by its name, and that is the
        // loader's.
        let (start, program) = (out.join("game"), out.join("game.x86_64"));
        let pack = out.join("game.pck");
        let mut command = engine::headless(engine, &self.folder, self.workspace)?;
        command.args(["--export-release", PRESET]).arg(&program);
        judge("export", command, false)?;

        ensure!(pack.exists(), "the export has no {}", pack.display());

        let (loader, libraries) = debian::loader(&debian)?;
        fs::copy(&loader, &start).context("failed to copy the loader")?;
        let mut command = Command::new(&start);
        command.args(["--library-path", &libraries]).arg(&program).arg("--headless");
        let home = self.workspace.target.join("godot-home");
        for variable in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(variable, &home);
        }
        command.current_dir(&out);
        judge("exported game", command, true)
    }
}
