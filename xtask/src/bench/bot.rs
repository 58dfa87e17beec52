//! `task add` and `build` over the bot's socket, answered when they are on disk; and two hundred clients at once.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};
use windlass_tests::door::{self, Answer};

use super::figure::{Figures, Goal, ms};
use super::place::Place;

const RUNS: u32 = 100;
const CLIENTS: u32 = 200;

/// Asks; a refusal is an error here.
fn ask(socket: &Path, number: u32, argv: &[&str]) -> anyhow::Result<Answer> {
    let answer = door::ask(socket, "alice", &door::request_id(number.into()), argv)?;
    if answer.exit != 0 {
        bail!("{argv:?} was refused: {}", answer.said);
    }
    Ok(answer)
}

/// Measures, and adds the rows.
pub(super) fn measure(place: &mut Place, figures: &mut Figures) -> anyhow::Result<()> {
    let tags = place.push_for_good(2 * usize::try_from(RUNS)?)?;
    place.world.start_bot()?;
    let socket = place.world.socket();
    let (adds, builds) = tags.split_at(tags.len() / 2);
    let mut number = 1;
    let mut times = Vec::new();
    for tag in adds {
        let made = ask(&socket, number, &["task", "new"])?;
        let task = made.task.context("a task was made")?.to_string();
        let started = Instant::now();
        ask(&socket, number + 1, &["task", "add", &task, "repo", "bench", tag])?;
        times.push(ms(started.elapsed()));
        number += 2;
    }
    figures.add("task add over the socket, durable", "ms", times);
    figures.goal(Goal::AtMost(10.0));
    let mut times = Vec::new();
    for tag in builds {
        let started = Instant::now();
        ask(&socket, number, &["build", "bench", tag])?;
        times.push(ms(started.elapsed()));
        number += 1;
    }
    figures.add("build over the socket, durable", "ms", times);
    figures.goal(Goal::AtMost(10.0));
    at_once(place, number, figures)?;
    place.world.stop_bot()
}

fn at_once(place: &mut Place, number: u32, figures: &mut Figures) -> anyhow::Result<()> {
    let socket = place.world.socket();
    let before = place.world.tasks()?.len();
    let started = Instant::now();
    let times: Vec<f64> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let socket = &socket;
                scope.spawn(move || {
                    let started = Instant::now();
                    ask(socket, number + client, &["task", "new"]).map(|_| ms(started.elapsed()))
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| match client.join() {
                Ok(answered) => answered,
                Err(_) => bail!("a client's thread panicked"),
            })
            .collect::<anyhow::Result<_>>()
    })?;
    let all = started.elapsed();
    // Lost is what was answered and is not there after the bot was killed.
    place.world.kill_bot();
    place.world.start_bot()?;
    let made = u32::try_from(place.world.tasks()?.len() - before)?;
    figures.add("200 clients at once, each until its answer", "ms", times);
    figures.one("200 clients at once, all of them", "ms", ms(all));
    figures.one(
        "200 clients at once, answered and lost",
        "",
        f64::from(CLIENTS) - f64::from(made),
    );
    figures.goal(Goal::AtMost(0.0));
    Ok(())
}
