//! Killed at any moment, nothing answered is lost and nothing happens twice.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Instant;

use windlass_core::id::RequestId;
use windlass_hooks::wire::{Request, random_request_id};

use crate::world::{Reply, World, request, request_of};

const CLIENTS: usize = 6;
const ROUNDS: usize = 20;

/// A number below `most`, another one each time.
fn chance(most: usize) -> usize {
    usize::try_from(RandomState::new().hash_one(0) % u64::try_from(most).unwrap()).unwrap()
}

#[test]
fn a_bot_killed_at_any_moment_loses_nothing_and_does_nothing_twice() {
    let world = World::new();
    let answered: Mutex<BTreeMap<RequestId, Reply>> = Mutex::default();
    let sent: Mutex<Vec<Request>> = Mutex::default();
    for _ in 0..ROUNDS {
        let bot = world.start();
        // Killed after so many answers, while other requests are on their way.
        let until = 1 + chance(40);
        let answers = AtomicUsize::new(0);
        let bot = Mutex::new(Some(bot));
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    loop {
                        let request = request(&["task", "new"]);
                        sent.lock().unwrap().push(request.clone());
                        let reply = world.send(&request);
                        if reply.accepted.is_none() {
                            return;
                        }
                        assert!(reply.task.is_some());
                        answered.lock().unwrap().insert(request.id.clone(), reply);
                        if answers.fetch_add(1, Ordering::SeqCst) + 1 == until
                            && let Some(bot) = bot.lock().unwrap().take()
                        {
                            bot.kill();
                        }
                    }
                });
            }
        });
    }
    let bot = world.start();
    let answered = answered.into_inner().unwrap();
    let sent = sent.into_inner().unwrap();
    assert!(answered.len() >= ROUNDS, "too little happened: {}", answered.len());
    let mut tasks = BTreeSet::new();
    for request in &sent {
        // The same request again: what was answered is answered again, what was not is done now, once.
        let again = world.send(request);
        assert_eq!(again.exit, Some(0), "{again:?}");
        if let Some(before) = answered.get(&request.id) {
            // The first answer may have been cut off after it was accepted.
            assert_eq!(before.task, again.task);
        }
        assert!(
            tasks.insert(again.task.unwrap()),
            "two requests have one task: {again:?}"
        );
        assert_eq!(world.send(request), again);
    }
    assert_eq!(tasks.len(), sent.len());
    assert_eq!(
        tasks.last().unwrap().get(),
        u64::try_from(sent.len()).unwrap(),
        "a task came of nothing"
    );
    assert_eq!(bot.stop(), Some(0));
    assert_eq!(world.count("task.created"), sent.len());
    assert_eq!(world.count("answered"), sent.len());
    world.verify();
}

#[test]
fn a_batch_is_recorded_whole_or_not_at_all() {
    let world = World::new();
    let packages: Vec<String> = (0..200).map(|number| format!("package{number}")).collect();
    let mut words = vec!["task", "add", "1", "del"];
    words.extend(packages.iter().map(String::as_str));
    let bot = world.start();
    assert_eq!(world.ask(&["task", "new"]).task.unwrap().get(), 1);
    bot.kill();
    let mut done = false;
    for _ in 0..10 {
        let bot = world.start();
        let mut stream = world.connect().unwrap();
        stream.write_all(&request(&words).to_line().unwrap()).unwrap();
        // Killed somewhere between the reading of the line and the answer.
        for _ in 0..chance(2000) {
            std::hint::spin_loop();
        }
        bot.kill();
        let bot = world.start();
        let added = world.count("task.subtask-added");
        assert!(
            added == 0 || added == packages.len(),
            "{added} of {} were added",
            packages.len()
        );
        bot.kill();
        if added > 0 {
            done = true;
            break;
        }
    }
    if !done {
        let _bot = world.start();
        assert_eq!(world.ask(&words).exit, Some(0));
    }
    assert_eq!(world.count("task.subtask-added"), packages.len());
    world.verify();
}

