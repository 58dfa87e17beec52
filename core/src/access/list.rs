//! One access list: a leader, then members.

use serde::{Deserialize, Serialize};

use super::Who;

/// A leader, then members. Nobody is on it twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct List {
    /// Who may change the list. `@nobody` marks an orphan.
    pub leader: Who,
    /// Who else may touch the package, or is in the group; in the order in which they came.
    pub members: Vec<Who>,
}

impl List {
    /// A list of one.
    pub fn of(leader: Who) -> Self {
        Self {
            leader,
            members: Vec::new(),
        }
    }

    /// The leader, then the members.
    pub fn iter(&self) -> impl Iterator<Item = &Who> {
        std::iter::once(&self.leader).chain(&self.members)
    }

    /// Whether an entry is on it, as it stands there.
    pub fn names(&self, who: &Who) -> bool {
        self.iter().any(|one| one == who)
    }

    /// Whether nobody leads it.
    pub fn is_orphan(&self) -> bool {
        self.leader == Who::Nobody
    }

    /// Adds members; whoever is on it already stays where he is.
    pub fn add(&mut self, who: &[Who]) {
        for one in who {
            if !self.names(one) {
                self.members.push(one.clone());
            }
        }
    }

    /// Takes entries off. Without its leader it is an orphan.
    pub fn remove(&mut self, who: &[Who]) {
        self.members.retain(|one| !who.contains(one));
        if who.contains(&self.leader) {
            self.leader = Who::Nobody;
        }
    }

    /// Makes one the leader; the old one stays as the first member.
    pub fn lead(&mut self, leader: Who) {
        if self.leader == leader {
            return;
        }
        self.members.retain(|one| *one != leader);
        let old = std::mem::replace(&mut self.leader, leader);
        if old != Who::Nobody {
            self.members.insert(0, old);
        }
    }
}
