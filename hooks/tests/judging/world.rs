//! A repository, a keyring and a GnuPG home of their own, with a clock that the test sets.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use tempfile::TempDir;
use windlass_core::id::{ObjectId, SourcePath, UserName};
use windlass_core::signing::{Judgement, Policy, Verdict};
use windlass_hooks::judge::{TagToJudge, judge_tag};
use windlass_hooks::keyring::Keyring;
use windlass_hooks::objects::RawStore;

/// When tags are pushed here, unless a test says otherwise.
pub(crate) const NOW: &str = "2026-06-01T12:00:00Z";
/// When keys are made, as GnuPG writes it.
pub(crate) const BIRTH: &str = "20260101T000000";
/// When tags are signed.
pub(crate) const SIGNED: &str = "20260601T115900";
/// The tagger's seconds for [`SIGNED`].
pub(crate) const TAGGED: u64 = 1_780_315_140;

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) policy: Policy,
    pub(crate) now: Timestamp,
    pub(crate) pusher: Option<UserName>,
    pub(crate) commit: String,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .env("GNUPGHOME", self.gpg_home())
            .args(["--kill", "all"])
            .status();
    }
}

/// Runs a program, gives its stdout, fails loudly.
pub(crate) fn run(command: &mut Command, stdin: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut input = child.stdin.take().unwrap();
    let bytes = stdin.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = input.write_all(&bytes);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{complaint}", output.status);
    output.stdout
}

fn line(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap().trim().to_owned()
}

impl World {
    pub(crate) fn new() -> Self {
        // GnuPG's sockets want a short path.
        let dir = tempfile::Builder::new().prefix("wj-").tempdir_in("/tmp").unwrap();
        let mut world = Self {
            dir,
            policy: Policy::default(),
            now: NOW.parse().unwrap(),
            pusher: Some("alice".parse().unwrap()),
            commit: String::new(),
        };
        for directory in [world.gpg_home(), world.people()] {
            std::fs::create_dir(&directory).unwrap();
        }
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(world.gpg_home(), private).unwrap();
        run(
            Command::new("git")
                .args(["init", "-q", "--bare"])
                .arg(world.repository()),
            b"",
        );
        let tree = line(world.git(&["mktree"], b""));
        world.commit = line(world.git(&["commit-tree", "-m", "first", &tree], b""));
        world
    }

    pub(crate) fn gpg_home(&self) -> PathBuf {
        self.dir.path().join("g")
    }

    pub(crate) fn people(&self) -> PathBuf {
        self.dir.path().join("people")
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.dir.path().join("r.git")
    }

