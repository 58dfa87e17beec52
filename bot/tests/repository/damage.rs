//! Every kind of damage is found by `repo verify`, and going back to a whole generation mends it.

use std::path::Path;

use rstest::rstest;

use crate::world::{World, the_file};

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() - 20;
    bytes[at] ^= 1;
    // A file of its own: the pool has links.
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn package(world: &World) -> std::path::PathBuf {
    the_file(&world.repo("packages"), "cheese-1.0-1.x86_64.rpm")
}

fn metadata(world: &World, name: &str) -> std::path::PathBuf {
    let repodata = world.repo("generations/2/x86_64/repodata");
    let repomd = std::fs::read_to_string(repodata.join("repomd.xml")).unwrap();
    // The generation also carries the files of the one before it.
    let of_this = |part: &str| part.contains(&format!("-{name}.xml")).then(|| part.to_owned());
    let file = repomd.split(['"', '/']).find_map(of_this).unwrap();
    repodata.join(file)
}

#[rstest]
#[case::package_missing(|world: &World| std::fs::remove_file(package(world)).unwrap(), "cheese-1.0-1.x86_64.rpm: ")]
#[case::package_changed(|world: &World| flip(&package(world)), "cheese-1.0-1.x86_64.rpm: ")]
#[case::package_cut_off(|world: &World| {
    let file = std::fs::File::options().write(true).open(package(world)).unwrap();
    file.set_len(1000).unwrap();
}, "cheese-1.0-1.x86_64.rpm: ")]
#[case::primary_missing(|world: &World| std::fs::remove_file(metadata(world, "primary")).unwrap(), "primary.xml.zst: ")]
#[case::primary_changed(|world: &World| flip(&metadata(world, "primary")), "primary.xml.zst: its content is not")]
#[case::filelists_changed(|world: &World| flip(&metadata(world, "filelists")), "filelists.xml.zst: its content is not")]
#[case::other_changed(|world: &World| flip(&metadata(world, "other")), "other.xml.zst: its content is not")]
#[case::repomd_changed(|world: &World| flip(&world.repo("generations/2/x86_64/repodata/repomd.xml")), "its seal is not that of its metadata")]
#[case::repomd_missing(|world: &World| std::fs::remove_file(world.repo("generations/2/i586/repodata/repomd.xml")).unwrap(), "i586/repodata/repomd.xml: ")]
#[case::signature_missing(|world: &World| std::fs::remove_file(world.repo("generations/2/source/repodata/repomd.xml.asc")).unwrap(), "source/repodata/repomd.xml")]
#[case::signature_of_something_else(|world: &World| {
    let of = |arch: &str| world.repo(format!("generations/2/{arch}/repodata/repomd.xml.asc"));
    std::fs::copy(of("i586"), of("x86_64")).unwrap();
}, "it is not signed by a key of this repository")]
#[case::manifest_changed(|world: &World| {
    let path = world.repo("generations/2/windlass.json");
    let text = std::fs::read_to_string(&path).unwrap().replace("\"alice\"", "\"mallory\"");
    std::fs::write(path, text).unwrap();
}, "windlass.json: it is not signed")]
#[case::architecture_missing(|world: &World| std::fs::remove_dir_all(world.repo("generations/2/i586")).unwrap(), "i586")]
#[case::key_missing(|world: &World| std::fs::remove_file(world.repo("key.asc")).unwrap(), "key.asc: ")]
#[case::another_key(|world: &World| std::fs::write(world.repo("key.asc"), "").unwrap(), "lacks the key in use")]
#[case::left_over(|world: &World| {
    std::fs::create_dir(world.repo("packages/i586/0000")).unwrap();
    std::fs::write(world.repo("packages/i586/0000/x.rpm"), "").unwrap();
}, "x.rpm: no generation names it")]
#[case::generation_of_somebody_else(|world: &World| std::fs::create_dir(world.repo("generations/7")).unwrap(), "somebody else writes")]
#[case::older_current(|world: &World| {
    std::fs::remove_file(world.repo("current")).unwrap();
    std::os::unix::fs::symlink("generations/1", world.repo("current")).unwrap();
}, "the journal knows 2")]
fn is_found(#[case] harm: fn(&World), #[case] told: &str) {
    let Some(world) = World::filled("") else { return };
    harm(&world);
    let found = world.run(&["repo", "verify"]);
    assert_eq!(found.code, Some(1), "{}{}", found.out, found.err);
    assert!(found.err.contains(told), "{}", found.err);
    assert!(found.out.starts_with("NOT whole: "), "{}", found.out);
    let json = world.run(&["repo", "verify", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(value["whole"], false);
}

#[test]
fn an_older_generation_that_is_whole_is_the_way_out() {
    let Some(world) = World::filled("") else { return };
    world.done(&["repo", "import", &world.tree("two")]);
    std::fs::remove_dir_all(world.repo("generations/3/x86_64")).unwrap();
    for words in [&["repo", "ls"][..], &["repo", "gc"], &["serve"]] {
        let told = world.fails(words, 3);
        assert!(told.contains("repository main cannot be read: "), "{words:?}: {told}");
        assert!(told.contains("windlass repo rollback N --take-over -b main"), "{told}");
    }
    assert_eq!(world.run(&["repo", "verify"]).code, Some(1));
    world.done(&["repo", "rollback", "2", "--take-over"]);
    assert_eq!(world.current(), 4);
    world.done(&["repo", "gc"]);
    world.is_whole("mended");
    let bot = world.start();
    assert_eq!(bot.stop(), Some(0));
}
