//! Access: who judges, who approves, whose lists.

use super::*;

#[test]
fn each_subtask_of_a_shared_task_is_judged_by_who_added_it() {
    let mut town = Town::new();
    town.does("root", "acl sisyphus tool replace dave");
    town.does("alice", "task new");
    town.does("alice", "task share");
    town.does("alice", "task add repo hello 1.0-alt1");
    town.does("bob", "task add 1 repo tool 1.0-alt1");
    let task = town.task(1);
    let allowed = |package: &str, subtask: usize| {
        let package = package.parse().unwrap();
        ruling(
            &town.world,
            &town.facts,
            task,
            &task.subtasks[subtask],
            &package,
            Touch::Build,
        )
        .is_allowed()
    };
    assert!(allowed("hello", 0), "alice leads hello");
    assert!(allowed("hello", 1), "bob is on its list too");
    assert!(!allowed("tool", 0) && !allowed("tool", 1), "dave alone may touch tool");
}

#[test]
fn an_approval_that_suffices_lets_it_go_on_without_a_rebuild() {
    let mut town = Town::new();
    town.does("carol", "build hello 1.0-alt1");
    town.builds(1, eperm(&[(1, "hello")]));
    assert_eq!(town.state(1), StateName::Eperm);
    town.does("dave", "task approve 1 1 -m 'looks good'");
    assert_eq!(town.state(1), StateName::Eperm, "dave has no rights");
    town.does("bob", "task disapprove 1 1 -m 'not yet'");
    town.does("alice", "task approve 1 all -m 'agreed'");
    assert_eq!(town.state(1), StateName::Eperm, "somebody with rights is against it");
    let answer = town.says("bob", "task disapprove 1 all --revoke");
    assert_eq!(
        answer.out,
        "task 1: subtask 1 disapproval taken back\ntask 1 is pending\n"
    );
    assert_eq!(town.state(1), StateName::Pending);
    town.lands(1);
    assert_eq!(town.refuses("alice", "task approve 1 all -m 'late'"), "landed");
}

#[test]
fn every_package_denied_has_to_be_allowed() {
    let mut town = Town::new();
    town.does("root", "acl sisyphus tool replace dave");
    town.does("carol", "build hello 1.0-alt1 tool 1.0-alt1");
    town.builds(1, eperm(&[(1, "hello"), (2, "tool")]));
    town.does("alice", "task approve 1 all -m 'mine is fine'");
    assert_eq!(town.state(1), StateName::Eperm);
    town.does("dave", "task approve 1 2 -m 'mine too'");
    assert_eq!(town.state(1), StateName::Pending);
}

#[test]
fn an_approval_does_not_hold_for_a_changed_task() {
    let mut town = Town::new();
    town.does("carol", "build hello 1.0-alt1");
    town.builds(1, eperm(&[(1, "hello")]));
    let digest = town.task(1).digest();
    town.does("carol", "task add 1 repo tool 1.0-alt1");
    assert_eq!(
        town.refuses(
            "alice",
            &format!("task approve 1 all -m ok --digest {}", digest.short())
        ),
        "changed"
    );
    town.does(
        "alice",
        &format!("task approve 1 1 -m ok --digest {}", town.task(1).digest().short()),
    );
    town.does("carol", "task delsub 1 2");
    town.does("carol", "task run 1");
    town.builds(1, eperm(&[(1, "hello")]));
    assert_eq!(town.state(1), StateName::Eperm);
    assert!(!town.says("carol", "task show 1").out.contains("approved"));
}

#[test]
fn required_groups_have_to_approve_too() {
    let mut town = Town::new();
    let sisyphus = "sisyphus".parse().unwrap();
    let groups = ["maint", "tester"].map(|group| group.parse().unwrap());
    town.facts.repositories.get_mut(&sisyphus).unwrap().required_approvals = groups.to_vec();
    town.does("alice", "build hello 1.0-alt1");
    town.builds(1, eperm(&[(1, "hello")]));
    town.does("tom", "task approve 1 1 -m tested");
    assert_eq!(town.state(1), StateName::Eperm);
    assert!(
        town.says("alice", "task why 1")
            .out
            .contains("needs approvals of @maint")
    );
    town.does("maria", "task approve 1 1 -m fine");
    assert_eq!(town.state(1), StateName::Pending);
}

#[test]
fn lists_are_changed_by_their_leaders_and_shown() {
    let mut town = Town::new();
    assert_eq!(
        town.says("alice", "acl sisyphus hello show").out,
        "hello in sisyphus: alice bob\n"
    );
    assert_eq!(
        town.says("alice", "acl sisyphus hello add carol @maint").out,
        "hello in sisyphus: alice bob carol @maint\n"
    );
    assert_eq!(town.refuses("bob", "acl sisyphus hello add dave"), "not_leader");
    assert_eq!(
        town.says("bob", "acl sisyphus hello del bob").out,
        "hello in sisyphus: alice carol @maint\n"
    );
    assert_eq!(
        town.says("alice", "acl sisyphus hello leader @nobody").out,
        "hello in sisyphus: @nobody alice carol @maint\n  an orphan: whoever builds it leads it\n"
    );
    assert_eq!(
        town.says("dave", "acl sisyphus new show").out,
        "new in sisyphus: no list; whoever lands it first leads it\n"
    );
    assert_eq!(
        town.says("dave", "acl p11 new show").out,
        "new in p11: no list; packages without one are closed here\n"
    );
    assert_eq!(town.refuses("dave", "acl nowhere new show"), "unknown_repository");
    let json: serde_json::Value =
        serde_json::from_str(&town.says("dave", "acl sisyphus @tester show --json").out).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "repository": "sisyphus", "subject": "@tester", "listed": true, "leader": "tom", "members": ["maria"],
            "open_to_new": false
        })
    );
}

#[test]
fn a_dry_change_of_a_list_says_whom_it_concerns() {
    let mut town = Town::new();
    let answer = town.says("alice", "acl sisyphus hello add carol dave --dry-run");
    assert_eq!(answer.out, "alice put carol, dave on the list of hello in sisyphus\n");
    assert_eq!(
        town.says("alice", "acl sisyphus hello show").out,
        "hello in sisyphus: alice bob\n"
    );
}
