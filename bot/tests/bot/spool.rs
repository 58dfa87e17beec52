//! The spool: what waited is taken once, and nothing that lies there hurts.

use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use windlass_hooks::spool::Spool;
use windlass_hooks::wire::{Request, random_request_id};

use crate::world::{World, names, request, request_of};

fn spool(world: &World, request: &Request) {
    Spool::new(world.path("spool")).write(request).unwrap();
}

#[test]
fn what_waited_is_taken_up_at_start_once() {
    let world = World::new();
    let waiting: Vec<Request> = (0..5).map(|_| request(&["task", "new"])).collect();
    for request in &waiting {
        spool(&world, request);
    }
    let mut bot = world.start();
    for _ in &waiting {
        bot.log_line("was taken from the spool");
    }
    assert_eq!(names(&world.path("spool")), Vec::<String>::new());
    // The hook that could not know sends again, to the socket and to the spool.
    let again = world.send(&waiting[0]);
    assert_eq!(again.exit, Some(0));
    spool(&world, &waiting[1]);
    bot.log_line("was taken from the spool");
    bot.kill();
    assert_eq!(world.count("task.created"), waiting.len());
    assert_eq!(world.count("answered"), waiting.len());
}

#[test]
fn a_bot_killed_while_it_takes_them_up_takes_each_once() {
    let world = World::new();
    let waiting: Vec<Request> = (0..60).map(|_| request(&["task", "new"])).collect();
    for request in &waiting {
        spool(&world, request);
    }
    for taken in [1, 7, 20] {
        let mut bot = world.start_unchecked();
        for _ in 0..taken {
            bot.log_line("was taken from the spool");
        }
        bot.kill();
    }
    let left = names(&world.path("spool")).len();
    let mut bot = world.start();
    for _ in 0..left {
        bot.log_line("was taken from the spool");
    }
    bot.kill();
    assert_eq!(world.count("task.created"), waiting.len());
    world.verify();
}

#[test]
fn a_refusal_is_on_record_for_whoever_asks_later() {
    let world = World::new();
    let refused = request(&["build", "hello", "1.0-alt1"]);
    let nobody = request_of("zed", random_request_id().unwrap(), &["build", "hello", "1.0-alt1"]);
    let nonsense = request(&["biuld", "hello"]);
    for request in [&refused, &nobody, &nonsense] {
        spool(&world, request);
    }
    let mut bot = world.start();
    for _ in 0..3 {
        bot.log_line("was taken from the spool");
    }
    let reply = world.send(&refused);
    assert!(
        reply.exit == Some(1) && reply.err.contains("[unknown_source]"),
        "{reply:?}"
    );
    drop(bot);
    assert_eq!(world.count("answered"), 3);
    assert_eq!(world.count("task.created"), 0);
}

#[test]
fn nothing_hostile_hurts_or_blocks() {
    let world = World::new();
    let directory = world.path("spool");
    let name = || directory.join(format!("{}.json", random_request_id().unwrap()));
    std::fs::write(name(), vec![b'x'; 3 << 20]).unwrap();
    std::fs::write(name(), b"{").unwrap();
    std::fs::write(name(), b"").unwrap();
    std::fs::write(name(), request(&["task", "new"]).to_line().unwrap()).unwrap();
    std::fs::write(directory.join("no request.txt"), b"hello").unwrap();
    std::fs::write(directory.join("\u{202e}evil\n.json"), b"hello").unwrap();
    symlink("/etc/passwd", name()).unwrap();
    symlink("/nonexistent", name()).unwrap();
    std::fs::create_dir(name()).unwrap();
    mknodat(CWD, name(), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    // A second name for a good file of the right owner.
    let outside = world.path("good.json");
    let good = request(&["task", "new"]);
    std::fs::write(&outside, good.to_line().unwrap()).unwrap();
    std::fs::hard_link(&outside, directory.join(format!("{}.json", good.id))).unwrap();
    // A huge sparse file, and a writer at work.
    std::fs::File::create(name()).unwrap().set_len(1 << 40).unwrap();
    std::fs::write(directory.join(".tmp-r-0-1"), b"{").unwrap();
    let hostile = names(&directory).len() - 1;
    let taken = request(&["task", "new"]);
    spool(&world, &taken);

    let mut bot = world.start();
    let line = bot.log_line(&format!("request {} of alice was taken", taken.id));
    assert!(!line.contains('\u{202e}'));
    // Another one after all of them: the look at the hostile ones is over.
    let last = request(&["task", "new"]);
    spool(&world, &last);
    bot.log_line(&format!("request {} of alice was taken", last.id));
    assert_eq!(names(&directory), [".tmp-r-0-1"]);
    assert_eq!(names(&world.path("state/rejected")).len(), hostile);
    assert_eq!(bot.stop(), Some(0));
    assert_eq!(world.count("task.created"), 2);
    assert!(outside.exists());
}
