//! Forged tags, each pushed for real and refused with its own code.
//!
//! `git verify-tag` takes most of them. Where git's own checks of pushed objects would refuse first, they are off here: the hook must hold
//! by itself.

use anyhow::Context as _;
use windlass_tests::people::{ALICE, BOB, CAROL, MALLORY};
use windlass_tests::{Clone, World};

/// The bytes of a good tag, signed.
fn good(clone: &Clone, name: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = clone.draft(name)?.payload();
    bytes.extend(clone.signature(&bytes.clone(), &[])?);
    Ok(bytes)
}

/// Pushes these bytes as a tag; it has to be refused with these codes, one or more words.
fn refused(clone: &Clone, name: &str, bytes: &[u8], codes: &str) -> anyhow::Result<()> {
    clone.make_tag(bytes, name)?;
    let reference = format!("refs/tags/{name}");
    let codes: Vec<&str> = codes.split(' ').collect();
    clone.push(&["-o", "build", &reference])?.refused(&codes)?;
    Ok(())
}

/// Runs every case and names all that went wrong, not only the first.
fn all(cases: Vec<(&str, anyhow::Result<()>)>) -> anyhow::Result<()> {
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|(case, result)| result.err().map(|error| format!("{case}: {error:#}")))
        .collect();
    anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    Ok(())
}

