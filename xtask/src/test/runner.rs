//! Runs the tests with cargo-nextest where it is there, else with cargo's own runner, and reads from their output what passed.
//!
//! Everything that the tests print goes to a log; the terminal sees failures. A test that could not run has printed a line
//! `SKIPPED: why`, which is counted whatever the runner thought of that test.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::outcome::Outcome;
use crate::process::{self, Logged};
use crate::{say, tools};

const UNIT: &str = "unit and integration tests";
const STORIES: &str = "stories";

/// Runs all tests but those in documentation; one outcome for the stories, one for the rest.
pub(super) fn tests(root: &Path, logs: &Path) -> anyhow::Result<Vec<Outcome>> {
    let started = Instant::now();
    let nextest = tools::find("cargo-nextest").is_some();
    let mut command = Command::new("cargo");
    command.current_dir(root).env("NO_COLOR", "1");
    if nextest {
        command.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]);
        command.args(["--color=never", "--status-level=all", "--final-status-level=none"]);
        command.args(["--success-output=immediate", "--failure-output=immediate"]);
    } else {
        command.args(["test", "--workspace", "--locked", "--all-targets", "--no-fail-fast"]);
        command.args(["--", "--show-output"]);
    }
    let log = logs.join("tests.log");
    let said = process::logged(&mut command, &log, |line| is_news(line, nextest))?;
    let mut outcomes = if nextest { of_nextest(&said) } else { of_cargo(&said) };
    if !said.success {
        say::talk(format_args!("all that the tests printed: {}", log.display()));
        if outcomes.iter().all(|outcome| outcome.failed == 0) {
            outcomes.push(Outcome::check("test runner", false, started.elapsed()));
        }
    }
    // All run side by side: the time is that of all.
    let mut rows = outcomes.iter_mut();
    if let Some(first) = rows.next() {
        first.took = started.elapsed();
    }
    for row in rows {
        "within the time above".clone_into(&mut row.note);
    }
    Ok(outcomes)
}

/// Runs the examples in the documentation.
pub(super) fn doc_tests(root: &Path, logs: &Path) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let mut command = Command::new("cargo");
    command
        .current_dir(root)
        .args(["test", "--workspace", "--locked", "--doc", "--no-fail-fast"]);
    let said = process::logged(&mut command, &logs.join("doc-tests.log"), |line| {
        line.contains("FAILED")
    })?;
    let mut outcome = Outcome {
        name: "doc tests".to_owned(),
        ..Outcome::default()
    };
    for line in &said.lines {
        if let Some(result) = line.strip_prefix("test ") {
            count(&mut outcome, result);
        }
    }
    if !said.success && outcome.failed == 0 {
        outcome.failed = 1;
        said.lines.iter().for_each(say::talk);
    }
    outcome.took = started.elapsed();
    Ok(outcome)
}

/// Whether a line is shown while the tests run.
fn is_news(line: &str, nextest: bool) -> bool {
    if nextest {
        let line = line.trim_start();
        [
            "FAIL", "TIMEOUT", "SIGABRT", "SIGSEGV", "SIGKILL", "SLOW", "LEAK", "Summary", "error",
        ]
        .iter()
        .any(|word| line.starts_with(word))
            || line.contains("panicked at")
    } else {
        line.starts_with("test result:")
            || line.ends_with("FAILED")
            || line.contains("panicked at")
            || line.starts_with("error")
    }
}

fn named(stories: bool) -> &'static str {
    if stories { STORIES } else { UNIT }
}

/// `        PASS [   0.012s] (1/9) windlass-core id::tests::x`: the status word, a time, perhaps a counter, the package, the test.
fn of_nextest(said: &Logged) -> Vec<Outcome> {
    let mut by_name = empty();
    let mut current = UNIT;
    for line in &said.lines {
        if let Some(why) = line.trim_start().strip_prefix("SKIPPED: ") {
            skip(&mut by_name, current, why);
            continue;
        }
        let Some((status, rest)) = line.split_once(" [").map(|(status, rest)| (status.trim(), rest)) else {
            continue;
        };
        let Some(test) = rest.split_once(']').map(|(_, test)| test.trim_start()) else {
            continue;
        };
        let test = test
            .strip_prefix('(')
            .and_then(|t| t.split_once(')'))
            .map_or(test, |(_, t)| t.trim_start());
        // A test's own output may have brackets, too.
        if test.is_empty()
            || status.is_empty()
            || !status.chars().all(|c| c.is_ascii_uppercase() || c == ' ' || c == '+')
        {
            continue;
        }
        current = named(test.starts_with("windlass-tests"));
        let outcome = by_name.entry(current).or_default();
        match status.split(' ').next() {
            Some("PASS" | "LEAK") => outcome.passed += 1,
            Some("SLOW" | "SKIP" | "START") | None => {}
            Some(_) => outcome.failed += 1,
        }
    }
    finished(by_name)
}

