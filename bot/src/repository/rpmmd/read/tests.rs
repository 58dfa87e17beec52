//! What `createrepo_c` and our own writer write is read as it is; what is damaged or made to harm ends in words.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::Command;

use proptest::prelude::*;
use rstest::rstest;
use windlass_core::hex::hex;
use windlass_core::rpm::{FileKind, Header, header};

use super::*;
use crate::repository::rpmmd::{self, Codec, Entry, Order};

/// Two packages as `createrepo_c` lists them.
const PRIMARY: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="2">
<package type="rpm">
  <name>libtin</name>
  <arch>x86_64</arch>
  <version epoch="1" ver="2.0" rel="alt1"/>
  <checksum type="sha256" pkgid="YES">aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa</checksum>
  <summary>Tin &amp; &lt;solder&gt;</summary>
  <size package="4242" installed="1" archive="2"/>
  <location href="Packages/libtin-2.0-alt1.x86_64.rpm"/>
  <format>
    <rpm:sourcerpm>tin-2.0-alt1.src.rpm</rpm:sourcerpm>
    <rpm:provides>
      <rpm:entry name="libtin" flags="EQ" epoch="1" ver="2.0" rel="alt1"/>
      <rpm:entry name="a&amp;b"/>
    </rpm:provides>
    <rpm:requires>
      <rpm:entry name="rpmlib(CompressedFileNames)" flags="LE" epoch="0" ver="3.0.4" rel="1" pre="1"/>
      <rpm:entry name="libc" flags="GE" epoch="0" ver="2.3" pre="1"/>
      <rpm:entry name="(foo if (bar or baz))"/>
      <rpm:entry name="(foo if"/>
    </rpm:requires>
    <rpm:conflicts><rpm:entry name="lead" flags="LT" epoch="0" ver="9"/></rpm:conflicts>
    <rpm:obsoletes><rpm:entry name="pewter"/></rpm:obsoletes>
    <rpm:recommends><rpm:entry name="flux"/></rpm:recommends>
    <file>/etc/tin</file>
  </format>
</package>
<package type="rpm">
  <name>tin</name>
  <arch>src</arch>
  <version epoch="0" ver="2.0" rel="alt1"/>
  <checksum type="sha512" pkgid="YES">bb</checksum>
  <size package="1"/>
  <location xml:base="https://example.org/r/" href="tin.src.rpm"/>
  <format/>
</package>
</metadata>
"#;

const FILELISTS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="2">
<package pkgid="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" name="libtin" arch="x86_64">
  <version epoch="1" ver="2.0" rel="alt1"/>
  <file>/etc/tin</file>
  <file type="dir">/usr/share/tin&#x20;&amp; co</file>
  <file type="ghost">/var/log/tin</file>
</package>
<package pkgid="cc" name="who" arch="i586"><file>/x</file></package>
</filelists>
"#;

