//! What a new generation makes stale goes on record with it: once, however it was made and wherever the program is killed.

use std::fmt::Write as _;

use windlass::repository::POINTS;

use crate::world::World;

/// A repository and images: `board` installs cheese, `stand` stands on it, `cellar` installs wine, `loaf` bread.
fn world() -> Option<(World, tempfile::TempDir)> {
    let mut settings = String::new();
    let dir = tempfile::Builder::new()
        .prefix("images-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap();
    for (name, base, packages) in [
        ("stand", "localhost/board", ""),
        ("board", "scratch", "'cheese'"),
        ("cellar", "scratch", "'wine'"),
        ("loaf", "scratch", "'bread'"),
    ] {
        let file = dir.path().join(format!("{name}.docker"));
        std::fs::write(&file, format!("FROM {base}\nCOPY x /x\n")).unwrap();
        let file = file.display();
        write!(
            settings,
            "[[image]]\nname = '{name}'\ndockerfile = '{file}'\npackages = [{packages}]\narchitecture = 'x86_64'\n"
        )
        .unwrap();
    }
    Some((World::empty(&settings)?, dir))
}

/// What is on record of jobs because of a generation: `what image: reasons`.
fn caused(world: &World, generation: u64) -> Vec<String> {
    let rows = world.done(&["journal", "show", "--json"]);
    let mut told = Vec::new();
    for row in rows.lines() {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let event = &row["event"];
        let made = matches!(event["what"].as_str(), Some("queued" | "updated"));
        if event["kind"] != "job" || !made || event["generation"] != generation {
            continue;
        }
        let reasons = event["because"].as_array().unwrap().iter().map(|reason| {
            let text = |key: &str| reason[key].as_str().unwrap_or("-").to_owned();
            match reason["because"].as_str().unwrap() {
                "base" => format!("base {}", text("image")),
                _ => format!("{} {} {}", text("package"), text("before"), text("after")),
            }
        });
        let reasons: Vec<String> = reasons.collect();
        let text = |key: &str| event[key].as_str().unwrap().to_owned();
        told.push(format!("{} {}: {}", text("what"), text("image"), reasons.join(", ")));
    }
    told.sort();
    told
}

const OF_TWO: [&str; 3] = [
    "queued cellar: wine - 1.0-1",
    "updated board: cheese 1.0-1 1.1-1",
    "updated stand: base board",
];

#[test]
fn exactly_the_stale_images_are_built_again() {
    let Some((world, _images)) = world() else { return };
    world.done(&["repo", "init"]);
    world.done(&["repo", "import", &world.tree("one")]);
    assert_eq!(
        caused(&world, 2),
        [
            "queued board: cheese - 1.0-1",
            "queued loaf: bread - 1.0-1",
            "queued stand: base board"
        ]
    );
    world.done(&["repo", "import", &world.tree("two")]);
    assert_eq!(caused(&world, 3), OF_TWO);
    world.done(&["repo", "rollback", "2"]);
    assert_eq!(
        caused(&world, 4),
        [
            "updated board: cheese 1.1-1 1.0-1",
            "updated cellar: wine 1.0-1 -",
            "updated stand: base board"
        ]
    );
    // The same packages, signed anew.
    world.done(&["repo", "key", "rotate"]);
    assert!(caused(&world, 5).is_empty());
    world.is_whole("with images");
}

#[test]
fn killed_at_every_point_jobs_are_caused_once_and_with_the_generation() {
    let Some((world, _images)) = world() else { return };
    world.done(&["repo", "init"]);
    world.done(&["repo", "import", &world.tree("one")]);
    let tree = world.tree("two");
    for point in POINTS {
        let copy = world.copy();
        assert!(copy.run_to(point, &["repo", "import", &tree]).killed, "{point}");
        // Whatever comes next recovers first.
        copy.run(&["repo", "gc", "--dry-run"]);
        let expected: &[&str] = if copy.current() == 3 { &OF_TWO } else { &[] };
        assert_eq!(caused(&copy, 3), expected, "killed at {point}");
        copy.is_whole(point);
    }
}
