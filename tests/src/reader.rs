//! A client that trusts nobody: it fetches the metadata and every package that it names, and checks every size, digest and signature.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use crate::process::Cmd;

/// The body of `http://HOST:PORT/PATH`, where anything but 200 is an error, or the file of `file:///PATH`.
pub fn get(url: &str) -> anyhow::Result<Vec<u8>> {
    if let Some(path) = url.strip_prefix("file://") {
        return std::fs::read(path).with_context(|| format!("cannot read {path}"));
    }
    let rest = url
        .strip_prefix("http://")
        .with_context(|| format!("'{url}' is no URL"))?;
    let (host, path) = rest.split_once('/').with_context(|| format!("'{url}' has no path"))?;
    let mut stream = TcpStream::connect(host).with_context(|| format!("nobody listens at {host}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    // By HTTP 1.0 the answer ends where the connection does.
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .with_context(|| format!("{url}: no head"))?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        bail!("{url}: {}", head.lines().next().unwrap_or_default());
    }
    let body = answer.split_off(end + 4);
    let told = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>())
    });
    if let Some(told) = told
        && told? != body.len()
    {
        bail!("{url}: {} bytes, told otherwise", body.len());
    }
    Ok(body)
}

/// A client that remembers which package files it has proved already.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    proved: std::collections::BTreeSet<String>,
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The digest of `repomd.xml`: one for each generation.
    pub repomd: String,
    /// The packages, by their place.
    pub packages: Vec<String>,
}

impl Reader {
    /// One that keeps its files in `dir` and trusts this key.
    pub fn new(dir: &Path, key: &[u8]) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir.join("rpmdb"))?;
        crate::people::private_folder(&dir.join("gnupg"))?;
        let file = dir.join("key.asc");
        std::fs::write(&file, key)?;
        let reader = Self {
            dir: dir.to_owned(),
            proved: std::collections::BTreeSet::new(),
        };
        reader.rpmkeys().arg("--import").arg(&file).run()?.ok()?;
        reader.gpg().arg("--import").arg(&file).run()?.ok()?;
        Ok(reader)
    }

    fn rpmkeys(&self) -> Cmd {
        Cmd::new("rpmkeys").arg("--dbpath").arg(self.dir.join("rpmdb"))
    }

    fn gpg(&self) -> Cmd {
        let gpg = Cmd::new("gpg").env("GNUPGHOME", self.dir.join("gnupg"));
        gpg.args(["--batch", "--no-autostart", "--trust-model", "always"])
    }

    /// Looks at all that a base URL offers; anything that is missing or does not match is an error. `signed` says whether the
    /// signature of `repomd.xml` has to match: through a plain base URL, where the two are two requests, it may be one of another
    /// generation.
    pub fn look(&mut self, base: &str, signed: Signed) -> anyhow::Result<Seen> {
        let base = base.trim_end_matches('/');
        let repomd = get(&format!("{base}/repodata/repomd.xml"))?;
        let signature = get(&format!("{base}/repodata/repomd.xml.asc"))?;
        if signed == Signed::Always {
            let (text, sign) = (self.dir.join("repomd.xml"), self.dir.join("repomd.xml.asc"));
            std::fs::write(&text, &repomd)?;
            std::fs::write(&sign, &signature)?;
            self.gpg().arg("--verify").arg(&sign).arg(&text).run()?.ok()?;
        }
        let xml = String::from_utf8(repomd)?;
        let mut packages = Vec::new();
        for data in between(&xml, "<data ", "</data>") {
            let bytes = fetch(base, data)?;
            if data.starts_with("type=\"primary\"") {
                let primary = String::from_utf8(unpacked(&bytes)?)?;
                for package in between(&primary, "<package ", "</package>") {
                    packages.push(self.package(base, package)?);
                }
            }
        }
        packages.sort();
        Ok(Seen {
            repomd: hex(&Sha256::digest(xml.as_bytes())),
            packages,
        })
    }

    fn package(&mut self, base: &str, entry: &str) -> anyhow::Result<String> {
        let place = href(entry)?.to_owned();
        let bytes = fetch(base, entry)?;
        let digest = hex(&Sha256::digest(&bytes));
        if self.proved.insert(digest) {
            let file = self.dir.join("package.rpm");
            std::fs::write(&file, &bytes)?;
            let said = self
                .rpmkeys()
                .args(["--checksig", "--verbose"])
                .arg(&file)
                .run()?
                .ok()?;
            if !said.out().contains("Signature, key ID") {
                bail!("{base}/{place} is not signed: {said}");
            }
        }
        Ok(place)
    }
}

/// Whether metadata and its signature are of one generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// They have to be.
    Always,
    /// They may be of two.
    Perhaps,
}

/// Fetches what an entry of the metadata names, and checks it against what the entry says.
fn fetch(base: &str, entry: &str) -> anyhow::Result<Vec<u8>> {
    let place = href(entry)?;
    let bytes = get(&format!("{base}/{place}"))?;
    let told = entry.split("<checksum type=\"sha256\"").nth(1);
    let told = told.and_then(|rest| rest.split_once('>')?.1.split('<').next());
    let told = told.with_context(|| format!("no digest: {entry}"))?;
    let is = hex(&Sha256::digest(&bytes));
    if told != is {
        bail!("{base}/{place}: the metadata says {told}, it is {is}");
    }
    Ok(bytes)
}

fn href(entry: &str) -> anyhow::Result<&str> {
    let place = entry
        .split("<location href=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    place.with_context(|| format!("no place: {entry}"))
}

/// The pieces of a text from after `start` to before `end`.
fn between<'a>(text: &'a str, start: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start)
        .skip(1)
        .filter_map(move |rest| Some(rest.split_once(end)?.0))
}

fn unpacked(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cmd::new("gzip").arg("-dc").stdin(bytes).run()?.ok()?.stdout);
    }
    Ok(zstd::decode_all(bytes)?)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
