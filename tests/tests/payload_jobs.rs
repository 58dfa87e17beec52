//! Payloads from commits: a package lands, the next version of exactly the payloads that hold it is made, found in order by readers of its
//! own kind, and offered to the board that it is for.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use windlass_tests::jobs::{JOB, spec};
use windlass_tests::people::ALICE;
use windlass_tests::pipeline::{cannot_build, free_port};
use windlass_tests::process::Cmd;
use windlass_tests::{Clone, World, skipped, wait};

/// What payloads are made and read with.
const NEEDED: [&str; 6] = ["mkfs.ext4", "debugfs", "dumpe2fs", "e2fsck", "openssl", "curl"];

/// Why nothing of this can be run here.
fn lacking() -> Option<String> {
    let is_there = |name: &&str| {
        ["/usr/sbin", "/usr/bin"]
            .iter()
            .any(|dir| Path::new(dir).join(name).is_file())
    };
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !is_there(name)).collect();
    cannot_build()
        .or_else(|| (!missing.is_empty()).then(|| format!("these programs are missing: {}", missing.join(", "))))
}

/// A partition with breeze, and a file that says the version.
const ROOT: &str = "
[[payload.partition]]
name = \"root\"
packages = [\"breeze\"]
[[payload.partition.file]]
path = \"etc/lsb-release\"
content = \"CHROMEOS_RELEASE_VERSION={version}\\n\"
";

/// A world that makes payloads.
struct Works {
    world: World,
    /// Where updates are served.
    address: String,
}

impl Works {
    /// These sections are put behind the world's own; `KEY` in them stands for the file of a key, `DIR` for a folder.
    fn new(sections: &str) -> anyhow::Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let world = World::that_builds_with(|world| {
            world.set("update_server", "listen", &format!("\"{address}\""))?;
            world.set("jobs", "back_off", "\"1s\"")?;
            world.set("jobs", "longest_back_off", "\"2s\"")?;
            let dir = world.dir().to_owned();
            let openssl = |words: &[&str]| Cmd::new("openssl").args(words).dir(&dir).run()?.ok();
            openssl(&["genrsa", "-out", "key.pem", "2048"])?;
            openssl(&["rsa", "-in", "key.pem", "-pubout", "-out", "key.pub"])?;
            let image = dir.join("image");
            std::fs::create_dir_all(image.join("root/etc"))?;
            std::fs::write(image.join("root/etc/note"), "of an image\n")?;
            std::fs::write(
                image.join("Dockerfile"),
                "FROM scratch\nCOPY root/ /\nCOPY root/etc/note /gone\n",
            )?;
            let mut config = std::fs::read_to_string(world.config())?;
            let key = dir.join("key.pem").display().to_string();
            let sections = sections
                .replace("KEY", &key)
                .replace("DIR", &image.display().to_string());
            write!(config, "\n{sections}")?;
            std::fs::write(world.config(), config)?;
            Ok(())
        })?;
        Ok(Self { world, address })
    }

    /// A payload's section: its board is called as it is.
    fn payload(name: &str, more: &str) -> String {
        format!(
            "[[payload]]\nname = \"{name}\"\nboard = \"{name}\"\nrepositories = [\"main\"]\narchitecture = \"x86_64\"\nkey = \"KEY\"\n{more}"
        )
    }

    fn source(&self, name: &str) -> anyhow::Result<Clone> {
        self.world.source(&ALICE, name)
    }

    /// What the job of a payload made, among those of a task.
    fn made(&self, task: u64, payload: &str) -> anyhow::Result<Value> {
        let rows = self.world.jobs_of(task)?;
        let row = rows.iter().find(|row| row["about"] == format!("payload {payload}"));
        let id = row.and_then(|row| row["id"].as_u64()).context("a job of the payload")?;
        Ok(self.world.job_reaches(id, "done")?["payload_made"].clone())
    }

    /// The folder of a payload.
    fn stock(&self, payload: &str) -> PathBuf {
        self.world.root().join("state/payloads").join(payload)
    }

    /// A file of a payload's version.
    fn file(&self, made: &Value, name: &str) -> anyhow::Result<PathBuf> {
        let text = |key: &str| made[key].as_str().with_context(|| format!("no {key}: {made}"));
        let file = self.stock(text("payload")?).join(text("version")?).join(name);
        ensure!(file.is_file(), "{} is missing", file.display());
        Ok(file)
    }

    fn windlass(&self, words: &[&str]) -> anyhow::Result<String> {
        Ok(self.world.windlass(words).run()?.ok()?.out())
    }

    /// Verifies a payload and unpacks it; the image of its root.
    fn unpacked(&self, payload: &Path, source: Option<&Path>, name: &str) -> anyhow::Result<PathBuf> {
        let key = self.world.dir().join("key.pub").display().to_string();
        let payload = payload.display().to_string();
        self.windlass(&["payload", "verify", &payload, "--pubkey", &key])?;
        let out = self.world.dir().join(name);
        let out_text = out.display().to_string();
        let mut words = vec!["payload", "apply", &payload, "--pubkey", &key, "-o", &out_text];
        let source = source.map(|source| format!("root={}", source.display()));
        if let Some(source) = &source {
            words.extend(["--source", source]);
        }
        self.windlass(&words)?;
        Ok(out.join("root.img"))
    }

    /// What a device of a board downloads.
    fn downloaded(&self, board: &str) -> anyhow::Result<Vec<u8>> {
        let url = format!("http://{}/board/{board}/update.gz", self.address);
        Ok(Cmd::new("curl").args(["-sS", "--fail", &url]).run()?.stdout)
    }

    /// Which version a device of a board is told of that asks.
    fn told(&self, board: &str) -> anyhow::Result<String> {
        let request = format!(
            "<?xml version=\"1.0\"?><request protocol=\"3.0\"><app appid=\"a\" version=\"0.0.1\" board=\"{board}\"><updatecheck/></app></request>"
        );
        let url = format!("http://{}/update", self.address);
        let words = ["-sS", "--fail", "--data-binary", &request, &url];
        Ok(Cmd::new("curl").args(words).run()?.ok()?.out())
    }
}

