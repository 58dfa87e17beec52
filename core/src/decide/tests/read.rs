//! What is shown, listed, explained, logged.

use super::*;

#[test]
fn a_log_is_told_from_events_and_followed_to_the_end() {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    let reply = town.does("alice", "task log --follow").reply;
    assert_eq!(
        reply.render().out,
        "2026-11-21 10:04:00  alice made it, for sisyphus\n\
         2026-11-21 10:04:00  alice added subtask 1: build people/alice/packages/hello.git 1.0-alt1\n\
         2026-11-21 10:04:00  alice asked for try 1: to land\n"
    );
    assert_eq!(
        reply.wait,
        Some(Wait::Log {
            task: task_id(1),
            after: 3
        })
    );
    let failure = Failure {
        stage: Stage::Build,
        subtask: Some(SubtaskNumber(1)),
        arch: Some("x86_64".parse().unwrap()),
        fault: Fault::Package,
        message: "hello.c does not compile".to_owned(),
        log: "logs/1/build.x86_64.log".to_owned(),
        code: None,
        hint: None,
    };
    town.builds(1, Outcome::Failed(failure));
    let (view, seen) = log_after(&town.world, task_id(1), 3, LogFilter::default());
    assert_eq!((view.lines.len(), seen), (2, 5));
    let text = "try 1 failed: build on x86_64, subtask 1: hello.c does not compile (the package's fault; log: logs/1/build.x86_64.log)";
    assert_eq!(view.lines[1].text, text);
    let only = town.says("alice", "task log 1 --stage build --arch x86_64").out;
    assert_eq!(only, format!("2026-11-21 10:05:00  {text}\n"));
    assert_eq!(town.says("alice", "task log 1 --stage build --arch aarch64").out, "");
    assert!(has_ended(town.task(1)));
}

#[test]
fn whose_fault_it_was_stands_below_what_takes_several_lines() {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    let failure = Failure {
        stage: Stage::Build,
        subtask: Some(SubtaskNumber(1)),
        arch: Some("x86_64".parse().unwrap()),
        fault: Fault::Package,
        message: "%build failed:\n+ gcc -c hello.c\nhello.c: No such file".to_owned(),
        log: "1/1.1/1/x86_64/log".to_owned(),
        code: None,
        hint: None,
    };
    town.builds(1, Outcome::Failed(failure));
    let shown = town.says("alice", "task why 1").out;
    assert!(
        shown.contains("hello.c: No such file\n  (the package's fault; log: 1/1.1/1/x86_64/log)\n"),
        "{shown}"
    );
}

#[test]
fn tasks_are_listed_by_state_person_and_repository() {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    town.does("bob", "task new p11");
    town.does("bob", "task new");
    town.does("bob", "task rm 3");
    assert_eq!(
        town.says("alice", "task ls").out,
        "TASK  STATE     SINCE (UTC)       OWNER  REPOSITORY  WHAT\n\
         2     new       2026-11-21 10:05  bob    p11\n\
         1     awaiting  2026-11-21 10:04  alice  sisyphus    hello=1.0-alt1\n"
    );
    assert!(
        town.says("alice", "task ls --state=removed,done")
            .out
            .contains("3     removed")
    );
    assert!(!town.says("alice", "task ls --user=alice").out.contains("p11"));
    assert!(!town.says("alice", "task ls --repository=p11").out.contains("alice"));
    let none = town.says("alice", "task ls --state=failed");
    assert_eq!((none.out.as_str(), none.err.as_str()), ("", "no tasks\n"));
    assert_eq!(town.says("alice", "task ls --state=failed --json").out, "[]\n");
}

#[test]
fn a_task_is_found_by_the_request_that_made_it() {
    let mut town = Town::new();
    let decision = town.does("alice", "build hello 1.0-alt1");
    let request = "r-0123456789abcdef";
    let rendered = decision.reply.render();
    town.record(&[Event::Answered(crate::event::Answered {
        request: request.parse().unwrap(),
        user: "alice".parse().unwrap(),
        words: vec!["build".into()],
        task: decision.reply.task,
        out: rendered.out,
        err: rendered.err,
        exit: rendered.exit,
    })]);
    assert_eq!(
        town.does("bob", &format!("task show {request}")).reply.task,
        Some(task_id(1))
    );
}

