//! Whose cost is measured: a class in an engine, or a server beside it as an anchor.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::stage::Stage;
use crate::engine;

/// A server to be measured.
pub(crate) struct Subject {
    /// What it is called in tables.
    pub(crate) name: String,
    kind: Kind,
}

enum Kind {
    /// A class of the engine, played by `tests/bench/server.gd`.
    Class,
    /// A program; `{port}` in its arguments is the port.
    Program(PathBuf, Vec<String>),
}

impl Subject {
    pub(crate) fn class(name: &str) -> Self {
        Self { name: name.to_owned(), kind: Kind::Class }
    }

    pub(crate) fn program(name: &str, path: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { name: name.to_owned(), kind: Kind::Program(path.into(), arguments) }
    }

    /// An anchor knows nothing of scenarios: it is measured from outside.
    pub(crate) fn is_anchor(&self) -> bool {
        matches!(self.kind, Kind::Program(..))
    }

    /// What starts it.
    pub(crate) fn command(
        &self,
        stage: &Stage<'_>,
        options: &[String],
        port: u16,
    ) -> Result<Command> {
        let (path, arguments) = match &self.kind {
            Kind::Class => {
                let mut command = engine::headless(&stage.engine, &stage.project, stage.workspace)?;
                command.args(["--script", "res://server.gd", "--"]).args(options);
                command.arg(format!("class={}", self.name));
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
