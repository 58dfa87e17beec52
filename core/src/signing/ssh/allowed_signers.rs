//! The `allowed_signers` file of OpenSSH (`man ssh-keygen`, "ALLOWED SIGNERS").
//!
//! A line is `PRINCIPALS [OPTIONS] TYPE KEY [COMMENT]`. Times without `Z` are read as UTC: the zone of whoever wrote the file is
//! not known.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use crate::escape::escaped;

/// All lines of one file.
#[derive(Debug, Clone, Default)]
pub struct AllowedSigners {
    /// The lines with keys, in the file's order.
    pub entries: Vec<Entry>,
}

/// One line: who may sign with which key.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The line's number, from 1.
    pub line: usize,
    /// Patterns of identities, as in `*@example.org,!eve@example.org`.
    pub principals: String,
    /// The key; of an authority where `authority` says so.
    pub key: KeyData,
    /// The key signs certificates, not data.
    pub authority: bool,
    /// Patterns of namespaces; any when there are none.
    pub namespaces: Option<String>,
    /// Taken from this moment on.
    pub valid_after: Option<Timestamp>,
    /// Taken until this moment.
    pub valid_before: Option<Timestamp>,
}

/// A line that is not understood. A file with one is not used at all: a restriction may be what was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    /// The line's number, from 1.
    pub line: usize,
    /// Why.
    pub why: String,
}

impl AllowedSigners {
    /// Reads a whole file.
    ///
    /// # Errors
    /// The first line that is not understood.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = Entry::parse(line_number, line).map_err(|why| BadLine { line: line_number, why })?;
            entries.push(entry);
        }
        Ok(Self { entries })
    }
}

impl Entry {
    fn parse(line: usize, text: &str) -> Result<Self, String> {
        let (principals, rest) = match text.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or("a quote is not closed")?,
            None => text.split_once([' ', '\t']).ok_or("there is no key")?,
        };
        let rest = rest.trim_start();
        let mut entry = Self {
            line,
            principals: principals.to_owned(),
            key: KeyData::Ed25519(ssh_key::public::Ed25519PublicKey([0; 32])),
            authority: false,
            namespaces: None,
            valid_after: None,
            valid_before: None,
        };
        if let Ok(key) = PublicKey::from_openssh(rest) {
            entry.key = key.key_data().clone();
            return Ok(entry);
        }
        let (options, rest) = split_options(rest)?;
        for option in options {
            entry.take(&option)?;
        }
        let key = PublicKey::from_openssh(rest.trim_start()).map_err(|why| format!("its key cannot be read: {why}"))?;
        entry.key = key.key_data().clone();
        if let (Some(after), Some(before)) = (entry.valid_after, entry.valid_before)
            && before <= after
        {
            return Err("valid-before is not later than valid-after".to_owned());
        }
        Ok(entry)
    }

    fn take(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(unquoted(value)?)),
            None => (option, None),
        };
        match (name.to_ascii_lowercase().as_str(), value) {
            ("cert-authority", None) => self.authority = true,
            ("namespaces", Some(value)) if self.namespaces.is_none() => self.namespaces = Some(value.to_owned()),
            ("valid-after", Some(value)) if self.valid_after.is_none() => self.valid_after = Some(time(value)?),
            ("valid-before", Some(value)) if self.valid_before.is_none() => self.valid_before = Some(time(value)?),
            _ => {
                return Err(format!(
                    "the option '{}' is not known, is there twice, or wants or has no value",
                    escaped(option)
                ));
            }
        }
        Ok(())
    }

    /// Whether git's signatures may be made with it.
    pub fn is_for(&self, namespace: &str) -> bool {
        self.namespaces
            .as_deref()
            .is_none_or(|patterns| pattern_list(patterns, namespace.as_bytes()))
    }

    /// Whether an identity is among the principals.
    pub fn is_of(&self, identity: &[u8]) -> bool {
        pattern_list(&self.principals, identity)
    }
}

fn unquoted(value: &str) -> Result<&str, String> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').ok_or_else(|| "a quote is not closed".to_owned()),
        None => Ok(value),
    }
}