/// What a file of a file system holds.
fn cat(image: &Path, path: &str) -> anyhow::Result<String> {
    let request = format!("cat {path}");
    let debugfs = Cmd::new("/usr/sbin/debugfs").args(["-R", &request]).arg(image);
    Ok(debugfs.run()?.ok()?.out())
}

/// What rpm says of a package in a file system's own database.
fn installed(image: &Path, package: &str) -> anyhow::Result<String> {
    let dir = tempfile::tempdir()?;
    let request = format!("rdump /usr/lib/sysimage/rpm {}", dir.path().display());
    let debugfs = Cmd::new("/usr/sbin/debugfs").args(["-R", &request]).arg(image);
    debugfs.run()?.ok()?;
    let rpm = Cmd::new("rpm").arg("--dbpath").arg(dir.path().join("rpm"));
    Ok(rpm.args(["-q", package]).run()?.ok()?.line())
}

#[test]
fn a_package_lands_and_exactly_the_payloads_that_hold_it_get_a_version() -> anyhow::Result<()> {
    if let Some(why) = lacking() {
        skipped(&why);
        return Ok(());
    }
    let stateful = "disk = true\ndelta = true\nkeep = 2\n[payload.stateful]\nname = \"stateful\"\nsize = \"1MiB\"\n";
    let sections = [
        Works::payload("kiosk", stateful),
        ROOT.to_owned(),
        Works::payload("twin", ROOT),
        Works::payload("drawn", "[[payload.partition]]\nname = \"root\"\nimage = \"web\"\nslack = \"1MiB\"\n"),
        "[[image]]\nname = \"web\"\ndockerfile = \"DIR/Dockerfile\"\nengine = \"none\"\nrepositories = [\"main\"]\narchitecture = \"x86_64\"\n"
            .to_owned(),
    ];
    let mut works = Works::new(&sections.concat())?;
    let (breeze, gust) = (works.source("breeze")?, works.source("gust")?);

    let first = works.world.lands_spec(&breeze, "breeze", "1.0-alt1")?;
    assert_eq!(works.world.abouts(first)?, ["payload kiosk", "payload twin"]);
    let kiosk = works.made(first, "kiosk")?;
    assert_eq!(
        (&kiosk["version"], &kiosk["number"]),
        (&Value::from("2.1"), &Value::from(1)),
        "{kiosk}"
    );
    assert_eq!(kiosk["packages"], serde_json::json!(["breeze-1.0-alt1.noarch"]));
    assert_eq!(kiosk["generations"]["main"], 2);
    let old = works.unpacked(&works.file(&kiosk, "payload.bin")?, None, "first")?;
    assert_eq!(
        cat(&old, "/usr/bin/breeze")?,
        "#!/bin/busybox sh\necho breeze 1.0-alt1\n"
    );
    assert_eq!(cat(&old, "/etc/lsb-release")?, "CHROMEOS_RELEASE_VERSION=2.1\n");
    assert_eq!(installed(&old, "breeze")?, "breeze-1.0-alt1.noarch");

    // The same went into its twin: the same bytes came out.
    let twin = works.made(first, "twin")?;
    assert_eq!(twin["digest"], kiosk["digest"], "{twin}");
    assert!(twin["stateful"].is_null() && twin["disk"].is_null(), "{twin}");

    // Beside it the archive, and a disk with both partitions.
    let disk = works.file(&kiosk, "disk.img")?.display().to_string();
    let again = works.world.dir().join("of-disk.gz");
    works.windlass(&[
        "payload",
        "stateful",
        "--image",
        &disk,
        "-o",
        &again.display().to_string(),
    ])?;
    assert!(std::fs::read(&again)? == std::fs::read(works.file(&kiosk, "stateful.image.gz")?)?);
    let of_disk = works.world.dir().join("of-disk.bin").display().to_string();
    let key = works.world.dir().join("key.pem").display().to_string();
    let from = format!("root=2:{disk}");
    works.windlass(&[
        "payload",
        "generate",
        "--from-disk",
        &from,
        "--key",
        &key,
        "-o",
        &of_disk,
    ])?;
    assert!(std::fs::read(&of_disk)? == std::fs::read(works.file(&kiosk, "payload.bin")?)?);

    // A package that nobody holds makes nothing.
    let other = works.world.lands_spec(&gust, "gust", "1.0-alt1")?;
    assert!(works.world.abouts(other)?.is_empty(), "nobody holds it");

    // An upgrade makes the next version, and what leads there from the one before.
    let second = works.world.lands_spec(&breeze, "breeze", "1.1-alt1")?;
    let next = works.made(second, "kiosk")?;
    assert_eq!(next["version"], "4.2");
    let full = works.unpacked(&works.file(&next, "payload.bin")?, None, "second")?;
    assert_eq!(installed(&full, "breeze")?, "breeze-1.1-alt1.noarch");
    assert_eq!(next["delta"]["from"], "2.1");
    let delta = works.unpacked(&works.file(&next, "delta.bin")?, Some(&old), "by-delta")?;
    assert!(std::fs::read(delta)? == std::fs::read(full)?);

    // Who asks is told of the newest, and nobody of another board's.
    wait::until_within(JOB, "the new version to be offered", || {
        Ok(works.told("kiosk")?.contains("4.2").then_some(()))
    })?;
    assert!(!works.told("stranger")?.contains("4.2"));
    assert!(works.downloaded("kiosk")? == std::fs::read(works.file(&next, "payload.bin")?)?);

    // Asked for when nothing changed: what is there is told of. An image's file system becomes a payload, too.
    let asked = works.world.job_built("kiosk")?["payload_made"].clone();
    assert_eq!(
        (&asked["reused"], &asked["version"]),
        (&Value::from(true), &Value::from("4.2")),
        "{asked}"
    );
    works.world.job_built("web")?;
    let drawn = works.world.job_built("drawn")?["payload_made"].clone();
    let root = works.unpacked(&works.file(&drawn, "payload.bin")?, None, "drawn")?;
    assert_eq!(cat(&root, "/etc/note")?, "of an image\n");

    // A bot that starts offers what is there.
    works.world.stop_bot()?;
    works.world.start_bot()?;
    wait::until_within(JOB, "the version to be offered again", || {
        let is_there = works.told("kiosk").is_ok_and(|told| told.contains("4.2"));
        Ok(is_there.then_some(()))
    })?;
    Ok(())
}

