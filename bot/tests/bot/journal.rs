//! `windlass journal`: what happened is shown, and what was done to it behind the bot's back is found.

use crate::world::World;

/// Exit code and stdout of `windlass journal …`.
fn journal(world: &World, words: &[&str]) -> (Option<i32>, String) {
    let mut all = vec!["journal"];
    all.extend(words);
    let output = world.command(&all).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn what_happened_is_shown_by_task_and_time_while_the_bot_runs() {
    let world = World::new();
    assert_eq!(journal(&world, &["show"]).0, Some(3));
    let _bot = world.start();
    for words in [
        &["task", "new"][..],
        &["task", "new"],
        &["task", "add", "2", "del", "old"],
    ] {
        assert_eq!(world.ask(words).exit, Some(0));
    }
    let (code, all) = journal(&world, &["show"]);
    assert_eq!((code, all.lines().count()), (Some(0), 6));
    assert!(all.contains("task 2: alice added subtask 1: remove old"), "{all}");
    let (_, second) = journal(&world, &["show", "--task", "2", "--json"]);
    let kinds: Vec<String> = second
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(kinds, ["task.created", "answered", "task.subtask-added", "answered"]);
    assert_eq!(journal(&world, &["show", "--since", "2999-01-01T00:00:00Z"]).1, "");
    let (_, whole) = journal(&world, &["verify"]);
    let head = whole.trim_end().rsplit(' ').next().unwrap();
    assert!(whole.starts_with("whole: 6 rows, head 6:"), "{whole}");
    assert_eq!(world.ask(&["task", "new"]).exit, Some(0));
    assert_eq!(journal(&world, &["verify", "--head", head]).0, Some(0));
}

#[test]
fn a_changed_row_and_a_cut_off_end_are_found() {
    let world = World::new();
    let bot = world.start();
    for _ in 0..3 {
        assert_eq!(world.ask(&["task", "new"]).exit, Some(0));
    }
    assert_eq!(bot.stop(), Some(0));
    let (_, whole) = journal(&world, &["verify"]);
    let head = whole.trim_end().rsplit(' ').next().unwrap();
    let database = rusqlite::Connection::open(world.path("state/journal.sqlite")).unwrap();
    let forbidding = database.prepare("SELECT sql FROM sqlite_schema WHERE name LIKE 'journal_no_%'");
    let mut forbidding = forbidding.unwrap();
    let triggers: Vec<String> = forbidding
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    drop(forbidding);
    let tamper = |sql: &str| {
        let drop = "DROP TRIGGER journal_no_update; DROP TRIGGER journal_no_delete; PRAGMA foreign_keys = OFF;";
        database
            .execute_batch(&format!("{drop} {sql}; {}", triggers.join(";")))
            .unwrap();
    };
    tamper("DELETE FROM journal WHERE seq > 4");
    // Nothing but a head that is known from elsewhere can tell.
    assert_eq!(journal(&world, &["verify"]).0, Some(0));
    let (code, found) = journal(&world, &["verify", "--json", "--head", head]);
    assert_eq!(code, Some(1));
    assert!(found.contains("\"finding\": \"head\""), "{found}");
    tamper("UPDATE journal SET body = replace(body, 'alice', 'mallory') WHERE seq = 2");
    let (code, found) = journal(&world, &["verify"]);
    assert_eq!(code, Some(1));
    assert!(found.starts_with("NOT whole: 4 rows"), "{found}");
    // The bot does not start on events that it cannot read, and says where.
    tamper("UPDATE journal SET body = '{}' WHERE seq = 1");
    let (code, log) = world.start_unchecked().ended();
    assert_eq!(code, Some(1));
    assert!(
        log.contains("damaged at row 1") && log.contains("hint: windlass journal verify"),
        "{log}"
    );
}
