//! Which refs may be made, moved or deleted, whatever they name. A tag, once there, stays as it is.

use windlass_core::escape::{escaped_bytes, is_plain};
use windlass_core::id::{ObjectId, TagName};
use windlass_core::refusal::Refusal;

use super::input::Update;

const TAGS: &[u8] = b"refs/tags/";
const HEADS: &[u8] = b"refs/heads/";
/// What stands here changes what every ref means: never, whatever the configuration says.
const REPLACE: &[u8] = b"refs/replace/";

/// A change that these rules let pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A tag is made, which may have to be judged.
    Tag {
        /// Its name.
        name: TagName,
        /// What it is to name.
        object: ObjectId,
    },
    /// Something else: git's own settings say what is allowed.
    Other,
}

/// Judges one ref's name and kind of change.
pub fn check(update: &Update, namespaces: &[String]) -> Result<Change, Vec<Refusal>> {
    let name = update.name.as_slice();
    let allowed = namespaces.iter().any(|namespace| {
        name.strip_prefix(namespace.as_bytes())
            .is_some_and(|rest| !rest.is_empty())
    });
    if !allowed || name.starts_with(REPLACE) {
        let refusal = Refusal::new("forbidden_ref", "no refs are taken here under this name");
        return Err(vec![
            refusal.hint(format!("what is taken is under {}", namespaces.join(", "))),
        ]);
    }
    let Some(tag) = name.strip_prefix(TAGS) else {
        return if is_safe(name) {
            Ok(Change::Other)
        } else {
            Err(vec![bad_name()])
        };
    };
    let mut refusals = Vec::new();
    let parsed = std::str::from_utf8(tag)
        .ok()
        .and_then(|tag| tag.parse::<TagName>().ok());
    if parsed.is_none() {
        refusals.push(bad_tag_name());
    }
    match (&update.old, &update.new, parsed) {
        (None, Some(object), Some(name)) => {
            return Ok(Change::Tag {
                name,
                object: object.clone(),
            });
        }
        (Some(_), Some(_), _) => refusals.push(
            Refusal::new("tag_moved", "a tag that is there never moves")
                .hint("sign a new tag with the next release, as in: git tag -s 1.0-alt2"),
        ),
        (Some(_), None, _) => refusals.push(
            Refusal::new("tag_deleted", "a tag that is there is never deleted").hint("leave it; it does no harm"),
        ),
        (None, None | Some(_), _) => {}
    }
    if refusals.is_empty() {
        Ok(Change::Other)
    } else {
        Err(refusals)
    }
}

/// What a ref is called when a person is told about it.
pub fn shown(name: &[u8]) -> String {
    let (kind, rest) = if let Some(tag) = name.strip_prefix(TAGS) {
        ("tag", tag)
    } else if let Some(branch) = name.strip_prefix(HEADS) {
        ("branch", branch)
    } else {
        ("ref", name)
    };
    let mut rest = escaped_bytes(rest);
    if rest.chars().count() > 120 {
        rest = rest.chars().take(120).collect();
        rest.push('…');
    }
    format!("{kind} '{rest}'")
}

fn bad_tag_name() -> Refusal {
    Refusal::new("bad_name", "this is no name for a tag")
        .hint("a tag's name has letters, digits and .+~^_-/ only, each part beginning with a letter or digit, as in: 1.0-alt1")
}

fn bad_name() -> Refusal {
    Refusal::new("bad_name", "this is no name for a branch").hint(
        "a name is UTF-8 without blanks, quotes and a shell's special characters, no part of it beginning with '-'",
    )
}

