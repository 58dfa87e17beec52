//! The decision order as a table, and its laws.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rstest::rstest;

use super::lists::AskedChange;
use super::*;
use crate::id::{GroupName, PackageName, UserName};

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

fn whos(names: &[&str]) -> Vec<Who> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn replaced(names: &[&str]) -> ListChange {
    let mut who = whos(names);
    let leader = who.remove(0);
    ListChange::Replaced {
        list: List { leader, members: who },
    }
}

/// `hello`: alice, @perl. `open`: alice, @everybody. `orphan`: @nobody, bob. @perl: bob, @core. @core: carol, @perl (a circle).
fn lists() -> AccessLists {
    let mut lists = AccessLists::default();
    for (subject, names) in [
        ("@perl", &["bob", "@core"][..]),
        ("@core", &["carol", "@perl"]),
        ("@maint", &["maria"]),
        ("@tester", &["tom", "maria"]),
        ("hello", &["alice", "@perl"]),
        ("open", &["alice", "@everybody"]),
        ("orphan", &["@nobody", "bob"]),
    ] {
        lists.apply(&subject.parse().unwrap(), &replaced(names));
    }
    lists
}

fn votes(words: &str) -> Vec<Vote> {
    let vote = |word: &str| Vote {
        by: user(&word[1..]),
        kind: if word.starts_with('+') {
            VoteKind::Approve
        } else {
            VoteKind::Disapprove
        },
    };
    words.split_whitespace().map(vote).collect()
}

fn rule(package: &str, touch: Touch, author: &str, words: &str) -> Ruling {
    Case {
        lists: &lists(),
        package: &package.parse().unwrap(),
        touch,
        author: &user(author),
        votes: &votes(words),
        superusers: &BTreeSet::from([user("root"), user("admin")]),
        deny_unlisted: false,
        required: &[],
    }
    .rule()
}

#[rstest]
#[case::superuser_disapproves("hello", "alice", "-root", false)]
#[case::superuser_disapproves_a_superuser("hello", "root", "-admin", false)]
#[case::superuser_disapproves_beats_approves("hello", "dave", "+admin -root", false)]
#[case::superuser_author("hello", "root", "", true)]
#[case::superuser_author_despite_rights("hello", "root", "-alice", true)]
#[case::superuser_approves("hello", "dave", "+root", true)]
#[case::superuser_approves_despite_rights("hello", "dave", "+root -alice", true)]
#[case::someone_with_rights_disapproves("hello", "alice", "-bob", false)]
#[case::someone_without_disapproves("hello", "alice", "-dave", true)]
#[case::author_disapproves_himself("hello", "alice", "-alice", false)]
#[case::author_leads("hello", "alice", "", true)]
#[case::author_in_group("hello", "bob", "", true)]
#[case::author_in_group_of_group("hello", "carol", "", true)]
#[case::author_without("hello", "dave", "", false)]
#[case::nmu("hello", "dave", "+carol", true)]
#[case::nmu_of_no_one("hello", "dave", "+erin", false)]
#[case::nmu_disapproved("hello", "dave", "+alice -bob", false)]
#[case::his_own_approval("hello", "dave", "+dave", false)]
#[case::everybody("open", "dave", "", true)]
#[case::orphan("orphan", "dave", "", true)]
#[case::unlisted("brand-new", "dave", "", true)]
fn building(#[case] package: &str, #[case] author: &str, #[case] votes: &str, #[case] allowed: bool) {
    let ruling = rule(package, Touch::Build, author, votes);
    assert_eq!(ruling.is_allowed(), allowed, "{ruling:?}");
}

#[rstest]
#[case::leader("hello", "alice", "", true)]
#[case::member_of_an_orphan("orphan", "bob", "", true)]
#[case::orphans_are_not_removed_by_anybody("orphan", "dave", "", false)]
#[case::unlisted_are_not_removed_by_anybody("old", "dave", "", false)]
#[case::unlisted_by_approval("old", "dave", "+root", true)]
fn removing(#[case] package: &str, #[case] author: &str, #[case] votes: &str, #[case] allowed: bool) {
    let ruling = rule(package, Touch::Remove, author, votes);
    assert_eq!(ruling.is_allowed(), allowed, "{ruling:?}");
}

