//! What of a file a client gets: all of it, a part, or the word that it has it (RFC 9110, sections 13 and 14).

use std::ops::Range;

use axum::http::{HeaderMap, HeaderName, Method, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

/// What is to be known of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// How many bytes it has.
    pub(crate) size: u64,
    /// Its tag, with the quotes.
    pub(crate) etag: String,
    /// When it was written, in whole seconds; nothing where it might be written once more within the same second.
    pub(crate) modified: Option<Timestamp>,
}

/// What a client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Share {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// The word that it has it.
    NotModified,
    /// The word that it is another one than was meant.
    Failed,
    /// The word that it has no such part.
    OutOfRange,
}

/// Decides what a client gets.
pub(super) fn share(method: &Method, headers: &HeaderMap, facts: &Facts) -> Share {
    if let Some(tags) = text(headers, &header::IF_MATCH) {
        if !names(tags, &facts.etag, Weak::Differ) {
            return Share::Failed;
        }
    } else if let (Some(since), Some(modified)) = (date(headers, &header::IF_UNMODIFIED_SINCE), facts.modified)
        && modified > since
    {
        return Share::Failed;
    }
    if let Some(tags) = text(headers, &header::IF_NONE_MATCH) {
        if names(tags, &facts.etag, Weak::Same) {
            return Share::NotModified;
        }
    } else if let (Some(since), Some(modified)) = (date(headers, &header::IF_MODIFIED_SINCE), facts.modified)
        && modified <= since
    {
        return Share::NotModified;
    }
    match text(headers, &header::RANGE) {
        // Only what GET gives has parts.
        Some(wanted) if *method == Method::GET && is_still_the_same(headers, facts) => part(wanted, facts.size),
        _ => Share::Whole,
    }
}

/// Whether `If-Range`, where it is given, names the file as it is.
fn is_still_the_same(headers: &HeaderMap, facts: &Facts) -> bool {
    match text(headers, &header::IF_RANGE) {
        None => !headers.contains_key(header::IF_RANGE),
        Some(tag) if tag.starts_with('"') => tag == facts.etag,
        Some(_) => facts.modified.is_some() && date(headers, &header::IF_RANGE) == facts.modified,
    }
}

/// One range of bytes. Of several, and of what cannot be read, the header is passed over, which everybody must be ready for.
fn part(wanted: &str, size: u64) -> Share {
    let Some(range) = wanted.strip_prefix("bytes=").map(str::trim) else {
        return Share::Whole;
    };
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // What is larger than any file is as good as the largest number.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match range.split_once('-') {
        Some(("", last)) => number(last).map(|last| size.saturating_sub(last)..size),
        Some((first, "")) => number(first).map(|first| first..size),
        Some((first, last)) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Some(first..last.saturating_add(1).min(size)),
            _ => None,
        },
        None => None,
    };
    match range {
        None => Share::Whole,
        Some(range) if range.start >= range.end => Share::OutOfRange,
        Some(range) => Share::Part(range),
    }
}

/// Whether tags with `W/` count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weak {
    Same,
    Differ,
}

/// Whether a list of tags names this one.
fn names(tags: &str, etag: &str, weak: Weak) -> bool {
    tags.split(',').map(str::trim).any(|tag| {
        let plain = match weak {
            Weak::Same => tag.strip_prefix("W/").unwrap_or(tag),
            Weak::Differ => tag,
        };
        plain == etag || tag == "*"
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text(headers, name)?).ok()
}

/// A moment as HTTP writes it.
pub(super) fn written(at: Timestamp) -> Option<String> {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const THEN: &str = "Sat, 21 Nov 2026 16:00:00 GMT";

    fn facts() -> Facts {
        Facts {
            size: 100,
            etag: "\"a\"".to_owned(),
            modified: Some("2026-11-21T16:00:00Z".parse().unwrap()),
        }
    }

    fn shared(given: &[(HeaderName, &str)]) -> Share {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(name, value.parse().unwrap());
        }
        share(&Method::GET, &headers, &facts())
    }

    #[rstest]
    #[case("bytes=0-9", Share::Part(0..10))]
    #[case("bytes=90-", Share::Part(90..100))]
    #[case("bytes=-10", Share::Part(90..100))]
    #[case("bytes=-1000", Share::Part(0..100))]
    #[case("bytes=50-99999999999999999999999", Share::Part(50..100))]
    #[case("bytes=0-18446744073709551615", Share::Part(0..100))]
    #[case("bytes=99-99", Share::Part(99..100))]
    #[case("bytes=100-", Share::OutOfRange)]
    #[case("bytes=99999999999999999999999-", Share::OutOfRange)]
    #[case("bytes=-0", Share::OutOfRange)]
    #[case("bytes=9-0", Share::Whole)]
    #[case("bytes=0-1,3-4", Share::Whole)]
    #[case("bytes=+1-2", Share::Whole)]
    #[case("bytes=a-b", Share::Whole)]
    #[case("bytes=-", Share::Whole)]
    #[case("bytes=", Share::Whole)]
    #[case("lines=1-2", Share::Whole)]
    fn ranges(#[case] range: &str, #[case] expected: Share) {
        assert_eq!(shared(&[(header::RANGE, range)]), expected);
    }

    #[rstest]
    #[case(header::IF_NONE_MATCH, "\"a\"", Share::NotModified)]
    #[case(header::IF_NONE_MATCH, "\"x\", W/\"a\"", Share::NotModified)]
    #[case(header::IF_NONE_MATCH, "*", Share::NotModified)]
    #[case(header::IF_NONE_MATCH, "\"b\"", Share::Whole)]
    #[case(header::IF_MATCH, "\"a\"", Share::Whole)]
    #[case(header::IF_MATCH, "W/\"a\"", Share::Failed)]
    #[case(header::IF_MATCH, "\"b\"", Share::Failed)]
    #[case(header::IF_MODIFIED_SINCE, THEN, Share::NotModified)]
    #[case(header::IF_MODIFIED_SINCE, "Sat, 21 Nov 2026 15:59:59 GMT", Share::Whole)]
    #[case(header::IF_MODIFIED_SINCE, "yesterday", Share::Whole)]
    #[case(header::IF_UNMODIFIED_SINCE, THEN, Share::Whole)]
    #[case(header::IF_UNMODIFIED_SINCE, "Sat, 21 Nov 2026 15:59:59 GMT", Share::Failed)]
    fn conditions(#[case] name: HeaderName, #[case] value: &str, #[case] expected: Share) {
        assert_eq!(shared(&[(name, value)]), expected);
    }

    #[rstest]
    #[case("\"a\"", Share::Part(0..10))]
    #[case("W/\"a\"", Share::Whole)]
    #[case("\"b\"", Share::Whole)]
    #[case(THEN, Share::Part(0..10))]
    #[case("Sat, 21 Nov 2026 16:00:01 GMT", Share::Whole)]
    fn a_part_of_the_same_file(#[case] tag: &str, #[case] expected: Share) {
        let given = [(header::RANGE, "bytes=0-9"), (header::IF_RANGE, tag)];
        assert_eq!(shared(&given), expected);
    }

    #[test]
    fn a_date_is_written_as_it_is_read() {
        let modified = facts().modified.unwrap();
        assert_eq!(written(modified).as_deref(), Some(THEN));
    }
}
