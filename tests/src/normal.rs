//! Makes texts comparable: what differs from run to run gets a name.

/// Replaces, longest first, each known text by its name; then ids, times and durations by what they are.
pub fn normalised(text: &str, known: &[(String, String)]) -> String {
    let mut known: Vec<_> = known.iter().filter(|(value, _)| !value.is_empty()).collect();
    known.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    let mut text = text.to_owned();
    for (value, name) in known {
        text = text.replace(value.as_str(), name);
    }
    let text = by_runs(&text, |c| c.is_ascii_hexdigit(), name_of_hex);
    times(&text)
}

/// Calls `rename` for every longest run of characters that `belongs` picks, when it stands alone as a word.
fn by_runs(text: &str, belongs: impl Fn(char) -> bool, rename: impl Fn(&str) -> Option<&'static str>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(&belongs) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c| !belongs(c)).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        let alone = !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
        out.push_str(before);
        out.push_str(rename(run).filter(|_| alone).unwrap_or(run));
        rest = after;
    }
    out + rest
}

fn name_of_hex(run: &str) -> Option<&'static str> {
    let digits = run.bytes().any(|b| b.is_ascii_digit());
    match run.len() {
        64 => Some("DIGEST"),
        40 if run.bytes().any(|b| b.is_ascii_uppercase()) => Some("FINGERPRINT"),
        40 => Some("OBJECT"),
        32 => Some("REQUEST"),
        7..=16 if digits => Some("SHORT"),
        _ => None,
    }
}

/// `2026-11-21T10:00:00.123Z` and `2026-11-21 10:00` become TIME.
fn times(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut at = 0;
    while at < bytes.len() {
        if let Some(end) = time_at(bytes, at) {
            out.push_str("TIME");
            at = end;
        } else {
            let next = text[at..].chars().next().map_or(1, char::len_utf8);
            out.push_str(&text[at..at + next]);
            at += next;
        }
    }
    out
}

fn time_at(bytes: &[u8], at: usize) -> Option<usize> {
    const DATE: &[u8] = b"dddd-dd-dd";
    let fits = |pattern: &[u8], at: usize| {
        bytes.get(at..at + pattern.len()).is_some_and(|piece| {
            piece.iter().zip(pattern).all(|(byte, want)| match want {
                b'd' => byte.is_ascii_digit(),
                other => byte == other,
            })
        })
    };
    if !fits(DATE, at) {
        return None;
    }
    let mut end = at + DATE.len();
    for pattern in [&b"Tdd:dd"[..], b" dd:dd"] {
        if fits(pattern, end) {
            end += pattern.len();
            if fits(b":dd", end) {
                end += 3;
            }
            if bytes.get(end) == Some(&b'.') {
                end += 1;
                while bytes.get(end).is_some_and(u8::is_ascii_digit) {
                    end += 1;
                }
            }
            if bytes.get(end) == Some(&b'Z') {
                end += 1;
            } else if fits(b" UTC", end) {
                end += 4;
            }
            break;
        }
    }
    // How long ago that is.
    let ago = bytes[end..]
        .starts_with(b" (")
        .then(|| bytes[end..].iter().position(|byte| *byte == b')'))
        .flatten();
    let short = ago.filter(|length| *length < 24);
    Some(end + short.map_or(0, |length| length + 1))
}
