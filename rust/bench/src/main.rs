//! The clients of `cargo xtask bench` and `cargo xtask soak`: thousands in one light process. Everything that comes back
//! is checked; what is lost, out of order or changed ends the run with an error.
//!
//! The arguments are those of the server, `key=value`. The output is a JSON object with what the
//! server measured and what was seen here; after it the clients stay until the server ends. With
//! `serve=floor` it is a server itself, with `scenario=soak` it plays those of `cargo xtask soak`,
//! and with `alone=FILE` there are no clients: the server has no network, and writes what it says to
//! the file.

#![forbid(unsafe_code)]

mod alone;
mod anchor;
mod client;
mod counter;
mod floor;
mod frame;
mod options;
mod payload;
mod role;
mod script;
mod session;
mod soak;
mod stream;
mod swarm;

use std::env;
use std::process::ExitCode;

use anyhow::Result;

use crate::options::Options;

fn main() -> ExitCode {
    match Options::parse(env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    match (options.text("serve"), options.text("scenario")) {
        (Some("floor"), _) => floor::run(options),
        (_, Some("soak")) => soak::run(options),
        _ if options.text("alone").is_some() => alone::run(options),
        _ => session::run(options),
    }
}
