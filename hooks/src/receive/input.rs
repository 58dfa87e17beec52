//! What git says to `pre-receive` and `post-receive` on standard input: `OLD NEW REF`, a line each. A name is any bytes.

use windlass_core::escape::escaped_bytes;
use windlass_core::id::ObjectId;

/// One ref that a push makes, moves or deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// What it names; nothing if it is being made.
    pub old: Option<ObjectId>,
    /// What it is to name; nothing if it is being deleted.
    pub new: Option<ObjectId>,
    /// Its full name as git has it, which may be hostile.
    pub name: Vec<u8>,
}

/// Input that git would not write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadInput {
    /// A line is not `OLD NEW REF`.
    #[error("line {line} is not 'OLD NEW REF': {text}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// Its beginning, safe to show.
        text: String,
    },
    /// The ids are longer than SHA-1's.
    #[error("the repository has SHA-256 objects, which are not supported")]
    Sha256,
}

/// Reads the whole input.
pub fn parse(input: &[u8]) -> Result<Vec<Update>, BadInput> {
    let input = input.strip_suffix(b"\n").unwrap_or(input);
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let lines = input.split(|byte| *byte == b'\n').enumerate();
    lines
        .map(|(at, line)| update(line).unwrap_or_else(|| Err(bad(at + 1, line))))
        .collect()
}

fn bad(line: usize, text: &[u8]) -> BadInput {
    BadInput::Line {
        line,
        text: escaped_bytes(&text[..text.len().min(120)]),
    }
}

fn update(line: &[u8]) -> Option<Result<Update, BadInput>> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let (old, new, name) = (parts.next()?, parts.next()?, parts.next()?);
    if old.len() == 64 && new.len() == 64 {
        return Some(Err(BadInput::Sha256));
    }
    if name.is_empty() || name.contains(&0) {
        return None;
    }
    Some(Ok(Update {
        old: object(old)?,
        new: object(new)?,
        name: name.to_owned(),
    }))
}

/// The inner one is none for the id of zeros: no object. The outer one is none for what is no id.
#[expect(clippy::option_option, reason = "no id and no object are two things")]
fn object(hex: &[u8]) -> Option<Option<ObjectId>> {
    let id: ObjectId = std::str::from_utf8(hex).ok()?.parse().ok()?;
    Some(if hex.iter().all(|byte| *byte == b'0') {
        None
    } else {
        Some(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0123456789012345678901234567890123456789";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    #[test]
    fn lines_become_updates_and_names_stay_bytes() {
        let mut input =
            format!("{ZERO} {A} refs/tags/1.0-1\n{A} {ZERO} refs/heads/a b\n{A} {A} refs/tags/").into_bytes();
        input.extend_from_slice(b"\xff\xe2\x80\xae\n");
        let updates = parse(&input).unwrap();
        assert_eq!(updates.len(), 3);
        assert_eq!((updates[0].old.is_none(), updates[0].new.is_some()), (true, true));
        assert_eq!(
            (updates[1].new.clone(), updates[1].name.as_slice()),
            (None, &b"refs/heads/a b"[..])
        );
        assert_eq!(updates[2].name, b"refs/tags/\xff\xe2\x80\xae");
        assert_eq!(parse(b""), Ok(vec![]));
    }

    #[test]
    fn what_git_would_not_write_is_told() {
        let bads = [
            "x",
            "\n\n",
            "a b c",
            &format!("{A} {A} "),
            &format!("{A} {A}"),
            &format!("{A}  {A} x"),
            &format!("{A} {} x", &A[1..]),
        ];
        for bad in bads {
            assert!(
                matches!(parse(bad.as_bytes()), Err(BadInput::Line { line: 1, .. })),
                "{bad:?}"
            );
        }
        let long = "a".repeat(64);
        assert_eq!(
            parse(format!("{long} {long} refs/heads/x\n").as_bytes()),
            Err(BadInput::Sha256)
        );
    }

    #[test]
    fn any_bytes_are_an_answer_and_what_is_read_was_there() {
        bolero::check!()
            .with_type::<(Vec<u8>, Vec<u8>)>()
            .for_each(|(noise, name)| {
                let _ = parse(noise);
                let mut line = format!("{ZERO} {A} ").into_bytes();
                line.extend_from_slice(name);
                if let Ok(updates) = parse(&line)
                    && let [update] = updates.as_slice()
                {
                    assert_eq!(update.name, name.strip_suffix(b"\n").unwrap_or(name));
                }
            });
    }
}
