//! Moments and durations as people read them. Moments are in UTC: the reader may be anywhere.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A moment to the minute, as in `2026-11-21 10:17`.
pub fn moment(at: Timestamp) -> String {
    let at = at.to_zoned(TimeZone::UTC);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute()
    )
}

/// A moment to the second, as in `2026-11-21 10:17:05`.
pub fn moment_to_the_second(at: Timestamp) -> String {
    format!("{}:{:02}", moment(at), at.to_zoned(TimeZone::UTC).second())
}

/// How long it is since then, in the two largest units: `just now`, `5 min`, `2 h 10 min`, `3 d 4 h`.
pub fn since(then: Timestamp, now: Timestamp) -> String {
    let minutes = now.duration_since(then).as_mins();
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours, minutes) {
        (..=0, ..=0, ..=0) => "just now".to_owned(),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, 0) => format!("{hours} h"),
        (0, ..) => format!("{hours} h {minutes} min"),
        (_, 0, _) => format!("{days} d"),
        _ => format!("{days} d {hours} h"),
    }
}

/// As [`since`], with seconds below a minute: `3 s`.
pub fn since_to_the_second(then: Timestamp, now: Timestamp) -> String {
    match now.duration_since(then).as_secs() {
        seconds @ ..60 => format!("{} s", seconds.max(0)),
        _ => since(then, now),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(-5, "just now")]
    #[case(59, "just now")]
    #[case(300, "5 min")]
    #[case(3600, "1 h")]
    #[case(7800, "2 h 10 min")]
    #[case(86_400, "1 d")]
    #[case(273_600, "3 d 4 h")]
    fn durations(#[case] seconds: i64, #[case] expected: &str) {
        let now = Timestamp::from_second(1_795_256_265).unwrap();
        let then = Timestamp::from_second(1_795_256_265 - seconds).unwrap();
        assert_eq!(since(then, now), expected);
    }

    #[test]
    fn moments_are_utc() {
        let at = "2026-11-21T10:17:45Z".parse().unwrap();
        assert_eq!(moment(at), "2026-11-21 10:17");
        assert_eq!(moment_to_the_second(at), "2026-11-21 10:17:45");
    }
}
