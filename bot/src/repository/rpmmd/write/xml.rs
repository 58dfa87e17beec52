//! What the metadata says of one package, as XML, in `createrepo_c`'s words.
//!
//! Texts come from packages and are not trusted: what XML cannot hold is left out, everything else is escaped. So `<` and
//! `>` stand in no text, and the end of a package can be looked for.

use std::fmt::{Display, Write as _};

use windlass_core::rpm::{Artifact, Comparison, Dependency, Evr, FileKind, Requirement};

use super::Entry;

/// How many changelog entries are listed, the newest: as many as `createrepo_c` has.
const CHANGELOGS: usize = 10;

/// A text as content or attribute.
pub(super) fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\n' | '\t' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => out.push(c),
            _ => {}
        }
    }
    out
}

/// A text that [`text`] made, as it was; for what we wrote ourselves.
pub(super) fn plain(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#13;", "\r")
        .replace("&amp;", "&")
}

/// The file of a package, from its text in primary as [`primary`] made it.
pub(super) fn artifact(package: &str) -> Option<Artifact> {
    let between = |before: &str, after: char| Some(package.split_once(before)?.1.split_once(after)?.0);
    Some(Artifact {
        sha256: between("pkgid=\"YES\">", '<')?.to_owned(),
        size: between("<size package=\"", '"')?.parse().ok()?,
        location: plain(between("<location href=\"", '"')?),
    })
}

/// Collects lines.
struct Lines(String);

impl Lines {
    /// `<name>text</name>`, or `<name/>`.
    fn element(&mut self, indent: &str, name: &str, content: Option<&str>) {
        // Writing to a String cannot fail, here and below.
        let _ = match content {
            Some(content) if !content.is_empty() => writeln!(self.0, "{indent}<{name}>{}</{name}>", text(content)),
            _ => writeln!(self.0, "{indent}<{name}/>"),
        };
    }

    fn line(&mut self, line: impl Display) {
        let _ = writeln!(self.0, "{line}");
    }

    fn dependencies<'d>(&mut self, name: &str, entries: impl IntoIterator<Item = (Named<'d>, bool)>) {
        let mut entries = entries.into_iter().peekable();
        if entries.peek().is_none() {
            return;
        }
        self.line(format_args!("    <rpm:{name}>"));
        for (entry, pre) in entries {
            let mut line = format!("      <rpm:entry name=\"{}\"", text(&entry.name));
            if let Some((comparison, evr)) = entry.versions {
                let _ = write!(line, " flags=\"{}\" {}", flags(*comparison), version(evr));
            }
            if pre {
                line.push_str(" pre=\"1\"");
            }
            self.line(format_args!("{line}/>"));
        }
        self.line(format_args!("    </rpm:{name}>"));
    }

    fn files(&mut self, indent: &str, entry: &Entry<'_>, wanted: impl Fn(&str) -> bool) {
        for file in entry.header.package.files.iter().filter(|file| wanted(&file.path)) {
            let kind = match file.kind {
                FileKind::Plain => "",
                FileKind::Directory => " type=\"dir\"",
                FileKind::Ghost => " type=\"ghost\"",
            };
            self.line(format_args!("{indent}<file{kind}>{}</file>", text(&file.path)));
        }
    }
}

/// A dependency as metadata has it: a rich one is all name.
struct Named<'d> {
    name: std::borrow::Cow<'d, str>,
    versions: Option<&'d (Comparison, Evr)>,
}

fn plain_one(dependency: &Dependency) -> (Named<'_>, bool) {
    let named = Named {
        name: dependency.name.as_str().into(),
        versions: dependency.versions.as_ref(),
    };
    (named, false)
}

fn any_one(requirement: &Requirement) -> (Named<'_>, bool) {
    match requirement {
        Requirement::Plain(dependency) => plain_one(dependency),
        Requirement::Rich(rich) => {
            let named = Named {
                name: rich.to_string().into(),
                versions: None,
            };
            (named, false)
        }
    }
}

fn flags(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less => "LT",
        Comparison::LessOrEqual => "LE",
        Comparison::Equal => "EQ",
        Comparison::GreaterOrEqual => "GE",
        Comparison::Greater => "GT",
    }
}

fn version(evr: &Evr) -> String {
    let mut out = format!("epoch=\"{}\" ver=\"{}\"", evr.epoch, text(&evr.version));
    if let Some(release) = &evr.release {
        let _ = write!(out, " rel=\"{}\"", text(release));
    }
    out
}

/// Whether a file is listed in primary too: `createrepo_c`'s rule, which resolvers rely on.
fn is_primary(path: &str) -> bool {
    path.starts_with("/etc/") || path == "/usr/lib/sendmail" || path.contains("bin/")
}

