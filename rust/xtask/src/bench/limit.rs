//! How many files a process may have open: each connection is one, for the server and for the
//! clients.

use std::fs;
use std::process::{self, Command, Stdio};

use anyhow::{Result, ensure};

use super::cases::Case;

/// What a process needs besides its connections.
const MORE: u64 = 200;

/// Asks the system for what the cases need. What is started later gets it too.
pub(crate) fn raise(cases: &[Case]) {
    let Some((soft, hard)) = limits() else {
        return;
    };
    let most = cases.iter().map(needed).max().unwrap_or(0).min(hard);
    if soft < most {
        let mut command = Command::new("prlimit");
        command.args(["--pid", &process::id().to_string(), &format!("--nofile={most}:")]);
        // If it does not work, the cases say what they need.
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().ok();
    }
}

/// Whether a case may have the connections that it needs.
pub(crate) fn check(case: &Case) -> Result<()> {
    let needed = needed(case);
    let Some((allowed, _)) = limits() else {
        return Ok(());
    };
    ensure!(
        allowed >= needed,
        "a process may have {allowed} open files, and {needed} are needed: try `ulimit -n {needed}`"
    );
    Ok(())
}

fn needed(case: &Case) -> u64 {
    case.connections() + MORE
}

/// The limit that counts, and the one that it can be raised to.
fn limits() -> Option<(u64, u64)> {
    read(&fs::read_to_string("/proc/self/limits").ok()?)
}

/// Reads a line like `Max open files            1024                 524288               files`.
fn read(text: &str) -> Option<(u64, u64)> {
    let mut fields =
        text.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace();
    let mut next = || match fields.next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    };
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_from_the_kernels_table() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             1                    2                    processes \n\
                    Max open files            1024                 unlimited            files     \n";
        assert_eq!(read(text), Some((1024, u64::MAX)));
        assert_eq!(read("nothing of the kind"), None);
    }
}
