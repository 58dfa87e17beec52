//! Reads `.gear/rules`: one directive a line, told with its line number where it is wrong.
//!
//! What the names in it mean (trees, keywords, files) is found out later; here only the language is known.

use std::fmt;

use crate::escape::escaped;
use crate::gear::compress::{Codec, Compression};
use crate::gear::error::at;
use crate::gear::glob::Glob;
use crate::refusal::{Refusal, nearest};

/// How many directives there may be; a person writes a dozen.
const MOST_DIRECTIVES: usize = 2_000;

/// What a rules file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// `spec:`: the spec file's path.
    pub spec: Option<String>,
    /// `tags:`: the directory of stored tags.
    pub tags: Option<String>,
    /// `type:`: a word for the volume header.
    pub kind: Option<String>,
    /// `specsubst:`: the variables, as named.
    pub specsubst: Vec<String>,
    /// `exclude:`: patterns for all directives.
    pub exclude: Vec<Glob>,
    /// All that makes files, in the order of the lines.
    pub directives: Vec<Directive>,
}

/// One line that makes files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its line, from 1.
    pub line: usize,
    /// Its word, as in `tar.xz`.
    pub word: String,
    /// Whether it is no error when there is nothing of it.
    pub optional: bool,
    /// What it makes.
    pub makes: Makes,
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.word)
    }
}

/// What a directive makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Makes {
    /// Files as they are, or each compressed.
    Files {
        /// Which.
        globs: Vec<FileGlob>,
        /// How they are compressed.
        compression: Option<Compression>,
        /// The one file's name, where it is told.
        name: Option<String>,
    },
    /// An archive of a tree.
    Archive {
        /// The tree, with keywords.
        tree: String,
        /// The form.
        format: Format,
        /// The archive's name without suffix.
        name: Option<String>,
        /// The directory in it.
        base: Option<String>,
        /// What is appended to the name.
        suffix: Option<String>,
        /// Another spec file, for the keywords.
        spec: Option<String>,
        /// Patterns for this one.
        exclude: Vec<Glob>,
    },
    /// A patch from one tree to another.
    Patch {
        /// The tree that it is made for, with keywords.
        old: String,
        /// The tree that it leads to.
        new: String,
        /// Its name without the compression's suffix.
        name: Option<String>,
        /// How it is compressed.
        compression: Option<Compression>,
        /// Another spec file, for the keywords.
        spec: Option<String>,
        /// Patterns for this one.
        exclude: Vec<Glob>,
    },
}

/// The form of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A tar, compressed or not.
    Tar(Option<Compression>),
    /// A zip.
    Zip,
}

impl Format {
    /// What its name ends in.
    pub fn suffix(self) -> String {
        match self {
            Self::Tar(None) => ".tar".to_owned(),
            Self::Tar(Some(compression)) => format!(".tar{}", compression.codec.suffix()),
            Self::Zip => ".zip".to_owned(),
        }
    }
}

/// A path whose last part may be a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileGlob {
    /// The directory; empty at the top.
    pub dir: String,
    /// The pattern of the name.
    pub name: Glob,
}

impl fmt::Display for FileGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.dir.is_empty() {
            write!(f, "{}/", escaped(&self.dir))?;
        }
        f.write_str(&escaped(self.name.as_str()))
    }
}

/// What a directive's word means.
#[derive(Clone, Copy)]
enum Word {
    Spec,
    Tags,
    Type,
    Specsubst,
    Exclude,
    Files(Option<Codec>),
    Compress,
    Archive(Format),
    Patch(Option<Codec>),
}

fn words() -> Vec<(String, Word)> {
    let plain = [
        ("spec", Word::Spec),
        ("tags", Word::Tags),
        ("type", Word::Type),
        ("specsubst", Word::Specsubst),
        ("exclude", Word::Exclude),
        ("copy", Word::Files(None)),
        ("compress", Word::Compress),
        ("tar", Word::Archive(Format::Tar(None))),
        ("zip", Word::Archive(Format::Zip)),
        ("diff", Word::Patch(None)),
    ];
    let mut words: Vec<(String, Word)> = plain.map(|(name, word)| (name.to_owned(), word)).into();
    for codec in Codec::ALL {
        let suffix = codec.suffix();
        words.push((codec.as_str().to_owned(), Word::Files(Some(codec))));
        words.push((format!("tar{suffix}"), Word::Archive(Format::Tar(Some(codec.usual())))));
        words.push((format!("diff{suffix}"), Word::Patch(Some(codec))));
    }
    words
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new("bad_rules", message)
}

