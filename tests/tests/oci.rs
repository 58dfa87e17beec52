//! Images that are built without an engine, and what real engines make of the same Dockerfiles: the same files, the same configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass::images::build::tree::{Nothing, Tree};
use windlass::images::oci::{self, Built, OciBuild};
use windlass_core::image::dockerfile::{Arguments, Platform};
use windlass_core::image::{Dockerfile, ImageName};
use windlass_tests::engines::{self, Engine, Kind, busybox_context, request};
use windlass_tests::{Cmd, skipped};

/// A directory with the files that the cases copy.
struct Context(TempDir);

impl Context {
    fn new() -> anyhow::Result<Self> {
        let context = Self(tempfile::Builder::new().prefix("wlo-").tempdir()?);
        for (name, mode) in [
            ("d", 0o700),
            ("d/sub", 0o750),
            ("empty", 0o755),
            ("s", 0o755),
            ("s/real", 0o755),
            ("links", 0o755),
            ("setid", 0o755),
            ("etc", 0o755),
        ] {
            context.directory(name, mode)?;
        }
        for (name, content, mode) in [
            ("a", "a\n", 0o644),
            ("b", "b\n", 0o755),
            (".hidden", "h\n", 0o644),
            ("a b", "space\n", 0o644),
            ("1.txt", "1\n", 0o640),
            ("2.txt", "2\n", 0o604),
            ("d/x", "x\n", 0o644),
            ("d/sub/y", "y\n", 0o600),
            ("s/target", "old\n", 0o644),
            ("setid/f", "s\n", 0o6755),
            ("etc/passwd", "root:x:0:0::/:\nbob:x:1000:50::/:/x\n", 0o644),
            ("etc/group", "root:x:0:\nstaff:x:88:\n", 0o644),
        ] {
            context.file(name, content, mode)?;
        }
        for (name, target) in [
            ("link", "a"),
            ("dlink", "d"),
            ("out", "/outside/file"),
            // Absolute, and inside the context all the same: the context is the root.
            ("inside", "/etc/passwd"),
            ("d/inner", "x"),
            ("links/tofile", "target"),
            ("links/dangling", "nowhere"),
            ("s/todir", "real"),
            ("s/abs", "/tmpx"),
        ] {
            symlink(target, context.path().join(name))?;
        }
        context.archives()?;
        Ok(context)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn directory(&self, name: &str, mode: u32) -> anyhow::Result<()> {
        fs::create_dir_all(self.path().join(name))?;
        Ok(fs::set_permissions(
            self.path().join(name),
            Permissions::from_mode(mode),
        )?)
    }

    fn file(&self, name: &str, content: &str, mode: u32) -> anyhow::Result<()> {
        fs::write(self.path().join(name), content)?;
        Ok(fs::set_permissions(
            self.path().join(name),
            Permissions::from_mode(mode),
        )?)
    }

    /// The same archive in each form that ADD unpacks, and a compressed file that is no archive.
    fn archives(&self) -> anyhow::Result<()> {
        let source = tempfile::tempdir()?;
        let root = source.path();
        fs::create_dir(root.join("sub"))?;
        fs::set_permissions(root.join("sub"), Permissions::from_mode(0o1777))?;
        fs::write(root.join("f"), "1\n")?;
        fs::hard_link(root.join("f"), root.join("hard"))?;
        symlink("/etc", root.join("abs"))?;
        if rustix::process::geteuid().is_root() {
            chown(root.join("f"), Some(3), Some(4))?;
        }
        let tar = |args: &[&str]| {
            Cmd::new("tar")
                .arg("-C")
                .arg(root)
                .args(args)
                .args(["--sort=name", "."])
                .run()?
                .ok()
        };
        for (name, flag) in [
            ("t.tar", "-cf"),
            ("t.tgz", "-czf"),
            ("t.txz", "-cJf"),
            ("t.tbz", "-cjf"),
        ] {
            let file = self.path().join(name);
            tar(&[flag, &file.to_string_lossy()])?;
        }
        let zipped = Cmd::new("gzip").args(["-nc"]).arg(root.join("f")).run()?.ok()?.stdout;
        Ok(fs::write(self.path().join("f.gz"), zipped)?)
    }
}

/// Builds without an engine.
fn build(context: &Path, dockerfile: &str, name: &str, out: &Path) -> anyhow::Result<Built> {
    let dockerfile = Dockerfile::parse(dockerfile)?;
    let platform = Platform::linux(std::env::consts::ARCH);
    let mut files = Tree::default();
    files.add_folder(context, &Nothing)?;
    let name: ImageName = name.parse()?;
    Ok(oci::build(
        &OciBuild {
            dockerfile: &dockerfile,
            files: &files,
            arguments: &Arguments::native(&platform),
            target: None,
            labels: &BTreeMap::new(),
            platform: &platform,
            epoch: 0,
            names: &[name],
            find_base: &|_| Ok(None),
        },
        out,
    )?)
}

/// Has an engine take a layout.
fn load(engine: &Engine, built: &Built) -> anyhow::Result<()> {
    let mut archive = Vec::new();
    built.layout.pack(&mut archive)?;
    let answer = request(
        &engine.socket,
        "POST",
        "/images/load?quiet=1",
        "application/x-tar",
        &archive,
    )?
    .ok()?;
    if answer.text().contains("\"error\"") {
        bail!("{} does not take it: {}", engine.kind.name(), answer.text());
    }
    Ok(())
}

/// Who builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Builder {
    /// Docker's builder of old.
    Classic,
    /// Docker's builder of today.
    BuildKit,
    /// Podman's.
    Buildah,
}

