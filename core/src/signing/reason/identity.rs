//! Reasons in who pushed, who tagged and whose key it is.

use super::shown;
use crate::id::UserName;
use crate::refusal::Refusal;

pub(in crate::signing) fn tagger_mismatch(three: &Three<'_>) -> Refusal {
    Refusal::new("tagger_mismatch", format!("{three}: tagger and owner of the key must be one person")).hint(format!(
        "git config user.email ADDRESS with one of {}'s, then git tag -s -f NAME COMMIT; or have the address added on the server, in people/{}.toml",
        three.owner, three.owner
    ))
}

pub(in crate::signing) fn not_yours(three: &Three<'_>, pusher: &UserName) -> Refusal {
    Refusal::new(
        "not_yours",
        format!("{three}: one cannot push what somebody else signed"),
    )
    .hint(format!(
        "let {} push it, or sign it yourself as {pusher}: git tag -s -f NAME COMMIT",
        three.owner
    ))
}

/// Pusher, tagger and owner of the key, as they are named in a refusal.
pub(in crate::signing) struct Three<'a> {
    pub(in crate::signing) pusher: Option<&'a UserName>,
    pub(in crate::signing) tagger_address: &'a [u8],
    pub(in crate::signing) taggers: &'a [UserName],
    pub(in crate::signing) owner: &'a UserName,
}

impl std::fmt::Display for Three<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pusher {
            Some(pusher) => write!(f, "pushed by {pusher}, ")?,
            None => f.write_str("pushed by nobody in particular, ")?,
        }
        let taggers: Vec<&str> = self.taggers.iter().map(UserName::as_str).collect();
        let tagger = if taggers.is_empty() {
            "nobody known".to_owned()
        } else {
            taggers.join(" and ")
        };
        let address = shown(self.tagger_address);
        write!(f, "tagged by {tagger} <{address}>, signed with {}'s key", self.owner)
    }
}