impl Rules {
    /// Reads a rules file.
    ///
    /// # Errors
    /// What is wrong with the first line that is.
    pub fn parse(content: &[u8]) -> Result<Self, Refusal> {
        let known = words();
        let mut rules = Self::default();
        let mut seen = Vec::new();
        for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
            rules
                .take(index + 1, line, &known, &mut seen)
                .map_err(|refusal| at(format_args!("line {}", index + 1), refusal))?;
        }
        Ok(rules)
    }

    fn take(
        &mut self,
        number: usize,
        line: &[u8],
        known: &[(String, Word)],
        seen: &mut Vec<&'static str>,
    ) -> Result<(), Refusal> {
        let line = std::str::from_utf8(line).map_err(|_| bad("it is no UTF-8"))?.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let Some((word, arguments)) = line.split_once(':') else {
            return Err(bad(format!("'{}' is no rule", escaped(line)))
                .hint("a rule is 'directive: arguments', as in 'copy: *.patch'"));
        };
        let word = word.trim_end();
        let (word, optional) = match word.strip_suffix('?') {
            Some(word) => (word, true),
            None => (word, false),
        };
        let Some((name, meaning)) = known.iter().find(|(name, _)| name == word) else {
            return Err(unknown(word, known));
        };
        let arguments = shlex::split(arguments)
            .ok_or_else(|| bad("a quote or a backslash has no end").hint("a rule does not go on on the next line"))?;
        if let Some(word) = arguments.iter().find(|word| word.contains('\0')) {
            return Err(bad(format!("'{}' has a NUL in it", escaped(word))));
        }
        let makes = match *meaning {
            Word::Spec => return once("spec", optional, seen).and_then(|()| set_path(&mut self.spec, &arguments)),
            Word::Tags => return once("tags", optional, seen).and_then(|()| set_path(&mut self.tags, &arguments)),
            Word::Type => return once("type", optional, seen).and_then(|()| self.set_kind(&arguments)),
            Word::Specsubst => return once("specsubst", optional, seen).and_then(|()| self.set_specsubst(&arguments)),
            Word::Exclude => {
                if optional {
                    return Err(not_optional("exclude"));
                }
                some(&arguments, "a pattern, as in 'exclude: ./*.md docs/*'")?;
                self.exclude.extend(arguments.iter().map(|word| Glob::new(word)));
                return Ok(());
            }
            Word::Files(codec) => files(&arguments, codec)?,
            Word::Compress => long_form(&arguments)?,
            Word::Archive(format) => archive(arguments, format)?,
            Word::Patch(codec) => patch(arguments, codec)?,
        };
        if self.directives.len() >= MOST_DIRECTIVES {
            return Err(bad(format!("there are more than {MOST_DIRECTIVES} directives")));
        }
        self.directives.push(Directive {
            line: number,
            word: name.clone(),
            optional,
            makes,
        });
        Ok(())
    }

    fn set_kind(&mut self, arguments: &[String]) -> Result<(), Refusal> {
        let word = one(arguments, "one word, as in 'type: rpm'")?;
        let good = word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_+.-".contains(&byte))
            && file_name(word).is_ok();
        if !good || word.len() > 32 {
            return Err(bad(format!(
                "'{}' is no type: letters, digits and '_+.-', at most 32",
                escaped(word)
            )));
        }
        self.kind = Some(word.clone());
        Ok(())
    }

    fn set_specsubst(&mut self, arguments: &[String]) -> Result<(), Refusal> {
        some(arguments, "a variable, as in 'specsubst: date'")?;
        for name in arguments {
            if !is_variable(name) {
                return Err(bad(format!(
                    "'{}' is no variable: letters, digits and '_', a letter first, at most 64",
                    escaped(name)
                )));
            }
            if KEYWORDS.contains(&name.as_str()) {
                return Err(bad(format!(
                    "@{name}@ is a keyword of the rules: it cannot be a variable"
                )));
            }
            if self.specsubst.contains(name) {
                return Err(bad(format!("variable {name} stands there twice")));
            }
            self.specsubst.push(name.clone());
        }
        Ok(())
    }
}

/// The keywords that need no declaration.
pub const KEYWORDS: [&str; 6] = ["name", "version", "release", "dir", "old_dir", "new_dir"];