#[test]
fn every_state_is_explained_with_a_next_step() {
    let mut town = Town::new();
    let lines = |town: &mut Town| town.says("alice", "task why 1").out;
    town.does("alice", "task new");
    assert!(lines(&mut town).contains("it has no subtasks yet\nwaits for: alice\nnext: task add 1 repo SOURCE TAG\n"));
    town.does("alice", "task add repo hello 1.0-alt1");
    assert!(lines(&mut town).contains("nobody has run it yet\nwaits for: alice\nnext: task run 1\n"));
    town.does("alice", "task run");
    assert!(lines(&mut town).contains("it waits for its turn\n"));
    let base = crate::id::Generation(3);
    town.happens(
        1,
        TaskEvent::BuildStarted {
            try_number: 1,
            iteration: 1,
            base,
        },
    );
    town.happens(
        1,
        TaskEvent::StageStarted {
            try_number: 1,
            stage: Stage::Build,
            arch: Some("x86_64".parse().unwrap()),
        },
    );
    assert!(lines(&mut town).contains("its stages run on generation 3 (iteration 1), at build on x86_64\n"));
    town.happens(
        1,
        TaskEvent::RunEnded {
            try_number: 1,
            outcome: eperm(&[(1, "other")]),
            not_before: None,
        },
    );
    town.does("root", "acl sisyphus other replace dave @maint");
    assert_eq!(
        lines(&mut town),
        "task 1 is eperm since 2026-11-21 10:10 (2 min)\n\
         \x20 all other checks passed\n\
         \x20 alice may not touch other (subtask 1): it needs an approval of somebody who may\n\
         waits for: @maint, dave\n\
         next: acl sisyphus other show\n\
         next: task approve 1 1 -m 'REASON' (by one of those it waits for)\n\
         next: task show 1\n"
    );
    town.does("root", "acl sisyphus other add alice");
    assert!(lines(&mut town).contains("the access lists allow it by now: run it again\n"));
    town.does("alice", "task run 1");
    town.builds(1, Outcome::Passed);
    assert!(lines(&mut town).contains("all checks passed; it waits for its commit\n"));
    town.lands(1);
    assert!(lines(&mut town).contains("it has landed: it made generation 8 of sisyphus\n"));
}

#[test]
fn json_says_what_the_text_says() {
    let mut town = Town::new();
    town.does("carol", "build hello 1.0-alt1");
    town.builds(1, eperm(&[(1, "hello")]));
    town.does("dave", "task approve 1 1 -m 'fine'");
    let json =
        |town: &mut Town, line: &str| serde_json::from_str::<serde_json::Value>(&town.says("carol", line).out).unwrap();
    let show = json(&mut town, "task show 1 --json");
    assert_eq!(show["state"], "eperm");
    assert_eq!(show["phase"], "ret");
    assert_eq!(show["subtasks"][0]["action"], "build");
    assert_eq!(show["subtasks"][0]["tag"], "1.0-alt1");
    assert_eq!(show["subtasks"][0]["votes"][0]["by"], "dave");
    assert_eq!(show["result"]["stage"], "check-acl");
    assert_eq!(show["result"]["fault"], "policy");
    assert_eq!(show["result"]["subtask"], 1);
    assert_eq!(show["run"]["try"], 1);
    assert_eq!(
        json(&mut town, "task why 1 --json")["waits_on"],
        serde_json::json!(["alice", "bob"])
    );
    assert_eq!(json(&mut town, "task new --json"), serde_json::json!({"task": 2}));
    let refused = json(&mut town, "task run 2 --json");
    assert_eq!(refused["refused"]["code"], "empty_task");
}

/// The names in each JSON form: programs hold on to them. One may be added, none goes.
#[test]
fn json_forms_keep_their_names() {
    let mut town = Town::new();
    town.does("carol", "build hello 1.0-alt1");
    town.builds(1, eperm(&[(1, "hello")]));
    town.does("dave", "task approve 1 1 -m fine");
    town.does("carol", "task new");
    town.does("carol", "task deps 2 add 1");
    let mut names = |line: &str, path: &str| {
        let value: serde_json::Value = serde_json::from_str(&town.says("carol", line).out).unwrap();
        let object = value.pointer(path).and_then(serde_json::Value::as_object);
        let mut names: Vec<String> = object
            .unwrap_or_else(|| panic!("{line}: {value}"))
            .keys()
            .cloned()
            .collect();
        names.sort();
        names.join(" ")
    };
    for (line, path, expected) in [
        (
            "task show 1 --json",
            "",
            "because created deps digest jobs owner phase progress repository result run shared since state subtasks task",
        ),
        ("task show 1 --json", "/run", "at by mode on_failure try"),
        (
            "task show 1 --json",
            "/result",
            "arch denied fault generation log message outcome stage subtask",
        ),
        ("task show 1 --json", "/result/denied/0", "package subtask touch"),
        (
            "task show 1 --json",
            "/subtasks/0",
            "action at by commit number object package signer source tag votes",
        ),
        ("task show 1 --json", "/subtasks/0/votes/0", "at by kind reason"),
        ("task show 2 --json", "/deps/0", "state task"),
        ("task deps 2 show --json", "", "deps task"),
        (
            "task ls --json",
            "/0",
            "owner phase repository shared since state subtasks task",
        ),
        (
            "task why 1 --json",
            "",
            "because for_seconds next phase since state task waits_for waits_on",
        ),
        ("task log 1 --json", "", "lines task"),
        ("task log 1 --json", "/lines/0", "at text"),
        ("task log 1 --stage check-acl --json", "/lines/0", "at stage text"),
        ("task share 2 --json", "", "done task"),
        ("task new --dry-run --json", "", "would"),
        ("task new --json", "", "task"),
        (
            "acl sisyphus hello show --json",
            "",
            "leader listed members open_to_new repository subject",
        ),
        ("task run 2 --json", "/refused", "code hint message"),
    ] {
        assert_eq!(names(line, path), expected, "{line} {path}");
    }
}