impl Builder {
    const ALL: [Self; 3] = [Self::Classic, Self::BuildKit, Self::Buildah];

    fn engine(self) -> Kind {
        match self {
            Self::Classic | Self::BuildKit => Kind::Docker,
            Self::Buildah => Kind::Podman,
        }
    }

    /// Has the engine build; what went wrong is an error.
    fn build(self, engine: &Engine, name: &str, context: &Path, dockerfile: &str) -> anyhow::Result<()> {
        let file = "Dockerfile.case";
        fs::write(context.join(file), dockerfile)?;
        let archive = Cmd::new("tar")
            .arg("-C")
            .arg(context)
            .args(["-c", "."])
            .run()?
            .ok()?
            .stdout;
        fs::remove_file(context.join(file))?;
        let version = if self == Self::BuildKit { "&version=2" } else { "" };
        let path = format!("/build?t={name}&dockerfile={file}&networkmode=none&nocache=1&rm=1&forcerm=1{version}");
        let answer = request(&engine.socket, "POST", &path, "application/x-tar", &archive)?;
        let text = answer.text();
        if answer.status != 200 || text.contains("\"errorDetail\"") || text.contains("\"error\":") {
            bail!("{self:?} does not build it: {text}");
        }
        Ok(())
    }
}

/// What an image is.
#[derive(Debug, PartialEq)]
struct Facts {
    files: BTreeMap<String, String>,
    config: BTreeMap<&'static str, Value>,
}

