//! What instructions make of a context. That the engines make the same of it is shown by the stories, on the real ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use tempfile::TempDir;
use windlass_core::image::dockerfile::{Arguments, Platform};
use windlass_core::image::{Dockerfile, ImageName};

use super::super::base::BaseLayer;
use super::super::layout::{Image, Layout};
use super::super::tree::{Content, Kind, Tree as Files};
use super::*;
use crate::images::build::tree::{Nothing, Tree as Gathered};

/// A context, and the layouts that were built.
struct World {
    dir: TempDir,
    results: BTreeMap<ImageName, (Layout, Image)>,
    epoch: u64,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = Self {
            dir,
            results: BTreeMap::new(),
            epoch: 0,
        };
        world.directory("", 0o755);
        world.file("a", "a\n", 0o644);
        world.file("b", "b\n", 0o644);
        world.directory("d", 0o700);
        world.directory("d/sub", 0o750);
        world.file("d/x", "x\n", 0o644);
        world.file("d/sub/y", "y\n", 0o600);
        world.link("d/inner", "x");
        world.link("link", "a");
        world.link("dlink", "d");
        world.link("out", "/etc/passwd");
        world.link("up", "../../../etc/passwd");
        world
    }

    fn context(&self) -> std::path::PathBuf {
        self.dir.path().join("context")
    }

    fn file(&self, name: &str, content: &str, mode: u32) {
        let path = self.context().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    fn directory(&self, name: &str, mode: u32) {
        let path = self.context().join(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    fn link(&self, name: &str, target: &str) {
        symlink(target, self.context().join(name)).unwrap();
    }

    fn build_to(&self, out: &Path, dockerfile: &str, target: Option<&str>) -> Result<Built, OciError> {
        let dockerfile = Dockerfile::parse(dockerfile).map_err(|problems| OciError::Asked(problems.to_string()))?;
        let platform = Platform::linux("x86_64");
        let mut files = Gathered::default();
        files.add_folder(&self.context(), &Nothing).unwrap();
        let find = |name: &ImageName| Ok(self.results.get(name).cloned());
        build(
            &OciBuild {
                dockerfile: &dockerfile,
                files: &files,
                arguments: &Arguments::native(&platform).with("GIVEN", "given"),
                target,
                labels: &BTreeMap::from([("made".to_owned(), "here".to_owned())]),
                platform: &platform,
                epoch: self.epoch,
                names: &["localhost/t".parse().unwrap()],
                find_base: &find,
            },
            out,
        )
    }

    fn build(&self, dockerfile: &str) -> Result<(Built, Image), OciError> {
        let out = self.dir.path().join("out");
        let built = self.build_to(&out, dockerfile, None)?;
        let image = built.layout.image(None, &Platform::linux("x86_64"))?;
        built.layout.verify(&image)?;
        Ok((built, image))
    }

    /// The files of what is built, one a line.
    fn files(&self, dockerfile: &str) -> String {
        let (built, image) = self.build(dockerfile).unwrap();
        listing(&built.layout, &image)
    }

    fn refused(&self, dockerfile: &str) -> String {
        self.build(dockerfile).unwrap_err().to_string()
    }

    /// Builds something that others can stand on.
    fn keep(&mut self, name: &str, dockerfile: &str) {
        let out = self.dir.path().join(format!("kept-{name}"));
        let built = self.build_to(&out, dockerfile, None).unwrap();
        let image = built.layout.image(None, &Platform::linux("x86_64")).unwrap();
        let name = format!("localhost/{name}").parse().unwrap();
        self.results.insert(name, (built.layout, image));
    }
}

fn listing(layout: &Layout, image: &Image) -> String {
    let mut tree = Files::default();
    let mut store = Store::new(layout.path()).unwrap();
    for (descriptor, diff_id) in image.manifest.layers.iter().zip(&image.config.rootfs.diff_ids) {
        let layer = BaseLayer {
            descriptor: descriptor.clone(),
            diff_id: diff_id.clone(),
            path: layout.blob(&descriptor.digest),
        };
        layer.lay_over(&mut tree).unwrap();
        store.know(&layer);
    }
    let mut lines = String::new();
    for (name, node) in tree.below(b"") {
        let name = String::from_utf8_lossy(name);
        let owner = node.owner;
        let what = match &node.kind {
            Kind::Directory => "/".to_owned(),
            Kind::File(content) => {
                let content: Content = content.clone();
                let bytes = store.read(&content, 1000).unwrap().unwrap_or_default();
                format!(" {}", String::from_utf8_lossy(&bytes).trim_end())
            }
            Kind::Link(target) => format!(" -> {}", String::from_utf8_lossy(target)),
            Kind::Pipe => " |".to_owned(),
            Kind::Device(_) => " device".to_owned(),
        };
        let mode = node.mode;
        writeln!(lines, "{mode:o} {}:{} {name}{what}", owner.user, owner.group).unwrap();
    }
    lines
}

#[test]
fn directories_are_copied_by_their_contents() {
    let world = World::new();
    let contents =
        |to: &str| format!("777 0:0 {to}/inner -> x\n750 0:0 {to}/sub/\n600 0:0 {to}/sub/y y\n644 0:0 {to}/x x\n");
    for (line, parents, to) in [
        ("COPY d /new", "755 0:0 new/\n", "new"),
        ("COPY d/. /new/deep/", "755 0:0 new/\n755 0:0 new/deep/\n", "new/deep"),
        ("COPY dlink /new", "755 0:0 new/\n", "new"),
        ("WORKDIR /w\nCOPY ./d .", "755 0:0 w/\n", "w"),
    ] {
        assert_eq!(
            world.files(&format!("FROM scratch\n{line}\n")),
            format!("{parents}{}", contents(to)),
            "{line}"
        );
    }
}

#[test]
fn files_go_where_they_are_meant_to() {
    let world = World::new();
    let files = world.files(
        "FROM scratch\nCOPY a /new/f\nCOPY a b /two/\nCOPY link /ls/\nCOPY link /l\nCOPY d /x\nCOPY a /x\nCOPY [ab] /w/\n",
    );
    assert_eq!(
        files,
        "644 0:0 l a\n755 0:0 ls/\n644 0:0 ls/link a\n755 0:0 new/\n644 0:0 new/f a\n755 0:0 two/\n644 0:0 two/a a\n644 0:0 two/b b\n\
         755 0:0 w/\n644 0:0 w/a a\n644 0:0 w/b b\n\
         755 0:0 x/\n644 0:0 x/a a\n777 0:0 x/inner -> x\n750 0:0 x/sub/\n600 0:0 x/sub/y y\n644 0:0 x/x x\n"
    );
}

#[test]
fn links_in_the_destination_stay_inside_the_image() {
    let world = World::new();
    world.directory("s/real", 0o755);
    world.file("s/target", "old\n", 0o644);
    world.link("s/todir", "real");
    world.link("s/tolink", "target");
    world.link("s/dangling", "nowhere");
    world.link("s/abs", "/real/../../../tmpx");
    let files = world.files(
        "FROM scratch\nCOPY s /\nCOPY a /tolink\nCOPY a /todir\nCOPY a /dangling\nCOPY b /abs/f\nWORKDIR /todir/n\nCOPY b .\n",
    );
    assert_eq!(
        files,
        "777 0:0 abs -> /real/../../../tmpx\n777 0:0 dangling -> nowhere\n644 0:0 nowhere a\n755 0:0 real/\n644 0:0 real/a a\n\
         755 0:0 real/n/\n644 0:0 real/n/b b\n644 0:0 target a\n755 0:0 tmpx/\n644 0:0 tmpx/f b\n777 0:0 todir -> real\n777 0:0 tolink -> target\n"
    );
}

#[test]
fn what_cannot_be_copied_is_refused_with_its_line() {
    let world = World::new();
    world.directory("s", 0o755);
    world.link("s/d", "nowhere");
    world.directory("t/d", 0o755);
    world.file("u", "u", 0o644);
    for (lines, what) in [
        ("COPY ../a /x", "line 2: COPY ../a /x: '../a' is outside of the context"),
        ("COPY none /x", "line 2: COPY none /x: there is no 'none'"),
        (
            "COPY out /x",
            "there is no 'out': it is a link to 'etc/passwd', which is not there",
        ),
        ("COPY up /x", "there is no 'up'"),
        ("COPY none* /x/", "nothing is like 'none*'"),
        ("COPY a[ /x/", "the pattern cannot be read"),
        ("COPY a b /x", "these are 2 sources"),
        ("COPY [ab] /x", "these are 2 sources"),
        (
            "COPY a /x\nCOPY d /x",
            "line 3: COPY d /x: '/x' is no directory in the image",
        ),
        ("COPY a /x\nCOPY b /x/y/z", "'/x' is no directory"),
        ("COPY s /\nCOPY t /", "engines differ"),
        ("COPY t /\nCOPY s /", "'/d' is a directory in the image"),
        ("COPY --chmod=rwx a /x", "--chmod=rwx: this is no mode"),
        ("COPY --chown=bob a /x", "the image's /etc/passwd knows no 'bob'"),
        (
            "COPY --from=other a /x",
            "docker.io/library/other:latest was not built here",
        ),
        ("ADD https://example.org/x /x", "is an address"),
        ("COPY a /.wh.a", "no image can hold a file of the name '/.wh.a'"),
        ("RUN make\nRUN more", "line 2: RUN make: this needs a container engine"),
    ] {
        let told = world.refused(&format!("FROM scratch\n{lines}\n"));
        assert!(told.contains(what), "{lines}: {told}");
    }
    assert!(
        world
            .refused("FROM debian:12\n")
            .contains("docker.io/library/debian:12 was not built here")
    );
}

#[test]
fn owners_and_modes_are_what_is_asked_for() {
    let world = World::new();
    world.directory("etc", 0o755);
    world.file("etc/passwd", "root:x:0:0::/:\nbob:x:1000:50::/:/x\n", 0o644);
    world.file("etc/group", "staff:x:88:\n", 0o644);
    let files = world.files(
        "FROM scratch\nCOPY etc /etc/\nCOPY --chown=5:6 d /one/two\nCOPY --chown=7 a /f7\nCOPY --chown=bob a /fb\n\
         COPY --chown=bob:staff a /fs\nCOPY --chown=:9 --chmod=u=rX,go= a /f9\nCOPY --chmod=4711 d /m/\n",
    );
    assert_eq!(
        files,
        "755 0:0 etc/\n644 0:0 etc/group staff:x:88:\n644 0:0 etc/passwd root:x:0:0::/:\nbob:x:1000:50::/:/x\n\
         644 7:7 f7 a\n400 0:9 f9 a\n644 1000:50 fb a\n644 1000:88 fs a\n\
         755 0:0 m/\n777 0:0 m/inner -> x\n4711 0:0 m/sub/\n4711 0:0 m/sub/y y\n4711 0:0 m/x x\n\
         755 5:6 one/\n755 5:6 one/two/\n777 5:6 one/two/inner -> x\n750 5:6 one/two/sub/\n600 5:6 one/two/sub/y y\n644 5:6 one/two/x x\n"
    );
}

#[test]
fn a_working_directory_belongs_to_the_user_of_then() {
    let world = World::new();
    world.directory("etc", 0o755);
    world.file("etc/passwd", "bob:x:1000:50::/:/x", 0o644);
    let files = world.files("FROM scratch\nUSER 5:6\nWORKDIR /w/x\nCOPY a .\nCOPY etc /etc\nUSER bob\nWORKDIR ../y\n");
    assert_eq!(
        files,
        "755 0:0 etc/\n644 0:0 etc/passwd bob:x:1000:50::/:/x\n755 5:6 w/\n755 5:6 w/x/\n644 0:0 w/x/a a\n755 1000:50 w/y/\n"
    );
    let told = world.refused("FROM scratch\nUSER nobody\nWORKDIR /w\n");
    assert!(
        told.contains("WORKDIR /w: USER nobody: the image's /etc/passwd knows no 'nobody'"),
        "{told}"
    );
}

#[test]
fn stages_give_files_and_only_those_needed_are_carried_out() {
    let world = World::new();
    let text = "FROM scratch AS s\nCOPY --chown=5:6 d/x /src/\nFROM scratch AS broken\nRUN false\nFROM s AS t\nCOPY a /a\n\
                FROM scratch\nCOPY --from=s /src /dst\nCOPY --from=1 --chown=8 /src/x /own\nCOPY --from=t / /all\n";
    let error = world.refused(text);
    assert!(error.starts_with("line 4: RUN false"), "{error}");
    let text = text.replace("--from=1", "--from=t");
    assert_eq!(
        world.files(&text),
        "755 0:0 all/\n644 0:0 all/a a\n755 5:6 all/src/\n644 5:6 all/src/x x\n755 0:0 dst/\n644 5:6 dst/x x\n644 8:8 own x\n"
    );
    let out = world.dir.path().join("target");
    let built = world.build_to(&out, &text, Some("t")).unwrap();
    let image = built.layout.image(None, &Platform::linux("x86_64")).unwrap();
    assert_eq!(
        listing(&built.layout, &image),
        "644 0:0 a a\n755 5:6 src/\n644 5:6 src/x x\n"
    );
    let unknown = world.build_to(&out, &text, Some("x")).unwrap_err().to_string();
    assert!(unknown.contains("there is no stage 'x'"), "{unknown}");
}

#[test]
fn a_result_is_a_base() {
    let mut world = World::new();
    world.directory("etc", 0o755);
    world.file("etc/passwd", "bob:x:1000:50::/:/x\n", 0o644);
    world.keep(
        "base",
        "FROM scratch\nCOPY etc /etc/\nCOPY d /d\nENV E=base\nCMD [\"c\"]\nWORKDIR /d\nONBUILD COPY b /triggered\nONBUILD ENV T=$E\n",
    );
    let (built, image) = world
        .build("FROM localhost/base\nCOPY --chown=bob a /$E\nENTRYPOINT [\"e\"]\nFROM localhost/base\nCOPY --from=0 /base f\nCOPY --from=localhost/base /d/x /again\n")
        .unwrap();
    let files = listing(&built.layout, &image);
    for line in [
        "644 0:0 triggered b\n",
        "644 1000:50 d/f a\n",
        "644 0:0 again x\n",
        "600 0:0 d/sub/y y\n",
    ] {
        assert!(files.contains(line), "{files}");
    }
    let config = image.config.config;
    assert!(
        config.env.contains(&"E=base".to_owned()) && config.env.contains(&"T=base".to_owned()),
        "{:?}",
        config.env
    );
    assert_eq!(config.cmd.unwrap(), ["c"]);
    assert_eq!(config.working_dir, "/d");
    assert_eq!(config.on_build, Vec::<String>::new());
    assert_eq!(config.labels, BTreeMap::from([("made".to_owned(), "here".to_owned())]));
    assert_eq!(image.manifest.layers.len(), 5);
}

#[test]
fn a_damaged_base_is_not_believed() {
    let mut world = World::new();
    world.keep("base", "FROM scratch\nCOPY d /d\n");
    let (layout, image) = world.results.values().next().unwrap();
    let blob = layout.blob(&image.manifest.layers[0].digest);
    let mut bytes = fs::read(&blob).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let told = world.refused("FROM localhost/base\n");
    assert!(told.contains("the layer cannot be read"), "{told}");
}

#[test]
fn archives_are_unpacked_as_they_are() {
    let world = World::new();
    let mut builder = tar::Builder::new(Vec::new());
    let mut entry = |name: &str, kind: tar::EntryType, link: &str, mode, content: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(3);
        header.set_gid(4);
        header.set_size(content.len() as u64);
        if !link.is_empty() {
            header.set_link_name(link).unwrap();
        }
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    };
    entry("./sub/", tar::EntryType::Directory, "", 0o1777, "");
    entry("./sub/f", tar::EntryType::Regular, "", 0o640, "1");
    entry("hard", tar::EntryType::Link, "sub/f", 0o640, "");
    entry("abs", tar::EntryType::Symlink, "/etc", 0o777, "");
    entry("abs/in", tar::EntryType::Regular, "", 0o644, "inside");
    let bytes = builder.into_inner().unwrap();
    fs::write(world.context().join("t.tar"), &bytes).unwrap();
    let zipped = |file: &str| File::create(world.context().join(file)).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(zipped("t.gz"), flate2::Compression::fast());
    gzip.write_all(&bytes).unwrap();
    gzip.finish().unwrap();
    let mut xz = liblzma::write::XzEncoder::new(zipped("t.xz"), 1);
    xz.write_all(&bytes).unwrap();
    xz.finish().unwrap();
    let mut bzip = bzip2::write::BzEncoder::new(zipped("t.bz2"), bzip2::Compression::fast());
    bzip.write_all(&bytes).unwrap();
    bzip.finish().unwrap();
    zstd::stream::copy_encode(&bytes[..], zipped("t.zst"), 1).unwrap();
    for file in ["t.tar", "t.gz", "t.xz", "t.bz2", "t.zst"] {
        let files = world.files(&format!("FROM scratch\nADD --chown=5:6 {file} a /n/\n"));
        assert_eq!(
            files,
            "755 5:6 etc/\n644 3:4 etc/in inside\n755 5:6 n/\n644 5:6 n/a a\n777 3:4 n/abs -> /etc\n640 3:4 n/hard 1\n1777 3:4 n/sub/\n640 3:4 n/sub/f 1\n",
            "{file}"
        );
        let files = world.files(&format!("FROM scratch\nCOPY {file} /f\n"));
        assert!(files.starts_with("644 0:0 f "), "{files}");
    }
}

#[test]
fn the_same_inputs_are_the_same_bytes() {
    let text = "FROM scratch\nCOPY . /\nENV A=1\nLABEL b=c a=d\nWORKDIR /x/y\n";
    let mut worlds = [World::new(), World::new()];
    for (world, order) in worlds.iter().zip([["p", "q", "r"], ["r", "p", "q"]]) {
        for name in order {
            world.file(name, name, 0o644);
        }
    }
    let later = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    File::open(worlds[1].context().join("p"))
        .unwrap()
        .set_modified(later)
        .unwrap();
    let digests: Vec<_> = worlds
        .iter()
        .map(|world| world.build(text).unwrap().0.manifest)
        .collect();
    assert_eq!(digests[0], digests[1]);
    worlds[1].epoch = 1;
    assert_ne!(worlds[1].build(text).unwrap().0.manifest, digests[0]);
    assert_eq!(
        worlds[1].build(text).unwrap().1.config.created.unwrap(),
        "1970-01-01T00:00:01Z"
    );
}

#[test]
fn a_layout_takes_its_place_whole() {
    let world = World::new();
    let out = world.dir.path().join("out");
    world.build("FROM scratch\nCOPY a /a\n").unwrap();
    let first = fs::read(out.join("index.json")).unwrap();
    world.refused("FROM scratch\nCOPY a /a\nCOPY none /b\n");
    assert_eq!(fs::read(out.join("index.json")).unwrap(), first);
    world.build("FROM scratch\nCOPY b /b\n").unwrap();
    assert_ne!(fs::read(out.join("index.json")).unwrap(), first);
    let left: Vec<_> = fs::read_dir(world.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
    let told = world
        .build_to(&world.context(), "FROM scratch\n", None)
        .unwrap_err()
        .to_string();
    assert!(told.contains("a directory is there that is no OCI layout"), "{told}");
}

#[test]
fn what_is_excluded_is_passed_over() {
    let world = World::new();
    let files = world.files("FROM scratch\nCOPY --exclude=sub --exclude=inner d /d\nCOPY --exclude=a a b /f/\n");
    assert_eq!(files, "755 0:0 d/\n644 0:0 d/x x\n755 0:0 f/\n644 0:0 f/b b\n");
    let files = world.files("FROM scratch\nCOPY --exclude=sub --exclude=!sub/y d /d\n");
    assert_eq!(
        files,
        "755 0:0 d/\n777 0:0 d/inner -> x\n755 0:0 d/sub/\n600 0:0 d/sub/y y\n644 0:0 d/x x\n"
    );
}

#[test]
fn a_heredoc_is_a_file() {
    let world = World::new();
    let files = world.files("FROM scratch\nARG GIVEN\nCOPY <<one <<'two' /h/\nis $GIVEN\none\nis $GIVEN\ntwo\n");
    assert_eq!(files, "755 0:0 h/\n644 0:0 h/one is given\n644 0:0 h/two is $GIVEN\n");
}
