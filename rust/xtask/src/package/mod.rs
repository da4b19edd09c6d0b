//! `cargo xtask package`: the archive that users install, for this machine's system or for all.

mod archive;
mod build;
mod inspect;
mod manifest;
mod notices;
mod sysroot;
pub(crate) mod target;
mod tools;
mod universal;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use self::archive::Entry;
use self::target::Target;
pub(crate) use self::tools::{Zig, needs};
use crate::check;
use crate::project;
use crate::workspace::Workspace;

/// Where the addon is in a game, and so in the archive.
const ROOT: &str = "addons/mio_websocket";
const MANIFEST: &str = "mio_websocket.gdextension";
/// Files from outside the addon's folder that users get too.
const DOCUMENTS: [&str; 2] = ["CHANGELOG.md", "LICENSE"];
/// What a developer's machine leaves in the addon's folder.
const LEFT_OUT: [&str; 4] = ["log", "tmp", "orig", "rej"];

/// For which systems.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The systems to build for, or `all`; this machine's own unless given.
    #[arg(long = "target", value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    targets: Vec<Choice>,
    /// Build nothing: take the libraries that are below this folder, from other machines for example.
    #[arg(long, value_name = "FOLDER")]
    prebuilt: Option<PathBuf>,
    /// Then play with it: in a new project, in an exported game, and in emulators (qemu-user for
    /// Linux on arm64, Wine for Windows).
    #[arg(long)]
    play: bool,
}

/// A system, or all of them.
#[derive(Clone, Copy)]
enum Choice {
    All,
    One(Target),
}

impl ValueEnum for Choice {
    fn value_variants<'a>() -> &'a [Self] {
        const VARIANTS: [Choice; Target::ALL.len() + 1] = {
            let mut variants = [Choice::All; Target::ALL.len() + 1];
            let mut index = 0;
            while index < Target::ALL.len() {
                variants[index + 1] = Choice::One(Target::ALL[index]);
                index += 1;
            }
            variants
        };
        &VARIANTS
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        match self {
            Self::All => Some("all".into()),
            Self::One(target) => target.to_possible_value(),
        }
    }
}

/// Where all that is made here is kept.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("package")
}

/// Makes the archive that `arguments` ask for. Whether it holds all of it.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    let targets = chosen(&arguments.targets)?;
    let mut libraries = Vec::new();
    let mut missing = Vec::new();
    for target in targets {
        let library = match &arguments.prebuilt {
            Some(folder) => prebuilt(workspace, folder, target),
            None => built(workspace, target),
        };
        match library {
            Ok(bytes) => libraries.push((target, bytes)),
            Err(error) => missing.push((target, error)),
        }
    }
    let mut all_well = missing.is_empty();
    if !libraries.is_empty() {
        let built: Vec<Target> = libraries.iter().map(|(target, _)| *target).collect();
        let path = pack(workspace, libraries)?;
        if arguments.play {
            all_well &= check::package::run(workspace, &path, &built)?.failed == 0;
        }
        println!("{}", path.display());
    }
    for (target, error) in &missing {
        println!("NOT IN THE PACKAGE: {}: {error:#}", target.name());
    }
    Ok(all_well)
}

/// What this machine lacks to build for itself, if anything.
pub(crate) fn lacks(workspace: &Workspace) -> Option<String> {
    match Target::host() {
        None => Some("the addon has no library for this machine's system".to_owned()),
        Some(Target::LinuxX86_64 | Target::LinuxArm64) => {
            Zig::find(workspace).err().map(|error| format!("{error:#}"))
        }
        Some(_) => None,
    }
}

/// Packs the library for this machine alone; the archive.
pub(crate) fn for_host(workspace: &Workspace) -> Result<PathBuf> {
    let target = Target::host().context("the addon has no library for this machine's system")?;
    let library = built(workspace, target)?;
    pack(workspace, vec![(target, library)])
}

fn chosen(choices: &[Choice]) -> Result<Vec<Target>> {
    let mut targets: Vec<Target> = choices
        .iter()
        .flat_map(|choice| match choice {
            Choice::All => Target::ALL.to_vec(),
            Choice::One(target) => vec![*target],
        })
        .collect();
    if targets.is_empty() {
        targets.extend(Target::host());
    }
    targets.sort();
    targets.dedup();
    if targets.is_empty() {
        bail!("the addon has no library for this machine's system; name others with --target");
    }
    Ok(targets)
}