/// Whether this can be the name of a variable of `specsubst:`.
pub fn is_variable(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn unknown(word: &str, known: &[(String, Word)]) -> Refusal {
    let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
    let refusal = bad(format!("there is no directive '{}'", escaped(word)));
    match nearest(word, &names) {
        Some(near) => refusal.hint(format!("did you mean '{near}:'?")),
        None => refusal.hint(format!("there are: {}", names.join(" "))),
    }
}

fn not_optional(word: &str) -> Refusal {
    bad(format!("'{word}' cannot be optional"))
        .hint(format!("write '{word}:'; what makes files can be, as in 'copy?:'"))
}

fn once(word: &'static str, optional: bool, seen: &mut Vec<&'static str>) -> Result<(), Refusal> {
    if optional {
        return Err(not_optional(word));
    }
    if seen.contains(&word) {
        return Err(bad(format!("'{word}:' stands there twice")));
    }
    seen.push(word);
    Ok(())
}

fn set_path(to: &mut Option<String>, arguments: &[String]) -> Result<(), Refusal> {
    let path = relative(one(arguments, "one path")?)?;
    if path.is_empty() {
        return Err(bad("'.' is no path below the top"));
    }
    *to = Some(path);
    Ok(())
}

fn one<'a>(arguments: &'a [String], wanted: &str) -> Result<&'a String, Refusal> {
    match arguments {
        [one] => Ok(one),
        [] => Err(bad(format!("it wants {wanted}"))),
        [_, more, ..] => Err(bad(format!("it wants {wanted}; '{}' is one too many", escaped(more)))),
    }
}

fn some(arguments: &[String], wanted: &str) -> Result<(), Refusal> {
    if arguments.is_empty() {
        return Err(bad(format!("it wants {wanted}")));
    }
    Ok(())
}

/// A path below the top: not absolute, without `..`; gives it without `.` and needless slashes, empty for the top itself.
pub fn relative(path: &str) -> Result<String, Refusal> {
    if path.is_empty() {
        return Err(bad("a path is empty").hint("the top directory is '.'"));
    }
    if path.starts_with('/') {
        return Err(bad(format!("'{}' is absolute: paths are below the top", escaped(path))));
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(bad(format!("'{}' has a '..' in it", escaped(path))));
    }
    Ok(parts.join("/"))
}

/// Checks that this can be a file's name in pkg.tar.
///
/// # Errors
/// Why it cannot.
pub fn file_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("it is empty"),
        "." | ".." => Err("it is a directory"),
        _ if name.contains('/') => Err("it has a slash in it"),
        _ if name.chars().any(char::is_control) => Err("it has a control character in it"),
        _ if name.len() > 255 => Err("it is longer than 255 bytes"),
        _ => Ok(()),
    }
}

fn file_glob(word: &str) -> Result<FileGlob, Refusal> {
    let (dir, name) = word.rsplit_once('/').unwrap_or(("", word));
    if dir.contains(['*', '?', '[']) {
        return Err(bad(format!("'{}' has a wildcard in a directory's name", escaped(word)))
            .hint("only the last part may be a pattern: name each directory"));
    }
    if word.starts_with('/') || matches!(name, "" | "." | "..") {
        // The same words as for every path.
        relative(word)?;
        return Err(bad(format!("'{}' names no files", escaped(word))).hint("as in 'copy: patches/*.patch'"));
    }
    let dir = if dir.is_empty() { String::new() } else { relative(dir)? };
    Ok(FileGlob {
        dir,
        name: Glob::new(name),
    })
}

fn globs(arguments: &[String]) -> Result<Vec<FileGlob>, Refusal> {
    some(arguments, "a pattern for files, as in '*.patch'")?;
    arguments.iter().map(|word| file_glob(word)).collect()
}

fn files(arguments: &[String], codec: Option<Codec>) -> Result<Makes, Refusal> {
    if let (Some(codec), Some(option)) = (codec, arguments.iter().find(|word| word.starts_with('-'))) {
        let (codec, option) = (codec.as_str(), escaped(option));
        return Err(bad(format!("'{option}' is an option, and this form takes none"))
            .hint(format!("as in 'compress: type={codec} {option} -- *.txt'")));
    }
    Ok(Makes::Files {
        globs: globs(arguments)?,
        compression: codec.map(Codec::usual),
        name: None,
    })
}

