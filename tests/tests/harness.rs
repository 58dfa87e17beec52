//! The harness by itself: keys, sshd, normalised texts.

use windlass_tests::normal::normalised;
use windlass_tests::people::{ALICE, BOB, CAROL};
use windlass_tests::process::Cmd;
use windlass_tests::sshd::Sshd;
use windlass_tests::{keystore, outcome};

#[test]
fn people_have_keys_and_sshd_lets_them_in() -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("wl-").tempdir()?;
    let keys = dir.path().join("authorized_keys");
    let mut text = String::new();
    for person in [&ALICE, &BOB, &CAROL] {
        let home = keystore::home_of(person, &dir.path().join(person.name))?;
        let public = std::fs::read_to_string(home.ssh_public())?;
        text.extend(["command=\"echo ", person.name, "\",restrict ", &public]);
    }
    std::fs::write(&keys, text)?;
    let sshd = Sshd::start(&dir.path().join("sshd"), &keys, "")?;
    let me = Cmd::new("id").arg("-un").run()?.ok()?.line();
    for person in [&ALICE, &CAROL] {
        let ran = Cmd::new("ssh")
            .args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "IdentitiesOnly=yes",
                "-p",
                &sshd.port.to_string(),
                "-i",
            ])
            .arg(dir.path().join(person.name).join(".ssh/id_ed25519"))
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", sshd.known_hosts.display()))
            .args([&format!("{me}@127.0.0.1"), "whoever"])
            .run()?
            .ok()?;
        assert_eq!(ran.line(), person.name);
    }
    Ok(())
}

#[test]
fn texts_are_made_comparable() {
    let known = [("/tmp/wl-1/srv".to_owned(), "ROOT".to_owned())];
    assert_eq!(
        normalised(
            "in /tmp/wl-1/srv/x at 2026-11-21T10:00:00.123456Z r-12a06897b087b22b62a90d890f8cf341 \
             0123456789012345678901234567890123456789 1.0-alt1 task 7 deadbeef accede",
            &known
        ),
        "in ROOT/x at TIME r-REQUEST OBJECT 1.0-alt1 task 7 deadbeef accede"
    );
}

#[test]
fn codes_are_read_off_a_terminal() -> anyhow::Result<()> {
    let said = "remote: windlass: refused: tag 'x' is not signed [unsigned]        \nremote: hint: git tag -s\n";
    let ran = Cmd::new("sh").args(["-c", "cat >&2; exit 1"]).stdin(said).run()?;
    assert_eq!(outcome::refusals(&ran).into_iter().collect::<Vec<_>>(), ["unsigned"]);
    Ok(())
}
