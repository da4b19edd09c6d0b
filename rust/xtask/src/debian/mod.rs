//! Debian's Godot, unpacked beside the system.
//!
//! Debian's stable release has no Godot 4.5; a newer suite has, but needs a newer C library. So
//! the package and everything it depends on are downloaded by a private apt (own state, own cache,
//! nothing of the system is changed, signatures are checked), unpacked into a folder, and started
//! through their own dynamic loader.

mod apt;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use self::apt::{Apt, output, unpack};
use crate::engine;
use crate::workspace::Workspace;

/// The folder of the engine's packages, beside its start script.
const ENGINE: &str = "debian";
/// What the engine needs beside its own packages to draw in a window.
const GRAPHICS: [&str; 5] =
    ["libgl1", "libgl1-mesa-dri", "libegl1", "libglx-mesa0", "fonts-dejavu-core"];
/// The variable that names the start script another folder of libraries.
const LIBRARIES: &str = "GODOT_LIBRARIES";
/// The package of the export template, and its program.
const TEMPLATE: &str = "godot-template-release";

/// Whether this system has Debian's tools.
pub(crate) fn is_here() -> bool {
    ["apt-get", "dpkg"].iter().all(|tool| {
        Command::new(tool)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

/// Where the engine is unpacked.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("godot")
}

/// The engine's start script in `folder`, after putting the engine there if it is not yet.
pub(crate) fn engine(folder: &Path) -> Result<PathBuf> {
    let script = folder.join("godot");
    // Written last, so what it starts is complete.
    if script.exists() {
        return Ok(script);
    }
    let _lock = lock(folder)?;
    if script.exists() {
        return Ok(script);
    }
    let started = Instant::now();
    eprintln!("godot: getting Debian's package (once; about 200 MB to download, 700 MB unpacked)");
    get(folder, &["godot"], &architecture()?, ENGINE, false)?;
    let untried = folder.join("godot.new");
    write_script(folder, &untried, &triplet()?)?;
    engine::check(&untried).context("the unpacked engine does not work")?;
    fs::rename(&untried, &script).context("failed to move the start script")?;
    eprintln!("godot: ready after {} s", started.elapsed().as_secs());
    Ok(script)
}

/// Lets the unpacked engine that `command` starts draw, after getting what that needs.
pub(crate) fn add_graphics(workspace: &Workspace, command: &mut Command) -> Result<()> {
    let folder = folder(workspace);
    let prefix = folder.join("graphics");
    let _lock = lock(&folder)?;
    if !prefix.exists() {
        eprintln!(
            "godot: getting Debian's OpenGL (once; about 60 MB to download, 250 MB unpacked)"
        );
        // One from before there were graphics does not look into that folder.
        let script = folder.join("godot.new");
        write_script(&folder, &script, &triplet()?)?;
        fs::rename(&script, folder.join("godot")).context("failed to move the start script")?;
        get(&folder, &GRAPHICS, &architecture()?, "graphics", false)?;
    }
    let libraries = prefix.join("usr/lib").join(triplet()?);
    command.env("LIBGL_DRIVERS_PATH", libraries.join("dri"));
    command.env(LIBRARIES, libraries);
    Ok(())
}

/// The engine that exported games consist of, in `folder`, after putting it there if it is not yet.
/// It needs the libraries of [`engine`].
pub(crate) fn template(folder: &Path) -> Result<PathBuf> {
    let place = folder.join("template");
    let _lock = lock(folder)?;
    if !place.exists() {
        eprintln!("godot: getting Debian's export template (once; 20 MB to download)");
        get(folder, &[TEMPLATE], &architecture()?, "template", true)?;
    }
    Ok(place.join("usr/bin").join(TEMPLATE))
}

/// A folder with the engine for another of Debian's architectures and all that it needs, after
/// putting it into `folder` if it is not there yet.
pub(crate) fn foreign_engine(folder: &Path, architecture: &str) -> Result<PathBuf> {
    let place = folder.join(architecture);
    let _lock = lock(folder)?;
    if !place.exists() {
        eprintln!("godot: getting Debian's package for {architecture} (once; about 140 MB)");
        get(folder, &["godot"], architecture, architecture, false)?;
    }
    // Where programs look for their loader; the package that makes this link makes it when it is
    // installed.
    #[cfg(unix)]
    if !place.join("lib").exists() {
        std::os::unix::fs::symlink("usr/lib", place.join("lib")).context("failed to link lib")?;
    }
    Ok(place)
}

/// What starts a program that was linked with the libraries of [`engine`]: its loader and its path.
pub(crate) fn loader(folder: &Path) -> Result<(PathBuf, String)> {
    let libraries = folder.join(ENGINE).join("usr/lib").join(triplet()?);
    let loader = loader_in(&libraries)?;
    let path = format!("{0}:{0}/pulseaudio", libraries.display());
    Ok((libraries.join(loader), path))
}

/// Held while `folder` is changed; let go by the system when this process ends, however it ends.
fn lock(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let lock = File::create(folder.join("lock")).context("failed to create a lock file")?;
    lock.lock().context("failed to wait for another xtask that gets the engine")?;
    Ok(lock)
}

/// Downloads packages and unpacks them, with all that they need unless they are wanted `alone`, into
/// `folder/name`.
fn get(
    folder: &Path,
    packages: &[&str],
    architecture: &str,
    name: &str,
    alone: bool,
) -> Result<()> {
    // What an interrupted run left is of no use.
    let temporary = folder.join("unpacking");
    remove(&temporary)?;
    fs::create_dir_all(&temporary).context("failed to create a temporary folder")?;
    let apt = Apt::new(&temporary, architecture)?;
    apt.update()?;
    let archives = apt.download(packages, alone)?;
    let prefix = temporary.join("prefix");
    unpack(&archives, &prefix)?;
    let unpacked = folder.join(name);
    remove(&unpacked)?;
    fs::rename(&prefix, &unpacked).context("failed to move the unpacked packages")?;
    remove(&temporary)
}

/// Writes the script that starts the engine in `folder`, where it belongs, through its own loader.
fn write_script(folder: &Path, path: &Path, triplet: &str) -> Result<()> {
    let lib = format!("{ENGINE}/usr/lib/{triplet}");
    let loader = loader_in(&folder.join(&lib))?;
    let text = format!(
        r#"#!/bin/sh
# Starts the engine through its own loader and libraries, which are newer than the system's.
here=$(dirname "$(readlink -f "$0")")
lib=$here/{lib}
# A system without fonts has no configuration for them either, and the engine says so each time.
export FONTCONFIG_FILE="${{FONTCONFIG_FILE:-$here/{ENGINE}/etc/fonts/fonts.conf}}"
exec "$lib/{loader}" --library-path "$lib:$lib/pulseaudio:${LIBRARIES}" "$here/{ENGINE}/usr/bin/godot" "$@"
"#
    );
    fs::write(path, text).context("failed to write the start script")?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .context("failed to make the start script executable")?;
    Ok(())
}

/// The dynamic loader among `libraries`.
fn loader_in(libraries: &Path) -> Result<String> {
    fs::read_dir(libraries)
        .context("the unpacked packages hold no libraries")?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| name.starts_with("ld-linux"))
        .context("the unpacked packages hold no dynamic loader")
}

fn architecture() -> Result<String> {
    Ok(output(Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned())
}

/// The name of the folder Debian keeps this machine's libraries in.
fn triplet() -> Result<String> {
    match architecture()?.as_str() {
        "amd64" => Ok("x86_64-linux-gnu".to_owned()),
        "arm64" => Ok("aarch64-linux-gnu".to_owned()),
        other => bail!("no recipe for Debian's {other}"),
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