#[test]
fn structure_that_git_verify_tag_takes() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    world.without_fsck(&hello)?;
    let draft = |name: &str| hello.draft(name);
    let tagger = format!("{} 1700000000 +0000", ALICE.user_id());
    let signed = |draft: &windlass_tests::tag::TagDraft| -> anyhow::Result<Vec<u8>> {
        let payload = draft.payload();
        let signature = hello.signature(&payload, &[])?;
        Ok([payload, signature].concat())
    };
    let good_one = good(&hello, "1.0-alt1")?;
    let text = String::from_utf8(good_one.clone())?;
    let signature_at = text.find("-----BEGIN").context("it is signed")?;
    let blob = hello.write(b"x", "blob")?;
    let tree = hello.resolve("HEAD^{tree}")?;
    let inner = hello.tag("inner")?;

    all(vec![
        (
            "no signature",
            refused(&hello, "1.0-a1", &draft("1.0-a1")?.payload(), "unsigned"),
        ),
        ("a lightweight tag", {
            hello.git(["tag", "1.0-a2"]).run()?.ok()?;
            hello
                .push(&["-o", "build", "refs/tags/1.0-a2"])?
                .refused(&["unsigned"])
                .map(drop)
        }),
        (
            "two taggers",
            refused(
                &hello,
                "1.0-a3",
                &signed(&draft("1.0-a3")?.and(&format!("tagger {tagger}")))?,
                "duplicate_header",
            ),
        ),
        (
            "two objects",
            refused(
                &hello,
                "1.0-a4",
                &signed(&draft("1.0-a4")?.and(&format!("object {blob}")))?,
                "duplicate_header",
            ),
        ),
        (
            "one header more",
            refused(
                &hello,
                "1.0-a5",
                &signed(&draft("1.0-a5")?.and("encoding latin1"))?,
                "extra_header",
            ),
        ),
        (
            "a signature of the other hash",
            refused(
                &hello,
                "1.0-a6",
                &signed(&draft("1.0-a6")?.and("gpgsig-sha256 -----OTHER-----"))?,
                "extra_header",
            ),
        ),
        (
            "no tagger",
            refused(
                &hello,
                "1.0-a7",
                &signed(&draft("1.0-a7")?.without("tagger"))?,
                "missing_header",
            ),
        ),
        ("text after the signature", {
            let bytes = [good(&hello, "1.0-a8")?, b"Approved by everybody.\n".to_vec()].concat();
            refused(&hello, "1.0-a8", &bytes, "trailing_bytes")
        }),
        ("two signatures", {
            let bytes = good(&hello, "1.0-a9")?;
            let second = hello.signature(&bytes, &[])?;
            refused(
                &hello,
                "1.0-a9",
                &[bytes, second].concat(),
                "many_signatures trailing_bytes",
            )
        }),
        ("another tag", {
            let bytes = signed(&draft("1.0-b1")?.with("object", &inner).with("type", "tag"))?;
            refused(&hello, "1.0-b1", &bytes, "nested_tag")
        }),
        ("a blob", {
            let bytes = signed(&draft("1.0-b2")?.with("object", &blob).with("type", "blob"))?;
            refused(&hello, "1.0-b2", &bytes, "not_a_commit")
        }),
        ("a tree", {
            let bytes = signed(&draft("1.0-b3")?.with("object", &tree).with("type", "tree"))?;
            refused(&hello, "1.0-b3", &bytes, "not_a_commit")
        }),
        (
            "a byte that ends strings",
            refused(
                &hello,
                "1.0-b4",
                &signed(&draft("1.0-b4")?.saying(b"1.0-b4\0 or not\n"))?,
                "nul_byte",
            ),
        ),
        ("another name than the reference's", {
            let bytes = signed(&draft("9.9-alt9")?)?;
            refused(&hello, "1.0-b5", &bytes, "name_mismatch")
        }),
        ("a message changed after signing", {
            let bytes = good(&hello, "1.0-b6")?;
            let changed = String::from_utf8(bytes)?.replace("\n\n1.0-b6\n", "\n\n1.0-b6!\n");
            refused(&hello, "1.0-b6", changed.as_bytes(), "bad_signature")
        }),
        ("line ends changed under a text signature", {
            let payload = draft("1.0-b7")?.payload();
            let signature = hello.signature(&payload, &["--textmode"])?;
            refused(&hello, "1.0-b7", &[payload, signature].concat(), "text_signature")
        }),
        ("a torn armor", {
            let armor = "-----BEGIN PGP SIGNATURE-----\n\nbm90IGEgc2lnbmF0dXJl\n-----END PGP SIGNATURE-----\n";
            let bytes = [draft("1.0-b8")?.payload(), armor.as_bytes().to_vec()].concat();
            refused(&hello, "1.0-b8", &bytes, "bad_armor")
        }),
        ("a signature of X.509", {
            let armor = text[signature_at..].replace("PGP SIGNATURE", "SIGNED MESSAGE");
            let bytes = [draft("1.0-b9")?.payload(), armor.into_bytes()].concat();
            refused(&hello, "1.0-b9", &bytes, "unsupported_signature")
        }),
        ("a demand that the server does not know", {
            let bytes = signed(&draft("1.0-c1")?.saying("1.0-c1\n\n[windlass !until=friday]\n"))?;
            refused(&hello, "1.0-c1", &bytes, "unknown_keyword")
        }),
        ("a tag for another repository", {
            let bytes = signed(&draft("1.0-c2")?.saying("1.0-c2\n\n[windlass repo=other]\n"))?;
            refused(&hello, "1.0-c2", &bytes, "bad_binding")
        }),
    ])?;
    assert!(world.tasks()?.is_empty(), "nothing refused became a task");
    Ok(())
}

#[test]
fn somebody_elses() -> anyhow::Result<()> {
    let mut world = World::new()?;
    world.invite(&MALLORY)?;
    let hello = world.repository(&ALICE, "hello")?;
    world.ssh(&ALICE, &["pushers", "hello", "add", "bob"])?.ok()?;
    let bobs = world.clone_of(&BOB, &hello.source)?;
    let mallory = windlass_tests::gpg::GpgHome::at(world.home(&MALLORY)?.gnupg())?;
    let mallorys_key = world
        .home(&MALLORY)?
        .openpgp
        .clone()
        .context("Mallory signs with OpenPGP")?;
    let bobs_tagger = format!("{} 1700000000 +0000", BOB.user_id());

    all(vec![
        ("a key that nobody knows", {
            let payload = hello.draft("1.0-a1")?.payload();
            let signature = mallory.sign(&mallorys_key, &payload, &[])?;
            refused(&hello, "1.0-a1", &[payload, signature].concat(), "unknown_key")
        }),
        ("Bob's name under Alice's signature", {
            let payload = hello.draft("1.0-a2")?.with("tagger", &bobs_tagger).payload();
            let signature = hello.signature(&payload, &[])?;
            refused(&hello, "1.0-a2", &[payload, signature].concat(), "tagger_mismatch")
        }),
        ("Bob's tag, pushed by Alice", {
            bobs.commit("note", "from Bob\n")?;
            let bytes = good(&bobs, "1.0-a3")?;
            let commit = bobs.head()?;
            hello
                .git(["fetch", "--quiet"])
                .arg(&bobs.dir)
                .arg(&commit)
                .run()?
                .ok()?;
            refused(&hello, "1.0-a3", &bytes, "not_yours")
        }),
    ])?;
    // Named by the owner, Bob pushes what he signed himself.
    bobs.tag("1.0-a4")?;
    bobs.push(&["refs/tags/1.0-a4"])?.ok()?;
    // Carol was not named.
    world
        .ssh(&CAROL, &["pushers", "alice/hello", "add", "carol"])?
        .refused(&["not_owner"])?;
    Ok(())
}

