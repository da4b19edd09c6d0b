//! `cargo xtask …`: the commands of this workspace. This file knows the arguments and nothing else.

#![forbid(unsafe_code)]

mod autobahn;
mod bench;
mod certificates;
mod check;
mod debian;
mod demo;
mod engine;
mod fuzz;
mod library;
mod package;
mod process;
mod project;
mod python;
mod report;
mod scan;
mod soak;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::library::Profile;
use crate::workspace::Workspace;

/// Get an engine, build the addon, play the demo, run every check.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the path of a usable Godot, after getting one where there is none.
    ///
    /// Looks at $GODOT4_BIN, then for godot4 and godot on PATH, then (on Debian) unpacks
    /// Debian's package into the target folder. Only the path goes to standard output.
    Godot,
    /// Play the Autobahn test suite against the addon, and compare with tests/autobahn/expected.json.
    Autobahn(autobahn::Arguments),
    /// Build the library and put it into the addon's bin folder.
    Build {
        /// Build what a game ships instead of what a developer runs.
        #[arg(long)]
        release: bool,
    },
    /// Compare the performance of the built-in class and ours, under the same load and in turn.
    Bench(bench::Arguments),
    /// Make certificates for the tests, unless those of today are there, and print their folder.
    Certificates,
    /// Build, then play the game of godot_project: by a headless server and five bots, two of them
    /// without the addon's library, or yourself.
    Demo(demo::Arguments),
    /// Look for bytes, faults and calls that break a promise of core's. Needs cargo-fuzz.
    ///
    /// A nightly toolchain is used where there is one, else RUSTC_BOOTSTRAP=1 with this one.
    Fuzz(fuzz::Arguments),
    /// Attack a game's server in an engine with hostile clients, while well-behaved ones play on.
    Hostile(check::hostile::Arguments),
    /// Make the archive that users install: target/package/mio_websocket-VERSION.zip.
    ///
    /// Holds a library for each system asked for. One that cannot be built on this machine is left
    /// out, said, and makes the command fail.
    Package(package::Arguments),
    /// Have many clients come, play and leave a server, well and badly, for a long time.
    Soak(soak::Arguments),
    /// Run every check there is, or those whose name contains one of the filters.
    Test {
        /// Part of the name of a check (fmt, clippy, core, docs, docs-links, deny, library, engine, editor,
        /// snippets, autobahn, interop, proxies, hostile, demo, examples, package, soak) or of an engine test.
        #[arg(value_name = "FILTER")]
        filters: Vec<String>,
    },
    /// Compare the addon with the engine's built-in class by an outside check script.
    Contract {
        /// The script; it is run with bash.
        #[arg(value_name = "CHECK_SH")]
        script: PathBuf,
        /// Groups of cases instead of those in tests/contract/groups.txt.
        #[arg(value_name = "GROUP")]
        groups: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well; an error is something that kept the command from its work.
fn run(command: Command) -> Result<bool> {
    process::end_all_on_interrupt()?;
    let workspace = Workspace::find()?;
    match command {
        Command::Godot => println!("{}", engine::find(&workspace)?.display()),
        Command::Autobahn(arguments) => return autobahn::run(&workspace, &arguments),
        Command::Build { release } => {
            let profile = if release { Profile::Release } else { Profile::Debug };
            println!("{}", library::build(&workspace, profile)?.display());
        }
        Command::Bench(arguments) => return bench::run(&workspace, &arguments),
        Command::Certificates => println!("{}", certificates::folder(&workspace)?.display()),
        Command::Demo(arguments) => return demo::run(&workspace, &arguments),
        Command::Fuzz(arguments) => return fuzz::run(&workspace, &arguments),
        Command::Hostile(arguments) => return check::hostile::run(&workspace, &arguments),
        Command::Package(arguments) => return package::run(&workspace, &arguments),
        Command::Soak(arguments) => return soak::run(&workspace, &arguments),
        Command::Test { filters } => return check::run(&workspace, &filters),
        Command::Contract { script, groups } => {
            return check::contract::run(&workspace, &script, &groups);
        }
    }
    Ok(true)
}
