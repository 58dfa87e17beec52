//! A person's working copy of a source repository: commits, tags, pushes.

use std::path::PathBuf;

use crate::gpg::GpgHome;
use crate::outcome::{Ledger, Pushed};
use crate::people::{Home, Person, Signs};
use crate::process::{Cmd, Ran};
use crate::tag::TagDraft;

/// A person's working copy.
#[derive(Debug, Clone)]
pub struct Clone {
    /// Whose.
    pub person: Person,
    /// The source repository, as in `people/alice/packages/hello.git`.
    pub source: String,
    /// The folder.
    pub dir: PathBuf,
    pub(crate) home: Home,
    pub(crate) ledger: Ledger,
}

/// git as this person runs it.
pub fn git_of(home: &Home) -> Cmd {
    Cmd::new("git")
        .env("HOME", &home.dir)
        .env("GNUPGHOME", home.gnupg())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
}

impl Clone {
    /// git in this working copy.
    pub fn git<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        git_of(&self.home).dir(&self.dir).args(args)
    }

    /// Where the person's keys are.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// GnuPG as this person runs it.
    pub fn gpg(&self) -> anyhow::Result<GpgHome> {
        GpgHome::at(self.home.gnupg())
    }

    /// Writes a file and commits it; gives the commit.
    pub fn commit(&self, file: &str, text: &str) -> anyhow::Result<String> {
        let path = self.dir.join(file);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
        self.commit_all(file)
    }

    /// Commits all that lies in the folder; gives the commit.
    pub fn commit_all(&self, message: &str) -> anyhow::Result<String> {
        self.git(["add", "--all"]).run()?.ok()?;
        self.git(["commit", "--quiet", "--no-gpg-sign", "-m", message])
            .run()?
            .ok()?;
        self.head()
    }

    /// The commit that is checked out.
    pub fn head(&self) -> anyhow::Result<String> {
        self.resolve("HEAD")
    }

    /// The object that a name stands for.
    pub fn resolve(&self, name: &str) -> anyhow::Result<String> {
        Ok(self.git(["rev-parse", "--verify", name]).run()?.ok()?.line())
    }

    /// Signs a tag of the commit that is checked out, as people do: `git tag -s`.
    pub fn tag(&self, name: &str) -> anyhow::Result<String> {
        self.git(["tag", "-s", "-m", name, name]).run()?.ok()?;
        self.resolve(&format!("refs/tags/{name}"))
    }

    /// A well-formed tag of the commit that is checked out, to be changed and signed by hand.
    pub fn draft(&self, name: &str) -> anyhow::Result<TagDraft> {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_secs();
        let tagger = format!("{} {now} +0000", self.person.user_id());
        Ok(TagDraft::new(&self.head()?, name, &tagger))
    }

    /// The person's signature over these bytes, with more options for gpg.
    pub fn signature(&self, payload: &[u8], options: &[&str]) -> anyhow::Result<Vec<u8>> {
        match (self.person.signs, &self.home.openpgp) {
            (Signs::OpenPgp(_), Some(key)) => self.gpg()?.sign(key, payload, options),
            _ => self.ssh_signature(payload, "git"),
        }
    }

    /// An SSH signature over these bytes in a namespace.
    pub fn ssh_signature(&self, payload: &[u8], namespace: &str) -> anyhow::Result<Vec<u8>> {
        let sign = Cmd::new("ssh-keygen").args(["-q", "-Y", "sign", "-n", namespace, "-f"]);
        Ok(sign.arg(self.home.ssh_key()).stdin(payload).run()?.ok()?.stdout)
    }

    /// Signs a draft and makes it a tag under its name; gives the object.
    pub fn sign(&self, draft: &TagDraft, name: &str) -> anyhow::Result<String> {
        let mut bytes = draft.payload();
        let signature = self.signature(&bytes, &[])?;
        bytes.extend(signature);
        self.make_tag(&bytes, name)
    }

    /// Makes any bytes a tag object under this name, whatever git thinks of them.
    pub fn make_tag(&self, bytes: &[u8], name: &str) -> anyhow::Result<String> {
        let object = self.write(bytes, "tag")?;
        self.git(["update-ref", &format!("refs/tags/{name}"), &object])
            .run()?
            .ok()?;
        Ok(object)
    }

    /// Writes any bytes as an object.
    pub fn write(&self, bytes: &[u8], kind: &str) -> anyhow::Result<String> {
        let hash = self.git(["hash-object", "-w", "--stdin", "--literally", "-t", kind]);
        Ok(hash.stdin(bytes).run()?.ok()?.line())
    }

    /// Pushes; `words` are options (`-o build`) and refs.
    pub fn push(&self, words: &[&str]) -> anyhow::Result<Pushed> {
        let ran = self.push_command(words).run()?;
        Ok(Pushed::new(ran, &self.ledger))
    }

    /// The push as a command, for stories that do more with it than running it.
    pub fn push_command(&self, words: &[&str]) -> Cmd {
        let (options, refs): (Vec<&str>, Vec<&str>) = split_options(words);
        self.git(["push"]).args(options).arg("origin").args(refs)
    }

    /// Notes a push that was run by hand.
    pub fn pushed(&self, ran: Ran) -> Pushed {
        Pushed::new(ran, &self.ledger)
    }
}

fn split_options<'a>(words: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let mut options = Vec::new();
    let mut refs = Vec::new();
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        if word == "-o" {
            options.push(word);
            options.extend(words.next());
        } else if word.starts_with('-') {
            options.push(word);
        } else {
            refs.push(word);
        }
    }
    (options, refs)
}