    pub(crate) fn git(&self, arguments: &[&str], stdin: &[u8]) -> Vec<u8> {
        let mut git = Command::new("git");
        git.env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path());
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "Alice")
                .env(format!("GIT_{who}_EMAIL"), "alice@example.org");
        }
        run(git.arg("-C").arg(self.repository()).args(arguments), stdin)
    }

    /// Runs gpg with its clock stopped at `time`.
    pub(crate) fn gpg(&self, time: &str, arguments: &[&str], stdin: &[u8]) -> Vec<u8> {
        let mut gpg = Command::new("gpg");
        gpg.env("GNUPGHOME", self.gpg_home()).args([
            "--no-tty",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]);
        gpg.args(["--faked-system-time", &format!("{time}!")]);
        run(gpg.args(arguments), stdin)
    }

    /// Makes a key for NAME <NAME@example.org>; gives its fingerprint.
    pub(crate) fn key(&self, name: &str, algorithm: &str, extra: &[&str]) -> String {
        let id = format!("{name} <{name}@example.org>");
        let mut arguments = extra.to_vec();
        arguments.extend(["--batch", "--quick-gen-key", &id, algorithm, "sign", "0"]);
        self.gpg(BIRTH, &arguments, b"");
        self.fingerprint(name)
    }

    pub(crate) fn fingerprint(&self, name: &str) -> String {
        let listed = self.gpg(
            BIRTH,
            &[
                "--batch",
                "--with-colons",
                "--list-keys",
                &format!("<{name}@example.org>"),
            ],
            b"",
        );
        let listed = String::from_utf8_lossy(&listed).into_owned();
        // The first is the certificate's own.
        let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:"));
        fingerprint
            .unwrap_or_else(|| panic!("no fingerprint in {listed}"))
            .trim_matches(':')
            .to_owned()
    }

    /// Writes NAME's file as the keyring has it, with the certificate as it is now.
    pub(crate) fn enrol(&self, name: &str) {
        let armored = self.export(name);
        self.enrol_with(name, &armored);
    }

    pub(crate) fn export(&self, name: &str) -> String {
        let armored = self.gpg(
            BIRTH,
            &["--batch", "--armor", "--export", &format!("<{name}@example.org>")],
            b"",
        );
        String::from_utf8(armored).unwrap()
    }

    pub(crate) fn enrol_with(&self, name: &str, armored: &str) {
        let text = format!("addresses = [\"{name}@example.org\"]\nopenpgp = ['''\n{armored}''']\n");
        std::fs::write(self.people().join(format!("{name}.toml")), text).unwrap();
    }

    /// Signs bytes with OpenPGP.
    pub(crate) fn sign(&self, name: &str, time: &str, extra: &[&str], payload: &[u8]) -> Vec<u8> {
        let who = format!("<{name}@example.org>");
        let mut arguments = extra.to_vec();
        arguments.extend(["--batch", "--armor", "--local-user", &who, "--detach-sign"]);
        self.gpg(time, &arguments, payload)
    }

    /// A tag object's signed part.
    pub(crate) fn payload(&self, name: &str, tagger: &[u8], message: &[u8]) -> Vec<u8> {
        let mut payload = format!("object {}\ntype commit\ntag {name}\ntagger ", self.commit).into_bytes();
        payload.extend_from_slice(tagger);
        payload.extend_from_slice(format!(" {TAGGED} +0000\n\n").as_bytes());
        payload.extend_from_slice(message);
        payload
    }

    /// `1.0-alt1` by Alice, not signed.
    pub(crate) fn plain(&self) -> Vec<u8> {
        self.payload("1.0-alt1", b"Alice <alice@example.org>", b"1.0-alt1\n")
    }

    /// The same, signed by Alice with options for gpg.
    pub(crate) fn signed(&self, time: &str, extra: &[&str]) -> Vec<u8> {
        let payload = self.plain();
        let signature = self.sign("alice", time, extra, &payload);
        [payload, signature].concat()
    }

    /// Puts an object into the repository as it is, however malformed.
    pub(crate) fn store(&self, bytes: &[u8]) -> ObjectId {
        let id = self.git(&["hash-object", "-t", "tag", "-w", "--stdin", "--literally"], bytes);
        line(id).parse().unwrap()
    }

    pub(crate) fn judge_object(&self, object: &ObjectId, reference: &str) -> Judgement {
        let store = RawStore::at(&self.repository()).unwrap();
        self.judge_in(&store, &self.keyring(), object, reference)
    }

    pub(crate) fn keyring(&self) -> Keyring {
        Keyring::open(&self.people()).unwrap()
    }

    pub(crate) fn judge_in(
        &self,
        store: &RawStore,
        keyring: &Keyring,
        object: &ObjectId,
        reference: &str,
    ) -> Judgement {
        let source: SourcePath = "people/alice/packages/hello.git".parse().unwrap();
        let tag = TagToJudge {
            object,
            reference: Some(reference.as_bytes()),
            source: Some(&source),
            pusher: self.pusher.as_ref(),
        };
        judge_tag(store, keyring, &self.policy, &tag, self.now).unwrap()
    }

    /// Stores a tag object and judges it as `refs/tags/1.0-alt1`.
    pub(crate) fn judge(&self, bytes: &[u8]) -> Judgement {
        self.judge_object(&self.store(bytes), "refs/tags/1.0-alt1")
    }

    /// The codes of the refusal; none when it is good.
    pub(crate) fn codes(&self, bytes: &[u8]) -> Vec<String> {
        codes(&self.judge(bytes))
    }
}

pub(crate) fn codes(judgement: &Judgement) -> Vec<String> {
    for reason in judgement.verdict.reasons() {
        assert!(reason.hint.is_some(), "{} has no hint", reason.code);
        assert!(!reason.message.contains('\n'), "{} is more than a line", reason.code);
        assert!(
            reason.message.chars().all(windlass_core::escape::is_plain),
            "{} is not escaped",
            reason.code
        );
    }
    judgement
        .verdict
        .reasons()
        .iter()
        .map(|reason| reason.code.to_string())
        .collect()
}

pub(crate) fn signer(judgement: &Judgement) -> &windlass_core::signing::Signer {
    match &judgement.verdict {
        Verdict::Good(signer) => signer,
        Verdict::Refused(reasons) => panic!("refused: {reasons:?}"),
    }
}
