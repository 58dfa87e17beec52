//! The decision for one subtask and one package, in a fixed order.
//!
//! 1. Disapproved by a superuser: no.
//! 2. The author or an approver is a superuser: yes.
//! 3. Disapproved by someone with rights: no.
//! 4. The author has rights: yes.
//! 5. Approved by someone with rights: yes, an NMU.
//! 6. Otherwise no.
//!
//! Where the repository requires approvals of groups, 4 and 5 say yes only with an approval of a member of each.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::AccessLists;
use crate::id::{GroupName, PackageName, UserName};

/// For or against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VoteKind {
    /// For.
    Approve,
    /// Against.
    Disapprove,
}

/// A vote that holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Vote {
    /// Who.
    pub by: UserName,
    /// For or against.
    pub kind: VoteKind,
}

/// What a subtask does to a source package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Touch {
    /// It adds it, or replaces it by another build of itself.
    Build,
    /// It goes: it was asked for, or another package takes its place.
    Remove,
}

/// All that the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The repository's lists.
    pub lists: &'a AccessLists,
    /// The source package.
    pub package: &'a PackageName,
    /// What happens to it.
    pub touch: Touch,
    /// Who added the subtask.
    pub author: &'a UserName,
    /// The votes on it that hold.
    pub votes: &'a [Vote],
    /// Who may do everything.
    pub superusers: &'a BTreeSet<UserName>,
    /// Whether an unlisted package is closed to all.
    pub deny_unlisted: bool,
    /// The groups of which an approval is needed.
    pub required: &'a [GroupName],
}

/// May he?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// Yes.
    Allowed(Ground),
    /// No.
    Denied(Ground),
}

/// Why a ruling is as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ground", rename_all = "kebab-case")]
pub enum Ground {
    /// A superuser disapproved.
    SuperuserDisapproved {
        /// Who.
        by: UserName,
    },
    /// The author is a superuser.
    SuperuserAuthor,
    /// A superuser approved.
    SuperuserApproved {
        /// Who.
        by: UserName,
    },
    /// Someone with rights disapproved.
    Disapproved {
        /// Who.
        by: UserName,
    },
    /// The author has rights.
    Rights,
    /// Someone with rights approved: an NMU.
    Approved {
        /// Who.
        by: UserName,
    },
    /// Nobody with rights approved.
    NoRights,
    /// Approvals of these groups are still needed.
    GroupsMissing {
        /// The groups.
        groups: Vec<GroupName>,
    },
}

impl Ruling {
    /// Whether it is yes.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

impl Case<'_> {
    /// Decides.
    pub fn rule(&self) -> Ruling {
        let superuser = |vote: &&Vote| self.superusers.contains(&vote.by);
        if let Some(vote) = self.of_kind(VoteKind::Disapprove).find(superuser) {
            return Ruling::Denied(Ground::SuperuserDisapproved { by: vote.by.clone() });
        }
        if self.superusers.contains(self.author) {
            return Ruling::Allowed(Ground::SuperuserAuthor);
        }
        if let Some(vote) = self.of_kind(VoteKind::Approve).find(superuser) {
            return Ruling::Allowed(Ground::SuperuserApproved { by: vote.by.clone() });
        }
        if let Some(vote) = self
            .of_kind(VoteKind::Disapprove)
            .find(|vote| self.has_rights(&vote.by))
        {
            return Ruling::Denied(Ground::Disapproved { by: vote.by.clone() });
        }
        let ground = if self.has_rights(self.author) {
            Ground::Rights
        } else if let Some(vote) = self.of_kind(VoteKind::Approve).find(|vote| self.has_rights(&vote.by)) {
            Ground::Approved { by: vote.by.clone() }
        } else {
            return Ruling::Denied(Ground::NoRights);
        };
        let missing: Vec<GroupName> = self
            .required
            .iter()
            .filter(|group| !self.has_approval_of(group))
            .cloned()
            .collect();
        if missing.is_empty() {
            Ruling::Allowed(ground)
        } else {
            Ruling::Denied(Ground::GroupsMissing { groups: missing })
        }
    }

    /// Whether a person may touch the package by himself. A package without a list, or whose leader is `@nobody`, may be
    /// built by anybody (who leads it then), and removed by nobody.
    pub fn has_rights(&self, user: &UserName) -> bool {
        match self.lists.package(self.package) {
            None => self.touch == Touch::Build && !self.deny_unlisted,
            Some(list) => {
                (list.is_orphan() && self.touch == Touch::Build)
                    || list.iter().any(|one| self.lists.stands_for(one, user))
            }
        }
    }

    fn has_approval_of(&self, group: &GroupName) -> bool {
        self.of_kind(VoteKind::Approve)
            .any(|vote| self.lists.in_group(&vote.by, group))
    }

    /// The votes of others: nobody approves his own.
    fn of_kind(&self, kind: VoteKind) -> impl Iterator<Item = &Vote> {
        self.votes
            .iter()
            .filter(move |vote| vote.kind == kind && (kind == VoteKind::Disapprove || vote.by != *self.author))
    }
}