#[test]
fn deny_unlisted_closes_new_packages() {
    let case = |deny_unlisted| {
        Case {
            lists: &lists(),
            package: &"brand-new".parse().unwrap(),
            touch: Touch::Build,
            author: &user("alice"),
            votes: &[],
            superusers: &BTreeSet::new(),
            deny_unlisted,
            required: &[],
        }
        .rule()
    };
    assert_eq!(case(true), Ruling::Denied(Ground::NoRights));
    assert_eq!(case(false), Ruling::Allowed(Ground::Rights));
}

#[rstest]
#[case("alice", "", &["maint", "tester"])]
#[case("alice", "+tom", &["maint"])]
#[case("alice", "+maria", &[])]
#[case("dave", "+alice +maria", &[])]
#[case("maria", "+maria +tom", &["maint"])]
#[case("root", "", &[])]
fn required_groups(#[case] author: &str, #[case] words: &str, #[case] missing: &[&str]) {
    let mut lists = lists();
    lists.apply(&"hello".parse().unwrap(), &ListChange::Added { who: whos(&["maria"]) });
    let required: Vec<GroupName> = ["maint", "tester"].iter().map(|name| name.parse().unwrap()).collect();
    let ruling = Case {
        lists: &lists,
        package: &"hello".parse().unwrap(),
        touch: Touch::Build,
        author: &user(author),
        votes: &votes(words),
        superusers: &BTreeSet::from([user("root")]),
        deny_unlisted: false,
        required: &required,
    }
    .rule();
    let groups: Vec<GroupName> = missing.iter().map(|name| name.parse().unwrap()).collect();
    if groups.is_empty() {
        assert!(ruling.is_allowed(), "{ruling:?}");
    } else {
        assert_eq!(ruling, Ruling::Denied(Ground::GroupsMissing { groups }));
    }
}

fn change(by: &str, superuser: bool, subject: &str, change: &ListChange) -> Result<(), String> {
    let known = ["alice", "bob", "carol", "dave", "maria", "root"].map(user);
    lists()
        .may_change(&AskedChange {
            repository: &"sisyphus".parse().unwrap(),
            subject: &subject.parse().unwrap(),
            change,
            by: &user(by),
            superuser,
            known_users: &BTreeSet::from(known),
        })
        .map_err(|refusal| refusal.code.into_owned())
}

#[rstest]
#[case::leader("alice", "hello", ListChange::Added { who: whos(&["dave"]) }, None)]
#[case::member("bob", "hello", ListChange::Added { who: whos(&["dave"]) }, Some("not_leader"))]
#[case::member_removes_himself("bob", "orphan", ListChange::Removed { who: whos(&["bob"]) }, None)]
#[case::member_removes_another("bob", "hello", ListChange::Removed { who: whos(&["alice"]) }, Some("not_leader"))]
#[case::himself_and_another("bob", "@perl", ListChange::Removed { who: whos(&["bob", "@core"]) }, None)]
#[case::not_on_it("dave", "hello", ListChange::Removed { who: whos(&["dave"]) }, Some("not_listed"))]
#[case::only_by_group("carol", "hello", ListChange::Removed { who: whos(&["carol"]) }, Some("not_listed"))]
#[case::batch_with_a_stranger("alice", "hello", ListChange::Added { who: whos(&["dave", "zoe"]) }, Some("unknown_user"))]
#[case::batch_with_no_group("alice", "hello", ListChange::Added { who: whos(&["dave", "@zoo"]) }, Some("unknown_group"))]
#[case::batch_with_one_there("alice", "hello", ListChange::Added { who: whos(&["dave", "@perl"]) }, Some("already_listed"))]
#[case::twice("alice", "hello", ListChange::Added { who: whos(&["dave", "dave"]) }, Some("bad_list"))]
#[case::nobody_as_member("alice", "hello", ListChange::Added { who: whos(&["@nobody"]) }, Some("bad_list"))]
#[case::nobody_as_leader("alice", "hello", ListChange::Led { leader: Who::Nobody }, None)]
#[case::everybody_as_leader("alice", "hello", ListChange::Led { leader: Who::Everybody }, Some("bad_list"))]
#[case::leads_already("alice", "hello", ListChange::Led { leader: Who::User(user("alice")) }, Some("already_listed"))]
#[case::orphan_has_no_leader("bob", "orphan", ListChange::Led { leader: Who::User(user("bob")) }, Some("not_leader"))]
#[case::replace_with_one_twice("alice", "hello", replaced(&["alice", "bob", "alice"]), Some("bad_list"))]
#[case::unlisted("alice", "brand-new", ListChange::Led { leader: Who::User(user("alice")) }, Some("not_leader"))]
fn who_may_change(#[case] by: &str, #[case] subject: &str, #[case] asked: ListChange, #[case] refused: Option<&str>) {
    assert_eq!(change(by, false, subject, &asked).err().as_deref(), refused);
}

