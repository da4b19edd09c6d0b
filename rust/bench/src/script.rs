//! What the server's script says about the run.

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value};

use crate::counter::Counter;
use crate::options::Options;

/// What it has said, and the counter that it starts and stops.
pub(crate) struct Script {
    pub(crate) counter: Option<Counter>,
    /// The clients may begin.
    pub(crate) is_ready: bool,
    /// What it found, when it has measured.
    pub(crate) done: Option<Map<String, Value>>,
    /// The packets that it got were those that were sent.
    pub(crate) is_sound: bool,
}

impl Script {
    /// One that has said nothing.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let counter = Counter::choose(options)?;
        Ok(Self { counter, is_ready: false, done: None, is_sound: false })
    }

    /// Takes what it says. Whether the packet was such.
    pub(crate) fn hear(&mut self, payload: &[u8]) -> Result<bool> {
        match payload {
            b"ready" => self.is_ready = true,
            b"sound" => self.is_sound = true,
            b"count" => self.counter()?.start()?,
            b"counted" => self.counter()?.stop()?,
            _ if payload.starts_with(b"broken") => bail!("{}", String::from_utf8_lossy(payload)),
            _ => match payload.strip_prefix(b"done") {
                Some(json) => self.done = Some(found(json)?),
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    /// Adds what was counted to a report.
    pub(crate) fn add_counts(&mut self, report: &mut Map<String, Value>) -> Result<()> {
        if let Some(counter) = &mut self.counter {
            let (name, found) = counter.found()?;
            report.insert(name.to_owned(), found);
        }
        Ok(())
    }

    fn counter(&mut self) -> Result<&mut Counter> {
        self.counter.as_mut().context("there is nothing to count with")
    }
}

fn found(json: &[u8]) -> Result<Map<String, Value>> {
    let found: Map<String, Value> = serde_json::from_slice(json)
        .map_err(|error| anyhow!("what the server found is not JSON: {error}"))?;
    match found.get("refused") {
        Some(refused) => bail!("the server's peer refused {refused} packets"),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script() -> Script {
        let options = Options::parse(std::iter::empty()).expect("valid");
        Script::new(&options).expect("it counts nothing")
    }

    #[test]
    fn what_is_said_is_told_from_packets() {
        let mut script = script();
        assert!(script.hear(b"ready").expect("valid") && script.is_ready);
        assert!(!script.hear(b"a packet").expect("valid"));
        assert!(script.hear(b"done{\"units\":3}").expect("valid"));
        assert_eq!(script.done.expect("it is done")["units"], 3);
    }

    #[test]
    fn what_makes_a_measurement_invalid_is_an_error() {
        assert!(script().hear(b"broken: 1 of 2 packets came").is_err());
        assert!(script().hear(b"done{\"refused\":1}").is_err());
        assert!(script().hear(b"count").is_err());
    }
}
