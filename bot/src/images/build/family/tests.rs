//! Families: who stands on whom, who is ours, and circles.

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn of(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.0.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn family(&self, name: &str) -> Result<Family, FamilyError> {
        let tag = ImageName::local(&format!("family-test/{name}")).unwrap();
        let request = BuildRequest::new(tag, self.0.path().join(format!("{name}.docker")));
        Family::of(&request, &Platform::linux("x86_64"))
    }
}

fn names(family: &Family) -> Vec<String> {
    family
        .members()
        .iter()
        .map(|member| member.request.tag.to_string())
        .collect()
}

#[test]
fn images_below_come_first_each_once_and_foreign_ones_not_at_all() {
    let folder = Folder::of(&[
        (
            "top.docker",
            "FROM localhost/t-left AS l\nFROM localhost/t-right:1\nCOPY --from=localhost/t-left x y\n",
        ),
        ("t-left.docker", "FROM windlass/t-base\n"),
        (
            "Dockerfile.t-right",
            "FROM windlass/t-base\nCOPY --from=debian:12 x y\n",
        ),
        ("t-base/Dockerfile", "FROM localhost/t-elsewhere\n"),
    ]);
    let family = folder.family("top").unwrap();
    assert_eq!(
        names(&family),
        [
            "localhost/windlass/t-base:latest",
            "localhost/t-left:latest",
            "localhost/t-right:1",
            "localhost/family-test/top:latest"
        ]
    );
    let levels: Vec<usize> = family.levels().iter().map(Vec::len).collect();
    assert_eq!(levels, [1, 2, 1]);
    let base = &family.members()[0];
    assert_eq!(
        base.request.what.context.as_deref(),
        Some(folder.0.path().join("t-base").as_path())
    );
    // No Dockerfile beside: it is there already, or it is nowhere.
    assert!(!base.bases[0].own);
}

#[test]
fn stages_that_are_not_wanted_bring_no_bases() {
    let folder = Folder::of(&[
        ("top.docker", "FROM localhost/t-never AS unused\nFROM scratch\n"),
        ("t-never.docker", "FROM scratch\n"),
    ]);
    assert_eq!(
        names(&folder.family("top").unwrap()),
        ["localhost/family-test/top:latest"]
    );
}

#[test]
fn what_a_base_of_ours_has_behind_onbuild_counts() {
    let folder = Folder::of(&[
        ("top.docker", "FROM localhost/t-base AS one\nFROM one\nCOPY own /\n"),
        (
            "t-base.docker",
            "FROM scratch AS not\nONBUILD COPY never /\nFROM scratch\nONBUILD COPY src /src\nONBUILD COPY --from=localhost/t-tool t /\n",
        ),
        ("t-tool.docker", "FROM localhost/t-below\n"),
        ("t-below.docker", "FROM scratch\n"),
    ]);
    let family = folder.family("top").unwrap();
    let [.., top] = family.members() else {
        panic!("nobody is there");
    };
    let names = names(&family);
    for name in [
        "localhost/t-base:latest",
        "localhost/t-tool:latest",
        "localhost/t-below:latest",
    ] {
        assert!(names.iter().any(|there| there == name), "{names:?}");
    }
    assert_eq!(names.last().unwrap(), "localhost/family-test/top:latest");
    let sources = top.file.context_sources(&top.arguments).unwrap();
    let sources: Vec<_> = sources
        .iter()
        .map(|source| (source.stage, source.what.clone()))
        .collect();
    let path = |path: &str| windlass_core::image::dockerfile::sources::What::Path(path.to_owned());
    assert_eq!(sources, [(0, path("src")), (1, path("own"))]);
    // The engine finds it in the base; the text of the Dockerfile does not have it.
    let written: Vec<_> = top
        .bases
        .iter()
        .map(|ground| (ground.base.by, top.names(ground)))
        .collect();
    assert_eq!(written, [(By::From, true), (By::CopyFrom, false)]);
}

#[test]
fn a_circle_by_way_of_onbuild_is_shown() {
    let folder = Folder::of(&[
        ("top.docker", "FROM localhost/t-a\n"),
        ("t-a.docker", "FROM scratch\nONBUILD COPY --from=localhost/t-b x y\n"),
        ("t-b.docker", "FROM localhost/t-a\n"),
    ]);
    let error = folder.family("top").unwrap_err().to_string();
    assert!(error.contains("localhost/t-b:latest → localhost/t-b:latest"), "{error}");
}

#[test]
fn a_circle_is_shown() {
    let folder = Folder::of(&[
        ("top.docker", "FROM localhost/t-a\n"),
        ("t-a.docker", "FROM localhost/t-b\n"),
        ("t-b.docker", "FROM scratch\nCOPY --from=localhost/t-a x y\n"),
    ]);
    let error = folder.family("top").unwrap_err().to_string();
    assert!(
        error.contains("localhost/t-a:latest → localhost/t-b:latest → localhost/t-a:latest\n\nhint: "),
        "{error}"
    );
}

#[test]
fn a_dockerfile_that_is_wrong_or_absent_is_named() {
    let folder = Folder::of(&[("top.docker", "FROM localhost/t-wrong\n"), ("t-wrong.docker", "FROM\n")]);
    let error = folder.family("top").unwrap_err().to_string();
    assert!(error.contains("t-wrong.docker': line 1: "), "{error}");
    assert!(matches!(folder.family("nowhere"), Err(FamilyError::Read { .. })));
}
