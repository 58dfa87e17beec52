//! The real clients: dnf and zypper install from every generation with all signatures checked, rpm and gpg agree.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::there;
use crate::world::{Bot, Ran, World, ended, files};

fn missing(programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| !there(program)).collect();
    if missing.is_empty() {
        return false;
    }
    assert!(std::env::var_os("CI").is_none(), "CI has to have {missing:?}");
    eprintln!("SKIPPED: missing {}", missing.join(", "));
    true
}

/// A command as root, in a user namespace where one is not.
fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", program]);
    command
}

/// An empty root in which a client is told of the repository.
fn root(world: &World, name: &str, below: &str, config: &str) -> PathBuf {
    let root = world.path(name);
    std::fs::create_dir_all(root.join(below)).unwrap();
    std::fs::write(root.join(below).join("windlass-main.repo"), config).unwrap();
    root
}

fn dnf(root: &Path, arch: &str, words: &[&str]) -> Ran {
    let mut command = as_root("dnf");
    command
        .env("HOME", root)
        .args(["-y", "--releasever=1", "--setopt=keepcache=0"]);
    command
        .arg(format!("--installroot={}", root.display()))
        .arg(format!("--forcearch={arch}"));
    ended(&command.args(words).output().unwrap())
}

fn zypper(root: &Path, words: &[&str]) -> Ran {
    let mut command = as_root("zypper");
    command
        .env("HOME", root)
        .args(["--non-interactive", "--gpg-auto-import-keys", "--root"]);
    ended(&command.arg(root).args(words).output().unwrap())
}

fn installed(root: &Path) -> Vec<String> {
    let mut command = as_root("rpm");
    // Where rpm keeps its database may hang on it.
    command
        .env("HOME", root)
        .arg("--root")
        .arg(root)
        .args(["-qa", "--qf", "%{name}-%{version}\n"]);
    let ran = ended(&command.output().unwrap());
    let names = ran.out.lines().filter(|line| !line.starts_with("gpg-pubkey"));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names
}

/// Six generations, the last two signed with another key; each with what a client gets when it asks for all three packages.
fn generations(world: &World) -> [(u64, &'static [&'static str]); 4] {
    world.done(&["repo", "import", &world.tree("two")]);
    world.done(&["repo", "rollback", "2"]);
    world.done(&["repo", "key", "rotate"]);
    [
        (2, &["bread-1.0", "cheese-1.0"]),
        (3, &["bread-1.0", "cheese-1.1", "wine-1.0"]),
        (4, &["bread-1.0", "cheese-1.0"]),
        (5, &["bread-1.0", "cheese-1.0"]),
    ]
}

