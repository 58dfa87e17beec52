//! What the pusher reads on his terminal, where git puts `remote: ` before every line.

use std::io::{self, Write};

use windlass_core::refusal::Refusal;

/// How many refs are told about one by one.
const MOST: usize = 20;

/// Why one ref, or the push as a whole, is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The ref as a person knows it; none for the push as a whole.
    pub what: Option<String>,
    /// Every reason.
    pub reasons: Vec<Refusal>,
}

impl Refused {
    /// The push as a whole.
    pub fn push(reason: Refusal) -> Self {
        Self {
            what: None,
            reasons: vec![reason],
        }
    }
}

/// Tells all reasons: what, why, `[code]`; then, after a blank line, how to mend it.
pub(super) fn write(refused: &[Refused], verb: &str, out: &mut impl Write) -> io::Result<()> {
    let mut told: Vec<&str> = Vec::new();
    for (place, one) in refused.iter().take(MOST).enumerate() {
        if place > 0 {
            writeln!(out)?;
        }
        for reason in &one.reasons {
            match &one.what {
                Some(what) => writeln!(out, "windlass: {verb}: {what}: {} [{}]", reason.message, reason.code)?,
                None => writeln!(out, "windlass: {verb}: {} [{}]", reason.message, reason.code)?,
            }
        }
        let mut first = true;
        for hint in one.reasons.iter().filter_map(|reason| reason.hint.as_deref()) {
            if told.contains(&hint) {
                continue;
            }
            told.push(hint);
            if first {
                writeln!(out)?;
                first = false;
            }
            writeln!(out, "hint: {}", hint.replace('\n', "\nhint: "))?;
        }
    }
    if refused.len() > MOST {
        writeln!(out, "\nwindlass: and {} more refs", refused.len() - MOST)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(refused: &[Refused]) -> String {
        let mut out = Vec::new();
        write(refused, "refused", &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn all_reasons_then_the_way_out_and_no_hint_twice() {
        let one = |name: &str| Refused {
            what: Some(format!("tag '{name}'")),
            reasons: vec![
                Refusal::new("expired_key", "the key expired").hint("extend it"),
                Refusal::new("not_yours", "it is bob's"),
            ],
        };
        assert_eq!(
            text(&[one("a"), one("b")]),
            "windlass: refused: tag 'a': the key expired [expired_key]\n\
             windlass: refused: tag 'a': it is bob's [not_yours]\n\
             \n\
             hint: extend it\n\
             \n\
             windlass: refused: tag 'b': the key expired [expired_key]\n\
             windlass: refused: tag 'b': it is bob's [not_yours]\n"
        );
        let many = vec![one("x"); 23];
        assert!(text(&many).ends_with("\nwindlass: and 3 more refs\n"));
    }
}