/// The files of an image as the engine gives them out, and what of its configuration the Dockerfile says.
fn facts(engine: &Engine, name: &str) -> anyhow::Result<Facts> {
    let order = json!({"Image": name, "Cmd": ["/nothing"], "HostConfig": {"NetworkMode": "none"}}).to_string();
    let made = request(
        &engine.socket,
        "POST",
        "/containers/create",
        "application/json",
        order.as_bytes(),
    )?;
    let id = made.ok()?.json()?["Id"]
        .as_str()
        .context("a container's id")?
        .to_owned();
    let exported = engine.request("GET", &format!("/containers/{id}/export"))?.ok()?.body;
    engine.request("DELETE", &format!("/containers/{id}?force=1"))?.ok()?;
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(&exported[..]);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_end_matches('/').to_owned();
        let header = entry.header().clone();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        let link = entry.link_name()?.map(|target| target.to_string_lossy().into_owned());
        let what = match (header.entry_type(), link) {
            (tar::EntryType::Directory, _) => "/".to_owned(),
            (tar::EntryType::Symlink, Some(target)) => format!("-> {target}"),
            // A hard link is a file with the content of another one: which of the two comes first is the engine's.
            (tar::EntryType::Link, Some(target)) => files
                .get(target.trim_start_matches("./"))
                .and_then(|line: &String| line.split_once(' ')?.1.split_once(' '))
                .map(|(_, what)| what.to_owned())
                .context("a hard link to what came before")?,
            (tar::EntryType::Regular, _) => format!("{:?}", String::from_utf8_lossy(&content)),
            (other, _) => format!("{other:?}"),
        };
        let shown = format!(
            "{:04o} {}:{} {what}",
            header.mode()? & 0o7777,
            header.uid()?,
            header.gid()?
        );
        files.insert(path, shown);
    }
    let inspected = engine.get(&format!("/images/{name}/json"))?;
    let config = &inspected["Config"];
    let mut kept = BTreeMap::new();
    for key in [
        "Cmd",
        "Entrypoint",
        "Env",
        "ExposedPorts",
        "Healthcheck",
        "OnBuild",
        "Shell",
        "StopSignal",
        "User",
        "Volumes",
    ] {
        kept.insert(key, meaning(&config[key]));
    }
    let mut labels = config["Labels"].clone();
    if let Some(labels) = labels.as_object_mut() {
        labels.remove("io.buildah.version");
    }
    kept.insert("Labels", meaning(&labels));
    // BuildKit says where a container begins even where the Dockerfile does not.
    let directory = config["WorkingDir"].as_str().unwrap_or_default();
    kept.insert("WorkingDir", json!(if directory.is_empty() { "/" } else { directory }));
    Ok(Facts { files, config: kept })
}

/// Nothing, an empty list and an empty text are the same to an engine.
fn meaning(value: &Value) -> Value {
    match value {
        Value::Array(list) if list.is_empty() => Value::Null,
        Value::Object(map) if map.is_empty() => Value::Null,
        Value::String(text) if text.is_empty() => Value::Null,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            value.clone()
        }
    }
}

/// A Dockerfile, and who agrees with us on it.
struct Case {
    name: &'static str,
    text: &'static str,
    with: &'static [Builder],
    /// What of the configuration is not compared, since Podman's API or format does not have it.
    without: &'static [&'static str],
}

const fn case(name: &'static str, text: &'static str) -> Case {
    Case {
        name,
        text,
        with: &Builder::ALL,
        without: &[],
    }
}

const DOCKERS: &[Builder] = &[Builder::Classic, Builder::BuildKit];

