//! On real processes: large pipes, groups that are killed, what is left behind.

use super::*;

fn sh(script: &str) -> Run {
    Run::new("/bin/sh").arg("-c").arg(script)
}

#[test]
fn input_goes_in_and_output_comes_out_however_large() {
    let input = vec![b'x'; 3 << 20];
    let finished = Run::new("cat").input(input.clone()).ok().unwrap();
    assert_eq!(finished.stdout, input);
    assert!(
        Run::new("true").input(input).ok().is_ok(),
        "who does not read is no error"
    );
}

#[test]
fn the_tail_of_stderr_is_kept_and_safe() {
    let error =
        sh("i=0; while [ $i -lt 9000 ]; do echo line $i >&2; i=$((i+1)); done; printf 'a\\033[2Jb' >&2; exit 3").ok();
    let RunError::Failed { status, stderr, .. } = error.unwrap_err() else {
        panic!("it failed")
    };
    assert_eq!(status.code(), Some(3));
    assert!(
        stderr.ends_with("line 8999\na\\u{1b}[2Jb") && stderr.len() <= TAIL + 8,
        "{}",
        stderr.len()
    );
}

#[test]
fn after_its_time_the_whole_group_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let started = Instant::now();
    let run = sh(&format!("sleep 600 & echo $! > {}; wait", pid.display())).timeout(Duration::from_millis(300));
    assert!(matches!(run.output(), Err(RunError::TimedOut { .. })));
    assert!(started.elapsed() < Duration::from_mins(1));
    let pid = std::fs::read_to_string(pid).unwrap();
    let gone =
        || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).map_or(true, |stat| stat.contains(") Z "));
    let patience = Instant::now() + Duration::from_secs(10);
    while !gone() && Instant::now() < patience {
        std::thread::yield_now();
    }
    assert!(gone(), "the grandchild is dead");
}

#[test]
fn a_process_left_behind_does_not_hold_us() {
    let started = Instant::now();
    let finished = sh("setsid sleep 20 & echo done").ok().unwrap();
    assert_eq!(finished.stdout, b"done\n");
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn too_much_output_stops_it() {
    let run = Run::new("yes").output_limit(100_000);
    assert!(matches!(run.output(), Err(RunError::TooMuchOutput { .. })));
}

#[test]
fn the_environment_can_be_empty_and_argv_is_shown_safely() {
    let run = sh("echo $A$HOME").env("A", "b").clear_env();
    assert_eq!(run.ok().unwrap().stdout, b"b\n");
    assert_eq!(
        Run::new("git").args(["tag", "a b", "\u{202e}"]).argv(),
        "git tag \"a b\" \\u{202e}"
    );
    assert!(matches!(Run::new("/no/such/program").ok(), Err(RunError::Start { .. })));
}
