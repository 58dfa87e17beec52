//! Where it is measured: a server, a repository, signed tags that no run has seen before, and a push as git would hand it to a hook.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use windlass_tests::people::{ALICE, BOB};
use windlass_tests::process::Cmd;
use windlass_tests::programs::Programs;
use windlass_tests::tag::TagDraft;
use windlass_tests::{GpgHome, World};

const NOTHING: &str = "0000000000000000000000000000000000000000";

/// A hook as it is found in the wild; the peer.
const BASH_HOOK: &str = r#"#!/bin/bash
status=0
while read -r old new ref; do
    case $ref in
        refs/tags/*) git verify-tag "$new" 2>/dev/null || { echo "refused: $ref" >&2; status=1; } ;;
    esac
done
exit $status
"#;

/// The place.
pub(super) struct Place {
    /// The server; nothing runs on it.
    pub(super) world: World,
    bare: PathBuf,
    gpg: GpgHome,
    key: String,
    commit: String,
    made: u32,
    bash: PathBuf,
}

/// A push: objects in quarantine, as git has them while its hooks run.
pub(super) struct Push {
    lines: String,
    quarantine: PathBuf,
}

impl Place {
    /// Makes it below this folder.
    pub(super) fn make(folder: &Path, programs: Programs) -> anyhow::Result<Self> {
        let mut world = World::empty_in(folder, programs)?;
        world.enrol_everybody()?;
        let bare = world.git_root().join("people/alice/packages/bench.git");
        let git = |args: &[&str]| -> anyhow::Result<String> {
            let command = Cmd::new("git").env("HOME", world.dir()).arg("-C").arg(&bare).args(args);
            Ok(command.run()?.ok()?.line())
        };
        std::fs::create_dir_all(&bare)?;
        git(&["init", "--quiet", "--bare", "--initial-branch=main"])?;
        let tree = git(&["hash-object", "-w", "-t", "tree", "/dev/null"])?;
        let who = [
            "-c",
            "user.name=A",
            "-c",
            "user.email=a@example.org",
            "commit-tree",
            "-m",
            "x",
            &tree,
        ];
        let commit = git(&who)?;
        git(&["update-ref", "refs/heads/main", &commit])?;
        world.windlass(["hooks", "install"]).arg(&bare).run()?.ok()?;
        let home = world.home(&ALICE)?;
        let gpg = GpgHome::at(home.gnupg())?;
        let key = home.openpgp.clone().context("Alice signs with OpenPGP")?;
        // The peer knows the same certificates.
        gpg.import(std::fs::read(world.home(&BOB)?.certificate())?)?;
        let bash = world.dir().join("pre-receive.bash");
        std::fs::write(&bash, BASH_HOOK)?;
        Ok(Self {
            bare,
            gpg,
            key,
            commit,
            made: 0,
            bash,
            world,
        })
    }

    /// One more tag that nobody has seen: its name and its bytes.
    fn tag(&mut self) -> anyhow::Result<(String, Vec<u8>)> {
        self.made += 1;
        let name = format!("1.{}-alt1", self.made);
        let tagger = format!("{} 1700000000 +0000", ALICE.user_id());
        let payload = TagDraft::new(&self.commit, &name, &tagger).payload();
        let signature = self.gpg.sign(&self.key, &payload, &[])?;
        Ok((name, [payload, signature].concat()))
    }

    /// A push of this many tags with payloads that nobody has seen.
    pub(super) fn push(&mut self, tags: usize) -> anyhow::Result<Push> {
        let quarantine = self.bare.join(format!("objects/tmp_objdir-incoming-{:06}", self.made));
        std::fs::create_dir_all(quarantine.join("pack"))?;
        let mut lines = String::new();
        for _ in 0..tags {
            let (name, bytes) = self.tag()?;
            let hash = Cmd::new("git")
                .args(["hash-object", "-w", "-t", "tag", "--stdin"])
                .stdin(bytes);
            let object = self.in_quarantine(&quarantine, hash).run()?.ok()?.line();
            lines.extend([NOTHING, " ", &object, " refs/tags/", &name, "\n"]);
        }
        Ok(Push { lines, quarantine })
    }

    /// Pushes this many tags for real, by path, as the repository's owner; gives their names.
    pub(super) fn push_for_good(&mut self, tags: usize) -> anyhow::Result<Vec<String>> {
        let clone = self.world.dir().join("clone.git");
        let base = Cmd::new("git")
            .env("HOME", self.world.dir())
            .env("WINDLASS_USER", "alice");
        let cloned = base
            .clone()
            .args(["clone", "--quiet", "--bare"])
            .arg(&self.bare)
            .arg(&clone);
        cloned.run()?.ok()?;
        let git = base.arg("-C").arg(&clone).limit(Duration::from_mins(5));
        let mut names = Vec::new();
        let mut refs = String::new();
        for _ in 0..tags {
            let (name, bytes) = self.tag()?;
            let hash = git
                .clone()
                .args(["hash-object", "-w", "-t", "tag", "--stdin"])
                .stdin(bytes);
            refs.extend(["create refs/tags/", &name, " ", &hash.run()?.ok()?.line(), "\n"]);
            names.push(name);
        }
        git.clone().args(["update-ref", "--stdin"]).stdin(refs).run()?.ok()?;
        git.args(["push", "--quiet", "--tags"]).arg(&self.bare).run()?.ok()?;
        Ok(names)
    }

    /// The environment that git gives to its hooks.
    fn in_quarantine(&self, quarantine: &Path, command: Cmd) -> Cmd {
        command
            .dir(&self.bare)
            .env("HOME", self.world.dir())
            .env("GIT_DIR", ".")
            .env("GIT_QUARANTINE_PATH", quarantine)
            .env("GIT_OBJECT_DIRECTORY", quarantine)
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.bare.join("objects"))
            .env("GIT_PUSH_OPTION_COUNT", "0")
            .env("WINDLASS_USER", "alice")
    }

    /// How long our hook takes over a push, under this configuration.
    pub(super) fn ours(&self, push: &Push, config: &Path) -> anyhow::Result<Duration> {
        let hook = Cmd::new(&self.world.programs().hook).arg("--config").arg(config);
        self.timed(push, hook.arg("pre-receive"))
    }

    /// How long the peer takes over it.
    pub(super) fn peers(&self, push: &Push) -> anyhow::Result<Duration> {
        self.timed(push, Cmd::new("bash").arg(&self.bash).env("GNUPGHOME", self.gpg.dir()))
    }

    /// From the start of the process to its end; nothing of the measuring runs beside it.
    fn timed(&self, push: &Push, hook: Cmd) -> anyhow::Result<Duration> {
        let (lines, said) = (self.world.dir().join("lines"), self.world.dir().join("said"));
        std::fs::write(&lines, &push.lines)?;
        let hook = self.in_quarantine(&push.quarantine, hook);
        let mut command = hook.command();
        command
            .stdin(File::open(&lines)?)
            .stdout(Stdio::null())
            .stderr(File::create(&said)?);
        let started = Instant::now();
        let status = command.status()?;
        let took = started.elapsed();
        if !status.success() {
            bail!("a good push was refused: {}", std::fs::read_to_string(&said)?);
        }
        Ok(took)
    }

    /// A second configuration, with people of its own: a thousand certificates.
    pub(super) fn crowded(&self) -> anyhow::Result<PathBuf> {
        let people = self.world.dir().join("crowd");
        windlass_tests::keystore::copy_tree(&self.world.root().join("people"), &people)?;
        windlass_tests::crowd::write_people(&people, windlass_tests::crowd::CROWD - 2)?;
        let text = std::fs::read_to_string(self.world.config())?;
        let with = text.replacen("[paths]\n", &format!("[paths]\npeople = \"{}\"\n", people.display()), 1);
        let config = self.world.root().join("crowd.toml");
        std::fs::write(&config, with)?;
        let index = Cmd::new(&self.world.programs().windlass).env("HOME", self.world.dir());
        index.arg("--config").arg(&config).args(["keys", "index"]).run()?.ok()?;
        Ok(config)
    }
}
