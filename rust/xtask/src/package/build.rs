//! Building the library for a target, on whatever machine this is.
//!
//! A machine's own system is built with the system's own linker, but Linux: there Zig links against
//! an old C library, so that the library loads on old systems too. Others are built from Linux (or
//! anywhere) with rustc's own linker and what Zig has with it, Windows with MinGW.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::target::Target;
use super::tools::{self, Zig};
use super::{inspect, sysroot, universal};
use crate::library::{self, BUILD_LIMIT};
use crate::process::{self, Echo, Stderr};
use crate::workspace::Workspace;

/// The oldest C library of Linux, as `cargo zigbuild` wants it behind the triple.
const GLIBC: &str = "2.17";
/// The oldest macOS: the first for Apple's own processors.
const MACOS: &str = "11.0";
/// The oldest Android: what Godot 4 itself asks for.
pub(super) const ANDROID_API: u32 = 24;

/// The library for `target`.
pub(super) fn build(workspace: &Workspace, target: Target) -> Result<Vec<u8>> {
    eprintln!("building the library for {} (minutes the first time)", target.name());
    let mut files = Vec::new();
    for triple in target.triples() {
        tools::standard_library(workspace, triple)?;
        let path = compile(workspace, target, triple)?;
        files.push(fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?);
    }
    let bytes = match target {
        Target::MacOs => universal::join(&files)?,
        _ => files.pop().context("nothing was built")?,
    };
    eprintln!("{}: {}", target.name(), inspect::inspect(target, &bytes)?);
    Ok(bytes)
}

/// How cargo is called for a triple.
struct Recipe {
    command: Command,
    /// Flags for the compiler in the last step only.
    last: Vec<OsString>,
}

impl Recipe {
    fn new(workspace: &Workspace, triple: &str) -> Self {
        let mut command = workspace.cargo();
        command.args(["rustc", "--lib", "--target", triple]);
        Self { command, last: Vec::new() }
    }

    /// A variable that cargo reads for one triple alone.
    fn cargo(&mut self, triple: &str, name: &str, value: impl Into<OsString>) {
        let triple = triple.to_uppercase().replace('-', "_");
        self.command.env(format!("CARGO_TARGET_{triple}_{name}"), value.into());
    }

    /// The C compiler and its archiver, for the parts of ring that are in C.
    fn c(&mut self, triple: &str, compiler: impl Into<OsString>, archiver: impl Into<OsString>) {
        let triple = triple.replace('-', "_");
        self.command.env(format!("CC_{triple}"), compiler.into());
        self.command.env(format!("AR_{triple}"), archiver.into());
    }

    fn last(&mut self, flag: impl Into<OsString>) {
        self.last.push("-C".into());
        self.last.push(flag.into());
    }

    /// rustc's own linker, which knows all formats.
    fn own_linker(&mut self, flavor: &str) {
        self.last("linker=rust-lld");
        self.last(format!("linker-flavor={flavor}"));
    }
}

/// Compiles for one triple; where the library is.
fn compile(workspace: &Workspace, target: Target, triple: &str) -> Result<PathBuf> {
    let mut recipe = match target {
        Target::LinuxX86_64 | Target::LinuxArm64 => linux(workspace, triple)?,
        Target::WindowsX86_64 => windows(workspace, triple)?,
        Target::MacOs => macos(workspace, triple)?,
        Target::AndroidArm64 => android(workspace, triple)?,
    };
    let folder = super::folder(workspace).join("build");
    recipe
        .command
        .args(["--release", "--locked", "--package", library::PACKAGE])
        .arg("--message-format=json-render-diagnostics")
        .env("CARGO_TARGET_DIR", &folder)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(workspace, target)?);
    if !recipe.last.is_empty() {
        recipe.command.arg("--").args(&recipe.last);
    }
    // The lines are for us; cargo's own progress goes to the terminal.
    let outcome =
        process::run("build", recipe.command, BUILD_LIMIT, Stderr::Inherited, Echo::Silent)?;
    if let Some(problem) = outcome.end.problem() {
        bail!("cargo: {problem}");
    }
    outcome
        .lines
        .iter()
        .rev()
        .find_map(|line| library::artifact(line, target.suffix()))
        .with_context(|| format!("cargo built no library for {triple}"))
}

