//! A tag object's bytes, taken apart, with everything that is wrong with their structure.
//!
//! Well formed is exactly this: `object`, `type commit`, `tag` and `tagger` once each, in this order, and no other header;
//! a blank line; the message; one armored signature, the only line in the whole object that begins with `-----BEGIN `;
//! nothing after its end; no NUL. Git itself takes much more than this, which is how forgeries get by it. Nothing is read
//! but from the signed bytes.

use std::fmt;

use jiff::Timestamp;

use super::keywords::Keywords;
use super::policy::Policy;
use super::reason;
use super::verdict::SignatureKind;
use crate::escape::escaped_bytes;
use crate::id::{ObjectId, TagName};
use crate::refusal::Refusal;

const HEADERS: [&str; 4] = ["object", "type", "tag", "tagger"];
const BEGIN: &[u8] = b"-----BEGIN ";

/// What could be read of a tag object, and what is wrong with it. With no reasons, every field is there.
#[derive(Debug, Clone)]
pub struct Reading<'a> {
    /// The object that the tag points at.
    pub target: Option<ObjectId>,
    /// The tag's name, as it is in the object.
    pub raw_name: Option<&'a [u8]>,
    /// The same, if it is well formed.
    pub name: Option<TagName>,
    /// Who made the tag.
    pub tagger: Option<Tagger<'a>>,
    /// The message, without the signature.
    pub message: &'a [u8],
    /// The signed bytes: all before the signature.
    pub payload: &'a [u8],
    /// The armored signature, from its first line to its last.
    pub signature: Option<(SignatureKind, &'a [u8])>,
    /// What the message says to Windlass.
    pub keywords: Keywords,
    /// Everything that is wrong.
    pub reasons: Vec<Refusal>,
}

/// Who made a tag, as the object says: any bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tagger<'a> {
    /// The name; may be empty.
    pub name: &'a [u8],
    /// The address, without the angle brackets.
    pub address: &'a [u8],
    /// Seconds since 1970.
    pub seconds: u64,
    /// The zone, as in `+0100`.
    pub zone: &'a [u8],
}

impl Tagger<'_> {
    /// The date as a moment, if it is one before the year 10000.
    pub fn tagged_at(&self) -> Option<Timestamp> {
        i64::try_from(self.seconds)
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
    }
}

/// A tag object whose structure is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTag<'a> {
    /// The commit that it points at.
    pub commit: ObjectId,
    /// Its name.
    pub name: TagName,
    /// Who made it.
    pub tagger: Tagger<'a>,
    /// The message, without the signature.
    pub message: &'a [u8],
    /// The signed bytes.
    pub payload: &'a [u8],
    /// Which kind of signature it carries.
    pub kind: SignatureKind,
    /// The armored signature with all that follows it (a line's end at most).
    pub armor: &'a [u8],
}

impl<'a> SignedTag<'a> {
    /// Takes a tag object apart.
    ///
    /// # Errors
    /// Everything that is wrong with its structure.
    pub fn parse(bytes: &'a [u8], policy: &Policy) -> Result<Self, Vec<Refusal>> {
        let reading = Reading::of(bytes, policy);
        match reading.signed_tag(bytes) {
            Some(tag) => Ok(tag),
            None => Err(reading.reasons),
        }
    }

    /// The object's bytes again.
    pub fn render(&self) -> Vec<u8> {
        let mut bytes = format!("object {}\ntype commit\ntag {}\ntagger ", self.commit, self.name).into_bytes();
        bytes.extend_from_slice(self.tagger.name);
        bytes.extend_from_slice(b" <");
        bytes.extend_from_slice(self.tagger.address);
        bytes.extend_from_slice(format!("> {} ", self.tagger.seconds).as_bytes());
        bytes.extend_from_slice(self.tagger.zone);
        bytes.extend_from_slice(b"\n\n");
        bytes.extend_from_slice(self.message);
        bytes.extend_from_slice(self.armor);
        bytes
    }
}