/// `     Running unittests src/lib.rs (target/debug/deps/windlass_core-0123)` and then `test id::tests::x ... ok`.
fn of_cargo(said: &Logged) -> Vec<Outcome> {
    let mut by_name = empty();
    let mut current = UNIT;
    for line in &said.lines {
        if let Some(running) = line.trim_start().strip_prefix("Running ") {
            current = named(running.starts_with("tests/tests/") || running.starts_with("tests/stories"));
        } else if let Some(why) = line.trim_start().strip_prefix("SKIPPED: ") {
            skip(&mut by_name, current, why);
        } else if let Some(result) = line.strip_prefix("test ") {
            count(by_name.entry(current).or_default(), result);
        }
    }
    finished(by_name)
}

fn empty() -> BTreeMap<&'static str, Outcome> {
    BTreeMap::from([(UNIT, Outcome::default()), (STORIES, Outcome::default())])
}

fn finished(by_name: BTreeMap<&'static str, Outcome>) -> Vec<Outcome> {
    by_name
        .into_iter()
        .rev()
        .map(|(name, outcome)| Outcome {
            name: name.to_owned(),
            ..outcome
        })
        .collect()
}

/// A reason is listed once, however often a runner repeats the test's output.
fn skip(by_name: &mut BTreeMap<&'static str, Outcome>, name: &'static str, why: &str) {
    let skipped = &mut by_name.entry(name).or_default().skipped;
    if !skipped.iter().any(|known| known == why) {
        skipped.push(why.to_owned());
    }
}

/// `id::tests::x ... ok`, as the standard runner writes it after `test `.
fn count(outcome: &mut Outcome, line: &str) {
    let Some((name, result)) = line.rsplit_once(" ... ") else {
        return;
    };
    match result {
        "ok" => outcome.passed += 1,
        "FAILED" => outcome.failed += 1,
        ignored if ignored.starts_with("ignored") => outcome.skipped.push(format!("{name}: {ignored}")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Logged {
        Logged {
            success: true,
            lines: text.lines().map(str::to_owned).collect(),
        }
    }

    #[test]
    fn nextests_lines_are_read() {
        let outcomes = of_nextest(&said(
            "        PASS [   0.012s] (1/4) windlass-core id::tests::x\n\
             \x20       FAIL [   0.300s] (2/4) windlass bin::y\n\
             \x20           [],\n\
             \x20       Some( [1] two ),\n\
             \x20  SLOW [> 60.000s] (---) windlass-tests::story slow\n\
             \x20 TIMEOUT [ 120.001s] (3/4) windlass-tests::story slow\n\
             \x20       PASS [   1.000s] (4/4) windlass-tests::story users\n\
             \x20   SKIPPED: no root here\n\
             \x20   SKIPPED: no root here\n\
             \x20    Summary [   1.0s] 4 tests run\n",
        ));
        let [units, stories] = &outcomes[..] else {
            panic!("{outcomes:?}")
        };
        assert_eq!((units.name.as_str(), units.passed, units.failed), (UNIT, 1, 1));
        assert_eq!((stories.name.as_str(), stories.passed, stories.failed), (STORIES, 1, 1));
        assert_eq!(stories.skipped, ["no root here"]);
    }

    #[test]
    fn cargos_own_lines_are_read() {
        let outcomes = of_cargo(&said(
            "     Running unittests src/lib.rs (target/debug/deps/windlass_core-01)\n\
             test id::tests::x ... ok\n\
             test id::tests::y ... ignored, too slow\n\
             test result: ok. 1 passed; 0 failed\n\
             \x20    Running tests/tests/door.rs (target/debug/deps/door-01)\n\
             test a ... FAILED\n\
             SKIPPED: no sshd\n",
        ));
        let [units, stories] = &outcomes[..] else {
            panic!("{outcomes:?}")
        };
        assert_eq!((units.passed, units.failed, units.skipped.len()), (1, 0, 1));
        assert_eq!((stories.passed, stories.failed, stories.skipped.len()), (0, 1, 1));
    }
}
