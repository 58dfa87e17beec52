//! Contexts with links that lead out, files brought back, files that grow, and too many of them.

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn of(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (path, content) in files {
            let path = folder.at(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        folder
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn tree(&self, ignoring: &dyn Ignoring) -> Tree {
        let mut tree = Tree::default();
        tree.add_folder(self.0.path(), ignoring).unwrap();
        tree
    }
}

fn names(tree: &Tree) -> Vec<String> {
    tree.entries().map(|(path, _)| shown(path)).collect()
}

fn unpacked(tree: &Tree) -> BTreeMap<String, String> {
    let mut bytes = Vec::new();
    tree.pack(&mut bytes).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        if let Some(link) = entry.link_name().unwrap() {
            text = format!("-> {}", link.display());
        }
        (entry.path().unwrap().display().to_string(), text)
    });
    entries.collect()
}

/// Takes `hidden` out, but for `hidden/kept`.
struct Back;

impl Ignoring for Back {
    fn excludes(&self, path: &str, _: bool) -> bool {
        path.starts_with("hidden") && path != "hidden/deep/kept"
    }

    fn prunes(&self, _: &str) -> bool {
        false
    }
}

#[test]
fn a_link_is_packed_as_a_link_and_what_it_leads_to_stays_outside() {
    let folder = Folder::of(&[("a/file", "text")]);
    std::os::unix::fs::symlink("/etc", folder.at("a/out")).unwrap();
    std::os::unix::fs::symlink("..", folder.at("a/up")).unwrap();
    std::os::unix::net::UnixListener::bind(folder.at("socket")).unwrap();
    let tree = folder.tree(&Nothing);
    assert_eq!(names(&tree), ["a", "a/file", "a/out", "a/up"]);
    let packed = unpacked(&tree);
    assert_eq!(packed["a/out"], "-> /etc");
    assert_eq!(packed["a/file"], "text");
}

#[test]
fn what_an_exception_brings_back_comes_with_its_directories() {
    let folder = Folder::of(&[("hidden/deep/kept", "1"), ("hidden/gone", "2"), ("seen", "3")]);
    assert_eq!(
        names(&folder.tree(&Back)),
        ["hidden", "hidden/deep", "hidden/deep/kept", "seen"]
    );
}

#[test]
fn extra_files_and_pieces_hide_what_the_directory_has() {
    let folder = Folder::of(&[
        ("config", "old"),
        ("lib/x", "old"),
        ("elsewhere/config", "new"),
        ("elsewhere/so", "new"),
    ]);
    std::os::unix::fs::symlink("/usr/lib", folder.at("usr")).unwrap();
    let mut tree = folder.tree(&Nothing);
    tree.add_files(&[folder.at("elsewhere/config")]).unwrap();
    tree.add_pieces(&[Piece {
        image: "/usr/lib/so".into(),
        host: folder.at("elsewhere/so"),
    }])
    .unwrap();
    let packed = unpacked(&tree);
    assert_eq!(packed["config"], "new");
    assert_eq!(packed["usr/lib/so"], "new");
    // Its own link would have led the library out of the context.
    assert!(matches!(
        tree.get(Path::new("usr")).unwrap().content,
        Content::Directory
    ));
    tree.add_text("lib", "no directory any more").unwrap();
    assert!(!names(&tree).contains(&"lib/x".to_owned()));
}

#[test]
fn extra_files_that_are_not_there_or_meet_are_refused() {
    let folder = Folder::of(&[("a/x", ""), ("b/x", "")]);
    let add = |files: &[PathBuf]| Tree::default().add_files(files).unwrap_err();
    assert!(matches!(add(&[folder.at("nowhere")]), TreeError::Read { .. }));
    assert!(matches!(add(&[folder.at("a")]), TreeError::NoFile(_)));
    assert!(matches!(
        add(&[folder.at("a/x"), folder.at("b/x")]),
        TreeError::Twice { .. }
    ));
}

#[test]
fn a_file_that_changes_its_length_is_told_and_not_packed() {
    for now in ["longer than before", "short"] {
        let folder = Folder::of(&[("file", "as it was")]);
        let tree = folder.tree(&Nothing);
        std::fs::write(folder.at("file"), now).unwrap();
        assert!(matches!(tree.pack(io::sink()), Err(TreeError::Changed(_))), "{now}");
    }
}

#[test]
fn too_much_is_refused_with_where_it_is() {
    let folder = Folder::of(&[("a", "1234"), ("b", "1234"), ("c", "")]);
    let with = |bytes, entries| {
        let mut tree = Tree::new(Limits { bytes, entries });
        tree.add_folder(folder.0.path(), &Nothing)
    };
    assert!(with(8, 3).is_ok());
    let error = with(7, 3).unwrap_err().to_string();
    assert!(error.starts_with("the context is larger than 0 MiB, at 'b'"), "{error}");
    let error = with(8, 2).unwrap_err().to_string();
    assert!(
        error.starts_with("the context is larger than 2 files, at 'c'"),
        "{error}"
    );
}

#[test]
fn names_of_any_length_and_any_bytes_are_packed() {
    use std::os::unix::ffi::OsStrExt as _;
    let deep = "d/".repeat(120) + "file";
    let folder = Folder::of(&[(&deep, "deep")]);
    let odd = std::ffi::OsStr::from_bytes(b"odd\xff");
    std::fs::write(folder.0.path().join(odd), "odd").unwrap();
    let mut bytes = Vec::new();
    folder.tree(&Nothing).pack(&mut bytes).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let paths: Vec<PathBuf> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().into_owned())
        .collect();
    assert!(paths.contains(&PathBuf::from(deep)));
    assert!(paths.contains(&PathBuf::from(odd)));
}