/// What all of them have to agree on; where one does not, the case says so.
const CASES: &[Case] = &[
    case(
        "directories",
        "FROM scratch\nCOPY d /new\nCOPY d /deep/er/\nCOPY d/. /dot\nCOPY ./d /dd/.\nCOPY empty /e\nCOPY dlink /l\nWORKDIR /w\nCOPY d/ ./\n",
    ),
    case(
        "files",
        "FROM scratch\nCOPY a /new/deep/f\nCOPY a /new2/\nCOPY a b /new3/\nCOPY link /l\nCOPY link /ls/\nCOPY inside /i\nCOPY d /x\nCOPY a /x\nCOPY [\"a b\", \"/x y/\"]\n",
    ),
    case(
        "wildcards",
        "FROM scratch\nCOPY *.txt /t/\nCOPY d/s* /g1/\nCOPY d/s*/y /g2/\nCOPY d/* /g3/\nCOPY a* /g4/\nCOPY .h* [0-9].tx? /g5/\nCOPY b* /one\n",
    ),
    case(
        "metadata of what is there",
        "FROM scratch\nCOPY etc /etc\nCOPY d /etc\nCOPY --chown=5:6 d /etc\nCOPY --chown=0:0 etc /\n",
    ),
    case(
        "links in the destination",
        "FROM scratch\nCOPY s /\nCOPY a /todir\nCOPY a /todir/new/\nCOPY b /abs/f\nWORKDIR /todir/n\nCOPY a .\nWORKDIR /todir\nCOPY a n2\n",
    ),
    Case {
        with: DOCKERS,
        // Podman 4.3 replaces the link.
        ..case(
            "a link as the destination",
            "FROM scratch\nCOPY s links /\nCOPY a /tofile\nCOPY a /dangling\n",
        )
    },
    case(
        "working directories",
        "FROM scratch\nWORKDIR /w/one\nCOPY a .\nCOPY b two\nWORKDIR sub\nCOPY b ..\nCOPY a sub/\nWORKDIR /w/one/../v\nCOPY a .\nWORKDIR /v\nCOPY a .\n",
    ),
    case(
        "owners",
        "FROM scratch\nCOPY etc /etc/\nCOPY --chown=5:6 d /one\nCOPY --chown=7 a /three\nCOPY --chown=bob:staff a /five\nCOPY --chown=bob:9 d/ /etc/\n",
    ),
    Case {
        // Docker's classic builder takes the group of the user's name, does not know a group alone, and gives directories that it has to
        // make to root.
        with: &[Builder::BuildKit, Builder::Buildah],
        ..case(
            "the user's own group",
            "FROM scratch\nCOPY etc /etc/\nCOPY --chown=bob d /four/\nCOPY --chown=:9 a /six\nCOPY --chown=5:6 d /one/two\nCOPY --chown=7 a /three/f\n",
        )
    },
    Case {
        // Docker's classic builder and Podman's API give a working directory to root; `buildah bud` does not.
        with: &[Builder::BuildKit],
        ..case(
            "the user's own directory",
            "FROM scratch\nUSER 5:6\nWORKDIR /w/x\nCOPY a b\n",
        )
    },
    Case {
        // Docker's classic builder does not know --chmod.
        with: &[Builder::BuildKit, Builder::Buildah],
        ..case(
            "modes",
            "FROM scratch\nCOPY --chmod=604 d /one/two\nCOPY --chmod=755 link d/inner /g/\n",
        )
    },
    case(
        "stages",
        "FROM scratch AS s\nCOPY --chown=5:6 d /src\nCOPY --chown=5:6 a /src2/a\nCOPY s /\nFROM s AS unused\nCOPY b /b\nFROM scratch\n\
         COPY --from=s /src /dst\nCOPY --from=0 /src2/a /dst3\nCOPY --from=s / /all/\nCOPY --from=s --chown=8:9 /src /own\nCOPY --from=s /todir/../target /x\nCOPY --from=s /src/s* /w/\n",
    ),
    case(
        "archives",
        "FROM scratch\nADD t.tar /x/\nADD t.tgz /y\nADD t.txz /z/\nADD t.tbz /t/n/\nADD a /q/\nADD d /r\nADD f.gz /s/\nCOPY t.tar /as/it/is\n",
    ),
    case("archives onto links", "FROM scratch\nCOPY s /\nADD t.tar /todir\n"),
    Case {
        // Docker's classic builder and Podman drop set-id bits.
        with: &[Builder::BuildKit],
        ..case("set-id bits", "FROM scratch\nCOPY setid /s\nADD setid/f /t/\n")
    },
    Case {
        // Podman's images are of OCI's form, which has no word for these; a range of ports stays one there.
        without: &["Healthcheck", "OnBuild", "Shell"],
        ..case(
            "configuration",
            "FROM scratch\nENV A=1 B=\"two words\" C=$A\nENV A=3 D=$B\nLABEL l=1 \"m n\"=\"o p\" v=$B\nWORKDIR /w\nUSER bob:staff\nEXPOSE 80 81/udp\nVOLUME /v /v2\nVOLUME [\"/v3\"]\n\
             STOPSIGNAL SIGINT\nCMD echo hi\nHEALTHCHECK --interval=5s --timeout=1m --retries=3 --start-period=2s CMD true x\nONBUILD COPY a /a\nCOPY a /a\n",
        )
    },
    case(
        "commands",
        "FROM scratch AS one\nCMD [\"a\",\"b\"]\nENTRYPOINT [\"old\"]\nFROM one AS two\nENTRYPOINT [\"/e\"]\nFROM two\nCOPY a /a\n",
    ),
    Case {
        with: DOCKERS,
        ..case(
            "a shell, triggers, no check",
            "FROM scratch AS one\nONBUILD COPY a /trig\nONBUILD ENV T=1\nFROM one\nSHELL [\"/bin/busybox\",\"sh\",\"-c\"]\nENTRYPOINT run this\nEXPOSE 90-92\nHEALTHCHECK NONE\nCOPY b /b\n",
        )
    },
    case(
        "arguments",
        "ARG V=1\nFROM scratch\nARG V\nARG W=${V}x\nENV E=$W PATH=/x\nLABEL w=$W u=${none:-d}\nCOPY a /$W\nWORKDIR ${E}y\nCOPY a .\n",
    ),
];

