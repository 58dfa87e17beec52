//! `acl`: changing and showing access lists.

use super::draft::Scene;
use crate::access::lists::AskedChange;
use crate::access::{AccessChange, AccessLists, List, ListChange};
use crate::command::{AclArgs, AclChange};
use crate::event::Event;
use crate::refusal::Refusal;
use crate::reply::access::AccessView;

impl Scene<'_> {
    /// What a change of an access list leads to, and the list as it is then.
    pub(super) fn acl(self, args: &AclArgs) -> Result<(Vec<Event>, AccessView), Refusal> {
        let repository = self.repository(Some(&args.repository))?;
        let mut lists = self.world.access(&repository).cloned().unwrap_or_default();
        let change = match &args.change {
            AclChange::Show => return Ok((Vec::new(), self.access_view(&args.subject, &repository, &lists))),
            AclChange::Add(who) => ListChange::Added { who: who.clone() },
            AclChange::Del(who) => ListChange::Removed { who: who.clone() },
            AclChange::Leader(leader) => ListChange::Led { leader: leader.clone() },
            AclChange::Replace(who) => match who.as_slice() {
                [leader, members @ ..] => ListChange::Replaced {
                    list: List {
                        leader: leader.clone(),
                        members: members.to_vec(),
                    },
                },
                [] => return Err(Refusal::new("bad_list", "a list has a leader at least")),
            },
        };
        lists.may_change(&AskedChange {
            repository: &repository,
            subject: &args.subject,
            change: &change,
            by: &self.actor.user,
            superuser: self.actor.superuser,
            known_users: &self.facts.people,
        })?;
        lists.apply(&args.subject, &change);
        let view = self.access_view(&args.subject, &repository, &lists);
        let event = Event::Access(AccessChange {
            repository,
            subject: args.subject.clone(),
            by: self.actor.user.clone(),
            change,
        });
        Ok((vec![event], view))
    }

    fn access_view(
        self,
        subject: &crate::access::Subject,
        repository: &crate::id::RepositoryName,
        lists: &AccessLists,
    ) -> AccessView {
        let closed = self
            .facts
            .repositories
            .get(repository)
            .is_some_and(|facts| facts.deny_unlisted);
        AccessView::of(subject, repository, lists.get(subject), closed)
    }
}
