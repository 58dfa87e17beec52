//! A real GnuPG home: makes keys, signs, exports, also at another time than now.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::process::{Cmd, Ran};

/// A folder that is some person's `GNUPGHOME`.
#[derive(Debug)]
pub struct GpgHome {
    dir: PathBuf,
}

impl GpgHome {
    /// A home in this folder, made when it is not there. The path must be short: the agent's socket lies in it.
    pub fn at(dir: impl Into<PathBuf>) -> anyhow::Result<Self> {
        let dir = dir.into();
        crate::people::private_folder(&dir)?;
        Ok(Self { dir })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// gpg with the options that every call here has.
    pub fn gpg(&self) -> Cmd {
        Cmd::new("gpg")
            .env("GNUPGHOME", &self.dir)
            .env("HOME", &self.dir)
            .args([
                "--batch",
                "--no-tty",
                "--quiet",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
            ])
    }

    /// Makes a key that signs: `algorithm` as gpg names it, `made` and `expires` as gpg takes times
    /// (`20200101T000000`; `never`, `1y`). Gives its fingerprint.
    pub fn make_key(&self, user_id: &str, algorithm: &str, made: &str, expires: &str) -> anyhow::Result<String> {
        let ran = self
            .gpg()
            .args(["--faked-system-time", &format!("{made}!"), "--status-fd", "1", "--yes"])
            .args(["--quick-generate-key", user_id, algorithm, "sign", expires])
            .run()?
            .ok()?;
        let out = ran.out();
        let created = out
            .lines()
            .find_map(|line| line.strip_prefix("[GNUPG:] KEY_CREATED P "));
        let fingerprint = created.and_then(|rest| rest.split(' ').next());
        Ok(fingerprint
            .with_context(|| format!("no fingerprint: {ran}"))?
            .to_owned())
    }

    /// The armored certificate.
    pub fn export(&self, key: &str) -> anyhow::Result<String> {
        let ran = self.gpg().args(["--armor", "--export", key]).run()?.ok()?;
        if ran.stdout.is_empty() {
            bail!("there is no key {key} in {}", self.dir.display());
        }
        Ok(ran.out())
    }

    /// Takes keys in.
    pub fn import(&self, bytes: impl Into<Vec<u8>>) -> anyhow::Result<Ran> {
        self.gpg().arg("--import").stdin(bytes).run()?.ok()
    }

    /// An armored detached signature over these bytes, with more options for gpg (`--digest-algo`, `--faked-system-time` …).
    pub fn sign(&self, key: &str, payload: &[u8], options: &[&str]) -> anyhow::Result<Vec<u8>> {
        let ran = self
            .gpg()
            .args(options)
            .args(["--armor", "--detach-sign", "--local-user", key])
            .stdin(payload)
            .run()?
            .ok()?;
        Ok(ran.stdout)
    }

    /// Lets a key expire a day after this time.
    pub fn expire(&self, key: &str, at: &str) -> anyhow::Result<()> {
        let gpg = self.gpg().args(["--faked-system-time", &format!("{at}!")]);
        gpg.args(["--yes", "--quick-set-expire", key, "1d"]).run()?.ok()?;
        Ok(())
    }

    /// The revocation certificate that gpg makes with each key, ready to be imported.
    pub fn revocation(&self, fingerprint: &str) -> anyhow::Result<String> {
        let path = self.dir.join(format!("openpgp-revocs.d/{fingerprint}.rev"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // gpg puts a colon before the armor, so that nobody imports it by accident.
        let at = text
            .find(":-----BEGIN")
            .context("a revocation certificate has an armor")?;
        Ok(text[at + 1..].to_owned())
    }

    /// Makes a program that is gpg at another time: for `git -c gpg.program=…`.
    pub fn at_time(&self, time: &str) -> anyhow::Result<PathBuf> {
        self.wrapper(&format!("gpg-{time}"), &format!("--faked-system-time '{time}!'"))
    }

    /// Makes a program that is gpg with more options.
    pub fn wrapper(&self, name: &str, options: &str) -> anyhow::Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\nexec gpg {options} \"$@\"\n"))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }
}

/// Ends the agent of a home when it is dropped; only that home's: the folder names it.
#[derive(Debug)]
pub struct Agent(PathBuf);

impl Agent {
    /// The agent that gpg starts by itself in this home.
    pub fn of(home: &GpgHome) -> Self {
        Self(home.dir.clone())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = Cmd::new("gpgconf")
            .env("GNUPGHOME", &self.0)
            .args(["--kill", "all"])
            .run();
    }
}
