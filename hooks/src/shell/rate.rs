//! How often one person may ask: a file a person and kind, in which one number stands, locked while it is changed.
//!
//! The number is the moment at which the person would have used up nothing (the generic cell rate algorithm): a burst of the whole
//! allowance is fine, after that one more is free every `period / allowance`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::FlockOperation;
use windlass_core::id::UserName;

/// How much is allowed, in how much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    /// What is counted, as in the name of its file.
    pub of: &'static str,
    /// So many …
    pub count: u32,
    /// … in this time.
    pub period: Duration,
}

/// What was said to one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Go ahead; it is counted.
    Go,
    /// Not now; not counted. In this time one is free.
    Wait(Duration),
}

/// Asks for one. `now` is the time since 1970.
pub(super) fn ask(dir: &Path, user: &UserName, allowance: Allowance, now: Duration) -> io::Result<Answer> {
    if !dir.is_dir() {
        std::fs::DirBuilder::new().recursive(true).mode(0o750).create(dir)?;
    }
    let path = dir.join(format!("{user}.{}", allowance.of));
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(path)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
    let (answer, free_at) = decide(read(&mut file)?, now, allowance);
    if answer == Answer::Go {
        file.seek(SeekFrom::Start(0))?;
        // Always as long as what stood there.
        write!(file, "{:020}", u64::try_from(free_at.as_micros()).unwrap_or(u64::MAX))?;
    }
    Ok(answer)
}

/// What cannot be read was never written, or by a clock that is wrong: begin anew.
fn read(file: &mut File) -> io::Result<Duration> {
    let mut text = Vec::new();
    file.take(64).read_to_end(&mut text)?;
    let micros = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    Ok(micros.map_or(Duration::ZERO, Duration::from_micros))
}

fn decide(free_at: Duration, now: Duration, allowance: Allowance) -> (Answer, Duration) {
    let each = allowance.period / allowance.count.max(1);
    // A clock that was set back must not lock anybody out for longer than a period.
    let free_at = free_at.clamp(now, now + allowance.period) + each;
    match free_at.saturating_sub(now + allowance.period) {
        Duration::ZERO => (Answer::Go, free_at),
        wait => (Answer::Wait(wait), free_at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE_A_MINUTE: Allowance = Allowance {
        of: "commands",
        count: 3,
        period: Duration::from_mins(1),
    };

    fn at(dir: &Path, seconds: u64) -> Answer {
        ask(
            dir,
            &"alice".parse().unwrap(),
            THREE_A_MINUTE,
            Duration::from_secs(1_000_000 + seconds),
        )
        .unwrap()
    }

    #[test]
    fn a_burst_is_fine_then_one_every_twenty_seconds() {
        let dir = tempfile::tempdir().unwrap();
        let dir = &dir.path().join("rates");
        assert_eq!([at(dir, 0), at(dir, 0), at(dir, 0)], [Answer::Go; 3]);
        assert_eq!(at(dir, 0), Answer::Wait(Duration::from_secs(20)));
        assert_eq!(at(dir, 15), Answer::Wait(Duration::from_secs(5)));
        assert_eq!(at(dir, 20), Answer::Go);
        assert_eq!(at(dir, 21), Answer::Wait(Duration::from_secs(19)));
        let bob = ask(
            dir,
            &"bob".parse().unwrap(),
            THREE_A_MINUTE,
            Duration::from_secs(1_000_021),
        );
        assert_eq!(bob.unwrap(), Answer::Go, "one's load is not another's");
        assert_eq!([at(dir, 500), at(dir, 500), at(dir, 500)], [Answer::Go; 3]);
    }

    #[test]
    fn nonsense_in_the_file_locks_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        for nonsense in ["", "x", "99999999999999999999", "-1", "\0"] {
            std::fs::write(dir.path().join("alice.commands"), nonsense).unwrap();
            match at(dir.path(), 0) {
                Answer::Go => {}
                Answer::Wait(wait) => assert!(wait <= Duration::from_mins(1), "{nonsense}"),
            }
        }
        std::fs::write(dir.path().join("alice.commands"), format!("{:020}", u64::MAX)).unwrap();
        assert_eq!(at(dir.path(), 0), Answer::Wait(Duration::from_secs(20)));
    }

    #[test]
    fn of_many_at_once_no_more_than_allowed_go() {
        let dir = tempfile::tempdir().unwrap();
        let gone = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..12).map(|_| scope.spawn(|| at(dir.path(), 0))).collect();
            asked
                .into_iter()
                .map(|one| one.join().unwrap())
                .filter(|answer| *answer == Answer::Go)
                .count()
        });
        assert_eq!(gone, 3);
    }
}
