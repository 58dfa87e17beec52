//! From bytes to a header: lead, signature header, main header, and what their tags mean.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::sync::Arc;

use jiff::Timestamp;

use super::store::{Store, read_exactly};
use super::{About, BadPackage, ChangelogEntry, Header, dependencies, files, tags};
use crate::escape::escaped;
use crate::rpm::{Evr, Package};

const LEAD: u64 = 96;
const LEAD_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];
/// The longest single text that is read, in bytes.
const LONGEST_TEXT: usize = 1024 * 1024;
/// The most entries of a changelog, and the most architectures, that are read.
const MOST_ENTRIES: usize = 20_000;

/// Reads what a package file says of itself, up to where its payload begins.
///
/// # Errors
/// It is no package, is cut short, claims more than is read, or says something that makes no sense.
pub fn read(from: &mut impl BufRead) -> Result<Header, BadPackage> {
    let lead = read_exactly(from, LEAD, "lead")?;
    if lead[..4] != LEAD_MAGIC {
        return Err(BadPackage::Alien("it does not begin as packages do"));
    }
    let signature = Store::read(from, "signature header")?;
    // The main header begins at a multiple of 8.
    let padding = signature.size().next_multiple_of(8) - signature.size();
    read_exactly(from, padding, "signature header")?;
    let main = Store::read(from, "header")?;
    let start = LEAD + signature.size() + padding;
    let sha256 = main.sha256();
    let told = signature.text(tags::SIGNATURE_HEADER_SHA256, "the header's digest")?;
    if let Some(told) = told.filter(|told| *told != sha256) {
        return Err(BadPackage::Wrong {
            what: "the header's digest",
            why: format!("it is {sha256}, and the signature header says {}", shown(&told)),
        });
    }
    let package = package(&main)?;
    let about = about(&main, &signature, start, sha256)?;
    let files = files::read(&main)?;
    let mut package = Package {
        files: files.iter().map(|(file, _)| file.clone()).collect(),
        ..package
    };
    let provided: BTreeSet<String> = package.provides.iter().map(ToString::to_string).collect();
    let requires = dependencies::requires(&main, &package.files, &provided)?;
    let pre = requires.iter().map(|required| required.pre).collect();
    package.requires = requires.into_iter().map(|required| required.requirement).collect();
    Ok(Header {
        package: Arc::new(package),
        about: About {
            pre,
            files: files.into_iter().map(|(_, detail)| detail).collect(),
            ..about
        },
    })
}

/// The package, without its files and what it requires.
fn package(main: &Store) -> Result<Package, BadPackage> {
    let name = word(main, tags::NAME, "the name", is_name_byte)?;
    let evr = Evr {
        epoch: u32::try_from(main.number(tags::EPOCH, "the epoch")?.unwrap_or(0)).map_err(|_| BadPackage::Wrong {
            what: "the epoch",
            why: "it is above 4294967295".to_owned(),
        })?,
        version: word(main, tags::VERSION, "the version", is_version_byte)?,
        release: Some(word(main, tags::RELEASE, "the release", is_version_byte)?),
    };
    let source_rpm = main
        .text(tags::SOURCE_RPM, "the source package")?
        .filter(|file| !file.is_empty());
    let is_source = main.has(tags::SOURCE_PACKAGE) || source_rpm.is_none();
    let arch = word(main, tags::ARCH, "the architecture", |b| {
        b.is_ascii_alphanumeric() || b == b'_'
    })?;
    if let Some(file) = &source_rpm
        && (file.len() > 512 || !file.bytes().all(is_name_byte) || file.starts_with(['.', '-']))
    {
        return Err(BadPackage::Wrong {
            what: "the source package",
            why: format!("'{}' is no file's name", shown(file)),
        });
    }
    Ok(Package {
        name,
        evr,
        arch: if is_source { "src".to_owned() } else { arch },
        source_rpm: source_rpm.filter(|_| !is_source),
        provides: dependencies::plain(main, &dependencies::PROVIDES)?,
        requires: Vec::new(),
        conflicts: dependencies::any(main, &dependencies::CONFLICTS)?,
        obsoletes: dependencies::plain(main, &dependencies::OBSOLETES)?,
        recommends: dependencies::any(main, &dependencies::RECOMMENDS)?,
        files: Vec::new(),
        artifact: None,
    })
}

