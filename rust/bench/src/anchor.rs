//! Measuring a server that is not an engine and knows nothing of us: it echoes, and its CPU time is
//! read from outside.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

use crate::options::Options;
use crate::session::Session;
use crate::swarm::Swarm;

const WARM: Duration = Duration::from_millis(200);

/// Runs the role against it for as long as the options say.
pub(crate) fn measure(
    session: &mut Session,
    swarm: &mut Swarm,
    options: &Options,
    end: Instant,
) -> Result<Map<String, Value>> {
    let process: u32 = options.get("pid")?;
    session.begin(swarm)?;
    session.turn_for(swarm, WARM)?;
    if let Some(counter) = &mut session.script.counter {
        counter.start()?;
    }
    let (cpu, echoed, started) = (cpu_time(process)?, session.role.came(), Instant::now());
    session.turn_for(swarm, Duration::from_millis(options.get("msec")?))?;
    let (echoed, wall) = (session.role.came() - echoed, started.elapsed());
    let cpu = cpu_time(process)? - cpu;
    if let Some(counter) = &mut session.script.counter {
        counter.stop()?;
    }
    session.finish(swarm, end)?;

    ensure!(echoed > 0, "nothing came back");
    let each = |time: Duration| Value::from(time.as_secs_f64() * 1e6 / echoed as f64);
    Ok(Map::from_iter([
        ("unit".to_owned(), "message".into()),
        ("units".to_owned(), echoed.into()),
        ("CPU us a message".to_owned(), each(cpu)),
        ("wall us a message".to_owned(), each(wall)),
    ]))
}

/// CPU time of all threads of a process.
fn cpu_time(process: u32) -> Result<Duration> {
    let folder = format!("/proc/{process}/task");
    let mut sum = 0;
    for task in fs::read_dir(&folder).context("the server is gone")? {
        // A thread may have ended meanwhile.
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        sum += text.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(sum))
}
