//! The options of a run: `key=value`, the same list that the server's script gets.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

/// Values by key.
pub(crate) struct Options(HashMap<String, String>);

impl Options {
    /// Reads arguments; a later one counts.
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        arguments
            .map(|argument| {
                let (key, value) = argument
                    .split_once('=')
                    .with_context(|| format!("{argument:?} is not key=value"))?;
                Ok((key.to_owned(), value.to_owned()))
            })
            .collect::<Result<_>>()
            .map(Self)
    }

    /// The text of an option, if it is there.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// A value that must be there.
    pub(crate) fn get<T: FromStr>(&self, key: &str) -> Result<T> {
        let text = self.text(key).with_context(|| format!("{key}=… is missing"))?;
        text.parse().map_err(|_| anyhow!("{key}={text} cannot be used"))
    }

    /// A value, or `default` where there is none.
    pub(crate) fn get_or<T: FromStr>(&self, key: &str, default: T) -> Result<T> {
        if self.text(key).is_some() { self.get(key) } else { Ok(default) }
    }

    /// How long the run may take.
    pub(crate) fn limit(&self) -> Result<Duration> {
        self.get_or("limit", 120).map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(list: &[&str]) -> Result<Options> {
        Options::parse(list.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn values_are_read_by_key() {
        let options = options(&["clients=5", "tls=no"]).expect("valid");
        assert_eq!(options.get::<usize>("clients").expect("a number"), 5);
        assert_eq!(options.text("tls"), Some("no"));
        assert_eq!(options.get_or("rate", 7).expect("the default"), 7);
    }

    #[test]
    fn what_cannot_be_used_is_an_error() {
        assert!(options(&["clients"]).is_err());
        let options = options(&["clients=five"]).expect("valid");
        assert!(options.get::<usize>("clients").is_err());
        assert!(options.get_or::<usize>("clients", 1).is_err());
        assert!(options.get::<usize>("size").is_err());
    }
}