/// The rest, without the files and the flags of what it requires.
fn about(main: &Store, signature: &Store, start: u64, header_sha256: String) -> Result<About, BadPackage> {
    let optional = |tag, what| text(main, tag, what).map(|text| text.filter(|text| !text.is_empty()));
    let archive = [
        (signature, tags::SIGNATURE_LONG_ARCHIVE_SIZE),
        (signature, tags::SIGNATURE_PAYLOAD_SIZE),
        (main, tags::ARCHIVE_SIZE),
    ];
    let mut archive_size = None;
    for (store, tag) in archive {
        if archive_size.is_none() {
            archive_size = store.number(tag, "the archive's size")?;
        }
    }
    let installed = match main.number(tags::LONG_SIZE, "the size")? {
        None => main.number(tags::SIZE, "the size")?,
        long => long,
    };
    let build_time = main.number(tags::BUILD_TIME, "the build time")?.unwrap_or(0);
    Ok(About {
        summary: optional(tags::SUMMARY, "the summary")?.unwrap_or_default(),
        description: optional(tags::DESCRIPTION, "the description")?.unwrap_or_default(),
        url: optional(tags::URL, "the URL")?,
        license: optional(tags::LICENSE, "the licence")?,
        vendor: optional(tags::VENDOR, "the vendor")?,
        group: optional(tags::GROUP, "the group")?,
        packager: optional(tags::PACKAGER, "the packager")?,
        build_time: i64::try_from(build_time)
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .ok_or_else(|| BadPackage::Wrong {
                what: "the build time",
                why: format!("{build_time} is no time"),
            })?,
        build_host: optional(tags::BUILD_HOST, "the build host")?,
        installed_size: installed.unwrap_or(0),
        archive_size: archive_size.unwrap_or(0),
        header_range: start..start + main.size(),
        header_sha256,
        changelog: changelog(main)?,
        pre: Vec::new(),
        suggests: dependencies::any(main, &dependencies::SUGGESTS)?,
        supplements: dependencies::any(main, &dependencies::SUPPLEMENTS)?,
        enhances: dependencies::any(main, &dependencies::ENHANCES)?,
        exclusive_arch: main.texts(tags::EXCLUSIVE_ARCH, "ExclusiveArch", MOST_ENTRIES)?,
        exclude_arch: main.texts(tags::EXCLUDE_ARCH, "ExcludeArch", MOST_ENTRIES)?,
        files: Vec::new(),
        tags: main.digests(),
    })
}

fn changelog(main: &Store) -> Result<Vec<ChangelogEntry>, BadPackage> {
    let times = main.numbers(tags::CHANGELOG_TIME, "the changelog", MOST_ENTRIES)?;
    let authors = main.texts(tags::CHANGELOG_NAME, "the changelog", MOST_ENTRIES)?;
    let texts = main.texts(tags::CHANGELOG_TEXT, "the changelog", MOST_ENTRIES)?;
    if times.len() != authors.len() || times.len() != texts.len() {
        return Err(BadPackage::Wrong {
            what: "the changelog",
            why: format!(
                "{} times, {} authors, {} texts",
                times.len(),
                authors.len(),
                texts.len()
            ),
        });
    }
    Ok(times
        .into_iter()
        .zip(authors)
        .zip(texts)
        .map(|((time, author), text)| ChangelogEntry {
            time: i64::try_from(time).unwrap_or(i64::MAX),
            author,
            text,
        })
        .collect())
}

fn text(store: &Store, tag: u32, what: &'static str) -> Result<Option<String>, BadPackage> {
    match store.text(tag, what)? {
        Some(text) if text.len() > LONGEST_TEXT => Err(BadPackage::TooBig {
            what,
            claimed: text.len() as u64,
            most: LONGEST_TEXT as u64,
        }),
        other => Ok(other),
    }
}

/// A word that becomes part of a file's name: it has to be there, and cannot lead out of a directory.
fn word(store: &Store, tag: u32, what: &'static str, allowed: fn(u8) -> bool) -> Result<String, BadPackage> {
    let word = store.text(tag, what)?.unwrap_or_default();
    let why = if word.is_empty() {
        "it is not there".to_owned()
    } else if word.len() > 200 {
        "it is longer than 200 characters".to_owned()
    } else if word.starts_with(['.', '-']) || !word.bytes().all(allowed) {
        format!("'{}' has characters that rpmbuild does not allow", shown(&word))
    } else {
        return Ok(word);
    };
    Err(BadPackage::Wrong { what, why })
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'/' && byte != b'\\'
}

fn is_version_byte(byte: u8) -> bool {
    is_name_byte(byte) && byte != b'-'
}

/// What a package says, for a message: escaped and cut.
pub(super) fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(100).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    escaped(&cut)
}