fn linux(workspace: &Workspace, triple: &str) -> Result<Recipe> {
    let mut command = workspace.cargo();
    Zig::find(workspace)?.on_path(&mut command)?;
    command.args(["zigbuild", "--lib", "--target"]).arg(format!("{triple}.{GLIBC}"));
    Ok(Recipe { command, last: Vec::new() })
}

fn windows(workspace: &Workspace, triple: &str) -> Result<Recipe> {
    if !cfg!(windows) {
        tools::needs("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-posix")?;
    }
    Ok(Recipe::new(workspace, triple))
}

fn macos(workspace: &Workspace, triple: &str) -> Result<Recipe> {
    let mut recipe = Recipe::new(workspace, triple);
    recipe.command.env("MACOSX_DEPLOYMENT_TARGET", MACOS);
    // The linker leaves out the names: who strips the file later breaks its signature.
    recipe.command.env("CARGO_PROFILE_RELEASE_STRIP", "none");
    // Else the path on this machine would be the library's name.
    let name = "@rpath/libmio_websocket.macos.dylib";
    if cfg!(target_os = "macos") {
        recipe.last(format!("link-args=-Wl,-x -Wl,-install_name,{name}"));
        return Ok(recipe);
    }
    recipe.last(format!("link-args=-x -install_name {name}"));
    let zig = Zig::find(workspace)?;
    zig.on_path(&mut recipe.command)?;
    let architecture = triple.split('-').next().unwrap_or_default();
    let target = format!("{architecture}-macos.{MACOS}");
    recipe.c(triple, zig.compiler(workspace, &target, &[])?, "zig ar");
    recipe.command.env("SDKROOT", sysroot::macos(workspace, &zig)?);
    recipe.own_linker("ld64.lld");
    Ok(recipe)
}

fn android(workspace: &Workspace, triple: &str) -> Result<Recipe> {
    let mut recipe = Recipe::new(workspace, triple);
    if let Some(compiler) = tools::android_kit()? {
        let archiver = compiler.with_file_name(format!("llvm-ar{}", env::consts::EXE_SUFFIX));
        recipe.cargo(triple, "LINKER", &compiler);
        recipe.c(triple, compiler, archiver);
        recipe.last("link-arg=-Wl,-z,max-page-size=16384");
        return Ok(recipe);
    }
    let zig = Zig::find(workspace)?;
    zig.on_path(&mut recipe.command)?;
    let folder = sysroot::android(workspace, &zig)?;
    let compiler = zig.compiler(workspace, sysroot::ANDROID_TARGET, &sysroot::ANDROID_FLAGS)?;
    recipe.c(triple, compiler, "zig ar");
    recipe.own_linker("ld.lld");
    recipe.last.push("-L".into());
    recipe.last.push(folder.into());
    // What is linked against is empty, and needed all the same.
    recipe.last("link-args=-z max-page-size=16384 --no-as-needed -lc -ldl -llog -lm");
    Ok(recipe)
}

/// Flags for the whole build: paths of this machine do not get into the library, so that it is the
/// same from wherever it is built, and tells nothing of where that was.
fn flags(workspace: &Workspace, target: Target) -> Result<OsString> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let mut renamed = vec![(workspace.root.clone(), String::new())];
    // Later ones come first.
    renamed.push((super::folder(workspace).join("build"), "target".to_owned()));
    // The name that the standard library's sources have where they are not installed.
    let (sysroot, commit) = tools::toolchain(workspace)?;
    renamed.push((sysroot.join("lib/rustlib/src/rust"), format!("/rustc/{commit}")));
    let sources = home.context("no home folder")?.join("registry/src");
    if sources.exists() {
        for registry in fs::read_dir(&sources).context("failed to read cargo's sources")? {
            renamed.push((registry?.path(), "crates".to_owned()));
        }
    }
    let mut flags = OsString::new();
    for (index, (path, name)) in renamed.into_iter().enumerate() {
        if index > 0 {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(path);
        flags.push("=");
        flags.push(name);
    }
    if target == Target::WindowsX86_64 && cfg!(windows) {
        // Else players would have to install Microsoft's runtime.
        flags.push("\u{1f}-Ctarget-feature=+crt-static");
    }
    Ok(flags)
}
