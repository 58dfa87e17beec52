//! A repository's metadata, as `createrepo_c` would write it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use windlass_core::rpm::{Comparison, Dependency, Evr, FileKind, Package, Requirement};

/// A text as XML has it.
fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn entry(name: &str, versions: Option<&(Comparison, Evr)>) -> String {
    let mut out = format!("<rpm:entry name=\"{}\"", xml(name));
    if let Some((sign, evr)) = versions {
        let sign = match sign {
            Comparison::Less => "LT",
            Comparison::LessOrEqual => "LE",
            Comparison::Equal => "EQ",
            Comparison::GreaterOrEqual => "GE",
            Comparison::Greater => "GT",
        };
        let _ = write!(out, " flags=\"{sign}\" epoch=\"{}\" ver=\"{}\"", evr.epoch, evr.version);
        if let Some(release) = &evr.release {
            let _ = write!(out, " rel=\"{release}\"");
        }
    }
    out + "/>"
}

fn section(name: &str, entries: impl Iterator<Item = String>) -> String {
    let entries: String = entries.collect();
    if entries.is_empty() {
        return entries;
    }
    format!("<rpm:{name}>{entries}</rpm:{name}>")
}

fn plain_entry(one: &Dependency) -> String {
    entry(&one.name, one.versions.as_ref())
}

fn any_entry(one: &Requirement) -> String {
    match one {
        Requirement::Plain(plain) => plain_entry(plain),
        Requirement::Rich(rich) => entry(&rich.to_string(), None),
    }
}

fn is_primary(path: &str) -> bool {
    path.starts_with("/etc/") || path.contains("bin/")
}

fn file_elements(package: &Package, wanted: impl Fn(&str) -> bool) -> String {
    let files = package.files.iter().filter(|file| wanted(&file.path));
    files
        .map(|file| match file.kind {
            FileKind::Directory => format!("<file type=\"dir\">{}</file>", file.path),
            FileKind::Plain | FileKind::Ghost => format!("<file>{}</file>", file.path),
        })
        .collect()
}

fn sha256(text: &[u8]) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Writes the metadata of packages, as `createrepo_c` would.
pub(crate) fn write(directory: &Path, packages: &[Package]) -> anyhow::Result<()> {
    let mut primary = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
         xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"{}\">\n",
        packages.len()
    );
    let mut filelists = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<filelists xmlns=\"http://linux.duke.edu/metadata/filelists\" packages=\"{}\">\n",
        packages.len()
    );
    for package in packages {
        let (name, arch) = (&package.name, &package.arch);
        let pkgid = sha256(package.nevra().as_bytes());
        let release = package.evr.release.as_deref().unwrap_or_default();
        let version = format!(
            "<version epoch=\"{}\" ver=\"{}\" rel=\"{release}\"/>",
            package.evr.epoch, package.evr.version
        );
        writeln!(
            primary,
            "<package type=\"rpm\"><name>{name}</name><arch>{arch}</arch>{version}\
             <checksum type=\"sha256\" pkgid=\"YES\">{pkgid}</checksum><summary>x</summary><description>x</description>\
             <packager/><url/><time file=\"1\" build=\"1\"/><size package=\"1\" installed=\"1\" archive=\"1\"/>\
             <location href=\"{}\"/><format><rpm:license>MIT</rpm:license><rpm:sourcerpm>{name}-1-1.src.rpm</rpm:sourcerpm>\
             <rpm:header-range start=\"1\" end=\"2\"/>{}{}{}{}{}</format></package>",
            package.file_name(),
            section("provides", package.provides.iter().map(plain_entry)),
            section("requires", package.requires.iter().map(any_entry)),
            section("conflicts", package.conflicts.iter().map(any_entry)),
            section("obsoletes", package.obsoletes.iter().map(plain_entry)),
            file_elements(package, is_primary),
        )?;
        writeln!(
            filelists,
            "<package pkgid=\"{pkgid}\" name=\"{name}\" arch=\"{arch}\">{version}{}</package>",
            file_elements(package, |_| true)
        )?;
    }
    let repodata = directory.join("repodata");
    fs::create_dir_all(&repodata)?;
    let mut repomd = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\n<revision>1</revision>\n".to_owned();
    for (kind, text) in [
        ("primary", primary + "</metadata>\n"),
        ("filelists", filelists + "</filelists>\n"),
    ] {
        fs::write(repodata.join(format!("{kind}.xml")), &text)?;
        writeln!(
            repomd,
            "<data type=\"{kind}\"><checksum type=\"sha256\">{}</checksum><location href=\"repodata/{kind}.xml\"/><timestamp>1</timestamp><size>{}</size></data>",
            sha256(text.as_bytes()),
            text.len()
        )?;
    }
    fs::write(repodata.join("repomd.xml"), repomd + "</repomd>\n")?;
    Ok(())
}
