//! Three Unix users, as on a real server: what git's user leaves in the spool is taken, whatever it is.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use crate::world::{Bot, World, names, request};

/// Ids that belong to nobody on any system: a bot whose group is git's, and git.
const BOT: u32 = 64_711;
const GIT: u32 = 64_712;

/// The world, its directories owned as `init` would.
fn owned() -> World {
    let world = World::new();
    let text = std::fs::read_to_string(world.path("windlass.toml")).unwrap();
    let lines = text.lines().map(|line| match line.split(' ').next() {
        Some("git") => format!("git = '{GIT}'\n"),
        Some("bot") => format!("bot = '{BOT}'\n"),
        _ => format!("{line}\n"),
    });
    std::fs::write(world.path("windlass.toml"), lines.collect::<String>()).unwrap();
    for (name, user, mode) in [
        ("", 0, 0o755),
        ("people", BOT, 0o750),
        ("people/alice.toml", BOT, 0o640),
        ("people/bob.toml", BOT, 0o640),
        ("git", GIT, 0o750),
        ("spool", BOT, 0o1730),
        ("run", BOT, 0o750),
        ("state", BOT, 0o700),
    ] {
        chown(world.path(name), Some(user), Some(GIT)).unwrap();
        std::fs::set_permissions(world.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    // The program, where everybody may read it.
    std::fs::copy(env!("CARGO_BIN_EXE_windlass"), world.path("windlass")).unwrap();
    world
}

/// Does something as git's user.
fn as_git(world: &World, program: &str, arguments: &[&str]) -> std::process::Output {
    let mut command = std::process::Command::new(program);
    command.args(arguments).current_dir(world.path("")).stdin(Stdio::null());
    command.uid(GIT).gid(GIT).output().unwrap()
}

#[test]
fn what_gits_user_leaves_is_taken_or_put_out_of_the_way() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can play other users");
        return;
    }
    let world = owned();
    let mut command = std::process::Command::new(world.path("windlass"));
    command.arg("--config").arg(world.path("windlass.toml")).arg("serve");
    let mut bot = Bot::spawn(command.uid(BOT).gid(GIT));
    bot.log_line("serving at");
    let socket = std::fs::metadata(world.path("run/bot.sock")).unwrap();
    assert_eq!((socket.uid(), socket.gid(), socket.mode() & 0o777), (BOT, GIT, 0o660));

    assert!(
        !as_git(&world, "ls", &["spool"]).status.success(),
        "git may put in and not look"
    );
    let line = String::from_utf8(request(&["task", "new"]).to_line().unwrap()).unwrap();
    let id = line.split('"').find(|word| word.starts_with("r-")).unwrap().to_owned();
    // A directory of git's own can be renamed where it is, and not moved.
    let hostile = format!(
        "mkdir spool/r-{}.json && printf '%s' '{line}' > spool/.tmp-x && mv spool/.tmp-x spool/{id}.json",
        "0".repeat(32)
    );
    let done = as_git(&world, "sh", &["-c", &hostile]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    bot.log_line(&format!("request {id} of alice was taken"));
    assert_eq!(names(&world.path("spool")), [format!("r-{}.json.bad", "0".repeat(32))]);

    let config = world.path("windlass.toml").display().to_string();
    let program = world.path("windlass").display().to_string();
    let asked = as_git(&world, &program, &["--config", &config, "task", "--as", "bob", "new"]);
    assert_eq!(String::from_utf8(asked.stdout).unwrap(), "2\n");
    assert_eq!(bot.stop(), Some(0));
    world.verify();
}
