//! How an access list is shown.

use serde::Serialize;

use crate::access::{AccessChange, List, ListChange, Subject, Who};
use crate::id::RepositoryName;

/// `acl REPOSITORY PACKAGE|@GROUP show`.
///
/// JSON: `repository`, `subject` (a package or `@GROUP`), `listed`, `leader` (null without a list), `members`,
/// `open_to_new` (whether whoever lands the unlisted package leads it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessView {
    /// The repository.
    pub repository: RepositoryName,
    /// The package or group.
    pub subject: Subject,
    /// Whether it has a list.
    pub listed: bool,
    /// The leader.
    pub leader: Option<String>,
    /// The members.
    pub members: Vec<String>,
    /// Whether whoever lands the package leads it, where it has no list or no leader.
    pub open_to_new: bool,
}

impl AccessView {
    /// The view of one list.
    pub fn of(subject: &Subject, repository: &RepositoryName, list: Option<&List>, deny_unlisted: bool) -> Self {
        let open = match list {
            Some(list) => list.is_orphan(),
            None => !deny_unlisted,
        };
        Self {
            repository: repository.clone(),
            subject: subject.clone(),
            listed: list.is_some(),
            leader: list.map(|list| list.leader.to_string()),
            members: list
                .into_iter()
                .flat_map(|list| &list.members)
                .map(ToString::to_string)
                .collect(),
            open_to_new: open && matches!(subject, Subject::Package(_)),
        }
    }

    /// One line for a terminal, and another where something has to be said about it.
    pub fn text(&self) -> String {
        let Self {
            repository, subject, ..
        } = self;
        let Some(leader) = &self.leader else {
            let rule = match (subject, self.open_to_new) {
                (Subject::Group(_), _) => "there is no such group",
                (Subject::Package(_), true) => "no list; whoever lands it first leads it",
                (Subject::Package(_), false) => "no list; packages without one are closed here",
            };
            return format!("{subject} in {repository}: {rule}\n");
        };
        let mut text = format!("{subject} in {repository}: {leader}");
        for member in &self.members {
            text.push(' ');
            text.push_str(member);
        }
        text.push('\n');
        if self.open_to_new {
            text.push_str("  an orphan: whoever builds it leads it\n");
        }
        text
    }
}

/// A change of a list in one line.
pub fn told(change: &AccessChange) -> String {
    let names = |who: &[Who]| who.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let AccessChange {
        repository,
        subject,
        by,
        change,
    } = change;
    let of = format!("the list of {subject} in {repository}");
    match change {
        ListChange::Added { who } => format!("{by} put {} on {of}", names(who)),
        ListChange::Removed { who } => format!("{by} took {} off {of}", names(who)),
        ListChange::Led { leader } => format!("{by} made {leader} the leader of {of}"),
        ListChange::Replaced { list } => format!("{by} replaced {of}: {} leads", list.leader),
        ListChange::Landed { leader } => format!("{leader} landed it and leads {of}"),
    }
}
