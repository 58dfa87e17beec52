//! People and their keys: who is taken, who is refused and why, what sshd is told.

use std::process::Command;

use insta::assert_snapshot;

use crate::world::{World, fixture, mode_of};

fn with_alice() -> World {
    let world = World::new();
    world.add_alice();
    world
}

#[test]
fn a_person_is_added_shown_listed_and_removed() {
    let world = World::new();
    assert_snapshot!(world.windlass(["people", "ls"]).all(), @r"
    ---- stderr, exit code 0
    There is nobody yet.

    hint: windlass people add NAME --address … --openpgp FILE --ssh FILE
    ");
    let (pgp, ssh) = (fixture("alice.asc"), fixture("alice.pub"));
    let words = [
        "people",
        "add",
        "alice",
        "--full-name",
        "Alice A.",
        "--address",
        "alice@example.org",
        "--address",
        "a@example.net",
        "--openpgp",
        &pgp,
        "--ssh",
        &ssh,
        "--role",
        "superuser",
        "--github",
        "alice-a",
    ];
    assert_snapshot!(world.windlass(words).all(), @r"
    ---- stderr, exit code 0
    Added alice: WORLD/home/windlass/people/alice.toml
      address  alice@example.org
      address  a@example.net
      github   alice-a
      role     superuser
      openpgp  04A08501D0569514842CEAAE51957292C1FD1905  alice@example.org
      ssh      SHA256:1WEO1KX0RbYy1gIGjvxjyTZ59FGnxRTOKSiarpxbuYQ  login and signing  alice@laptop
    The ssh door knows it: WORLD/home/windlass/git/.ssh/authorized_keys
    ");
    assert_eq!(mode_of(&world.root("people/alice.toml")), 0o640);
    assert_eq!(mode_of(&world.root("people/.index")), 0o640);
    assert_eq!(mode_of(&world.root("git/.ssh/authorized_keys")), 0o600);
    assert_snapshot!(world.windlass(["people", "show", "alice"]).all(), @r"
    alice (Alice A.)
      address  alice@example.org
      address  a@example.net
      github   alice-a
      role     superuser
      openpgp  04A08501D0569514842CEAAE51957292C1FD1905  alice@example.org
      ssh      SHA256:1WEO1KX0RbYy1gIGjvxjyTZ59FGnxRTOKSiarpxbuYQ  login and signing  alice@laptop
    ---- stderr, exit code 0
    ");
    assert_snapshot!(world.windlass(["people", "ls"]).all(), @r"
    alice  alice@example.org (+1)  1 OpenPGP, 1 login, 1 ssh-sign, superuser
    ---- stderr, exit code 0
    ");
    assert_snapshot!(world.windlass(["people", "show", "alise"]).all(), @r"
    ---- stderr, exit code 1
    windlass: refused: there is nobody called 'alise' [unknown_person]

    hint: did you mean 'alice'? `windlass people ls` names everybody
    ");
    assert_snapshot!(world.windlass(["people", "rm", "alice"]).all(), @r"
    ---- stderr, exit code 0
    Removed alice: WORLD/home/windlass/people/alice.toml
    The ssh door knows it: WORLD/home/windlass/git/.ssh/authorized_keys
    ");
    assert_eq!(
        world.done(["keys", "authorized-keys"]).lines().count(),
        2,
        "the marks alone are left"
    );
}

#[test]
fn nobodys_address_or_key_becomes_anothers() {
    let world = with_alice();
    let add = |words: &[&str]| world.windlass(["people", "add", "bob"].iter().chain(words)).all();
    assert_snapshot!(add(&["--address", "Alice@EXAMPLE.org"]), @r"
    ---- stderr, exit code 1
    windlass: refused: the address 'Alice@EXAMPLE.org' is alice's [address_taken]

    hint: a tagger is found by address: `windlass people show alice`
    ");
    assert_snapshot!(add(&["--address", "bob@example.org", "--openpgp", &fixture("alice.asc")]), @r"
    ---- stderr, exit code 1
    windlass: refused: the key 04A08501D0569514842CEAAE51957292C1FD1905 is alice's [key_taken]

    hint: a key says who signed: `windlass keys ls alice`
    ");
    assert_snapshot!(add(&["--address", "bob@example.org", "--ssh", &fixture("alice.pub"), "--sign"]), @r"
    ---- stderr, exit code 1
    windlass: refused: the key SHA256:1WEO1KX0RbYy1gIGjvxjyTZ59FGnxRTOKSiarpxbuYQ is alice's [key_taken]

    hint: a key says who signed: `windlass keys ls alice`
    ");
    assert_snapshot!(add(&["--address", "bob <bob@example.org>"]), @r"
    ---- stderr, exit code 1
    windlass: refused: 'bob <bob@example.org>' is no mail address [bad_address]

    hint: as in alice@example.org: the address in `git config user.email`, without <>
    ");
    assert_snapshot!(world.windlass(["people", "add", "alice", "--address", "x@example.org"]).all(), @r"
    ---- stderr, exit code 1
    windlass: refused: there is already a person 'alice' [name_taken]

    hint: `windlass people show alice`; `windlass keys add alice …` adds keys
    ");
    assert!(!world.root("people/bob.toml").exists());
}

#[test]
fn a_secret_key_is_refused_whatever_its_form() {
    let world = World::new();
    let home = world.path("gnupg");
    std::fs::create_dir(&home).unwrap();
    crate::world::mode(&home, 0o700);
    let gpg = |words: &[&str]| {
        let output = Command::new("gpg")
            .env("GNUPGHOME", &home)
            .args(["--batch", "--quiet", "--passphrase", ""])
            .args(words)
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    gpg(&["--quick-gen-key", "mallory@example.org", "ed25519", "sign", "never"]);
    std::fs::write(world.path("home/armored"), gpg(&["--armor", "--export-secret-keys"])).unwrap();
    std::fs::write(world.path("home/binary"), gpg(&["--export-secret-keys"])).unwrap();
    let generated = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(world.path("home/ssh"))
        .status();
    assert!(generated.unwrap().success());
    for words in [["--openpgp", "armored"], ["--openpgp", "binary"], ["--ssh", "ssh"]] {
        let refused = world.windlass(
            ["people", "add", "mallory", "--address", "m@example.org"]
                .iter()
                .chain(&words),
        );
        assert_eq!(refused.code, 1, "{words:?}");
        assert!(
            refused
                .stderr
                .contains("holds a secret key, which belongs on nobody's server [secret_key]"),
            "{}",
            refused.stderr
        );
    }
    let _ = Command::new("gpgconf")
        .env("GNUPGHOME", &home)
        .args(["--kill", "all"])
        .status();
}

#[test]
fn keys_are_added_renewed_and_taken_away() {
    let world = World::new();
    let expired = fixture("carol-expired.asc");
    let added = world.windlass([
        "people",
        "add",
        "carol",
        "--address",
        "carol@example.org",
        "--openpgp",
        &expired,
    ]);
    assert_snapshot!(added.all(), @r"
    ---- stderr, exit code 0
    Added carol: WORLD/home/windlass/people/carol.toml
      address  carol@example.org
      openpgp  49547C4D151421133623A504B018384CA463FBF1  carol@example.org
    error: carol's key 49547C4D151421133623A504B018384CA463FBF1 has expired: its certificate ended on 2020-12-31T00:00:00Z [expired_key]
      hint: gpg --quick-set-expire 49547C4D151421133623A504B018384CA463FBF1 1y, then windlass keys add carol FILE
    The ssh door knows it: WORLD/home/windlass/git/.ssh/authorized_keys
    ");
    assert_snapshot!(world.windlass(["keys", "lint"]).all(), @r"
    error: carol's key 49547C4D151421133623A504B018384CA463FBF1 has expired: its certificate ended on 2020-12-31T00:00:00Z [expired_key]
      hint: gpg --quick-set-expire 49547C4D151421133623A504B018384CA463FBF1 1y, then windlass keys add carol FILE
    ---- stderr, exit code 1
    1 error, 0 warnings
    ");
    assert_snapshot!(world.windlass(["keys", "add", "carol", &fixture("carol-renewed.asc"), &fixture("bob.pub")]).all(), @r"
    ---- stderr, exit code 0
    renewed: OpenPGP 49547C4D151421133623A504B018384CA463FBF1
    added: SSH SHA256:y//ezP3zPvAfTM3e2QX0BSi7nQ8M1aVSdCG3cBizoCo, for login and signing
    The ssh door knows it: WORLD/home/windlass/git/.ssh/authorized_keys
    ");
    assert_snapshot!(world.windlass(["keys", "lint"]).all(), @r"
    ---- stderr, exit code 0
    Nothing is amiss.
    ");
    assert_snapshot!(world.windlass(["keys", "ls"]).all(), @r"
    carol  openpgp  49547C4D151421133623A504B018384CA463FBF1  carol@example.org
    carol  ssh      SHA256:y//ezP3zPvAfTM3e2QX0BSi7nQ8M1aVSdCG3cBizoCo  login and signing  bob@laptop
    ---- stderr, exit code 0
    ");
    // An older copy takes nothing back.
    world.done(["keys", "add", "carol", &expired]);
    assert_eq!(world.windlass(["keys", "lint"]).code, 0);
    assert_snapshot!(world.windlass(["keys", "rm", "carol", "SHA256:x"]).all(), @r"
    ---- stderr, exit code 1
    windlass: refused: carol has no key 'SHA256:x' [unknown_key]

    hint: `windlass keys ls carol` lists them
    ");
    assert_snapshot!(world.windlass(["keys", "rm", "carol", "A463FBF1"]).all(), @r"
    ---- stderr, exit code 0
    removed: 49547C4D151421133623A504B018384CA463FBF1
    ");
}

#[test]
fn foreign_lines_in_authorized_keys_stay() {
    let world = with_alice();
    let path = world.root("git/.ssh/authorized_keys");
    let ours = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("# mine\n{ours}# later\n")).unwrap();
    world.done([
        "people",
        "add",
        "bob",
        "--address",
        "bob@example.org",
        "--ssh",
        &fixture("bob.pub"),
        "--login",
    ]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.starts_with("# mine\n# BEGIN windlass") && text.ends_with("# END windlass\n# later\n"),
        "{text}"
    );
    assert_eq!(text.matches(",restrict ssh-ed25519 ").count(), 2);
    let shell = world.path("bin/windlass-shell");
    let line = format!(
        "command=\"{} --config {} bob\",restrict ssh-ed25519 ",
        shell.display(),
        world.root("windlass.toml").display()
    );
    assert!(text.contains(&line), "{text}");
    assert_eq!(
        world.windlass(["keys", "authorized-keys", "--write"]).stderr,
        "nothing to do: WORLD/home/windlass/git/.ssh/authorized_keys\n"
    );
}

#[test]
fn a_file_that_is_no_person_is_told_and_the_others_count() {
    let world = with_alice();
    std::fs::write(world.root("people/bob.toml"), "adresses = []\n").unwrap();
    let listed = world.windlass(["people", "ls"]);
    assert_eq!(listed.code, 0);
    assert!(listed.stdout.starts_with("alice  "), "{}", listed.stdout);
    assert!(
        listed
            .stderr
            .contains("'WORLD/home/windlass/people/bob.toml' is not read"),
        "{}",
        listed.stderr
    );
    assert_eq!(world.windlass(["keys", "lint"]).code, 1);
}