/// `<package>` of primary.
pub(super) fn primary(entry: &Entry<'_>) -> String {
    let (package, about, artifact) = (&entry.header.package, &entry.header.about, entry.artifact);
    let mut out = Lines(String::with_capacity(4096));
    out.line("<package type=\"rpm\">");
    out.element("  ", "name", Some(&package.name));
    out.element("  ", "arch", Some(&package.arch));
    out.line(format_args!("  <version {}/>", version(&package.evr)));
    out.line(format_args!(
        "  <checksum type=\"sha256\" pkgid=\"YES\">{}</checksum>",
        artifact.sha256
    ));
    out.element("  ", "summary", Some(&about.summary));
    out.element("  ", "description", Some(&about.description));
    out.element("  ", "packager", about.packager.as_deref());
    out.element("  ", "url", about.url.as_deref());
    out.line(format_args!(
        "  <time file=\"{}\" build=\"{}\"/>",
        entry.file_time,
        about.build_time.as_second()
    ));
    out.line(format_args!(
        "  <size package=\"{}\" installed=\"{}\" archive=\"{}\"/>",
        artifact.size, about.installed_size, about.archive_size
    ));
    out.line(format_args!("  <location href=\"{}\"/>", text(&artifact.location)));
    out.line("  <format>");
    out.element("    ", "rpm:license", about.license.as_deref());
    out.element("    ", "rpm:vendor", about.vendor.as_deref());
    out.element("    ", "rpm:group", about.group.as_deref());
    out.element("    ", "rpm:buildhost", about.build_host.as_deref());
    out.element("    ", "rpm:sourcerpm", package.source_rpm.as_deref());
    out.line(format_args!(
        "    <rpm:header-range start=\"{}\" end=\"{}\"/>",
        about.header_range.start, about.header_range.end
    ));
    out.dependencies("provides", package.provides.iter().map(plain_one));
    let requires = package.requires.iter().map(any_one).zip(about.pre.iter().copied());
    out.dependencies("requires", requires.map(|((named, _), pre)| (named, pre)));
    out.dependencies("conflicts", package.conflicts.iter().map(any_one));
    out.dependencies("obsoletes", package.obsoletes.iter().map(plain_one));
    out.dependencies("suggests", about.suggests.iter().map(any_one));
    out.dependencies("enhances", about.enhances.iter().map(any_one));
    out.dependencies("recommends", package.recommends.iter().map(any_one));
    out.dependencies("supplements", about.supplements.iter().map(any_one));
    out.files("    ", entry, is_primary);
    out.line("  </format>");
    out.line("</package>");
    out.0
}

/// How a package begins in filelists and other.
fn opening(entry: &Entry<'_>) -> Lines {
    let package = &entry.header.package;
    let mut out = Lines(String::with_capacity(1024));
    out.line(format_args!(
        "<package pkgid=\"{}\" name=\"{}\" arch=\"{}\">\n  <version {}/>",
        entry.artifact.sha256,
        text(&package.name),
        text(&package.arch),
        version(&package.evr)
    ));
    out
}

/// `<package>` of filelists.
pub(super) fn filelists(entry: &Entry<'_>) -> String {
    let mut out = opening(entry);
    out.files("  ", entry, |_| true);
    out.line("</package>");
    out.0
}

/// `<package>` of other.
pub(super) fn other(entry: &Entry<'_>) -> String {
    let mut out = opening(entry);
    // Oldest first, and the newest few: so createrepo_c has it.
    for change in entry.header.about.changelog.iter().take(CHANGELOGS).rev() {
        out.line(format_args!(
            "  <changelog author=\"{}\" date=\"{}\">{}</changelog>",
            text(&change.author),
            change.time,
            text(&change.text)
        ));
    }
    out.line("</package>");
    out.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_a_package() {
        let hostile = "a</package>\n<package>&\"\u{0}\u{1b}\u{fffe}\r\u{202e}é";
        let escaped = text(hostile);
        assert_eq!(escaped, "a&lt;/package&gt;\n&lt;package&gt;&amp;&quot;&#13;\u{202e}é");
        assert_eq!(plain(&escaped), "a</package>\n<package>&\"\r\u{202e}é");
    }

    #[test]
    fn primary_files_are_those_of_createrepo() {
        for (path, listed) in [
            ("/etc/passwd", true),
            ("/usr/bin/x", true),
            ("/usr/sbin/x", true),
            ("/usr/lib/sendmail", true),
            ("/opt/robin/x", true),
            ("/usr/bin", false),
            ("/usr/share/doc/etc/x", false),
        ] {
            assert_eq!(is_primary(path), listed, "{path}");
        }
    }
}
