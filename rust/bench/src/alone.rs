//! A server without a network: nobody plays its clients, and what its script says comes by a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::options::Options;
use crate::script::Script;

const TICK: Duration = Duration::from_millis(10);

/// Waits for what the script finds, counts if it says so, and prints all.
pub(crate) fn run(options: &Options) -> Result<()> {
    let end = Instant::now() + options.limit()?;
    let file: PathBuf = options.get("alone")?;
    let process = format!("/proc/{}", options.get::<u32>("pid")?);
    let mut script = Script::new(options)?;
    let mut heard = 0;
    while script.done.is_none() {
        ensure!(Instant::now() < end, "the server is not done");
        ensure!(Path::new(&process).exists(), "the server is gone");
        let text = fs::read_to_string(&file).context("the server's script says nothing")?;
        for line in whole_lines(&text).skip(heard) {
            script.hear(line.as_bytes())?;
            heard += 1;
        }
        thread::sleep(TICK);
    }
    let mut report = script.done.take().unwrap_or_default();
    script.add_counts(&mut report)?;
    println!("{}", Value::Object(report));
    Ok(())
}

/// The lines of a text that is still being written.
fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_when_its_end_is_there() {
        assert_eq!(whole_lines("a\nb\nc").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(whole_lines("").count(), 0);
    }
}