#[test]
fn two_hundred_clients_at_once_lose_nothing_and_wait_little() {
    const MANY: usize = 200;
    let world = World::new();
    let bot = world.start();
    let together = Barrier::new(MANY);
    let replies: Vec<(Reply, std::time::Duration)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..MANY)
            .map(|_| {
                scope.spawn(|| {
                    let request = request(&["task", "new"]);
                    together.wait();
                    let start = Instant::now();
                    (world.send(&request), start.elapsed())
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let tasks: BTreeSet<u64> = replies
        .iter()
        .map(|(reply, _)| reply.task.expect("each has a task").get())
        .collect();
    assert_eq!(tasks, (1..=u64::try_from(MANY).unwrap()).collect());
    assert!(replies.iter().all(|(reply, _)| reply.exit == Some(0)));
    assert_eq!(bot.stop(), Some(0));
    assert_eq!(world.count("task.created"), MANY);
    world.verify();
}

#[test]
fn an_answer_is_repeated_to_the_same_request_alone() {
    let world = World::new();
    let bot = world.start();
    let id = random_request_id().unwrap();
    let first = world.send(&request_of("alice", id.clone(), &["task", "new"]));
    assert_eq!(first.exit, Some(0));
    bot.kill();
    let _bot = world.start();
    assert_eq!(world.send(&request_of("alice", id.clone(), &["task", "new"])), first);
    for other in [
        request_of("bob", id.clone(), &["task", "new"]),
        request_of("alice", id, &["task", "new", "main"]),
    ] {
        let reply = world.send(&other);
        assert_eq!((reply.exit, reply.accepted), (Some(1), None));
        assert!(reply.err.contains("[request_reused]"), "{}", reply.err);
    }
    assert_eq!(world.count("task.created"), 1);
}

#[test]
fn a_start_from_a_kept_snapshot_knows_all_that_a_start_from_the_beginning_knows() {
    let world = World::new();
    let bot = world.start();
    let packages: Vec<String> = (0..300).map(|number| format!("package{number}")).collect();
    for id in ["1", "2"] {
        assert_eq!(world.ask(&["task", "new"]).exit, Some(0));
        let mut words = vec!["task", "add", id, "del"];
        words.extend(packages.iter().map(String::as_str));
        assert_eq!(world.ask(&words).exit, Some(0));
    }
    let repeated = request(&["task", "new"]);
    let first = world.send(&repeated);
    let ask = |words: &[&str]| {
        let reply = world.ask(words);
        assert_eq!(reply.exit, Some(0), "{reply:?}");
        reply.out
    };
    let log = ask(&["task", "log", "1"]);
    assert_eq!(bot.stop(), Some(0));
    let journal = rusqlite::Connection::open(world.path("state/journal.sqlite")).unwrap();
    let snapshots = |journal: &rusqlite::Connection| {
        let count = journal.query_row("SELECT count(*) FROM snapshot", [], |row| row.get::<_, i64>(0));
        count.unwrap()
    };
    assert_eq!(snapshots(&journal), 1);
    drop(journal);

    let bot = world.start();
    assert_eq!(world.ask(&["task", "add", "1", "del", "one-more"]).exit, Some(0));
    let longer = ask(&["task", "log", "1"]);
    assert!(longer.starts_with(&log) && longer.lines().count() == log.lines().count() + 1);
    assert_eq!(world.send(&repeated), first);
    let third = format!("task {} ", first.task.unwrap());
    assert!(ask(&["task", "show", repeated.id.as_str()]).starts_with(&third));
    let list = ask(&["task", "ls", "--json"]);
    bot.kill();
    world.verify();

    // A snapshot that was tampered with is found out, or not used.
    let journal = rusqlite::Connection::open(world.path("state/journal.sqlite")).unwrap();
    journal
        .execute_batch("UPDATE snapshot SET hash = zeroblob(32)")
        .unwrap();
    drop(journal);
    let mut bot = world.start_unchecked();
    bot.log_line("not of this journal");
    bot.log_line("serving at");
    assert_eq!(ask(&["task", "log", "1"]), longer);
    bot.kill();

    // Thrown away, it is made again from the rows.
    assert!(
        world
            .command(&["journal", "rebuild"])
            .output()
            .unwrap()
            .status
            .success()
    );
    let _bot = world.start();
    assert_eq!(ask(&["task", "log", "1"]), longer);
    assert_eq!(ask(&["task", "ls", "--json"]), list);
    world.verify();
}