/// How a test compresses.
#[derive(Debug, Clone, Copy)]
enum Form {
    Plain,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

fn compressed(form: Form, text: &[u8]) -> Vec<u8> {
    match form {
        Form::Plain => text.to_vec(),
        Form::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        Form::Zstd => zstd::bulk::compress(text, 1).unwrap(),
        Form::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        Form::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// In two members, frames or streams, parted in the middle of a tag.
fn in_two(form: Form, text: &str) -> Vec<u8> {
    let (one, two) = text.as_bytes().split_at(text.len() / 2);
    let mut bytes = compressed(form, one);
    bytes.extend(compressed(form, two));
    bytes
}

fn data(kind: &str, bytes: &[u8]) -> String {
    let digest = sha256(bytes);
    format!(
        "<data type=\"{kind}\"><checksum type=\"sha256\">{digest}</checksum><location href=\"repodata/{kind}\"/><size>{}</size></data>",
        bytes.len()
    )
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex(&sha2::Sha256::digest(bytes))
}

/// A repository of these files, with the digests that they have.
fn repository(primary: &[u8], filelists: Option<&[u8]>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let repodata = dir.path().join("repodata");
    fs::create_dir(&repodata).unwrap();
    let mut repomd = format!("<repomd>{}", data("primary", primary));
    fs::write(repodata.join("primary"), primary).unwrap();
    if let Some(filelists) = filelists {
        repomd += &data("filelists", filelists);
        fs::write(repodata.join("filelists"), filelists).unwrap();
    }
    fs::write(repodata.join("repomd.xml"), repomd + "</repomd>").unwrap();
    dir
}

fn all(directory: &Path) -> Result<Vec<Arc<Package>>, ReadError> {
    read(directory, &|_| true)
}

fn small() -> Limits {
    Limits {
        repomd: 4096,
        file: 1 << 20,
        opened: 1 << 20,
        text: 4096,
        packages: 50,
        dependencies: 20,
        files: 20,
        kept: 1 << 20,
    }
}

#[rstest]
fn every_form_is_read(#[values(Form::Plain, Form::Gzip, Form::Zstd, Form::Xz, Form::Bzip2)] form: Form) {
    let dir = repository(&in_two(form, PRIMARY), Some(&in_two(form, FILELISTS)));
    let packages = all(dir.path()).unwrap();
    assert_eq!(packages.len(), 2);
    let tin = &packages[0];
    assert_eq!(tin.nevra(), "libtin-1:2.0-alt1.x86_64");
    assert_eq!(tin.source_rpm.as_deref(), Some("tin-2.0-alt1.src.rpm"));
    let shown = |list: Vec<String>| list.join("; ");
    assert_eq!(
        shown(tin.provides.iter().map(ToString::to_string).collect()),
        "libtin = 1:2.0-alt1; a&b"
    );
    assert_eq!(
        shown(tin.requires.iter().map(ToString::to_string).collect()),
        "libc >= 2.3; (foo if (bar or baz)); (foo if"
    );
    assert_eq!(
        shown(tin.conflicts.iter().map(ToString::to_string).collect()),
        "lead < 9"
    );
    assert_eq!(shown(tin.obsoletes.iter().map(ToString::to_string).collect()), "pewter");
    assert_eq!(shown(tin.recommends.iter().map(ToString::to_string).collect()), "flux");
    let files: Vec<_> = tin.files.iter().map(|file| (file.path.as_str(), file.kind)).collect();
    assert_eq!(
        files,
        [
            ("/etc/tin", FileKind::Plain),
            ("/usr/share/tin & co", FileKind::Directory),
            ("/var/log/tin", FileKind::Ghost)
        ]
    );
    let artifact = tin.artifact.as_ref().unwrap();
    assert_eq!(
        (artifact.size, artifact.sha256.as_str()),
        (4242, "a".repeat(64).as_str())
    );
    assert_eq!(artifact.location, "Packages/libtin-2.0-alt1.x86_64.rpm");
    // By another digest than SHA-256 its file is not fetched.
    assert_eq!(
        (packages[1].nevra().as_str(), packages[1].artifact.as_ref()),
        ("tin-2.0-alt1.src", None)
    );
}

#[test]
fn only_the_wanted_architectures_are_kept() {
    let dir = repository(PRIMARY.as_bytes(), None);
    let packages = read(dir.path(), &|arch| arch == "src").unwrap();
    assert_eq!(packages.len(), 1);
    // Without filelists, there are the files of primary.
    let packages = read(dir.path(), &|arch| arch == "x86_64").unwrap();
    assert_eq!(packages[0].files.len(), 1);
}

/// A package in the middle of metadata.
fn listing(package: &str) -> String {
    format!("<metadata>{package}</metadata>")
}

fn package(format: &str) -> String {
    listing(&format!(
        "<package type=\"rpm\"><name>a</name><arch>noarch</arch><version epoch=\"0\" ver=\"1\" rel=\"1\"/><checksum type=\"sha256\" pkgid=\"YES\">{}</checksum><location href=\"a.rpm\"/>{format}</package>",
        "a".repeat(64)
    ))
}

#[rstest]
#[case::no_xml("PK\u{3}\u{4}", "text stands outside of its elements")]
#[case::empty("", "it ends too early")]
#[case::another("<filelists/>", "it begins with 'filelists' and not with 'metadata'")]
#[case::cut("<metadata><package>", "it ends too early")]
#[case::crossed("<metadata><a></b></metadata>", "b")]
#[case::two("<metadata/><metadata/>", "something follows its end")]
#[case::entities("<!DOCTYPE m [<!ENTITY a \"b\">]><metadata/>", "it has a document type")]
#[case::unknown_entity("<metadata><x>&lol9;</x></metadata>", "'&lol9;' is not known")]
#[case::deep(&format!("<metadata>{}", "<a>".repeat(99)), "more than 16 deep")]
#[case::long_text(&format!("<metadata><x>{}</x></metadata>", "y".repeat(9999)), "more than 4096 bytes")]
#[case::long_cdata(&format!("<metadata><x>{}</x></metadata>", "<![CDATA[yyyyyyyyyyyyyyyyyyyy]]>".repeat(999)), "more than 4096 bytes")]
#[case::long_tag(&format!("<metadata><x a=\"{}\"/></metadata>", "y".repeat(9999)), "more than 4096 bytes")]
#[case::attributes(&format!("<metadata><package{}/></metadata>", " a=\"\"".repeat(99)), "more than 64 attributes")]
#[case::nameless(&package("<name></name>"), "'' cannot be a package's name")]
#[case::way_out(&package("<name>../../etc</name>"), "'../../etc' cannot be a package's name")]
#[case::terminal(&package("<name>a&#27;[31m</name>"), "'a\\u{1b}[31m' cannot be a package's name")]
#[case::arch(&package("<arch>x y</arch>"), "'x y' cannot be an architecture")]
#[case::version(&package("<version ver=\"1/2\"/>"), "'1/2' cannot be a version")]
#[case::epoch(&package("<version epoch=\"-1\" ver=\"1\"/>"), "'-1' is no epoch")]
#[case::no_version(&package("<version/>"), "has no version")]
#[case::absolute(&package("<location href=\"/etc/passwd\"/>"), "'/etc/passwd' is no place below")]
#[case::upwards(&package("<location href=\"a/../../b\"/>"), "'a/../../b' is no place below")]
#[case::no_place(&package("<location/>"), "has no 'href'")]
#[case::pkgid(&package("<checksum type=\"sha256\" pkgid=\"YES\">zz</checksum>"), "is no digest")]
#[case::size(&package("<size package=\"many\"/>"), "is no number")]
#[case::comparison(&package("<format><rpm:requires><rpm:entry name=\"x\" flags=\"NE\" ver=\"1\"/></rpm:requires></format>"), "'NE' is no comparison")]
#[case::no_name(&package("<format><rpm:requires><rpm:entry/></rpm:requires></format>"), "has no 'name'")]
#[case::dependencies(&package(&format!("<format><rpm:provides>{}</rpm:provides></format>", "<rpm:entry name=\"x\"/>".repeat(30))), "more than 20 dependencies")]
#[case::files(&package(&format!("<format>{}</format>", "<file>/x</file>".repeat(30))), "'a' has too many files")]
#[case::packages(&listing(&"<package><arch>noarch</arch><name>a</name><version ver=\"1\"/><checksum type=\"md5\">a</checksum></package>".repeat(99)), "more than 50 packages")]
fn what_makes_no_sense_is_told(#[case] primary: &str, #[case] expected: &str) {
    let dir = repository(primary.as_bytes(), None);
    let error = read_within(dir.path(), &|_| true, &small()).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert!(error.contains("repodata/primary") && error.len() < 500, "{error}");
    assert!(!error.contains('\u{1b}'), "{error:?}");
}

#[rstest]
#[case::list("<metadata/>", "it begins with 'metadata'")]
#[case::none("<repomd/>", "it names no 'primary'")]
#[case::weak(
    "<repomd><data type=\"primary\"><checksum type=\"md5\">00</checksum></data></repomd>",
    "of the kind 'md5' prove nothing"
)]
#[case::unnamed(
    "<repomd><data type=\"primary\"><location href=\"a\"/></data></repomd>",
    "'primary' has no checksum"
)]
#[case::digits(
    "<repomd><data type=\"primary\"><checksum type=\"sha256\">../x</checksum></data></repomd>",
    "'../x' is no sha256"
)]
#[case::upwards(
    "<repomd><data type=\"primary\"><location href=\"../../etc/passwd\"/></data></repomd>",
    "is no place below"
)]
#[case::elsewhere(
    "<repomd><data type=\"primary\"><location xml:base=\"ftp://x\" href=\"a\"/></data></repomd>",
    "lies elsewhere"
)]
#[case::size("<repomd><data type=\"primary\"><size>-1</size></data></repomd>", "'-1' is no size")]
#[case::large(
    "<repomd>                                                                             </repomd>",
    "more than 60 bytes"
)]
fn a_bad_repomd_is_told(#[case] repomd: &str, #[case] expected: &str) {
    let dir = repository(b"", None);
    fs::write(dir.path().join("repodata/repomd.xml"), repomd).unwrap();
    let mut limits = Limits::default();
    if repomd.contains("   ") {
        limits.repomd = 60;
    }
    let error = read_within(dir.path(), &|_| true, &limits).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn damage_is_told_as_damage() {
    let dir = repository(PRIMARY.as_bytes(), None);
    let file = dir.path().join("repodata/primary");
    // As long as before, and no XML any more.
    fs::write(&file, "x".repeat(PRIMARY.len())).unwrap();
    let error = all(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("its sha256 is ") && error.contains("\n\nhint: it is damaged"),
        "{error}"
    );
    fs::write(&file, "short").unwrap();
    let error = all(dir.path()).unwrap_err().to_string();
    assert!(error.contains("it has 5 bytes, and"), "{error}");
    fs::remove_file(&file).unwrap();
    assert!(matches!(all(dir.path()), Err(ReadError::File { .. })));
    fs::remove_dir_all(dir.path().join("repodata")).unwrap();
    let error = all(dir.path()).unwrap_err().to_string();
    assert!(error.contains("there is no repository in"), "{error}");
}

#[test]
fn a_pipe_in_the_place_of_a_file_stops_nobody() {
    let dir = repository(PRIMARY.as_bytes(), None);
    let file = dir.path().join("repodata/primary");
    fs::remove_file(&file).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR).unwrap();
    let error = all(dir.path()).unwrap_err().to_string();
    assert!(error.contains("it is no file"), "{error}");
}