/// The configuration with the daemon's own address, which is another one at each start.
fn config(world: &World, bot: &Bot, words: &[&str]) -> String {
    let url = bot.url("/repos/main");
    let path = world.path("windlass.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let told = world.path("told.toml");
    std::fs::write(&told, format!("{text}\nurl = '{url}'\n")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_windlass"))
        .arg("--config")
        .arg(&told)
        .args(["repo", "client-config"])
        .args(words)
        .output();
    let ran = ended(&output.unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("\ngpgcheck=1\nrepo_gpgcheck=1\n"), "{}", ran.out);
    ran.out
}

#[test]
fn dnf_installs_from_every_generation() {
    if missing(&["dnf", "rpm"]) {
        return;
    }
    let Some(world) = World::filled("") else { return };
    let all = generations(&world);
    let bot = world.start();
    for (number, expected) in all {
        let plain = config(&world, &bot, &["--plain"]);
        let pinned = plain.replace("/current/", &format!("/generations/{number}/"));
        let root = root(&world, &format!("dnf-{number}"), "etc/yum.repos.d", &pinned);
        let ran = dnf(
            &root,
            "x86_64",
            &["install", "--skip-broken", "bread", "cheese", "wine"],
        );
        assert_eq!(ran.code, Some(0), "{number}: {}{}", ran.out, ran.err);
        assert_eq!(installed(&root), expected, "{number}: {}", ran.out);
    }
    // Through the mirrorlist: the newest, for both architectures; dnf calls i586 i386.
    for arch in ["x86_64", "i686"] {
        let listed = config(&world, &bot, &[]);
        let root = root(&world, &format!("dnf-{arch}"), "etc/yum.repos.d", &listed);
        let ran = dnf(&root, arch, &["install", "bread", "cheese"]);
        assert_eq!(ran.code, Some(0), "{arch}: {}{}", ran.out, ran.err);
        assert_eq!(installed(&root), ["bread-1.0", "cheese-1.0"]);
    }
    assert_eq!(bot.stop(), Some(0));
}

#[test]
fn zypper_installs_from_every_generation() {
    if missing(&["zypper", "rpm"]) {
        return;
    }
    let Some(world) = World::filled("") else { return };
    let all = generations(&world);
    let bot = world.start();
    for (number, expected) in all {
        let plain = config(&world, &bot, &["--plain", "--zypper"]);
        let pinned = plain.replace("/current/", &format!("/generations/{number}/"));
        let root = root(&world, &format!("zypper-{number}"), "etc/zypp/repos.d", &pinned);
        let names: Vec<&str> = expected.iter().map(|name| name.split('-').next().unwrap()).collect();
        let ran = zypper(&root, &[&["install", "--no-recommends"], names.as_slice()].concat());
        assert_eq!(ran.code, Some(0), "{number}: {}{}", ran.out, ran.err);
        assert_eq!(installed(&root), expected, "{number}: {}", ran.out);
    }
    let listed = config(&world, &bot, &["--zypper"]);
    let root = root(&world, "zypper-list", "etc/zypp/repos.d", &listed);
    let ran = zypper(&root, &["install", "bread", "cheese"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert_eq!(installed(&root), ["bread-1.0", "cheese-1.0"]);
}

#[test]
fn clients_refuse_what_somebody_else_signed() {
    if missing(&["dnf", "rpm"]) {
        return;
    }
    let Some(world) = World::filled("") else { return };
    let Some(other) = World::filled("") else { return };
    let bot = world.start();
    let theirs = config(&world, &bot, &[]);
    // The same repository, announced with somebody else's key.
    let key = world.path("other.asc");
    std::fs::copy(other.repo("key.asc"), &key).unwrap();
    let line = |line: &str| match line.strip_prefix("gpgkey=") {
        Some(_) => format!("gpgkey=file://{}\n", key.display()),
        None => format!("{line}\n"),
    };
    let mixed: String = theirs.lines().map(line).collect();
    let root = root(&world, "mixed", "etc/yum.repos.d", &mixed);
    let ran = dnf(&root, "x86_64", &["install", "bread"]);
    assert_ne!(ran.code, Some(0), "{}", ran.out);
    assert_eq!(installed(&root), Vec::<String>::new());
}

#[test]
fn rpm_and_gpg_find_all_signatures_good() {
    if missing(&["rpmkeys", "gpg"]) {
        return;
    }
    let Some(world) = World::filled("") else { return };
    generations(&world);
    let key = world.repo("key.asc");
    let (database, home) = (world.path("rpmdb"), world.path("gnupg"));
    for directory in [&database, &home] {
        std::fs::create_dir(directory).unwrap();
        std::fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }
    let rpmkeys = |words: &[&str], files: &[PathBuf]| {
        let mut command = Command::new("rpmkeys");
        command.arg("--dbpath").arg(&database).args(words).args(files);
        ended(&command.output().unwrap())
    };
    let imported = rpmkeys(&["--import"], std::slice::from_ref(&key));
    assert_eq!(imported.code, Some(0), "{}", imported.err);
    let packages: Vec<PathBuf> = files(&world.repo("packages"));
    assert!(packages.len() > 15, "{packages:?}");
    let checked = rpmkeys(&["--checksig"], &packages);
    assert_eq!(checked.code, Some(0), "{}", checked.out);
    assert!(
        checked
            .out
            .lines()
            .all(|line| line.ends_with(": digests signatures OK")),
        "{}",
        checked.out
    );

    let gpg = |words: &[&str], files: &[&Path]| {
        let mut command = Command::new("gpg");
        command
            .env("GNUPGHOME", &home)
            .args(["--batch", "--quiet"])
            .args(words)
            .args(files);
        ended(&command.output().unwrap())
    };
    let imported = gpg(&["--import"], &[&key]);
    assert_eq!(imported.code, Some(0), "{}", imported.err);
    let signatures = files(&world.repo("generations"));
    let signatures = signatures
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "asc"));
    let mut count = 0;
    for signature in signatures {
        let verified = gpg(&["--verify"], &[signature, &signature.with_extension("")]);
        assert_eq!(verified.code, Some(0), "{}: {}", signature.display(), verified.err);
        count += 1;
    }
    assert_eq!(count, 5 * 4);
}
