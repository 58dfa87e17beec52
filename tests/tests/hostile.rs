//! Names, options and commands that an attacker would try. Each push goes over ssh; nothing is run, nothing is left.

use std::os::unix::ffi::OsStrExt as _;

use windlass_tests::World;
use windlass_tests::people::{ALICE, BOB};

/// The bytes of a name as one argument.
fn bytes(name: &[u8]) -> &std::ffi::OsStr {
    std::ffi::OsStr::from_bytes(name)
}

#[test]
fn reference_names() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    let tag = hello.tag("1.0-alt1")?;
    let names: [(&[u8], &str); 8] = [
        (b"refs/tags/-x", "bad_name"),
        (b"refs/tags/--upload-pack=touch-1", "bad_name"),
        (b"refs/tags/$(id)-1", "bad_name"),
        (b"refs/tags/1.0-\xff\xfe", "bad_name"),
        ("refs/tags/1.0-\u{202e}1tla".as_bytes(), "bad_name"),
        (b"refs/tags/refs/tags/1.0-alt1", "bad_name"),
        (b"refs/notes/commits", "forbidden_ref"),
        (b"refs/windlass/x", "forbidden_ref"),
    ];
    let mut wrong = Vec::new();
    for (name, code) in names {
        let refspec = [tag.as_bytes(), b":", name].concat();
        let ran = hello
            .git(["push", "-o", "build", "origin"])
            .arg(bytes(&refspec))
            .run()?;
        let said = ran.err();
        let shown = String::from_utf8_lossy(name).into_owned();
        if let Err(error) = refused_with(hello.pushed(ran), code) {
            wrong.push(format!("{shown}: {error:#}"));
        }
        if said.contains('\u{202e}')
            && said
                .lines()
                .any(|line| line.starts_with("remote: ") && line.contains('\u{202e}'))
        {
            wrong.push(format!("{shown} reaches the terminal unescaped"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let listed = hello.git(["ls-remote", "origin"]).run()?.ok()?.out();
    assert!(
        listed
            .lines()
            .all(|line| line.ends_with("HEAD") || line.ends_with("refs/heads/main")),
        "{listed}"
    );
    Ok(())
}

/// Refused, with this code among others: a bad name is usually another one than the tag's as well.
fn refused_with(pushed: windlass_tests::Pushed, code: &str) -> anyhow::Result<()> {
    let ran = pushed.read();
    anyhow::ensure!(ran.code() != 0, "it passed: {ran}");
    anyhow::ensure!(
        windlass_tests::outcome::refusals(&ran).contains(code),
        "not refused with {code}: {ran}"
    );
    Ok(())
}

#[test]
fn push_options() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    hello.tag("1.0-alt1")?;
    for option in [
        "ci.skip",
        "build=$(touch x)",
        "build=main;id",
        "build=--help",
        "task=1 --user=bob",
        "BUILD",
        "",
    ] {
        hello
            .push(&["-o", option, "refs/tags/1.0-alt1"])?
            .refused(&["bad_push_option"])?;
    }
    // A well-formed name of a repository that is not there: the tag is in, the build is not.
    let ran = hello.push(&["-o", "build=nowhere", "refs/tags/1.0-alt1"])?.read();
    assert!(ran.err().contains("nowhere"), "{ran}");
    assert!(world.tasks()?.is_empty());
    Ok(())
}

#[test]
fn ssh_commands() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    let outside = world.dir().join("outside.git");
    hello.git(["init", "--quiet", "--bare"]).arg(&outside).run()?.ok()?;
    let witness = world.dir().join("witness");
    let touch = format!("touch {}", witness.display());
    let upload = format!("git-upload-pack '{}'", outside.display());
    let commands = [
        "id",
        "sh -c id",
        "bash",
        &touch,
        "git-upload-pack '../../../outside.git'",
        "git-upload-pack 'people/alice/packages/../../../../../outside.git'",
        &upload,
        "git-upload-pack --help",
        "git-upload-pack '--upload-pack=touch x' hello",
        "git-receive-pack 'hello.git' ; touch x",
        "git-receive-pack hello --exec=id",
        "git upload-pack -- hello extra",
        "git-shell",
        "git daemon",
        "git-upload-archive --exec=id hello",
        "task ls; id",
        "task ls | id",
        "task ls && id",
        "task show $(id)",
        "task show `id`",
        "task ls > x",
        "task ls \n id",
        "task --config=/etc/passwd ls",
        "build ../../../etc passwd",
        "build -b --help hello 1.0-alt1",
        "init-repo ../x",
        "init-repo -x",
        "init-repo .git",
        "init-repo a/b",
        "windlass-hook pre-receive",
        "'unclosed",
        "task show \u{1b}[31m7",
    ];
    let mut wrong = Vec::new();
    for command in commands {
        let ran = world.ssh(&BOB, &[command])?.read();
        if ran.code() == 0 {
            wrong.push(format!("{command:?} was run: {ran}"));
        }
        if ran.code() > 3 {
            wrong.push(format!("{command:?} ended strangely: {ran}"));
        }
        if ran.err().contains("uid=") || ran.out().contains("uid=") {
            wrong.push(format!("{command:?} reached a shell: {ran}"));
        }
        if ran.err().contains('\u{1b}') {
            wrong.push(format!("{command:?} puts control characters on the terminal: {ran}"));
        }
    }
    // No command at all is a greeting or a refusal, never a shell.
    let ran = world.ssh(&BOB, &[])?.read();
    if ran.out().contains("uid=") || ran.code() > 3 {
        wrong.push(format!("without a command: {ran}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(!witness.exists());
    let log = std::fs::read_to_string(world.git_root().join(".windlass/ssh.log"))?;
    assert!(log.lines().count() >= commands.len(), "every command is on record");
    Ok(())
}

#[test]
fn repositories_are_their_owners() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    let bobs = world.clone_of(&BOB, &hello.source)?;
    bobs.commit("note", "from Bob\n")?;
    bobs.push(&["main"])?.refused(&["may_not_push"])?;
    world.ssh(&ALICE, &["pushers", "hello", "add", "bob"])?.ok()?;
    bobs.push(&["main"])?.ok()?;
    world.ssh(&ALICE, &["pushers", "hello", "del", "bob"])?.ok()?;
    bobs.commit("note", "once more\n")?;
    bobs.push(&["main"])?.refused(&["may_not_push"])?;
    world.ssh(&ALICE, &["init-repo", "hello"])?.read();
    Ok(())
}
