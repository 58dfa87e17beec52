//! `cargo xtask bench pipeline`: what a task costs beside the build itself, stage by stage, and a second run of what has not changed.
//!
//! Real tasks on a small repository for two architectures: signed tags of a tiny package, pushed, built, landed. The moments are those
//! on record; how long rpmbuild itself ran is what the build's log says. The architectures build side by side: the slower one counts.

use anyhow::{Context as _, bail};
use serde_json::Value;
use windlass_tests::people::ALICE;
use windlass_tests::pipeline::cannot_build;
use windlass_tests::programs::Programs;
use windlass_tests::{Clone, World, specs};

use super::figure::{Figures, Goal};

/// What everything but the build may take, in milliseconds.
const OVERHEAD: f64 = 300.0;

/// What a second run may take.
const SECOND: f64 = 1000.0;

/// The stages, as they are on record.
const STAGES: [&str; 7] = [
    "pkgtar",
    "build",
    "check-build",
    "repo-plan",
    "repo-vercheck",
    "repo-unmets",
    "check-acl",
];

/// The steps of a build, as its log has them, without rpmbuild's own.
const STEPS: [&str; 8] = [
    "host", "sandbox", "unpack", "requires", "closure", "root", "collect", "keep",
];

/// Measures, and adds the rows.
pub(super) fn measure(programs: Programs, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    if let Some(why) = cannot_build() {
        bail!("packages cannot be built here: {why}");
    }
    let world = World::that_builds_by(programs, |_| Ok(()))?;
    // A repository with something in it; the first build also looks at what the host provides.
    let libwind = world.demo_package(&ALICE, "libwind", "1.0-alt1")?;
    world.lands(&libwind, "1.0-alt1")?;
    let breeze = world.source(&ALICE, "breeze")?;
    let mut landed = Vec::new();
    for number in 1..=runs {
        let tag = version(&breeze, number)?;
        let task = world.lands(&breeze, &tag)?;
        landed.push(Taken::of(&world, task)?);
    }
    let column = |of: &dyn Fn(&Taken) -> f64| landed.iter().map(of).collect::<Vec<f64>>();
    for stage in STAGES {
        figures.add(&format!("stage {stage}"), "ms", column(&|taken| taken.stage(stage)));
    }
    for step in STEPS {
        figures.add(&format!("  of build: {step}"), "ms", column(&|taken| taken.step(step)));
    }
    figures.add(
        "  of build: rpmbuild itself",
        "ms",
        column(&|taken| taken.step("build")),
    );
    figures.add("stage repo-commit", "ms", column(&|taken| taken.commit));
    figures.add(
        "task, from the push to the generation",
        "ms",
        column(&|taken| taken.total),
    );
    figures.add(
        "task, without rpmbuild itself",
        "ms",
        column(&|taken| taken.total - taken.step("build")),
    );
    figures.goal(Goal::AtMost(OVERHEAD));
    second_runs(&world, &breeze, runs, figures)
}

/// Commits, signs and tags the next version.
fn version(breeze: &Clone, number: usize) -> anyhow::Result<String> {
    let tag = format!("{number}.0-alt1");
    breeze.commit(
        "breeze.spec",
        &specs::noarch("breeze", &tag, "BuildRequires: libwind-devel"),
    )?;
    breeze.tag(&tag)?;
    Ok(tag)
}

/// One task is tested again and again.
fn second_runs(world: &World, breeze: &Clone, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    let tag = version(breeze, runs + 1)?;
    let task = world.pushed_task(breeze, &["-o", "test-only", "main", &tag])?;
    world.ends(&ALICE, task, "tested")?;
    let mut times = Vec::new();
    for number in 2..=runs + 1 {
        world
            .ssh(&ALICE, &["task", "run", &task.to_string(), "--test-only"])?
            .ok()?;
        world.ends(&ALICE, task, "tested")?;
        let lines = lines(world, task, &[])?;
        let from = format!("asked for try {number}:");
        let begin = lines.iter().position(|line| line.text.contains(&from));
        let own = &lines[begin.with_context(|| format!("try {number} is on record"))?..];
        if let Some(line) = own.iter().find(|line| line.text.contains(" built in ")) {
            bail!("a second run has built something: {}", line.text);
        }
        times.push(moment(own, &format!("try {number} passed"))? - own[0].at);
    }
    figures.add("second run of the same: nothing is built", "ms", times);
    figures.goal(Goal::AtMost(SECOND));
    Ok(())
}

/// How long a task's parts took, in milliseconds.
struct Taken {
    stages: Vec<(String, f64)>,
    steps: Vec<(String, f64)>,
    commit: f64,
    total: f64,
}