/// The library for `target`, built. It is kept for `--prebuilt` of another machine too.
fn built(workspace: &Workspace, target: Target) -> Result<Vec<u8>> {
    let bytes = build::build(workspace, target)?;
    let text = manifest(workspace)?;
    let name = Path::new(library(&text, target)?).file_name();
    let kept = folder(workspace).join("libraries");
    fs::create_dir_all(&kept).with_context(|| format!("failed to create {}", kept.display()))?;
    let file = kept.join(name.context("the library has no name")?);
    fs::write(&file, &bytes).with_context(|| format!("failed to write {}", file.display()))?;
    Ok(bytes)
}

/// The library for `target` in `folder`, under the name that it has in the addon.
fn prebuilt(workspace: &Workspace, folder: &Path, target: Target) -> Result<Vec<u8>> {
    let text = manifest(workspace)?;
    let path = Path::new(library(&text, target)?);
    let name = path.file_name().context("the library has no name")?;
    let mut files = Vec::new();
    project::collect(folder, &mut files)?;
    let file = files
        .into_iter()
        .find(|file| file.file_name() == Some(name))
        .with_context(|| format!("{} is not below {}", name.display(), folder.display()))?;
    let bytes = fs::read(&file).with_context(|| format!("failed to read {}", file.display()))?;
    eprintln!("{}: {}", target.name(), inspect::inspect(target, &bytes)?);
    Ok(bytes)
}

/// Packs `libraries` with all else that users get.
fn pack(workspace: &Workspace, libraries: Vec<(Target, Vec<u8>)>) -> Result<PathBuf> {
    let text = manifest(workspace)?;
    let targets: Vec<Target> = libraries.iter().map(|(target, _)| *target).collect();
    let mut entries = documents(workspace)?;
    entries.push(entry(MANIFEST, manifest::shipped(&text, &targets)?));
    entries.push(entry("THIRD_PARTY_NOTICES.txt", notices::write(workspace, &targets)?));

    for (target, content) in libraries {
        entries.push(entry(library(&text, target)?, content));
    }

    let name = format!("mio_websocket-{}.zip", env!("CARGO_PKG_VERSION"));
    let path = folder(workspace).join(name);
    let checksum = archive::write(&path, entries)?;
    eprintln!("its checksum is in {}", checksum.display());
    Ok(path)
}

/// Everything in the addon but what is built or written anew.
fn documents(workspace: &Workspace) -> Result<Vec<Entry>> {
    let addon = workspace.addon();
    let mut files = Vec::new();
    project::collect(&addon, &mut files)?;
    let mut entries = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&addon).context("a file is outside of the addon")?;
        let left_out = file
            .extension()
            .is_some_and(|extension| LEFT_OUT.iter().any(|other| extension == *other));
        let known = DOCUMENTS.iter().chain([&MANIFEST]).any(|name| inside == Path::new(name));
        if left_out || known || inside.starts_with("bin") {
            continue;
        }
        let path = inside.to_str().context("a file's name is not text")?.replace('\\', "/");
        entries.push(entry(&path, read(&file)?));
    }
    for document in DOCUMENTS {
        entries.push(entry(document, read(&workspace.root.join(document))?));
    }
    Ok(entries)
}

fn entry(path: &str, content: impl Into<Vec<u8>>) -> Entry {
    Entry { path: format!("{ROOT}/{path}"), content: content.into() }
}

fn manifest(workspace: &Workspace) -> Result<String> {
    let bytes = read(&workspace.addon().join(MANIFEST))?;
    String::from_utf8(bytes).with_context(|| format!("{MANIFEST} is not text"))
}

/// The path of the library for `target` in the addon with this .gdextension file.
pub(crate) fn library(text: &str, target: Target) -> Result<&str> {
    manifest::path(text, target)
        .with_context(|| format!("{MANIFEST} has no library for {}", target.name()))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("failed to read {}", file.display()))
}

#[cfg(test)]
mod tests {
    const PLUGIN: &str = include_str!("../../../../addons/mio_websocket/plugin.cfg");

    #[test]
    fn plugin_and_libraries_have_one_version() {
        let version = PLUGIN.lines().find_map(|line| line.strip_prefix("version="));
        assert_eq!(version, Some(concat!("\"", env!("CARGO_PKG_VERSION"), "\"")));
    }
}
