//! Libraries for other systems than this machine's, loaded in emulators.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::game::Game;
use super::{Played, judge};
use crate::debian;
use crate::package::{self, Zig, target::Target};

pub(super) fn play(game: &Game<'_>, target: Target) -> Result<Played> {
    match target {
        Target::LinuxArm64 => arm64(game),
        Target::WindowsX86_64 => windows(game),
        Target::LinuxX86_64 | Target::MacOs | Target::AndroidArm64 => {
            Ok(Played::Not("nothing here can run it; only its file was looked at".to_owned()))
        }
    }
}

/// The game in the real engine for that processor, which is emulated.
fn arm64(game: &Game<'_>) -> Result<Played> {
    const EMULATOR: &str = "qemu-aarch64-static";
    if let Err(error) = package::needs(EMULATOR, "qemu-user-static") {
        return Ok(Played::Not(format!("{error:#}")));
    }
    let prefix = debian::foreign_engine(&debian::folder(game.workspace), "arm64")?;
    // The editor's list of extensions, if it was not opened here.
    let list = game.folder.join(".godot/extension_list.cfg");
    super::write(&list, format!("{}\n", super::game::EXTENSION).as_bytes())?;
    let mut command = Command::new(EMULATOR);
    command.arg("-L").arg(&prefix).arg(prefix.join("usr/bin/godot"));
    command.args(["--headless", "--path"]).arg(&game.folder);
    let home = game.workspace.target.join("godot-home");
    for variable in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(variable, &home);
    }
    command.env("FONTCONFIG_FILE", prefix.join("etc/fonts/fonts.conf"));
    judge("arm64", command, true)
}

/// There is no Godot for Windows here: a loader alone.
fn windows(game: &Game<'_>) -> Result<Played> {
    if let Err(error) = package::needs("wine", "wine wine64") {
        return Ok(Played::Not(format!("{error:#}")));
    }
    let folder = package::folder(game.workspace).join("wine");
    fs::create_dir_all(&folder).context("failed to create a folder for Wine")?;
    let source = game.workspace.root.join("tests/package/loader.c").display().to_string();
    let arguments = ["cc", "-target", "x86_64-windows-gnu", "-O2", "-o", "loader.exe", &source];
    let zig = Zig::find(game.workspace)?;
    zig.run(&folder, arguments)?;
    // Wine before 9 lacks this part of Windows. Another one's is taken before that beside the program.
    let source = game.workspace.root.join("tests/package/bcryptprimitives.c").display().to_string();
    let library = "bcryptprimitives.dll";
    let arguments = ["cc", "-target", "x86_64-windows-gnu", "-shared", "-o", library, &source];
    zig.run(&folder, arguments.into_iter().chain(["-ladvapi32"]))?;
    let mut command = Command::new("wine");
    command.arg(folder.join("loader.exe")).arg(game.library(Target::WindowsX86_64)?);
    command.env("WINEPREFIX", folder.join("prefix")).env("WINEDEBUG", "-all");
    command.env("WINEDLLOVERRIDES", "bcryptprimitives=b,n");
    judge("wine", command, true)
}