#[rstest]
fn a_bomb_goes_out(#[values(Form::Gzip, Form::Zstd, Form::Xz, Form::Bzip2)] form: Form) {
    // 4 MiB of blanks, all of them allowed between elements.
    let text = format!("<metadata>{}</metadata>", " \n".repeat(2 << 20));
    let dir = repository(&compressed(form, text.as_bytes()), None);
    let limits = Limits {
        text: 1 << 30,
        ..small()
    };
    let error = read_within(dir.path(), &|_| true, &limits).unwrap_err().to_string();
    assert!(error.contains("decompressed it is larger"), "{error}");
}

#[rstest]
fn what_is_cut_off_is_told(#[values(Form::Gzip, Form::Zstd, Form::Xz, Form::Bzip2)] form: Form) {
    let mut bytes = compressed(form, PRIMARY.as_bytes());
    bytes.truncate(bytes.len() - 20);
    let dir = repository(&bytes, None);
    all(dir.path()).unwrap_err();
}

#[test]
fn memory_is_bounded() {
    let entries = "<rpm:entry name=\"some-name-of-a-capability\"/>".repeat(19);
    let one = format!(
        "<package><arch>noarch</arch><name>a</name><version ver=\"1\"/><checksum type=\"md5\">a</checksum><format><rpm:provides>{entries}</rpm:provides></format></package>"
    );
    let dir = repository(listing(&one.repeat(49)).as_bytes(), None);
    let limits = Limits { kept: 9999, ..small() };
    let error = read_within(dir.path(), &|_| true, &limits).unwrap_err().to_string();
    assert!(error.contains("more than is kept in memory"), "{error}");
}