#[test]
fn killed_at_every_point_a_payload_is_made_once() -> anyhow::Result<()> {
    if let Some(why) = lacking() {
        skipped(&why);
        return Ok(());
    }
    let mut works = Works::new(&(Works::payload("kiosk", "keep = 9\n") + ROOT))?;
    let breeze = works.source("breeze")?;
    for (at, point) in windlass::jobs::PAYLOAD_POINTS.into_iter().enumerate() {
        let version = format!("{}.0-alt1", at + 1);
        breeze.commit("breeze.spec", &spec("breeze", &version))?;
        breeze.tag(&version)?;
        works.world.stop_bot()?;
        works.world.start_bot_that_dies_at(point)?;
        works.world.pushed_task(&breeze, &["-o", "build", "main", &version])?;
        works.world.bot_dies(JOB).with_context(|| point.to_owned())?;
        works.world.start_bot()?;
        let list = works
            .world
            .admin(&["job", "ls", "--payload=kiosk", "--json"])?
            .ok()?
            .json()?;
        assert_eq!(list.as_array().map(Vec::len), Some(at + 1), "{point}: one job a commit");
        let id = list[0]["id"].as_u64().with_context(|| format!("{point}: {list}"))?;
        let made = works.world.job_reaches(id, "done").with_context(|| point.to_owned())?["payload_made"].clone();
        assert_eq!(made["number"], at + 1, "{point}: {made}");
        assert_eq!(made["reused"], false, "{point}: the same job made it");
        let root = works.unpacked(&works.file(&made, "payload.bin")?, None, point)?;
        assert_eq!(
            installed(&root, "breeze")?,
            format!("breeze-{version}.noarch"),
            "{point}"
        );
        let entries = std::fs::read_dir(works.stock("kiosk"))?;
        let names: Vec<String> = entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<anyhow::Result<_>>()?;
        assert_eq!(
            names.len(),
            at + 1,
            "{point}: one version a commit, and nothing half: {names:?}"
        );
        let recorded = works.windlass(&["journal", "show", "--json"])?;
        let recorded = recorded.lines().filter(|row| row.contains("\"what\":\"succeeded\""));
        assert_eq!(recorded.count(), at + 1, "{point}: recorded once");
    }
    Ok(())
}