/// What no engine carries out, and neither do we. (A pattern that nothing is like we refuse too; BuildKit 20.10 passes over it.)
const REFUSED: &[&str] = &["COPY none /x", "COPY out /x", "COPY up /x", "COPY a /x\nCOPY d /x"];

#[test]
fn docker_makes_the_same_of_the_same_dockerfile() -> anyhow::Result<()> {
    the_same_is_made_of_the_same_dockerfile(Kind::Docker)
}

#[test]
fn podman_makes_the_same_of_the_same_dockerfile() -> anyhow::Result<()> {
    the_same_is_made_of_the_same_dockerfile(Kind::Podman)
}

fn the_same_is_made_of_the_same_dockerfile(kind: Kind) -> anyhow::Result<()> {
    let context = Context::new()?;
    let out = tempfile::tempdir()?;
    let ours = out.path().join("ours");
    let mut differences = Vec::new();
    if let Some(why) = engines::lacking(kind) {
        skipped(&why);
        return Ok(());
    }
    let engine = Engine::start(kind)?;
    for builder in Builder::ALL.into_iter().filter(|builder| builder.engine() == kind) {
        for case in CASES.iter().filter(|case| case.with.contains(&builder)) {
            let built = build(context.path(), case.text, "localhost/ours:1", &ours)
                .with_context(|| format!("{} without an engine", case.name))?;
            load(&engine, &built)?;
            builder
                .build(&engine, "localhost/theirs:1", context.path(), case.text)
                .with_context(|| case.name)?;
            let mut want = facts(&engine, "localhost/theirs:1")?;
            let mut got = facts(&engine, "localhost/ours:1")?;
            if builder == Builder::Buildah {
                for key in case.without {
                    want.config.remove(key);
                    got.config.remove(key);
                }
            }
            let mut differ = |what: &str, got: String, want: String| {
                if got != want {
                    differences.push(format!("{}: {what}: {got}, and {builder:?} {want}", case.name));
                }
            };
            for (key, value) in &got.config {
                differ(key, value.to_string(), want.config[key].to_string());
            }
            let names: BTreeSet<_> = got.files.keys().chain(want.files.keys()).collect();
            for name in names {
                let of = |facts: &Facts| facts.files.get(name).map_or("nothing", String::as_str).to_owned();
                differ(name, of(&got), of(&want));
            }
        }
        for lines in REFUSED {
            let text = format!("FROM scratch\n{lines}\n");
            assert!(
                builder
                    .build(&engine, "localhost/theirs:1", context.path(), &text)
                    .is_err(),
                "{lines}: {builder:?}"
            );
            assert!(
                build(context.path(), &text, "localhost/ours:1", &ours).is_err(),
                "{lines}"
            );
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

#[test]
fn a_layout_is_taken_by_everybody_and_runs() -> anyhow::Result<()> {
    let context = tempfile::tempdir()?;
    busybox_context(context.path())?;
    let text = fs::read_to_string(context.path().join("Dockerfile"))?
        + "ENV GREETING=hello\nCMD [\"sh\", \"-c\", \"echo $GREETING; id -u\"]\n";
    let out = tempfile::tempdir()?;
    let built = build(
        context.path(),
        &text,
        "localhost/team/box:1",
        &out.path().join("layout"),
    )?;
    let archive = out.path().join("image.tar");
    built.layout.pack(fs::File::create(&archive)?)?;
    for kind in Kind::ALL {
        if let Some(why) = engines::lacking(kind) {
            skipped(&why);
            continue;
        }
        let engine = Engine::start(kind)?;
        engine.cli().args(["load", "-i"]).arg(&archive).run()?.ok()?;
        assert_eq!(engine.image_names()?, ["localhost/team/box:1"], "{}", kind.name());
        let said = engine
            .cli()
            .args(["run", "--rm", "--network=none", "localhost/team/box:1"])
            .run()?
            .ok()?
            .out();
        assert_eq!(said, "hello\n0\n", "{}", kind.name());
        let inspected = engine.get("/images/localhost/team/box:1/json")?;
        let id = inspected["Id"].as_str().context("an id")?;
        assert_eq!(
            id.trim_start_matches("sha256:"),
            built.config.digits(),
            "{}: the digest is the id",
            kind.name()
        );
    }
    if !Path::new("/usr/bin/skopeo").exists() {
        skipped("there is no skopeo");
        return Ok(());
    }
    let layout = format!("oci:{}:localhost/team/box:1", built.layout.path().display());
    let inspected = Cmd::new("skopeo").args(["inspect", &layout]).run()?.ok()?.json()?;
    assert_eq!(inspected["Digest"], json!(built.manifest.to_string()));
    let copy = format!("dir:{}", out.path().join("copy").display());
    Cmd::new("skopeo")
        .args(["--insecure-policy", "copy", &layout, &copy])
        .run()?
        .ok()?;
    Ok(())
}

#[test]
fn the_same_inputs_are_the_same_bytes_whoever_builds_and_when() -> anyhow::Result<()> {
    let text = "FROM scratch AS s\nADD t.tar /u\nFROM scratch\nCOPY . /\nCOPY --from=s /u /u2\nENV A=1\nLABEL b=c a=d\nWORKDIR /x/y\n";
    let out = tempfile::tempdir()?;
    let first = Context::new()?;
    // The same files in another order of the directory, at other times.
    let second = tempfile::tempdir()?;
    let listed = Cmd::new("find")
        .arg(first.path())
        .args(["-mindepth", "1", "-printf", "%P\\n"])
        .run()?
        .ok()?
        .out();
    let mut names: Vec<&str> = listed.lines().collect();
    names.sort_by_key(|name| (name.matches('/').count(), std::cmp::Reverse(*name)));
    for name in names {
        let (from, to) = (first.path().join(name), second.path().join(name));
        let found = fs::symlink_metadata(&from)?;
        if found.is_dir() {
            fs::create_dir(&to)?;
            fs::set_permissions(&to, found.permissions())?;
        } else if found.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Cmd::new("find")
        .arg(second.path())
        .args(["-exec", "touch", "-h", "-d", "@1000000000", "{}", "+"])
        .run()?
        .ok()?;
    let one = out.path().join("one");
    let two = out.path().join("two");
    build(first.path(), text, "localhost/same:1", &one)?;
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let built = build(second.path(), text, "localhost/same:1", &two);
    rustix::process::umask(before);
    built?;
    let all = |root: &Path| -> anyhow::Result<BTreeMap<PathBuf, (u32, Vec<u8>)>> {
        let mut all = BTreeMap::new();
        let mut todo = vec![root.to_owned()];
        while let Some(directory) = todo.pop() {
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                let name = entry.path().strip_prefix(root)?.to_owned();
                let mode = entry.metadata()?.permissions().mode();
                if entry.file_type()?.is_dir() {
                    todo.push(entry.path());
                    all.insert(name, (mode, Vec::new()));
                } else {
                    all.insert(name, (mode, fs::read(entry.path())?));
                }
            }
        }
        Ok(all)
    };
    assert!(all(&one)? == all(&two)?, "two layouts of the same files differ");
    Ok(())
}
