//! Keys that are no good any more, hashes that never were, clocks that are wrong.

use anyhow::Context as _;
use windlass_tests::gpg::GpgHome;
use windlass_tests::people::{ALICE, BOB, CAROL};
use windlass_tests::{Clone, World};

/// Makes one more key for Alice and has the server know it; gives its fingerprint.
fn another_key(world: &World, clone: &Clone, made: &str, expires: &str) -> anyhow::Result<String> {
    let gpg = clone.gpg()?;
    let key = gpg.make_key(&ALICE.user_id(), "ed25519", made, expires)?;
    known(world, clone, &gpg, &key)?;
    Ok(key)
}

/// Has the server know this key as it is now.
fn known(world: &World, clone: &Clone, gpg: &GpgHome, key: &str) -> anyhow::Result<()> {
    let file = clone.home().dir.join("renewed.asc");
    std::fs::write(&file, gpg.export(key)?)?;
    world
        .windlass(["keys", "add", "alice", "--openpgp"])
        .arg(&file)
        .run()?
        .ok()?;
    Ok(())
}

/// A tag signed by this key with these options for gpg, pushed.
fn push(clone: &Clone, name: &str, key: &str, options: &[&str]) -> anyhow::Result<windlass_tests::Pushed> {
    let payload = clone.draft(name)?.payload();
    let signature = clone.gpg()?.sign(key, &payload, options)?;
    clone.make_tag(&[payload, signature].concat(), name)?;
    clone.push(&["-o", "build", &format!("refs/tags/{name}")])
}

#[test]
fn an_expired_key_signs_nothing_not_even_backdated() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    let key = another_key(&world, &hello, "20200101T000000", "1y")?;
    // Dated into the key's life: as of then it is good, and gpg says so.
    push(&hello, "1.0-alt1", &key, &["--faked-system-time", "20200601T000000!"])?.refused(&["expired_key"])?;
    Ok(())
}

#[test]
fn a_revoked_key_signs_nothing_not_even_backdated() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    let gpg = hello.gpg()?;
    let key = another_key(&world, &hello, "20200101T000000", "never")?;
    push(&hello, "1.0-alt1", &key, &[])?.ok()?;
    // Signed while the key was good, and before that; pushed after.
    let now = hello.draft("1.0-alt2")?.payload();
    let now = [now.clone(), gpg.sign(&key, &now, &[])?].concat();
    let past = hello.draft("1.0-alt3")?.payload();
    let past = [
        past.clone(),
        gpg.sign(&key, &past, &["--faked-system-time", "20210101T000000!"])?,
    ]
    .concat();
    gpg.import(gpg.revocation(&key)?)?;
    known(&world, &hello, &gpg, &key)?;
    for (name, bytes) in [("1.0-alt2", now), ("1.0-alt3", past)] {
        hello.make_tag(&bytes, name)?;
        hello.push(&[&format!("refs/tags/{name}")])?.refused(&["revoked_key"])?;
    }
    Ok(())
}

#[test]
fn a_signature_from_the_future_waits_for_it() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    let key = hello.home().openpgp.clone().context("Alice signs with OpenPGP")?;
    push(&hello, "1.0-alt1", &key, &["--faked-system-time", "20400101T000000!"])?.refused(&["future_signature"])?;
    // A laptop's clock a minute ahead is nobody's fault.
    let ahead = Clock::in_minutes(1)?;
    push(&hello, "1.0-alt2", &key, &["--faked-system-time", &ahead.gpg()])?.ok()?;
    let ahead = Clock::in_minutes(20)?;
    push(&hello, "1.0-alt3", &key, &["--faked-system-time", &ahead.gpg()])?.refused(&["future_signature"])?;
    Ok(())
}

#[test]
fn sha1_is_no_hash() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&BOB, "hello")?;
    let key = hello.home().openpgp.clone().context("Bob signs with OpenPGP")?;
    push(&hello, "1.0-alt1", &key, &["--digest-algo", "SHA1"])?.refused(&["weak_hash"])?;
    push(&hello, "1.0-alt2", &key, &["--digest-algo", "SHA512"])?.ok()?;
    Ok(())
}

#[test]
fn a_signature_that_was_made_to_end_has_ended() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    let key = hello.home().openpgp.clone().context("Alice signs with OpenPGP")?;
    let options = ["--faked-system-time", "20210101T000000!", "--default-sig-expire", "1m"];
    push(&hello, "1.0-alt1", &key, &options)?.refused(&["expired_signature"])?;
    Ok(())
}

#[test]
fn an_ssh_signature_counts_for_git_alone() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&CAROL, "hello")?;
    let payload = hello.draft("1.0-alt1")?.payload();
    let signature = hello.ssh_signature(&payload, "file")?;
    hello.make_tag(&[payload, signature].concat(), "1.0-alt1")?;
    hello.push(&["refs/tags/1.0-alt1"])?.refused(&["wrong_namespace"])?;
    hello.tag("1.0-alt2")?;
    hello.push(&["refs/tags/1.0-alt2"])?.ok()?;
    Ok(())
}

/// A moment as gpg takes it.
struct Clock(u64);

impl Clock {
    fn in_minutes(minutes: u64) -> anyhow::Result<Self> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        Ok(Self(now.as_secs() + 60 * minutes))
    }

    /// Seconds since 1970; without '!' the clock goes on from there.
    fn gpg(&self) -> String {
        self.0.to_string()
    }
}