/// `compress: type=T [name=N] [-opt…] -- GLOB…`
fn long_form(arguments: &[String]) -> Result<Makes, Refusal> {
    let form = "as in 'compress: type=xz -9 -- *.txt'";
    let Some(end) = arguments.iter().position(|word| word == "--") else {
        return Err(bad("there is no '--' before the files").hint(form));
    };
    let (before, after) = (&arguments[..end], &arguments[end + 1..]);
    let mut name = None;
    let mut codec = None;
    let mut options = Vec::new();
    for word in before {
        match word.split_once('=') {
            Some(("type", value)) if codec.is_none() => {
                let found = Codec::ALL.into_iter().find(|codec| codec.as_str() == value);
                let names = Codec::ALL.map(Codec::as_str).join(", ");
                codec = Some(found.ok_or_else(|| bad(format!("type={} is none of {names}", escaped(value))))?);
            }
            Some(("name", value)) if name.is_none() => name = Some(value.to_owned()),
            Some((key @ ("type" | "name"), _)) => return Err(bad(format!("'{key}=' stands there twice"))),
            _ if word.starts_with('-') => options.push(word),
            _ => return Err(bad(format!("'{}' is no option", escaped(word))).hint(form)),
        }
    }
    let Some(codec) = codec else {
        return Err(bad("there is no 'type='").hint(form));
    };
    let mut compression = codec.usual();
    for option in options {
        compression.option(option).map_err(|allowed| {
            bad(format!("{} has no option '{}' here", codec.as_str(), escaped(option))).hint(allowed)
        })?;
    }
    Ok(Makes::Files {
        globs: globs(after)?,
        compression: Some(compression),
        name,
    })
}

/// The `key=value` words behind the trees.
#[derive(Default)]
struct Options {
    name: Option<String>,
    base: Option<String>,
    suffix: Option<String>,
    spec: Option<String>,
    exclude: Vec<Glob>,
}

impl Options {
    fn read(words: impl Iterator<Item = String>, known: &[&str]) -> Result<Self, Refusal> {
        let mut options = Self::default();
        for word in words {
            let Some((key, value)) = word.split_once('=') else {
                return Err(bad(format!("'{}' is one word too many", escaped(&word)))
                    .hint(format!("options are {}", known.map_joined())));
            };
            if !known.contains(&key) {
                let refusal = bad(format!("there is no option '{}='", escaped(key)));
                return Err(match nearest(key, known) {
                    Some(near) => refusal.hint(format!("did you mean '{near}='?")),
                    None => refusal.hint(format!("there are {}", known.map_joined())),
                });
            }
            let to = match key {
                "name" => &mut options.name,
                "base" => &mut options.base,
                "suffix" => &mut options.suffix,
                "spec" => &mut options.spec,
                _ => {
                    options.exclude.push(Glob::new(value));
                    continue;
                }
            };
            if to.is_some() {
                return Err(bad(format!("'{key}=' stands there twice")));
            }
            *to = Some(if key == "spec" {
                relative(value)?
            } else {
                value.to_owned()
            });
        }
        Ok(options)
    }
}

trait Joined {
    fn map_joined(&self) -> String;
}

impl Joined for [&str] {
    fn map_joined(&self) -> String {
        self.iter().map(|key| format!("{key}=")).collect::<Vec<_>>().join(" ")
    }
}

fn archive(arguments: Vec<String>, format: Format) -> Result<Makes, Refusal> {
    let mut words = arguments.into_iter();
    let tree = words.next().ok_or_else(|| bad("it wants a tree, as in 'tar: .'"))?;
    let options = Options::read(words, &["name", "base", "suffix", "spec", "exclude"])?;
    Ok(Makes::Archive {
        tree,
        format,
        name: options.name,
        base: options.base,
        suffix: options.suffix,
        spec: options.spec,
        exclude: options.exclude,
    })
}

fn patch(arguments: Vec<String>, codec: Option<Codec>) -> Result<Makes, Refusal> {
    let mut words = arguments.into_iter();
    let (Some(old), Some(new)) = (words.next(), words.next()) else {
        return Err(bad("it wants two trees, as in 'diff: v@version@:. .'"));
    };
    let options = Options::read(words, &["name", "spec", "exclude"])?;
    Ok(Makes::Patch {
        old,
        new,
        name: options.name,
        compression: codec.map(Codec::usual),
        spec: options.spec,
        exclude: options.exclude,
    })
}

#[cfg(test)]
mod tests;