impl Taken {
    fn of(world: &World, task: u64) -> anyhow::Result<Self> {
        let all = lines(world, task, &[])?;
        let asked = moment(&all, "asked for try 1")?;
        let landed = moment(&all, "landed: generation")?;
        let stages = all
            .iter()
            .filter_map(|line| Some((line.stage.clone()?, passed(&line.text)?)));
        let mut slowest: Vec<(String, f64)> = Vec::new();
        for arch in ["x86_64", "i586"] {
            let steps = steps(world, task, arch)?;
            if own(&steps) > own(&slowest) {
                slowest = steps;
            }
        }
        Ok(Self {
            stages: stages.collect(),
            steps: slowest,
            commit: landed - moment(&all, "try 1 passed")?,
            total: landed - asked,
        })
    }

    /// A stage; of one that runs for each architecture, the slower one.
    fn stage(&self, name: &str) -> f64 {
        let times = self.stages.iter().filter(|(stage, _)| stage == name);
        times.map(|(_, ms)| *ms).fold(0.0, f64::max)
    }

    fn step(&self, name: &str) -> f64 {
        let times = self.steps.iter().filter(|(step, _)| step == name);
        times.fold(0.0, |sum, (_, ms)| sum + ms)
    }
}

/// rpmbuild's own time.
fn own(steps: &[(String, f64)]) -> f64 {
    let build = steps.iter().find(|(step, _)| step == "build");
    build.map_or(-1.0, |(_, ms)| *ms)
}

/// One thing that is on record.
struct Line {
    at: f64,
    text: String,
    stage: Option<String>,
}

/// What is on record of a task.
fn lines(world: &World, task: u64, more: &[&str]) -> anyhow::Result<Vec<Line>> {
    let log = world.windlass(["task", "log", &task.to_string(), "--json"]).args(more);
    let json = log.run()?.ok()?.json()?;
    let lines = json["lines"].as_array().context("a log has lines")?;
    lines.iter().map(line).collect()
}

fn line(json: &Value) -> anyhow::Result<Line> {
    let text = |key: &str| json[key].as_str().map(str::to_owned);
    let at = text("at").context("a line has its time")?;
    Ok(Line {
        at: clock(&at).with_context(|| format!("'{at}' is no time"))?,
        text: text("text").context("a line has a text")?,
        stage: text("stage"),
    })
}

/// The time of day in `2026-11-21T17:45:18.039Z`, in milliseconds. No figure is taken at midnight.
fn clock(at: &str) -> Option<f64> {
    let time = at.split_once('T')?.1.strip_suffix('Z')?;
    let mut parts = time.split(':').map(str::parse::<f64>);
    let mut next = || parts.next()?.ok();
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    Some(((hours * 60.0 + minutes) * 60.0 + seconds) * 1000.0)
}

/// When something came on record.
fn moment(lines: &[Line], text: &str) -> anyhow::Result<f64> {
    let line = lines.iter().find(|line| line.text.contains(text));
    Ok(line.with_context(|| format!("no '{text}' is on record"))?.at)
}

/// The time in `pkgtar passed (12 ms)`, in milliseconds.
fn passed(text: &str) -> Option<f64> {
    let time = text.split_once(" passed (")?.1.strip_suffix(')')?;
    let (number, unit) = time.split_once(' ')?;
    let factor = match unit {
        "ms" => 1.0,
        "s" => 1000.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

/// The steps of a build, from the last line of its log: `windlass: time: host 0 ms, sandbox 112 ms, …`.
fn steps(world: &World, task: u64, arch: &str) -> anyhow::Result<Vec<(String, f64)>> {
    let words = ["task", "log", &task.to_string(), "--stage", "build", "--arch", arch];
    let log = world.windlass(words).run()?.ok()?.out();
    let line = log.lines().rev().find_map(|line| line.split_once("windlass: time: "));
    let (_, steps) = line.with_context(|| format!("the build of task {task} on {arch} tells no time"))?;
    let step = |text: &str| {
        let (name, time) = text.split_once(' ')?;
        Some((name.to_owned(), time.strip_suffix(" ms")?.parse().ok()?))
    };
    steps
        .split(", ")
        .map(|text| step(text).with_context(|| format!("'{text}' is no step")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(clock("2026-11-21T01:00:02.5Z"), Some(3_602_500.0));
        assert_eq!(passed("pkgtar passed (12 ms)"), Some(12.0));
        assert_eq!(passed("build on i586 passed (4.8 s)"), Some(4800.0));
        assert_eq!(passed("try 1 passed"), None);
    }
}