/// A package file, and what its header says.
fn built(name: &str, requires: &[&str], files: &[&str]) -> (Vec<u8>, Header) {
    let mut builder = rpm::PackageBuilder::new(name, "1.0", "MIT", "noarch", "a <test> & more");
    builder.release("1").epoch(2);
    for one in requires {
        builder.requires(rpm::Dependency::any(*one));
    }
    builder.provides(rpm::Dependency::eq("virtual", "0:3-4"));
    builder.conflicts(rpm::Dependency::less("other", "1:5"));
    builder.obsoletes(rpm::Dependency::any("former"));
    builder.recommends(rpm::Dependency::greater_eq("nice", "1"));
    for path in files {
        builder.with_file_contents("x", rpm::FileOptions::new(*path)).unwrap();
    }
    let mut bytes = Vec::new();
    builder.build().unwrap().write(&mut bytes).unwrap();
    let header = header::read(&mut bytes.as_slice()).unwrap();
    (bytes, header)
}

/// Some packages as files in a directory, and as repositories should have them.
fn some(dir: &Path) -> Vec<(Header, Package)> {
    let packages = [
        built(
            "one",
            &["two", "(a and (b or c >= 1))", "/usr/share/x"],
            &["/usr/share/one/a b", "/etc/one.conf"],
        ),
        built("two", &[], &["/usr/bin/two"]),
        built("three", &["one", "one"], &[]),
    ];
    let each = packages.into_iter().map(|(bytes, header)| {
        let name = header.package.file_name();
        fs::write(dir.join(&name), &bytes).unwrap();
        let package = Package {
            artifact: Some(windlass_core::rpm::Artifact {
                sha256: sha256(&bytes),
                size: bytes.len() as u64,
                location: name,
            }),
            ..Package::clone(&header.package)
        };
        (header, package)
    });
    each.collect()
}

