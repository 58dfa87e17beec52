//! Backups of a running bot, and what comes back of them.

use std::path::Path;
use std::process::Output;

use rstest::rstest;
use windlass_hooks::spool::Spool;

use crate::world::{World, names, request};

fn run(world: &World, words: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = world.command(words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A server with two tasks, a claim and a request that waits; its backup is made while the bot runs.
fn backed_up(world: &World) -> String {
    let bot = world.start();
    assert_eq!(world.ask(&["task", "new"]).exit, Some(0));
    assert_eq!(world.ask(&["task", "new"]).exit, Some(0));
    std::fs::create_dir_all(world.path("git/.windlass/claims/open")).unwrap();
    std::fs::write(world.path("git/.windlass/claims/0123-AB"), "{}\n").unwrap();
    // Not taken while the bot stands still.
    rustix::process::kill_process(bot.pid(), rustix::process::Signal::STOP).unwrap();
    Spool::new(world.path("spool"))
        .write(&request(&["task", "new"]))
        .unwrap();
    let backup = world.path("backup").display().to_string();
    let (code, out, err) = run(world, &["backup", &backup]);
    assert_eq!((code, out), (Some(0), format!("{backup}\n")), "{err}");
    assert!(err.contains("proven whole; the journal's head is "), "{err}");
    backup
}

#[test]
fn a_backup_of_a_running_bot_comes_back_whole() {
    let world = World::new();
    let backup = backed_up(&world);
    let (code, _, err) = run(&world, &["backup", &backup]);
    assert!(code == Some(3) && err.contains("not empty"), "{err}");

    let other = World::empty();
    let (code, out, _) = run(&other, &["restore", "--dry-run", &backup]);
    assert_eq!(code, Some(0));
    assert!(
        out.contains("copy  ") && names(&other.path("people")).is_empty(),
        "{out}"
    );
    let (code, _, err) = run(&other, &["restore", &backup]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(names(&other.path("people")), ["alice.toml", "bob.toml"]);
    assert_eq!(names(&other.path("git/.windlass/claims")), ["0123-AB", "open"]);
    let mut bot = other.start();
    bot.log_line("was taken from the spool");
    let shown = other.ask(&["task", "ls"]).out;
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert_eq!(bot.stop(), Some(0));
    other.verify();
}

#[test]
fn what_is_there_is_moved_aside_and_only_when_told() {
    let world = World::new();
    let backup = backed_up(&world);
    let bot = world.start();
    let (code, _, err) = run(&world, &["restore", "--force", &backup]);
    assert!(code == Some(3) && err.contains("another bot"), "{err}");
    assert_eq!(bot.stop(), Some(0));
    let other = World::new();
    let bot = other.start();
    assert_eq!(other.ask(&["task", "new"]).exit, Some(0));
    bot.kill();
    let (code, _, err) = run(&other, &["restore", &backup]);
    assert!(code == Some(3) && err.contains("--force"), "{err}");
    assert_eq!(other.count("task.created"), 1);
    let (code, _, err) = run(&other, &["restore", "--force", &backup]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(other.count("task.created"), 2);
    let aside = names(&other.path("state"))
        .into_iter()
        .filter(|name| name.contains(".before-"))
        .count();
    assert!(aside >= 1);
    assert!(
        names(&other.path(""))
            .iter()
            .any(|name| name.starts_with("people.before-"))
    );
    other.verify();
}

fn journal_row(backup: &Path) {
    let connection = rusqlite::Connection::open(backup.join("journal.sqlite")).unwrap();
    connection
        .execute_batch("DROP TRIGGER journal_no_update; UPDATE journal SET body = '{}' WHERE seq = 1;")
        .unwrap();
}

#[rstest]
#[case::missing(|backup: &Path| std::fs::remove_file(backup.join("people/bob.toml")).unwrap(), "bob.toml is missing")]
#[case::changed(|backup: &Path| std::fs::write(backup.join("people/bob.toml"), "roles = ['superuser']\n").unwrap(), "bob.toml has changed")]
#[case::added(|backup: &Path| std::fs::write(backup.join("people/eve.toml"), "").unwrap(), "eve.toml is not in the manifest")]
#[case::journal(journal_row, "journal.sqlite has changed")]
#[case::link(|backup: &Path| std::os::unix::fs::symlink("/etc/passwd", backup.join("people/eve.toml")).unwrap(), "no plain file")]
#[case::manifest(|backup: &Path| std::fs::remove_file(backup.join("manifest.json")).unwrap(), "is no backup")]
fn a_backup_that_is_not_whole_is_not_restored(#[case] harm: fn(&Path), #[case] told: &str) {
    let world = World::new();
    let backup = backed_up(&world);
    harm(Path::new(&backup));
    let other = World::empty();
    let (code, _, err) = run(&other, &["restore", &backup]);
    assert_ne!(code, Some(0));
    assert!(err.contains(told), "{err}");
    assert_eq!(names(&other.path("people")), Vec::<String>::new());
    assert_eq!(names(&other.path("state")), Vec::<String>::new());
}
