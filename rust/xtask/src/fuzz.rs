//! `cargo xtask fuzz`: looks for inputs that break a promise of core's.
//!
//! What a target does is in `rust/fuzz`; here is only how libFuzzer is run. What it collects and finds
//! goes to the build folder; `--keep` picks what belongs into the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::library::BUILD_LIMIT;
use crate::process::{self, Stderr};
use crate::workspace::Workspace;

/// The crate of libFuzzer's programs.
const CRATE: &str = "rust/fuzz/libfuzzer";
/// The kept inputs, which `cargo test` runs.
const KEPT: &str = "rust/fuzz/corpus";
/// An input is not larger than this: what needs more is tested otherwise.
const MOST_BYTES: usize = 4096;
/// Kept inputs of a target.
const MOST_KEPT: usize = 100;
/// An input that takes longer hangs. The slowest take some milliseconds.
const HANGS: Duration = Duration::from_secs(20);

#[derive(Args)]
pub(crate) struct Arguments {
    /// The targets, one after the other; all, if there are none.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Time for each target.
    #[arg(long, default_value_t = 1)]
    minutes: u64,
    /// What else is watched: core has no unsafe code, the crates below it have some.
    #[arg(long, default_value = "none")]
    sanitizer: Sanitizer,
    /// Then replace the kept inputs by the fewest that reach the same code.
    #[arg(long)]
    keep: bool,
    /// Run this input alone, once.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["minutes", "keep"])]
    input: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Sanitizer {
    None,
    Address,
}

/// Fuzzes the targets in turn. Whether nothing was found.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    let targets = choose(&arguments.targets, targets(workspace)?)?;
    let toolchain = Toolchain::find(workspace)?;
    println!("{}", toolchain.says());
    let fuzzer = Fuzzer { workspace, toolchain, sanitizer: arguments.sanitizer };
    if let Some(input) = &arguments.input {
        let [target] = targets.as_slice() else { bail!("an input is for one target: name it") };
        let input = fs::canonicalize(input)
            .with_context(|| format!("there is no input {}", input.display()))?;
        return fuzzer.libfuzzer(target, &[&input], &[], Duration::ZERO);
    }
    let mut is_clean = true;
    for target in &targets {
        println!("== {target}");
        is_clean &= fuzzer.fuzz(target, arguments.minutes)?;
        if arguments.keep {
            println!("{} inputs are kept", fuzzer.keep(target)?);
        }
    }
    Ok(is_clean)
}

/// The names of all targets, which are those of the programs.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for path in files(&workspace.root.join(CRATE).join("targets"))? {
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn choose(wanted: &[String], all: Vec<String>) -> Result<Vec<String>> {
    if wanted.is_empty() {
        return Ok(all);
    }
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown:?}; there are: {}", all.join(", "));
    }
    Ok(wanted.to_vec())
}

/// libFuzzer needs options of the compiler that are not stable.
#[derive(Clone, Copy)]
enum Toolchain {
    /// A nightly one has them.
    Nightly,
    /// Any other has them when it is told to be the one that builds the compiler itself.
    Bootstrap,
}

impl Toolchain {
    fn find(workspace: &Workspace) -> Result<Self> {
        let is_there = |mut command: Command| {
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let mut fuzzer = workspace.cargo();
        fuzzer.args(["fuzz", "--version"]);
        ensure!(
            is_there(fuzzer),
            "cargo-fuzz is not installed (cargo install --locked cargo-fuzz)"
        );
        let mut nightly = Command::new("rustup");
        nightly.args(["run", "nightly", "cargo", "--version"]);
        Ok(if is_there(nightly) { Self::Nightly } else { Self::Bootstrap })
    }

    fn says(self) -> &'static str {
        match self {
            Self::Nightly => "with the nightly toolchain",
            Self::Bootstrap => "with this toolchain and RUSTC_BOOTSTRAP=1: there is no nightly one",
        }
    }

    /// `cargo fuzz`.
    fn command(self, workspace: &Workspace) -> Command {
        let mut command = workspace.cargo();
        match self {
            Self::Nightly => {
                // Not the cargo that runs us: its own toolchain goes before the one that is named.
                let mut nightly = Command::new("rustup");
                nightly.current_dir(&workspace.root).args(["run", "nightly", "cargo"]);
                for (name, value) in command.get_envs() {
                    match value {
                        Some(value) => nightly.env(name, value),
                        None => nightly.env_remove(name),
                    };
                }
                command = nightly;
            }
            Self::Bootstrap => drop(command.env("RUSTC_BOOTSTRAP", "1")),
        }
        command.arg("fuzz");
        command
    }
}

