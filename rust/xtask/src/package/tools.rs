//! What builds for other systems need beside cargo, and where it is.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::process::{self, Echo, Stderr};
use crate::python;
use crate::workspace::Workspace;

const REQUIREMENTS: &str = "rust/xtask/src/package/requirements.txt";
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Zig: a C compiler that has the headers and the C libraries of many systems with it.
pub(crate) struct Zig {
    /// The folder of its program and of what it has with it.
    pub(super) folder: PathBuf,
    /// That of `cargo zigbuild`.
    programs: PathBuf,
    cache: PathBuf,
}

impl Zig {
    pub(crate) fn find(workspace: &Workspace) -> Result<Self> {
        let tools = super::folder(workspace).join("tools");
        let environment = tools.join("python");
        let requirements = workspace.root.join(REQUIREMENTS);
        let name = "Zig, a compiler for other systems (once; about 100 MB to download)";
        let python = python::environment(&environment, &requirements, name)?;
        let mut command = Command::new(python);
        command.args(["-c", "import ziglang; print(ziglang.__path__[0])"]);
        let folder = PathBuf::from(lines(command)?.join(""));
        Ok(Self { folder, programs: python::programs(&environment), cache: tools.join("zig") })
    }

    /// `command` finds it on its PATH, and nothing is left in the user's home.
    pub(super) fn on_path(&self, command: &mut Command) -> Result<()> {
        let mut folders = vec![self.programs.clone(), self.folder.clone()];
        folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        command.env("PATH", env::join_paths(folders).context("a folder on PATH is unusable")?);
        for name in ["ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR", "CARGO_ZIGBUILD_CACHE_DIR"] {
            command.env(name, &self.cache);
        }
        Ok(())
    }

    /// A program that is its C compiler for `target`, whatever target it is asked for: build scripts
    /// know Rust's names of targets, Zig has its own.
    pub(super) fn compiler(
        &self,
        workspace: &Workspace,
        target: &str,
        flags: &[&str],
    ) -> Result<PathBuf> {
        ensure!(cfg!(unix), "this system cannot build for {target}");
        let path = super::folder(workspace).join(format!("tools/cc-{target}"));
        let script = format!(
            r#"#!/bin/sh
skip=
for argument do
    shift
    case $skip$argument in
        skip*) skip= ;;
        -target | -arch | -isysroot) skip=skip ;;
        --target=* | -mmacosx-version-min=*) ;;
        *) set -- "$@" "$argument" ;;
    esac
done
exec zig cc -target {target} -fno-sanitize=undefined {} "$@"
"#,
            flags.join(" ")
        );
        fs::write(&path, script).with_context(|| format!("failed to write {}", path.display()))?;
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(path)
    }

    /// Runs it with `arguments`, in `folder`.
    pub(crate) fn run<'a>(
        &self,
        folder: &Path,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        let mut command = Command::new(self.folder.join(format!("zig{}", env::consts::EXE_SUFFIX)));
        command.args(arguments).current_dir(folder);
        self.on_path(&mut command)?;
        lines(command).map(drop)
    }
}

/// The folder of the toolchain that is in use, and the commit that it was made from.
pub(super) fn toolchain(workspace: &Workspace) -> Result<(PathBuf, String)> {
    let ask = |arguments: &[&str]| {
        let mut command = Command::new("rustc");
        command.args(arguments).current_dir(&workspace.root);
        lines(command)
    };
    let sysroot = ask(&["--print", "sysroot"])?.join("");
    let version = ask(&["--version", "--verbose"])?;
    let commit = version.iter().find_map(|line| line.strip_prefix("commit-hash: "));
    Ok((sysroot.into(), commit.context("rustc has no commit")?.to_owned()))
}

/// Has the standard library for `triple` installed with the toolchain that is in use.
pub(super) fn standard_library(workspace: &Workspace, triple: &str) -> Result<()> {
    let (sysroot, _) = toolchain(workspace)?;
    if sysroot.join("lib/rustlib").join(triple).join("lib").exists() {
        return Ok(());
    }
    eprintln!("installing Rust's standard library for {triple}");
    let mut command = Command::new("rustup");
    command.args(["target", "add", triple]).current_dir(&workspace.root);
    lines(command)
        .map(drop)
        .with_context(|| format!("Rust's standard library for {triple} cannot be installed"))
}

/// Whether a program is on PATH; if not, an error that says which of Debian's packages has it.
pub(crate) fn needs(program: &str, package: &str) -> Result<()> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let file = format!("{program}{}", env::consts::EXE_SUFFIX);
    ensure!(
        env::split_paths(&folders).any(|folder| folder.join(&file).is_file()),
        "there is no {program} (Debian's package {package})"
    );
    Ok(())
}

/// The C compiler for Android of Google's kit, if one is installed.
pub(super) fn android_kit() -> Result<Option<PathBuf>> {
    let Some(kit) = ["ANDROID_NDK_HOME", "ANDROID_NDK_ROOT", "ANDROID_NDK_LATEST_HOME"]
        .iter()
        .filter_map(env::var_os)
        .find(|kit| !kit.is_empty())
    else {
        return Ok(None);
    };
    let hosts = Path::new(&kit).join("toolchains/llvm/prebuilt");
    let compiler = format!(
        "bin/aarch64-linux-android{}-clang{}",
        super::build::ANDROID_API,
        if cfg!(windows) { ".cmd" } else { "" }
    );
    // One folder, called after the system that the kit is for.
    for host in fs::read_dir(&hosts).with_context(|| format!("no kit in {}", hosts.display()))? {
        let compiler = host?.path().join(&compiler);
        if compiler.is_file() {
            return Ok(Some(compiler));
        }
    }
    bail!("{} has no {compiler}", hosts.display());
}

/// The lines that `command` prints; an error with its last ones if it fails.
fn lines(command: Command) -> Result<Vec<String>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let outcome = process::run(&program, command, LIMIT, Stderr::Merged, Echo::Silent)?;
    if let Some(problem) = outcome.end.problem() {
        let last = outcome.lines.len().saturating_sub(8);
        bail!("{program}: {problem}\n{}", outcome.lines[last..].join("\n"));
    }
    Ok(outcome.lines)
}
