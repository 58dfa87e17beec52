//! All access lists of one repository, who is in which group, and how lists may change.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{List, Subject, Who};
use crate::id::{GroupName, PackageName, RepositoryName, UserName};
use crate::refusal::{Refusal, nearest};

/// All access lists of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessLists {
    #[serde(with = "crate::pairs")]
    lists: BTreeMap<Subject, List>,
}

/// What somebody changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AccessChange {
    /// The repository whose list it is.
    pub repository: RepositoryName,
    /// The package or group.
    pub subject: Subject,
    /// Who changed it.
    pub by: UserName,
    /// How.
    #[serde(flatten)]
    pub change: ListChange,
}

/// One change of a list, whole: all its names or none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum ListChange {
    /// Members were added.
    Added {
        /// Whom.
        who: Vec<Who>,
    },
    /// Entries were taken off.
    Removed {
        /// Whom.
        who: Vec<Who>,
    },
    /// There is a leader.
    Led {
        /// Whom.
        leader: Who,
    },
    /// The whole list is another one.
    Replaced {
        /// It.
        list: List,
    },
    /// Whoever landed an unlisted or orphaned package leads it.
    Landed {
        /// Whom.
        leader: UserName,
    },
}

impl AccessLists {
    /// One list.
    pub fn get(&self, subject: &Subject) -> Option<&List> {
        self.lists.get(subject)
    }

    /// The list of a package.
    pub fn package(&self, package: &PackageName) -> Option<&List> {
        self.lists.get(&Subject::Package(package.clone()))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Subject, &List)> {
        self.lists.iter()
    }

    /// Makes a change true.
    pub fn apply(&mut self, subject: &Subject, change: &ListChange) {
        let list = self
            .lists
            .entry(subject.clone())
            .or_insert_with(|| List::of(Who::Nobody));
        match change {
            ListChange::Added { who } => list.add(who),
            ListChange::Removed { who } => list.remove(who),
            ListChange::Led { leader } => list.lead(leader.clone()),
            ListChange::Replaced { list: new } => list.clone_from(new),
            ListChange::Landed { leader } => {
                if list.is_orphan() {
                    list.lead(Who::User(leader.clone()));
                }
            }
        }
    }

    /// Whether an entry stands for this person: by name, through groups (and groups in them), or as `@everybody`.
    pub fn stands_for(&self, who: &Who, user: &UserName) -> bool {
        self.stands_for_within(who, user, &mut BTreeSet::new())
    }