#[test]
fn a_tag_stays_what_and_where_it_is() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    let other = world.repository(&ALICE, "other")?;
    let first = hello.tag("1.0-alt1")?;
    hello.push(&["-o", "build", "refs/tags/1.0-alt1"])?.ok()?;

    // Not deleted, not moved, by whatever force.
    hello.push(&[":refs/tags/1.0-alt1"])?.refused(&["tag_deleted"])?;
    hello.commit("note", "more\n")?;
    hello.git(["tag", "-f", "-s", "-m", "moved", "1.0-alt1"]).run()?.ok()?;
    hello
        .push(&["--force", "refs/tags/1.0-alt1"])?
        .refused(&["tag_moved"])?;

    // Not accepted again in another repository: not as the same object …
    other
        .git(["fetch", "--quiet"])
        .arg(&hello.dir)
        .arg(&first)
        .run()?
        .ok()?;
    other.git(["update-ref", "refs/tags/1.0-alt1", &first]).run()?.ok()?;
    other.push(&["refs/tags/1.0-alt1"])?.refused(&["replayed"])?;
    // … nor as another object with the same signed bytes.
    let bytes = other.git(["cat-file", "tag", &first]).run()?.ok()?.stdout;
    let text = String::from_utf8(bytes)?.replace("SIGNATURE-----\n\n", "SIGNATURE-----\nComment: mine\n\n");
    let disguised = other.make_tag(text.as_bytes(), "1.0-alt1")?;
    assert_ne!(disguised, first);
    other.push(&["refs/tags/1.0-alt1"])?.refused(&["replayed"])?;

    // Nor after an administrator has removed it from where it was.
    world
        .git_in(&hello, ["update-ref", "-d", "refs/tags/1.0-alt1"])
        .run()?
        .ok()?;
    hello.git(["update-ref", "refs/tags/1.0-alt1", &first]).run()?.ok()?;
    hello
        .push(&["-o", "build", "refs/tags/1.0-alt1"])?
        .refused(&["replayed"])?;
    assert_eq!(world.tasks()?.len(), 1);
    Ok(())
}

#[test]
fn replaced_objects_deceive_git_and_not_the_hook() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    let signed = hello.tag("1.0-alt1")?;
    let unsigned = hello.make_tag(&hello.draft("1.0-alt2")?.payload(), "1.0-alt2")?;
    // To git here the unsigned tag is the signed one.
    hello.git(["replace", "-f", &unsigned, &signed]).run()?.ok()?;
    hello.git(["verify-tag", &unsigned]).run()?.ok()?;

    let replacement = format!("refs/replace/{unsigned}");
    let push = hello.push(&[&replacement])?.read();
    assert_ne!(push.code(), 0, "replacements are not taken: {push}");

    // One that is on the server all the same, by whatever way, changes nothing.
    hello.push(&["refs/tags/1.0-alt1"])?.ok()?;
    hello.git(["replace", "-d", &unsigned]).run()?.ok()?;
    world
        .git_in(&hello, ["update-ref", &replacement, &signed])
        .run()?
        .ok()?;
    hello
        .push(&["-o", "build", "refs/tags/1.0-alt2"])?
        .refused(&["unsigned"])?;
    Ok(())
}
