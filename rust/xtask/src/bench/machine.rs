//! On what something was measured.

use std::env;
use std::fs;
use std::thread;

/// Lines that say which command ran, and on what kind of machine; nothing that names the one.
pub(crate) fn describe() -> Vec<(&'static str, String)> {
    let mut lines = vec![("command", command())];
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| line.strip_prefix("model name"));
    if let Some(model) = model {
        lines.push(("processor", model.trim_start_matches(['\t', ' ', ':']).to_owned()));
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    lines.push(("cores", cores.to_string()));
    if let Ok(kernel) = fs::read_to_string("/proc/sys/kernel/osrelease") {
        lines.push(("kernel", version(&kernel).to_owned()));
    }
    lines
}

/// The number alone: what follows it is the name of a build.
fn version(release: &str) -> &str {
    release.trim().split('-').next().unwrap_or_default()
}

/// The command as one types it, without the file that it also writes to.
fn command() -> String {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(index) = arguments.iter().position(|argument| argument == "--json") {
        arguments.drain(index..(index + 2).min(arguments.len()));
    }
    arguments.retain(|argument| !argument.starts_with("--json="));
    let quoted = arguments
        .into_iter()
        .map(|argument| if argument.contains(' ') { format!("'{argument}'") } else { argument });
    ["cargo".to_owned(), "xtask".to_owned()].into_iter().chain(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_is_told_without_the_name_of_its_build() {
        assert_eq!(version("6.1.0-13-amd64\n"), "6.1.0");
        assert_eq!(version("6.12.8"), "6.12.8");
    }
}