    fn stands_for_within<'a>(&'a self, who: &'a Who, user: &UserName, seen: &mut BTreeSet<&'a GroupName>) -> bool {
        match who {
            Who::User(name) => name == user,
            Who::Everybody => true,
            Who::Nobody => false,
            Who::Group(group) => {
                // Groups may contain each other: each is looked at once.
                seen.insert(group)
                    && self
                        .lists
                        .get(&Subject::Group(group.clone()))
                        .is_some_and(|list| list.iter().any(|one| self.stands_for_within(one, user, seen)))
            }
        }
    }

    /// Whether a person is in a group.
    pub fn in_group(&self, user: &UserName, group: &GroupName) -> bool {
        self.stands_for(&Who::Group(group.clone()), user)
    }

    /// Whether a person leads a list, by name or through a group that leads it.
    pub fn leads(&self, user: &UserName, subject: &Subject) -> bool {
        self.lists
            .get(subject)
            .is_some_and(|list| self.stands_for(&list.leader, user))
    }

    /// Whether a person may make a change, and whether it can be made.
    ///
    /// # Errors
    /// Why not: the first reason found. Nothing of the change is made then.
    pub fn may_change(&self, asked: &AskedChange<'_>) -> Result<(), Refusal> {
        let AskedChange {
            repository,
            subject,
            change,
            by,
            superuser,
            known_users,
        } = *asked;
        let list = self.lists.get(subject);
        let removes_only_himself =
            matches!(change, ListChange::Removed { who } if who.iter().all(|one| *one == Who::User(by.clone())));
        if !superuser && !removes_only_himself && !self.leads(by, subject) {
            let leader = list.map_or_else(|| "it has no list".to_owned(), |list| format!("{} does", list.leader));
            return Err(Refusal::new(
                "not_leader",
                format!("{by} does not lead {subject} in {repository}; {leader}"),
            )
            .hint(if list.is_some_and(|list| !list.is_orphan()) {
                format!("ask the leader, or a superuser: acl {repository} {subject} show")
            } else {
                "ask a superuser".to_owned()
            }));
        }
        let nothing: &[Who] = &[];
        let (leader, others): (Option<&Who>, &[Who]) = match change {
            ListChange::Added { who } => (None, who),
            ListChange::Removed { .. } | ListChange::Landed { .. } => (None, nothing),
            ListChange::Led { leader } => (Some(leader), nothing),
            ListChange::Replaced { list } => (Some(&list.leader), &list.members),
        };
        if others.contains(&Who::Nobody) {
            return Err(
                Refusal::new("bad_list", "@nobody can only lead a list: it marks an orphan")
                    .hint(format!("acl {repository} {subject} leader @nobody")),
            );
        }
        if leader == Some(&Who::Everybody) {
            let refusal = Refusal::new(
                "bad_list",
                "@everybody cannot lead a list: then anybody could take it over",
            );
            return Err(refusal.hint(format!("to open it: acl {repository} {subject} add @everybody")));
        }
        let mut seen = BTreeSet::new();
        for one in leader.into_iter().chain(others) {
            if !seen.insert(one) {
                return Err(Refusal::new("bad_list", format!("{one} is named twice")));
            }
            match one {
                Who::User(name) if !known_users.contains(name) => {
                    return Err(unknown_user(name, known_users));
                }
                Who::Group(group) if !self.lists.contains_key(&Subject::Group(group.clone())) => {
                    return Err(
                        Refusal::new("unknown_group", format!("there is no group @{group} in {repository}")).hint(
                            format!("a superuser makes it: acl {repository} @{group} replace LEADER MEMBER…"),
                        ),
                    );
                }
                Who::User(_) | Who::Group(_) | Who::Everybody | Who::Nobody => {}
            }
        }
        match change {
            ListChange::Added { who } => {
                if list.is_none() {
                    return Err(no_list(repository, subject));
                }
                if let Some(one) = who.iter().find(|one| list.is_some_and(|list| list.names(one))) {
                    return Err(Refusal::new(
                        "already_listed",
                        format!("{one} is on the list of {subject} already"),
                    ));
                }
            }
            ListChange::Removed { who } => {
                let Some(list) = list else {
                    return Err(no_list(repository, subject));
                };
                let mut seen = BTreeSet::new();
                for one in who {
                    if !list.names(one) || *one == Who::Nobody {
                        return Err(
                            Refusal::new("not_listed", format!("{one} is not on the list of {subject}"))
                                .hint(format!("acl {repository} {subject} show")),
                        );
                    }
                    if !seen.insert(one) {
                        return Err(Refusal::new("bad_list", format!("{one} is named twice")));
                    }
                }
            }
            ListChange::Led { leader } => {
                if list.is_some_and(|list| list.leader == *leader) {
                    return Err(Refusal::new(
                        "already_listed",
                        format!("{leader} leads {subject} already"),
                    ));
                }
            }
            ListChange::Replaced { .. } | ListChange::Landed { .. } => {}
        }
        Ok(())
    }
}

/// Nobody has this name; whom was probably meant.
pub fn unknown_user(name: &UserName, known: &BTreeSet<UserName>) -> Refusal {
    let refusal = Refusal::new("unknown_user", format!("nobody here is called {name}"));
    match nearest(name.as_str(), known) {
        Some(near) => refusal.hint(format!("did you mean '{near}'?")),
        None => refusal,
    }
}

fn no_list(repository: &RepositoryName, subject: &Subject) -> Refusal {
    Refusal::new("no_list", format!("{subject} has no list in {repository}"))
        .hint(format!("name its leader first: acl {repository} {subject} leader WHO"))
}

/// A change that somebody asks for.
#[derive(Debug, Clone, Copy)]
pub struct AskedChange<'a> {
    /// The repository, for the texts.
    pub repository: &'a RepositoryName,
    /// The package or group.
    pub subject: &'a Subject,
    /// What is to change.
    pub change: &'a ListChange,
    /// Who asks.
    pub by: &'a UserName,
    /// Whether he may change every list.
    pub superuser: bool,
    /// Everybody who can be named.
    pub known_users: &'a BTreeSet<UserName>,
}
