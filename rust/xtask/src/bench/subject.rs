//! Whose cost is measured: a class in an engine, or a server beside it as an anchor.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::stage::Stage;
use crate::engine;

/// The engine's class gives no tickets for TLS: who comes again makes a full handshake again.
const WITHOUT_TICKETS: &str = "WebSocketMultiplayerPeer";
/// The class of `rust/bench/null_peer`.
const NULL: &str = "NullMultiplayerPeer";

/// A server to be measured.
pub(crate) struct Subject {
    /// What it is called in tables.
    pub(crate) name: String,
    kind: Kind,
}

enum Kind {
    /// A class that `tests/bench/server.gd` plays.
    Class(String),
    /// A program; `{port}` in its arguments is the port.
    Program(PathBuf, Vec<String>),
}

impl Subject {
    /// The classes of these names. One that is there again gets a number, so that columns can be
    /// told apart.
    pub(crate) fn classes(names: &[String]) -> Vec<Self> {
        let subject = |(index, class): (usize, &String)| {
            let before = names[..index].iter().filter(|other| *other == class).count();
            let number = if before > 0 { format!(" ({})", before + 1) } else { String::new() };
            Self { name: format!("{class}{number}"), kind: Kind::Class(class.clone()) }
        };
        names.iter().enumerate().map(subject).collect()
    }

    /// The class without a network: what it costs is what the engine and the script cost.
    pub(crate) fn null() -> Self {
        Self { name: format!("{NULL} (no network)"), kind: Kind::Class(NULL.to_owned()) }
    }

    pub(crate) fn program(name: &str, path: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { name: name.to_owned(), kind: Kind::Program(path.into(), arguments) }
    }

    /// An anchor knows nothing of scenarios: it is measured from outside.
    pub(crate) fn is_anchor(&self) -> bool {
        matches!(self.kind, Kind::Program(..))
    }

    /// It has no network, and makes up its clients.
    pub(crate) fn is_null(&self) -> bool {
        self.is_class(NULL)
    }

    /// Whether it lets clients continue their TLS sessions.
    pub(crate) fn gives_tickets(&self) -> bool {
        !self.is_class(WITHOUT_TICKETS)
    }

    fn is_class(&self, name: &str) -> bool {
        matches!(&self.kind, Kind::Class(class) if class == name)
    }

    /// What starts it.
    pub(crate) fn command(
        &self,
        stage: &Stage<'_>,
        options: &[String],
        port: u16,
    ) -> Result<Command> {
        let (path, arguments) = match &self.kind {
            Kind::Class(class) => {
                let mut command = engine::headless(&stage.engine, &stage.project, stage.workspace)?;
                command.args(["--script", "res://server.gd", "--"]).args(options);
                command.arg(format!("class={class}"));
                for (key, file) in [("certificate", "good.crt"), ("key", "good.key")] {
                    command.arg(format!("{key}={}", stage.certificates.join(file).display()));
                }
                return Ok(command);
            }
            Kind::Program(path, arguments) => (path, arguments),
        };
        let mut command = Command::new(path);
        let port = port.to_string();
        command.args(arguments.iter().map(|argument| argument.replace("{port}", &port)));
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_the_same_class_can_be_told_apart() {
        let names = ["A", "B", "A", "A"].map(str::to_owned);
        let subjects = Subject::classes(&names);
        let names: Vec<&str> = subjects.iter().map(|subject| subject.name.as_str()).collect();
        assert_eq!(names, ["A", "B", "A (2)", "A (3)"]);
    }
}
