//! Objects where a push puts them: in quarantine, in packs, behind quoted paths, in packs made to harm.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use rstest::rstest;
use windlass_core::id::ObjectId;
use windlass_hooks::objects::{ObjectKind, RawStore, StoreError};

use crate::world::{SIGNED, World, codes, run};

const NONE: [&str; 0] = [];

fn alice() -> World {
    let world = World::new();
    world.key("alice", "ed25519", &[]);
    world.enrol("alice");
    world
}

/// A real push, stopped in a real `pre-receive`; small ones arrive as loose objects, larger ones as a pack.
#[rstest]
#[case::loose("100")]
#[case::packed("1")]
fn a_tag_in_quarantine_is_judged(#[case] unpack_limit: &str) {
    let world = alice();
    let good = world.store(&world.signed(SIGNED, &[]));
    let client = world.repository();
    world.git(&["update-ref", "refs/tags/1.0-alt1", good.as_str()], b"");

    // A path with a colon and a quote in it, which git quotes.
    let server = world.dir.path().join("ser:v\"er.git");
    run(Command::new("git").args(["init", "-q", "--bare"]).arg(&server), b"");
    run(
        Command::new("git")
            .arg("-C")
            .arg(&server)
            .args(["config", "receive.unpackLimit", unpack_limit]),
        b"",
    );
    let (told, goes) = (world.dir.path().join("told"), world.dir.path().join("goes"));
    for pipe in [&told, &goes] {
        run(Command::new("mkfifo").arg(pipe), b"");
    }
    let hook = server.join("hooks/pre-receive");
    let script = format!(
        "#!/bin/sh\nenv -0 > '{}'\nread go < '{}'\n",
        told.display(),
        goes.display()
    );
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();

    let mut push = Command::new("git")
        .arg("-C")
        .arg(&client)
        .args(["push", "-q"])
        .arg(&server)
        .arg("refs/tags/1.0-alt1")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let environment: HashMap<String, OsString> = BufReader::new(std::fs::File::open(&told).unwrap())
        .split(0)
        .map(|entry| String::from_utf8(entry.unwrap()).unwrap())
        .filter_map(|entry| {
            entry
                .split_once('=')
                .map(|(name, value)| (name.to_owned(), value.into()))
        })
        .collect();
    let quarantined = environment["GIT_OBJECT_DIRECTORY"].to_str().unwrap();
    assert!(quarantined.contains("tmp_objdir-incoming"), "{quarantined}");

    // A repository opener does not see it: that is why this reader is there.
    assert!(matches!(RawStore::at(&server).unwrap().header(&good), Ok(None)));
    let store = RawStore::from_variables(|name| environment.get(name).cloned()).unwrap();
    let judgement = world.judge_in(&store, &world.keyring(), &good, "refs/tags/1.0-alt1");
    std::fs::File::options()
        .write(true)
        .open(&goes)
        .unwrap()
        .write_all(b"go\n")
        .unwrap();
    assert!(push.wait().unwrap().success());
    assert_eq!(codes(&judgement), NONE);
}

#[test]
fn objects_behind_alternates_are_found() {
    let world = alice();
    let object = world.store(&world.signed(SIGNED, &[]));
    let empty = world.dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let objects = world.repository().join("objects");
    let quoted = format!("/nowhere:\"{}\":\"/no \\\"where\"", objects.display());
    for alternates in [objects.to_str().unwrap(), quoted.as_str()] {
        let store = RawStore::from_variables(|name| match name {
            "GIT_OBJECT_DIRECTORY" => Some(empty.clone().into()),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES" => Some(alternates.into()),
            _ => None,
        });
        assert_eq!(store.unwrap().header(&object).unwrap().unwrap().kind, ObjectKind::Tag);
    }
}

#[rstest]
#[case("\"unclosed")]
#[case("\"a\"b")]
fn badly_quoted_alternates_stop(#[case] alternates: &str) {
    let store = RawStore::from_variables(|name| match name {
        "GIT_DIR" => Some("/".into()),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES" => Some(alternates.into()),
        _ => None,
    });
    assert!(matches!(store, Err(StoreError::BadQuoting(_))));
}

