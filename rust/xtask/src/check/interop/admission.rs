//! Tokens shown to a server that asks its owner about each client, and that none of them is in the
//! log of an engine that tells all it can.

use std::process::Command;

use anyhow::Result;

use super::{LIMIT, Stage, available, url};
use crate::check::actor::{self, Run};

/// What lets a client in.
const TOKEN: &str = "hush3f9c1e";

/// Python's `websockets`, which can send any header.
pub(super) fn python(stage: &Stage<'_>) -> Result<Vec<Run>> {
    let mut command = stage.python("admission.py")?;
    command.arg(format!("--ca={}", stage.certificates.join("root.crt").display()));
    play(stage, "python admission", command)
}

/// A page in Chromium, which can send none.
pub(super) fn browser(stage: &Stage<'_>) -> Result<Vec<Run>> {
    let mut command = stage.node("admission.mjs")?;
    let chromium = available(&stage.tools.chromium)?;
    command.arg(format!("--chromium={}", chromium.display()));
    command.arg(format!("--output={}", stage.folder.display()));
    stage.certify(&mut command);
    play(stage, "browser admission", command)
}

/// Lets a script ask for admission to two servers, ws and wss.
fn play(stage: &Stage<'_>, name: &str, mut command: Command) -> Result<Vec<Run>> {
    let token = format!("--token={TOKEN}");
    let mut servers = Vec::new();
    for scheme in ["ws", "wss"] {
        let mut scene = stage.verbose_scene("admission_server")?;
        scene.arg(&token);
        if scheme == "wss" {
            stage.identify(&mut scene);
        }
        let mut server = stage.serve(&format!("{name}, server, {scheme}"), scene)?;
        command.arg(format!("--admission={}", url(scheme, &mut server)?));
        servers.push(server);
    }
    command.arg(token);
    let mut runs = vec![actor::run(name, command, LIMIT)?];
    for server in servers {
        let mut run = server.stop()?;
        run.problems.extend(leaks(&run.log));
        runs.push(run);
    }
    Ok(runs)
}

/// The lines that show the token, and a complaint if the log does not tell who was rejected.
fn leaks(log: &[String]) -> Vec<String> {
    let mut problems: Vec<String> = log
        .iter()
        .filter(|line| line.contains(TOKEN))
        .map(|line| format!("the token is in the log: {line}"))
        .collect();
    if !log.iter().any(|line| line.contains("rejected by the owner of the server")) {
        problems.push("the log tells of nobody who was rejected".to_owned());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_the_log_is_a_problem() {
        let rejected = "127.0.0.1:1: rejected by the owner of the server with 401".to_owned();
        assert_eq!(leaks(std::slice::from_ref(&rejected)), [""; 0]);
        assert_eq!(leaks(&[rejected, format!("GET /?token={TOKEN}")]).len(), 1);
        assert_eq!(leaks(&[]).len(), 1);
    }
}
