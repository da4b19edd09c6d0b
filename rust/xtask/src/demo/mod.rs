//! The game of `godot_project`: played by a plan without windows, in a window, or for its pictures.

mod crowd;
mod play;
mod project;
mod screen;
mod web;

use anyhow::Result;

use crate::engine;
use crate::library::{self, Profile};
use crate::report::{Tally, Verdict};
use crate::workspace::Workspace;

use self::play::{BUILT_IN_SERVER, MIXED, WITHOUT_LIBRARY};
use self::project::Projects;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Play it yourself, in a window.
    #[arg(long, conflicts_with = "shots")]
    window: bool,
    /// Have it play by itself on a screen that nobody sees, and keep pictures in target/shots.
    #[arg(long)]
    shots: bool,
}

/// Whether all went well.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    library::build(workspace, Profile::Debug)?;
    let engine = engine::find(workspace)?;
    if arguments.window {
        return screen::window(workspace, &engine);
    }
    if arguments.shots {
        return screen::shots(workspace, &engine);
    }
    let projects = Projects::prepare(workspace, &engine)?;
    play::play(workspace, &engine, &projects, &MIXED)
}

/// Everything of the game that can be checked without a screen.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    library::build(workspace, Profile::Debug)?;
    let engine = engine::find(workspace)?;
    let projects = Projects::prepare(workspace, &engine)?;
    let mut tally = Tally::default();
    for cast in [&MIXED, &BUILT_IN_SERVER, &WITHOUT_LIBRARY] {
        tally.add(Tally::one(play::play(workspace, &engine, &projects, cast)?));
    }
    tally.add(Tally::one(crowd::play(workspace, &engine, &projects)?));
    tally.add(Tally::one(web::export(workspace, &engine, &projects)?));
    Ok(Verdict::Counted(tally))
}