/// Options are separated by commas and end at the first blank outside of quotes.
fn split_options(text: &str) -> Result<(Vec<String>, &str), String> {
    let mut options = vec![String::new()];
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => return Ok((options, &text[at..])),
            ',' if !quoted => {
                options.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = options.last_mut() {
            last.push(c);
        }
    }
    Err(if quoted {
        "a quote is not closed".to_owned()
    } else {
        "there is no key".to_owned()
    })
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, with or without `Z`.
fn time(text: &str) -> Result<Timestamp, String> {
    let bad = || {
        format!(
            "'{}' is no time: YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with or without Z",
            escaped(text)
        )
    };
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    let number = |from: usize, to: usize| {
        digits
            .get(from..to)
            .and_then(|part| part.parse::<i8>().ok())
            .unwrap_or(0)
    };
    let year: i16 = digits[..4].parse().map_err(|_| bad())?;
    let civil = DateTime::new(
        year,
        number(4, 6),
        number(6, 8),
        number(8, 10),
        number(10, 12),
        number(12, 14),
        0,
    )
    .map_err(|_| bad())?;
    TimeZone::UTC.to_timestamp(civil).map_err(|_| bad())
}

/// `ssh_config`'s lists of patterns: one has to match, and none that begins with `!` may.
pub(super) fn pattern_list(patterns: &str, text: &[u8]) -> bool {
    let mut matched = false;
    for pattern in patterns.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()) {
        match pattern.strip_prefix('!') {
            Some(never) if glob(never.as_bytes(), text) => return false,
            Some(_) => {}
            None => matched = matched || glob(pattern.as_bytes(), text),
        }
    }
    matched
}

/// `*` stands for any bytes, `?` for one; letters without regard to ASCII case, as addresses are compared everywhere here.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || c.eq_ignore_ascii_case(&text[t]) => {
                p += 1;
                t += 1;
            }
            Some(_) | None => {
                let Some((star, from)) = back else { return false };
                back = Some((star, from + 1));
                p = star + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[rstest]
    #[case("alice@example.org", "", true, false)]
    #[case("alice@example.org", "cert-authority ", true, true)]
    #[case("*@example.org,!eve@example.org", "namespaces=\"git,file\" ", true, false)]
    #[case("alice@example.org", "namespaces=\"file\",valid-after=20200101 ", false, false)]
    #[case(
        "\"alice@example.org,bob@example.org\"",
        "namespaces=\"g*\",Valid-Before=\"20300101120000Z\" ",
        true,
        false
    )]
    fn lines(#[case] principals: &str, #[case] options: &str, #[case] for_git: bool, #[case] authority: bool) {
        let text = format!("# a comment\n\n{principals} {options}{KEY} alice's key\n");
        let signers = AllowedSigners::parse(&text).unwrap();
        let entry = &signers.entries[0];
        assert_eq!(
            (entry.line, entry.is_for("git"), entry.authority),
            (3, for_git, authority)
        );
        assert!(entry.is_of(b"Alice@Example.org"));
        assert!(!entry.is_of(b"eve@example.org"));
    }

    #[rstest]
    #[case("alice@example.org")]
    #[case(
        "alice@example.org colour=red ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti"
    )]
    #[case(
        "alice@example.org valid-after=2020 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti"
    )]
    #[case("alice@example.org ssh-ed25519 AAAA")]
    #[case("alice@example.org namespaces=\"git ssh-ed25519 AAAA")]
    fn bad_lines(#[case] line: &str) {
        assert_eq!(AllowedSigners::parse(line).unwrap_err().line, 1);
    }

    #[rstest]
    #[case("20240229", Some("2024-02-29T00:00:00Z"))]
    #[case("202402291530", Some("2024-02-29T15:30:00Z"))]
    #[case("20240229153007Z", Some("2024-02-29T15:30:07Z"))]
    #[case("20230229", None)]
    #[case("2023", None)]
    fn times(#[case] text: &str, #[case] moment: Option<&str>) {
        assert_eq!(time(text).ok().map(|time| time.to_string()).as_deref(), moment);
    }

    #[test]
    fn fuzz_lines_never_panic() {
        bolero::check!()
            .with_iterations(3_000)
            .with_type::<(String, String)>()
            .for_each(|(options, rest)| {
                let _ = AllowedSigners::parse(options);
                let _ = AllowedSigners::parse(&format!("alice@example.org {options} {KEY} {rest}"));
                pattern_list(options, rest.as_bytes());
            });
    }
}
