//! What is cleared away, and what never is.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use windlass::config::Config;
use windlass::journal::Sqlite;
use windlass::repository::{Garbage, Repository};
use windlass::writer::State;
use windlass_core::id::RepositoryName;

use crate::world::{World, files};

/// What would be cleared away after some time.
fn garbage_in(world: &World, minutes: i64) -> Garbage {
    let path = world.path("windlass.toml");
    let config = Config::parse(&std::fs::read_to_string(&path).unwrap(), &path).unwrap();
    let name: RepositoryName = "main".parse().unwrap();
    let repository = Repository::open(config.repository(&name).unwrap(), &config.paths).unwrap();
    let state = State::load(Sqlite::open_read_only(&world.path("state/journal.sqlite")).unwrap()).unwrap();
    let record = state.world().repository(&name).unwrap().clone();
    let now = Timestamp::now() + SignedDuration::from_mins(minutes);
    repository.garbage(&record, now).unwrap()
}

/// The packages of the pool that a generation's metadata names, by its own words.
fn pool(world: &World) -> BTreeSet<PathBuf> {
    files(&world.repo("packages")).into_iter().collect()
}

#[test]
fn what_is_served_or_within_its_time_stays() {
    let Some(world) = World::filled("keep = '1h'\noverlap = '10m'") else {
        return;
    };
    world.done(&["repo", "import", &world.tree("two")]);
    world.done(&["repo", "key", "rotate"]);
    assert_eq!(garbage_in(&world, 0), Garbage::default());
    assert_eq!(garbage_in(&world, 59), Garbage::default());
    let garbage = garbage_in(&world, 61);
    let numbers: Vec<u64> = garbage.generations.iter().map(|generation| generation.0).collect();
    assert_eq!(numbers, [1, 2, 3]);
    // Everything was signed anew: all that was there before goes, and nothing of the newest.
    assert_eq!(garbage.files.len(), 6 + 5);
    assert_eq!(pool(&world).len() - garbage.files.len(), 9);
    // However late: the newest stays.
    assert_eq!(garbage_in(&world, 60 * 24 * 365 * 100), garbage);
}

#[test]
fn packages_stay_as_long_as_metadata_that_names_them_is_carried() {
    let Some(world) = World::filled("keep = '1h'\noverlap = '1h'") else {
        return;
    };
    let old = pool(&world);
    world.done(&["repo", "import", &world.tree("two")]);
    world.done(&["repo", "gc"]);
    assert!(pool(&world).is_superset(&old));
    assert_eq!(garbage_in(&world, 59), Garbage::default());
    assert!(!garbage_in(&world, 61).files.is_empty());
    // A client that has read the metadata before finds all of it through `current`.
    let names = |generation: u64| -> BTreeSet<String> {
        let directory = world.repo(format!("generations/{generation}/x86_64/repodata"));
        let all = files(&directory).into_iter();
        all.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    assert!(names(3).is_superset(&names(2)));
}

#[test]
fn clearing_leaves_what_is_current_whole_and_the_old_keys_gone() {
    let Some(world) = World::filled("keep = '0s'\noverlap = '0s'") else {
        return;
    };
    world.done(&["repo", "import", &world.tree("two")]);
    world.done(&["repo", "key", "rotate"]);
    let listed = world.listed();
    let meant = world.done(&["repo", "gc", "--dry-run"]);
    assert!(
        meant.starts_with("main: would remove 3 generations and 11 package files, "),
        "{meant}"
    );
    let done = world.done(&["repo", "gc"]);
    assert!(
        done.starts_with("main: removed 3 generations and 11 package files, "),
        "{done}"
    );
    assert_eq!(
        world.done(&["repo", "gc"]),
        "main: removed 0 generations and 0 package files, 0 B\n"
    );
    world.is_whole("cleared");
    assert_eq!(world.listed(), listed);
    assert_eq!(
        world.json(&["repo", "key", "show", "--json"]).as_array().unwrap().len(),
        1
    );
    let told = world.fails(&["repo", "rollback", "2"], 1);
    assert!(told.contains("generation 2 of repository main is not kept"), "{told}");
    assert!(world.done(&["repo", "log"]).contains("(removed from disk)"));
}

#[test]
fn what_the_journal_does_not_know_is_not_cleared_away() {
    let Some(world) = World::filled("keep = '0s'\noverlap = '0s'") else {
        return;
    };
    std::fs::rename(world.repo("generations/1"), world.repo("generations/1.aside")).unwrap();
    world.done(&["repo", "gc"]);
    assert!(world.repo("generations/1.aside").is_dir());
}
