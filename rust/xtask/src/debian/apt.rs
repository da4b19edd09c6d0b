//! apt with a state of its own, and unpacking what it downloads: nothing of the system is changed,
//! signatures are checked.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::process::{self, Stderr, describe};

/// The suite that has a new enough engine.
const SUITE: &str = "forky";
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
];
/// Generous for a slow line; the download is about 200 MB.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Between two progress lines where there is no terminal to rewrite.
const PROGRESS: Duration = Duration::from_secs(3);

/// An apt with a state of its own.
pub(super) struct Apt {
    folder: PathBuf,
    configuration: PathBuf,
}

impl Apt {
    /// One for packages of an architecture, which need not be this machine's.
    pub(super) fn new(folder: &Path, architecture: &str) -> Result<Self> {
        let folder = folder.join("apt");
        fs::create_dir_all(folder.join("lists/partial"))?;
        fs::create_dir_all(folder.join("cache/archives/partial"))?;
        // An empty list of installed packages: the whole closure is wanted.
        fs::write(folder.join("status"), "")?;
        let at = folder.display();
        // Read after the system's own configuration, whose proxies and certificates stay in force.
        let text = format!(
            r#"#clear APT::Architectures;
#clear APT::Default-Release;
#clear APT::Update;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
// The folder may be one that apt's own user cannot enter.
APT::Sandbox::User "root";
// The suite's date is not the system's: an old list is still a signed one.
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::Etc::SourceList "{at}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "{at}";
Dir::State::Lists "{at}/lists";
Dir::State::status "{at}/status";
Dir::Cache "{at}/cache";
Dir::Cache::Archives "archives";
Dir::Log "{at}";
"#
        );
        let configuration = folder.join("apt.conf");
        fs::write(&configuration, text).context("failed to write apt's configuration")?;
        Ok(Self { folder, configuration })
    }

    /// Reads the suite's package list from the first mirror that has it.
    pub(super) fn update(&self) -> Result<()> {
        let mirrors = mirrors()?;
        let keyring = KEYRINGS
            .iter()
            .find(|path| Path::new(path).exists())
            .context("no Debian archive keyring (package debian-archive-keyring)")?;
        let mut failures = Vec::new();
        for mirror in &mirrors {
            eprintln!("godot: reading the package list of {SUITE}");
            fs::write(
                self.folder.join("sources.list"),
                format!("deb [signed-by={keyring}] {mirror} {SUITE} main\n"),
            )?;
            let mut command = self.command();
            command.args(["--error-on=any", "update"]);
            match supervise(command, |_| ()) {
                Ok(()) => return Ok(()),
                Err(error) => failures.push(format!("{mirror}: {error:#}")),
            }
        }
        bail!("no mirror of apt's configuration has Debian's {SUITE}\n{}", failures.join("\n"))
    }

    /// Downloads packages and, unless they are wanted `alone`, everything they need; the archives.
    pub(super) fn download(&self, packages: &[&str], alone: bool) -> Result<Vec<PathBuf>> {
        let archives = self.folder.join("cache/archives");
        let mut command = self.command();
        if alone {
            // Into the folder that it is started in.
            command.arg("download").current_dir(&archives);
        } else {
            command.args(["--download-only", "--no-install-recommends", "--yes", "install"]);
        }
        command.args(packages);
        let mut progress = Progress::new("downloaded");
        supervise(command, |line| {
            if let Some(total) = newly_installed(line) {
                progress.total = total;
            } else if line.starts_with("Get:") {
                progress.step();
            }
        })?;
        progress.end();

        let mut found = Vec::new();
        for entry in fs::read_dir(archives)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                found.push(path);
            }
        }
        ensure!(!found.is_empty(), "apt downloaded nothing");
        Ok(found)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.arg("--quiet").arg("--config-file").arg(&self.configuration);
        // Its messages are read.
        command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }
}