#[test]
fn a_superuser_may_change_every_list_but_nothing_impossible() {
    let leader = Who::User(user("dave"));
    assert_eq!(change("root", true, "brand-new", &ListChange::Led { leader }), Ok(()));
    let who = whos(&["dave"]);
    assert_eq!(
        change("root", true, "brand-new", &ListChange::Added { who }),
        Err("no_list".to_owned())
    );
    assert_eq!(
        change("root", true, "hello", &replaced(&["zoe"])),
        Err("unknown_user".to_owned())
    );
}

#[test]
fn a_new_leader_leaves_the_old_one_a_member() {
    let mut list = List::of(Who::User(user("alice")));
    list.add(&whos(&["bob"]));
    list.lead(Who::User(user("bob")));
    assert_eq!(list.iter().cloned().collect::<Vec<_>>(), whos(&["bob", "alice"]));
    list.remove(&whos(&["bob"]));
    assert_eq!(list.iter().cloned().collect::<Vec<_>>(), whos(&["@nobody", "alice"]));
}

#[test]
fn whoever_lands_an_orphan_leads_it_and_nobody_loses_a_list_so() {
    let mut lists = lists();
    let landed = ListChange::Landed { leader: user("dave") };
    for (subject, leader) in [("orphan", "dave"), ("brand-new", "dave"), ("hello", "alice")] {
        let subject: Subject = subject.parse().unwrap();
        lists.apply(&subject, &landed);
        assert_eq!(lists.get(&subject).unwrap().leader, Who::User(user(leader)));
    }
}

const PEOPLE: [&str; 7] = ["alice", "bob", "carol", "dave", "maria", "root", "admin"];

fn person() -> impl Strategy<Value = UserName> {
    proptest::sample::select(&PEOPLE[..]).prop_map(user)
}

fn entry() -> impl Strategy<Value = Who> {
    proptest::sample::select(vec![
        "alice",
        "bob",
        "carol",
        "@a",
        "@b",
        "@maint",
        "@everybody",
        "@nobody",
    ])
    .prop_map(|text| text.parse().unwrap())
}

fn any_lists() -> impl Strategy<Value = AccessLists> {
    let subject = proptest::sample::select(vec!["hello", "other", "@a", "@b", "@maint"]);
    let one = (subject, entry(), proptest::collection::vec(entry(), 0..3));
    proptest::collection::vec(one, 0..6).prop_map(|all| {
        let mut lists = AccessLists::default();
        for (subject, leader, members) in all {
            let list = List { leader, members };
            lists.apply(&subject.parse().unwrap(), &ListChange::Replaced { list });
        }
        lists
    })
}

#[derive(Debug, Clone)]
struct World {
    lists: AccessLists,
    touch: Touch,
    author: UserName,
    votes: Vec<Vote>,
    deny_unlisted: bool,
    required: Vec<GroupName>,
}

fn any_world() -> impl Strategy<Value = World> {
    let kind = prop_oneof![Just(VoteKind::Approve), Just(VoteKind::Disapprove)];
    let vote = (person(), kind).prop_map(|(by, kind)| Vote { by, kind });
    let touch = prop_oneof![Just(Touch::Build), Just(Touch::Remove)];
    let required = proptest::sample::subsequence(vec!["maint", "a"], 0..=2);
    (
        any_lists(),
        touch,
        person(),
        proptest::collection::vec(vote, 0..5),
        any::<bool>(),
        required,
    )
        .prop_map(|(lists, touch, author, votes, deny_unlisted, required)| World {
            lists,
            touch,
            author,
            votes,
            deny_unlisted,
            required: required.iter().map(|name| name.parse().unwrap()).collect(),
        })
}