struct Fuzzer<'a> {
    workspace: &'a Workspace,
    toolchain: Toolchain,
    sanitizer: Sanitizer,
}

impl Fuzzer<'_> {
    /// Fuzzes one target; whether nothing was found.
    fn fuzz(&self, target: &str, minutes: u64) -> Result<bool> {
        let (found, collected) = (self.folder("found", target)?, self.folder("corpus", target)?);
        let time = Duration::from_secs(minutes * 60);
        let flags = [
            format!("-max_total_time={}", time.as_secs()),
            format!("-artifact_prefix={}/", found.display()),
        ];
        let is_clean = self.libfuzzer(target, &[&collected, &self.kept(target)], &flags, time)?;
        if !is_clean {
            println!("{target}: what was found is in {}", found.display());
            println!("{target}: again with cargo xtask fuzz {target} --input FILE");
        }
        Ok(is_clean)
    }

    /// Replaces the kept inputs of a target by the smallest that reach all the code that any known
    /// one does; their number.
    fn keep(&self, target: &str) -> Result<usize> {
        let (collected, kept) = (self.folder("corpus", target)?, self.kept(target));
        let chosen = self.folder("chosen", target)?;
        files(&chosen)?.iter().try_for_each(fs::remove_file)?;
        // How often a line is reached does not count, or there would be thousands.
        let flags = ["-merge=1".to_owned(), "-use_counters=0".to_owned()];
        let limit = Duration::from_secs(10 * 60);
        if !self.libfuzzer(target, &[&chosen, &kept, &collected], &flags, limit)? {
            bail!("the inputs of {target} cannot be compared");
        }
        let mut inputs = Vec::new();
        for path in files(&chosen)? {
            inputs.push((fs::metadata(&path)?.len(), path));
        }
        inputs.sort();
        // Those that are left out are the largest.
        inputs.truncate(MOST_KEPT);
        files(&kept)?.iter().try_for_each(fs::remove_file)?;
        for (_, path) in &inputs {
            let name = path.file_name().context("an input has no name")?;
            fs::copy(path, kept.join(name))?;
        }
        Ok(inputs.len())
    }

    /// Runs the program of a target on files or folders; whether it found nothing.
    fn libfuzzer(
        &self,
        target: &str,
        inputs: &[&Path],
        flags: &[String],
        time: Duration,
    ) -> Result<bool> {
        let sanitizer = match self.sanitizer {
            Sanitizer::None => "none",
            Sanitizer::Address => "address",
        };
        let build = self.workspace.target.join("fuzz").join(sanitizer);
        let mut command = self.toolchain.command(self.workspace);
        command.args(["run", "--fuzz-dir", CRATE, "--sanitizer", sanitizer, "--target-dir"]);
        command.arg(build).arg(target).args(inputs).arg("--");
        command.arg(format!("-max_len={MOST_BYTES}"));
        command.arg(format!("-timeout={}", HANGS.as_secs()));
        command.args(["-verbosity=0", "-print_final_stats=1"]).args(flags);
        let limit = BUILD_LIMIT + 2 * time;
        let outcome = process::follow(Some(target), command, limit, Stderr::Merged, |line| {
            // It ends with a list of words that were good for something.
            if !line.starts_with(['"', '#']) {
                println!("{line}");
            }
        })?;
        Ok(outcome.end.success())
    }

    fn kept(&self, target: &str) -> PathBuf {
        self.workspace.root.join(KEPT).join(target)
    }

    /// A folder in the build folder, made if need be.
    fn folder(&self, purpose: &str, target: &str) -> Result<PathBuf> {
        let folder = self.workspace.target.join("fuzz").join(purpose).join(target);
        fs::create_dir_all(&folder)
            .with_context(|| format!("failed to create {}", folder.display()))?;
        Ok(folder)
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = || format!("failed to read {}", folder.display());
    let entries = fs::read_dir(folder).with_context(failed)?;
    entries.map(|entry| Ok(entry.with_context(failed)?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_chosen_by_their_whole_name() {
        let all = || vec!["frames".to_owned(), "url".to_owned()];
        assert_eq!(choose(&[], all()).ok(), Some(all()));
        assert_eq!(choose(&["url".to_owned()], all()).ok(), Some(vec!["url".to_owned()]));
        assert!(choose(&["frame".to_owned()], all()).is_err());
    }
}