fn sorted(mut packages: Vec<Package>) -> Vec<Package> {
    packages.sort_by(|one, two| one.name.cmp(&two.name));
    packages
}

#[rstest]
fn what_we_write_is_read_as_the_headers_say(#[values(Codec::Zstd, Codec::Gzip)] codec: Codec) {
    let dir = tempfile::tempdir().unwrap();
    let some = some(dir.path());
    let order = Order {
        directory: dir.path(),
        before: None,
        added: some
            .iter()
            .map(|(header, package)| Entry {
                header,
                artifact: package.artifact.as_ref().unwrap(),
                file_time: 0,
            })
            .collect(),
        removed: BTreeSet::new(),
        codec,
        revision: "1",
        time: 0,
        updateinfo: None,
    };
    rpmmd::write(&order).unwrap();
    let read: Vec<Package> = all(dir.path()).unwrap().iter().map(|one| Package::clone(one)).collect();
    let expected = some.into_iter().map(|(_, package)| package).collect();
    assert_eq!(sorted(read), sorted(expected));
}

#[rstest]
#[case("gz")]
#[case("xz")]
#[case("bz2")]
fn what_createrepo_writes_is_read_as_the_headers_say(#[case] form: &str) {
    let dir = tempfile::tempdir().unwrap();
    let some = some(dir.path());
    let made = Command::new("createrepo_c")
        .args(["--quiet", "--general-compress-type", form])
        .arg(dir.path())
        .output();
    let Ok(made) = made else {
        #[expect(clippy::print_stdout, reason = "the test runner shows it, the table lists it")]
        {
            println!("SKIPPED: there is no createrepo_c here");
        }
        return;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read: Vec<Package> = all(dir.path()).unwrap().iter().map(|one| Package::clone(one)).collect();
    let expected = some.into_iter().map(|(_, package)| package).collect();
    assert_eq!(sorted(read), sorted(expected));
}

/// An element that is closed by much text: the reader of XML would quote all of it.
#[test]
fn an_error_does_not_quote_the_whole_file() {
    let broken = PRIMARY.replacen("</name>", &format!("</{}name>", "\u{b}".repeat(3000)), 1);
    let dir = repository(broken.as_bytes(), None);
    let error = read_within(dir.path(), &|_| true, &small()).unwrap_err().to_string();
    assert!(error.contains("</name>") && error.len() < 600, "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever stands in the files: an answer, no panic, and no long text.
    #[test]
    fn damaged_metadata_never_panics(
        cuts in proptest::collection::vec((0usize..4000, 0usize..40, ".{0,12}"), 1..6),
        which in 0..2,
    ) {
        let mut text = if which == 0 { PRIMARY } else { FILELISTS }.as_bytes().to_vec();
        for (at, length, put) in cuts {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, put.into_bytes());
        }
        let dir = match which {
            0 => repository(&text, None),
            _ => repository(PRIMARY.as_bytes(), Some(&text)),
        };
        if let Err(error) = read_within(dir.path(), &|_| true, &small()) {
            prop_assert!(error.to_string().len() < 1000, "{}", error);
        }
    }

    /// Compressed files that are damaged, too.
    #[test]
    fn damaged_compression_never_panics(at in 0usize..2000, byte: u8, form in 0usize..4) {
        let form = [Form::Gzip, Form::Zstd, Form::Xz, Form::Bzip2][form];
        let mut bytes = compressed(form, PRIMARY.as_bytes());
        let at = at % bytes.len();
        bytes[at] = byte;
        let dir = repository(&bytes, None);
        let _ = read_within(dir.path(), &|_| true, &small());
    }
}