/// Addresses from which this system gets Debian, best first.
fn mirrors() -> Result<Vec<String>> {
    let targets = output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(LABEL) $(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    let known = from_targets(&targets);
    if !known.is_empty() {
        return Ok(known);
    }
    // A machine that never ran `apt-get update` has no targets, but knows where they would be.
    let sources = output(Command::new("apt-get").args(["update", "--print-uris"]))?;
    let known = from_sources(&sources);
    ensure!(!known.is_empty(), "apt's configuration names no Debian mirror");
    Ok(known)
}

/// From lines of label and address: what calls itself Debian.
fn from_targets(text: &str) -> Vec<String> {
    let found = text.lines().filter_map(|line| line.strip_prefix("Debian "));
    distinct(found)
}

/// From lines like `'ADDRESS/dists/SUITE/main/binary-amd64/Packages.xz' name size`: whatever looks
/// like a mirror. A wrong guess fails at the signature.
fn from_sources(text: &str) -> Vec<String> {
    let found = text
        .lines()
        .filter(|line| line.contains("/main/binary-"))
        .filter_map(|line| line.strip_prefix('\'')?.split_once("dists/"))
        .map(|(address, _)| address)
        .filter(|address| !address.contains("security"));
    let mut found = distinct(found);
    found.sort_by_key(|address| !address.ends_with("/debian/"));
    found
}

fn distinct<'a>(found: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for address in found.map(str::trim).filter(|address| !address.is_empty()) {
        if !known.iter().any(|other| other == address) {
            known.push(address.to_owned());
        }
    }
    known
}

/// The number in `0 upgraded, 264 newly installed, …`.
fn newly_installed(line: &str) -> Option<usize> {
    line.split_once(" newly installed")?.0.rsplit(' ').next()?.parse().ok()
}

pub(super) fn unpack(archives: &[PathBuf], prefix: &Path) -> Result<()> {
    let mut progress = Progress::new("unpacked");
    progress.total = archives.len();
    for archive in archives {
        let status = Command::new("dpkg")
            .arg("--extract")
            .arg(archive)
            .arg(prefix)
            .status()
            .context("failed to run dpkg")?;
        ensure!(status.success(), "dpkg --extract {}: {}", archive.display(), describe(status));
        // Half a gigabyte less at the worst moment.
        fs::remove_file(archive).ok();
        progress.step();
    }
    progress.end();
    Ok(())
}

pub(super) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("failed to run {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{}: {}",
        command.get_program().display(),
        describe(output.status)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs apt, showing its lines to `watch`; they are shown to the user only if it fails.
fn supervise(command: Command, watch: impl FnMut(&str)) -> Result<()> {
    let outcome = process::follow(None, command, DOWNLOAD_LIMIT, Stderr::Merged, watch)?;
    match outcome.end.problem() {
        None => Ok(()),
        Some(problem) => {
            let tail = &outcome.lines[outcome.lines.len().saturating_sub(12)..];
            bail!("apt-get: {problem}\n{}", tail.join("\n"))
        }
    }
}

/// `3 of 264` on standard error: rewritten on a terminal, a line now and then elsewhere.
struct Progress {
    word: &'static str,
    done: usize,
    total: usize,
    shown: Instant,
}

impl Progress {
    fn new(word: &'static str) -> Self {
        Self { word, done: 0, total: 0, shown: Instant::now() }
    }

    fn step(&mut self) {
        self.done += 1;
        let (word, done, total) = (self.word, self.done, self.total.max(self.done));
        if io::stderr().is_terminal() {
            eprint!("\rgodot: {word} {done} of {total} packages");
        } else if self.shown.elapsed() > PROGRESS {
            self.shown = Instant::now();
            eprintln!("godot: {word} {done} of {total} packages");
        }
    }

    fn end(self) {
        if io::stderr().is_terminal() {
            eprintln!();
        } else {
            eprintln!("godot: {} {} packages", self.word, self.done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_others_and_of_security_are_no_mirror() {
        let text = "Debian-Security http://a.test/debian-security/\n\
                    Debian http://a.test/debian/\n\
                    Debian http://a.test/debian/\n\
                    Docker http://b.test/linux/debian/\n";
        assert_eq!(from_targets(text), ["http://a.test/debian/"]);
    }

    #[test]
    fn mirrors_are_read_from_planned_downloads() {
        let text = "'http://b.test/mirror/dists/bookworm/main/binary-amd64/Packages.xz' x 0 \n\
                    'http://a.test/debian/dists/bookworm/InRelease' x 0 \n\
                    'http://a.test/debian/dists/bookworm/main/binary-amd64/Packages.xz' x 0 \n\
                    'http://a.test/debian-security/dists/b/main/binary-amd64/Packages.xz' x 0 \n\
                    'http://c.test/linux/debian/dists/b/stable/binary-amd64/Packages.xz' x 0 \n";
        assert_eq!(from_sources(text), ["http://a.test/debian/", "http://b.test/mirror/"]);
    }

    #[test]
    fn package_count_is_read_from_the_summary() {
        let line = "0 upgraded, 264 newly installed, 0 to remove and 0 not upgraded.";
        assert_eq!(newly_installed(line), Some(264));
        assert_eq!(newly_installed("Get:1 something"), None);
    }
}