impl<'a> Reading<'a> {
    /// Reads a tag object's content (without git's own header).
    pub fn of(bytes: &'a [u8], policy: &Policy) -> Self {
        let mut reading = Self {
            target: None,
            raw_name: None,
            name: None,
            tagger: None,
            message: b"",
            payload: bytes,
            signature: None,
            keywords: Keywords::default(),
            reasons: Vec::new(),
        };
        if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
            reading.reasons.push(reason::nul_byte(at));
        }
        let begin = reading.read_signature(bytes, policy);
        reading.payload = &bytes[..begin];
        let body = match find(reading.payload, b"\n\n") {
            Some(end) => {
                reading.message = &reading.payload[end + 2..];
                end + 1
            }
            None => begin,
        };
        reading.read_headers(&bytes[..body]);
        if body == begin {
            reading
                .reasons
                .push(reason::missing_header("(a blank line after the headers)"));
        }
        let (keywords, wrong) = Keywords::read(reading.message);
        reading.keywords = keywords;
        reading.reasons.extend(wrong);
        reading
    }

    /// The tag, if its structure is good.
    pub fn signed_tag(&self, bytes: &'a [u8]) -> Option<SignedTag<'a>> {
        if !self.reasons.is_empty() {
            return None;
        }
        let (kind, _) = self.signature?;
        Some(SignedTag {
            commit: self.target.clone()?,
            name: self.name.clone()?,
            tagger: self.tagger?,
            message: self.message,
            payload: self.payload,
            kind,
            armor: &bytes[self.payload.len()..],
        })
    }

    /// The first line of the message, escaped.
    pub fn subject(&self) -> String {
        let line = self.message.split(|byte| *byte == b'\n').next().unwrap_or_default();
        escaped_bytes(line)
    }

    /// Finds the signature; gives where it begins, which is where the signed bytes end.
    fn read_signature(&mut self, bytes: &'a [u8], policy: &Policy) -> usize {
        let mut begins = lines(bytes).filter(|(_, line)| line.starts_with(BEGIN));
        let Some((begin, first)) = begins.next() else {
            self.reasons.push(reason::unsigned());
            return bytes.len();
        };
        let others = begins.count();
        if others > 0 {
            self.reasons.push(reason::many_signatures(1 + others));
        }
        let (kind, end_line): (_, &[u8]) = match first {
            b"-----BEGIN PGP SIGNATURE-----" => (SignatureKind::OpenPgp, b"-----END PGP SIGNATURE-----"),
            b"-----BEGIN SSH SIGNATURE-----" => (SignatureKind::Ssh, b"-----END SSH SIGNATURE-----"),
            _ => {
                self.reasons.push(reason::unsupported_armor(first));
                return begin;
            }
        };
        let Some((at, _)) = lines(&bytes[begin..]).find(|(_, line)| *line == end_line) else {
            self.reasons.push(reason::bad_armor("it has no end line"));
            return begin;
        };
        let end = begin + at + end_line.len();
        let rest = &bytes[end..];
        let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        if !rest.is_empty() {
            self.reasons.push(reason::trailing_bytes(rest.len()));
        }
        let size = end - begin;
        if size as u64 > policy.max_signature_size {
            self.reasons
                .push(reason::signature_too_large(size, policy.max_signature_size));
        } else if others == 0 {
            self.signature = Some((kind, &bytes[begin..end]));
        }
        begin
    }

    fn read_headers(&mut self, headers: &'a [u8]) {
        let mut seen = [false; HEADERS.len()];
        let mut furthest = 0;
        for (_, line) in lines(headers) {
            let (key, value) = match line.iter().position(|byte| *byte == b' ') {
                Some(space) => (&line[..space], &line[space + 1..]),
                None => (line, &line[line.len()..]),
            };
            let Some(which) = HEADERS.iter().position(|name| name.as_bytes() == key) else {
                self.reasons
                    .push(reason::extra_header(if key.is_empty() { line } else { key }));
                continue;
            };
            if seen[which] {
                self.reasons.push(reason::duplicate_header(key));
                continue;
            }
            seen[which] = true;
            if which < furthest {
                self.reasons.push(reason::header_order(key));
            }
            furthest = furthest.max(which);
            match which {
                0 => self.read_target(value),
                1 => self.read_type(value),
                2 => self.read_name(value),
                _ => self.read_tagger(value),
            }
        }
        for (name, _) in HEADERS.iter().zip(seen).filter(|(_, seen)| !seen) {
            self.reasons.push(reason::missing_header(name));
        }
    }

    fn read_target(&mut self, value: &[u8]) {
        self.target = std::str::from_utf8(value).ok().and_then(|hex| hex.parse().ok());
        if self.target.is_none() {
            self.reasons.push(reason::bad_object_id(value));
        }
    }

    fn read_type(&mut self, value: &[u8]) {
        let target = self.target.as_ref().map_or("?", ObjectId::as_str);
        match value {
            b"commit" => {}
            b"tag" => self.reasons.push(reason::nested_tag(target)),
            other => self.reasons.push(reason::not_a_commit(&reason::shown(other), target)),
        }
    }

    fn read_name(&mut self, value: &'a [u8]) {
        self.raw_name = Some(value);
        match std::str::from_utf8(value).map(str::parse::<TagName>) {
            Ok(Ok(name)) => self.name = Some(name),
            Ok(Err(bad)) => self.reasons.push(reason::bad_name(&bad.to_string())),
            Err(_) => {
                let value = reason::shown(value);
                self.reasons
                    .push(reason::bad_name(&format!("'{value}' is no tag name: it is not ASCII")));
            }
        }
    }

    fn read_tagger(&mut self, value: &'a [u8]) {
        self.tagger = tagger(value);
        if self.tagger.is_none() {
            self.reasons.push(reason::bad_tagger(value));
        }
    }
}

/// `NAME <ADDRESS> SECONDS ZONE`; the name may be empty, but not the space after it.
fn tagger(value: &[u8]) -> Option<Tagger<'_>> {
    let open = find(value, b" <")?;
    let (name, rest) = (&value[..open], &value[open + 2..]);
    let close = find(rest, b"> ")?;
    let (address, rest) = (&rest[..close], &rest[close + 2..]);
    let space = find(rest, b" ")?;
    let (seconds, zone) = (&rest[..space], &rest[space + 1..]);
    let brackets = |part: &[u8]| part.iter().any(|byte| matches!(byte, b'<' | b'>'));
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let leading_zero = seconds.len() > 1 && seconds[0] == b'0';
    let zone_is_good = zone.len() == 5 && matches!(zone[0], b'+' | b'-') && digits(&zone[1..]);
    if address.is_empty() || brackets(name) || brackets(address) || !digits(seconds) || leading_zero || !zone_is_good {
        return None;
    }
    let seconds = std::str::from_utf8(seconds).ok()?.parse().ok()?;
    Some(Tagger {
        name,
        address,
        seconds,
        zone,
    })
}

/// The lines with where they begin, without their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let begin = at;
        let end = find(&bytes[begin..], b"\n").map_or(bytes.len(), |length| begin + length);
        at = end + 1;
        Some((begin, &bytes[begin..end]))
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if let [byte] = needle {
        return haystack.iter().position(|other| other == byte);
    }
    haystack.windows(needle.len()).position(|window| window == needle)
}

impl fmt::Display for Tagger<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{}>", escaped_bytes(self.name), escaped_bytes(self.address))
    }
}

#[cfg(test)]
mod tests;