#[test]
fn a_limit_holds_before_reading() {
    let world = World::new();
    let object = world.store(&world.plain());
    let store = RawStore::at(&world.repository()).unwrap();
    let size = store.header(&object).unwrap().unwrap().size;
    assert!(store.read(&object, size).is_ok());
    assert!(matches!(
        store.read(&object, size - 1),
        Err(StoreError::TooLarge { .. })
    ));
}

/// The store has looked into all packs there are; then a repack moves the tag into another one.
#[test]
fn a_repack_meanwhile_hides_nothing() {
    let world = World::new();
    let first = world.store(&world.plain());
    let store = RawStore::at(&world.repository()).unwrap();
    let absent = "0".repeat(40).parse().unwrap();
    let second = world.commit.parse::<ObjectId>().unwrap();
    assert!(matches!(store.header(&absent), Ok(None)));
    for object in [&first, &second] {
        world.git(&["update-ref", &format!("refs/kept/{object}"), object.as_str()], b"");
        world.git(&["repack", "-a", "-d", "-q"], b"");
        world.git(&["prune-packed", "-q"], b"");
        assert!(store.header(&first).unwrap().is_some());
        assert!(store.read(&first, 1 << 16).is_ok());
    }
    assert!(matches!(store.header(&absent), Ok(None)));
}

/// A tag of a few hundred bytes, sent as a change to one of 64 MiB: its header tells of the few hundred.
#[test]
fn a_small_tag_on_a_large_base_is_not_unpacked() {
    const BASE: usize = 64 * 1024 * 1024;
    let world = alice();
    let small = world.signed(SIGNED, &[]);
    let base = vec![b'x'; BASE];
    // A delta that copies nothing: sizes, then the new bytes in pieces of up to 127.
    let mut delta = [varint(BASE), varint(small.len())].concat();
    for piece in small.chunks(127) {
        delta.push(u8::try_from(piece.len()).unwrap());
        delta.extend_from_slice(piece);
    }
    let mut pack = b"PACK\0\0\0\x02\0\0\0\x02".to_vec();
    let start = pack.len();
    pack.extend(entry_header(4, BASE));
    pack.extend(deflated(&base));
    drop(base);
    let distance = pack.len() - start;
    pack.extend(entry_header(6, delta.len()));
    pack.extend(offset(distance));
    pack.extend(deflated(&delta));
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    hasher.update(&pack);
    pack.extend_from_slice(hasher.try_finalize().unwrap().as_slice());
    world.git(&["index-pack", "--stdin"], &pack);

    let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Tag, &small).unwrap();
    let object: ObjectId = id.to_string().parse().unwrap();
    let header = RawStore::at(&world.repository())
        .unwrap()
        .header(&object)
        .unwrap()
        .unwrap();
    assert_eq!(header.size, small.len() as u64);
    assert_eq!(codes(&world.judge_object(&object, "refs/tags/1.0-alt1")), ["too_large"]);
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

/// The kind in three bits, the size in four and then in sevens.
fn entry_header(kind: u8, size: usize) -> Vec<u8> {
    let first = kind << 4 | u8::try_from(size & 0xf).unwrap();
    if size < 0x10 {
        return vec![first];
    }
    [vec![first | 0x80], varint(size >> 4)].concat()
}

/// How far back the base is, as packs have it.
fn offset(mut distance: usize) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(distance & 0x7f).unwrap()];
    while distance >= 0x80 {
        distance = (distance >> 7) - 1;
        bytes.insert(0, u8::try_from(distance & 0x7f).unwrap() | 0x80);
    }
    bytes
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut writer = gix::zlib::stream::deflate::Write::new(Vec::new(), gix::zlib::Compression::BEST_SPEED);
    writer.write_all(bytes).unwrap();
    writer.flush().unwrap();
    writer.into_inner()
}