/// Names go into other programs' arguments, scripts, terminals: nothing that one of them could take for something else.
fn is_safe(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else {
        return false;
    };
    name.chars()
        .all(|c| is_plain(c) && !c.is_whitespace() && !"$`;|&<>(){}[]'\"\\*?!~^:#%".contains(c))
        && name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with(['-', '.']))
        && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn namespaces() -> Vec<String> {
        vec!["refs/heads/".into(), "refs/tags/".into()]
    }

    fn id(digit: char) -> ObjectId {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn codes(name: &[u8], old: Option<ObjectId>, new: Option<ObjectId>) -> Vec<String> {
        let update = Update {
            old,
            new,
            name: name.to_owned(),
        };
        check(&update, &namespaces())
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|refusal| refusal.code.into_owned())
            .collect()
    }

    #[rstest]
    #[case(b"refs/tags/-x", "bad_name")]
    #[case(b"refs/tags/--upload-pack=touch", "bad_name")]
    #[case(b"refs/tags/$(id)", "bad_name")]
    #[case(b"refs/tags/\xff\xfe", "bad_name")]
    #[case("refs/tags/a\u{202e}b".as_bytes(), "bad_name")]
    #[case(b"refs/tags/refs/tags/x", "bad_name")]
    #[case(b"refs/heads/-x", "bad_name")]
    #[case(b"refs/heads/$(id)", "bad_name")]
    #[case(b"refs/heads/a\x1b[2J", "bad_name")]
    #[case(b"refs/heads/\xff", "bad_name")]
    #[case(b"refs/replace/0123456789012345678901234567890123456789", "forbidden_ref")]
    #[case(b"refs/notes/commits", "forbidden_ref")]
    #[case(b"refs/heads", "forbidden_ref")]
    #[case(b"refs/heads/", "forbidden_ref")]
    #[case(b"HEAD", "forbidden_ref")]
    #[case(b"config", "forbidden_ref")]
    fn hostile_names(#[case] name: &[u8], #[case] code: &str) {
        assert_eq!(codes(name, None, Some(id('1'))), [code]);
    }

    #[test]
    fn replace_refs_are_refused_whatever_is_configured() {
        let update = Update {
            old: None,
            new: Some(id('1')),
            name: b"refs/replace/x".to_vec(),
        };
        assert!(check(&update, &["refs/".to_owned()]).is_err());
    }

    #[test]
    fn a_tag_never_moves_and_is_never_deleted() {
        assert_eq!(codes(b"refs/tags/1.0-1", Some(id('1')), Some(id('2'))), ["tag_moved"]);
        assert_eq!(codes(b"refs/tags/1.0-1", Some(id('1')), None), ["tag_deleted"]);
        assert_eq!(codes(b"refs/tags/-x", Some(id('1')), None), ["bad_name", "tag_deleted"]);
    }

    #[test]
    fn good_ones_pass() {
        let good = Update {
            old: None,
            new: Some(id('1')),
            name: b"refs/tags/1.0~rc1-alt1".to_vec(),
        };
        assert!(matches!(check(&good, &namespaces()), Ok(Change::Tag { name, .. }) if name.as_str() == "1.0~rc1-alt1"));
        for name in ["refs/heads/main", "refs/heads/ветка/x", "refs/heads/fix-1_2"] {
            assert!(
                codes(name.as_bytes(), Some(id('1')), Some(id('2'))).is_empty(),
                "{name}"
            );
            assert!(codes(name.as_bytes(), Some(id('1')), None).is_empty(), "{name}");
        }
    }

    #[test]
    fn names_are_shown_safely() {
        assert_eq!(shown(b"refs/tags/\xff\x1b[2J"), "tag '\\xff\\u{1b}[2J'");
        assert_eq!(shown(b"refs/heads/main"), "branch 'main'");
        assert_eq!(shown(b"refs/notes/x"), "ref 'refs/notes/x'");
    }

    #[test]
    fn any_name_is_an_answer() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|name| {
            let _ = codes(name, None, Some(id('1')));
            let mut full = b"refs/tags/".to_vec();
            full.extend_from_slice(name);
            let _ = codes(&full, None, Some(id('1')));
            assert!(shown(name).chars().all(is_plain));
        });
    }
}