impl World {
    fn case<'a>(&'a self, package: &'a PackageName, superusers: &'a BTreeSet<UserName>) -> Case<'a> {
        Case {
            lists: &self.lists,
            package,
            touch: self.touch,
            author: &self.author,
            votes: &self.votes,
            superusers,
            deny_unlisted: self.deny_unlisted,
            required: &self.required,
        }
    }

    fn rule(&self) -> Ruling {
        self.case(
            &"hello".parse().unwrap(),
            &BTreeSet::from([user("root"), user("admin")]),
        )
        .rule()
    }

    fn with(&self, by: &UserName, kind: VoteKind) -> Self {
        let mut more = self.clone();
        more.votes.push(Vote { by: by.clone(), kind });
        more
    }
}

proptest! {
    #[test]
    fn a_superusers_disapproval_wins(world in any_world()) {
        prop_assert!(!world.with(&user("root"), VoteKind::Disapprove).rule().is_allowed());
    }

    #[test]
    fn an_approval_never_takes_a_yes_away(world in any_world(), by in person()) {
        if world.rule().is_allowed() {
            prop_assert!(world.with(&by, VoteKind::Approve).rule().is_allowed());
        }
    }

    #[test]
    fn a_disapproval_never_gives_a_yes(world in any_world(), by in person()) {
        if !world.rule().is_allowed() {
            prop_assert!(!world.with(&by, VoteKind::Disapprove).rule().is_allowed());
        }
    }

    #[test]
    fn the_order_of_votes_does_not_matter(world in any_world()) {
        let mut other = world.clone();
        other.votes.reverse();
        prop_assert_eq!(world.rule().is_allowed(), other.rule().is_allowed());
    }

    #[test]
    fn nobody_approves_his_own(world in any_world()) {
        let own = world.with(&world.author, VoteKind::Approve);
        prop_assert_eq!(world.rule(), own.rule());
    }

    #[test]
    fn a_yes_has_somebody_who_answers_for_it(world in any_world()) {
        let package = "hello".parse().unwrap();
        let superusers = BTreeSet::from([user("root"), user("admin")]);
        let case = world.case(&package, &superusers);
        if let Ruling::Allowed(ground) = case.rule() {
            let answers = match ground {
                Ground::SuperuserAuthor => superusers.contains(&world.author),
                Ground::SuperuserApproved { by } => superusers.contains(&by),
                Ground::Rights => case.has_rights(&world.author),
                Ground::Approved { by } => case.has_rights(&by) && by != world.author,
                Ground::SuperuserDisapproved { .. }
                | Ground::Disapproved { .. }
                | Ground::NoRights
                | Ground::GroupsMissing { .. } => false,
            };
            prop_assert!(answers);
        }
    }

    #[test]
    fn a_refused_change_changes_nothing_and_a_made_one_keeps_the_list_whole(
        lists in any_lists(), by in person(), who in proptest::collection::vec(entry(), 1..3), verb in 0..4,
    ) {
        // Lists that came about by allowed changes name nobody twice.
        let subject: Subject = "hello".parse().unwrap();
        let mut lists = lists;
        lists.apply(&subject, &replaced(&["alice", "bob"]));
        let change = match verb {
            0 => ListChange::Added { who },
            1 => ListChange::Removed { who },
            2 => ListChange::Led { leader: who[0].clone() },
            _ => ListChange::Replaced { list: List { leader: who[0].clone(), members: who[1..].to_vec() } },
        };
        let known = BTreeSet::from(PEOPLE.map(user));
        let asked = AskedChange {
            repository: &"sisyphus".parse().unwrap(),
            subject: &subject,
            change: &change,
            by: &by,
            superuser: by == user("root"),
            known_users: &known,
        };
        if lists.may_change(&asked).is_ok() {
            let before = lists.get(&subject).unwrap().clone();
            lists.apply(&subject, &change);
            let after = lists.get(&subject).unwrap();
            let unique: BTreeSet<&Who> = after.iter().collect();
            prop_assert_eq!(unique.len(), after.iter().count(), "nobody is on it twice");
            prop_assert!(!after.members.contains(&Who::Nobody));
            prop_assert!(*after != before || matches!(change, ListChange::Replaced { .. }), "a change that was made changed something");
        }
    }
}
