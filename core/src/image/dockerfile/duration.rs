//! Lengths of time as Go writes them: `1m30s`, `500ms`, `1.5h`.

use std::time::Duration;

/// Reads one; nothing where it is none, negative, or beyond what Go can hold (292 years).
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() {
        let whole = take(&mut rest, |c| c.is_ascii_digit());
        let part = rest.strip_prefix('.').map(|behind| {
            rest = behind;
            take(&mut rest, |c| c.is_ascii_digit())
        });
        if whole.is_empty() && part.is_none_or(str::is_empty) {
            return None;
        }
        let unit: u128 = match take(&mut rest, |c| !c.is_ascii_digit() && c != '.') {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        if !whole.is_empty() {
            nanoseconds = nanoseconds.checked_add(whole.parse::<u64>().ok().map(u128::from)?.checked_mul(unit)?)?;
        }
        // Digits beyond the eighteenth say nothing that a nanosecond could.
        let part = part.unwrap_or_default();
        let part = &part[..part.len().min(18)];
        if let Ok(digits) = part.parse::<u64>() {
            let scale = 10_u128.pow(u32::try_from(part.len()).ok()?);
            nanoseconds = nanoseconds.checked_add(u128::from(digits) * unit / scale)?;
        }
    }
    let nanoseconds = u64::try_from(nanoseconds)
        .ok()
        .filter(|all| i64::try_from(*all).is_ok())?;
    Some(Duration::from_nanos(nanoseconds))
}

fn take<'t>(rest: &mut &'t str, belongs: impl Fn(char) -> bool) -> &'t str {
    let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    let (taken, behind) = rest.split_at(end);
    *rest = behind;
    taken
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1m30s", Some(90_000))]
    #[case("500ms", Some(500))]
    #[case("1.5h", Some(5_400_000))]
    #[case(".5s", Some(500))]
    #[case("+5s", Some(5_000))]
    #[case("0", Some(0))]
    #[case("5", None)]
    #[case("-5s", None)]
    #[case("s", None)]
    #[case(".s", None)]
    #[case("5 s", None)]
    #[case("", None)]
    #[case("9999999h", None)]
    fn lengths(#[case] text: &str, #[case] milliseconds: Option<u64>) {
        assert_eq!(parse(text), milliseconds.map(Duration::from_millis), "{text}");
    }
}
