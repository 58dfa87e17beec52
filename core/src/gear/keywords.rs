//! `@name@`, `@version@` and the like: what they stand for, in names, trees and, for `specsubst:`, in the spec itself.

use std::collections::BTreeMap;

use crate::escape::{escaped, escaped_bytes};
use crate::gear::rules::{KEYWORDS, file_name, is_variable};
use crate::gear::spec::Preamble;
use crate::refusal::{Refusal, nearest};

/// What keywords stand for in one directive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Keywords {
    values: BTreeMap<String, String>,
}

impl Keywords {
    /// The keywords of a spec, and the variables of `specsubst:`.
    pub(super) fn of(preamble: &Preamble, variables: &Variables) -> Self {
        let tags = [
            ("name", &preamble.name),
            ("version", &preamble.version),
            ("release", &preamble.release),
        ];
        let mut values: BTreeMap<String, String> = tags
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value.as_ref()?.text.clone())))
            .collect();
        for (name, value) in &variables.0 {
            values.insert(name.clone(), escaped_bytes(value));
        }
        Self { values }
    }

    /// The same with one more; nothing where it has no value here.
    #[must_use]
    pub(super) fn with(&self, key: &str, value: Option<&str>) -> Self {
        let mut values = self.values.clone();
        if let Some(value) = value {
            values.insert(key.to_owned(), value.to_owned());
        }
        Self { values }
    }

    /// A text with all its keywords replaced.
    ///
    /// # Errors
    /// A keyword is unknown, has no value here, or one that cannot be a file's name.
    pub(super) fn expand(&self, text: &str) -> Result<String, Refusal> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('@') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let Some(end) = rest.find('@').filter(|end| is_variable(&rest[..*end])) else {
                out.push('@');
                continue;
            };
            let (key, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            let Some(value) = self.values.get(key) else {
                return Err(self.no_value(key));
            };
            file_name(value).map_err(|why| {
                Refusal::new(
                    "bad_keyword_value",
                    format!(
                        "@{key}@ is '{}', which cannot be a part of a file's name: {why}",
                        escaped(value)
                    ),
                )
                .hint("give the file its name without it: name=…")
            })?;
            out.push_str(value);
        }
        out.push_str(rest);
        Ok(out)
    }

    fn no_value(&self, key: &str) -> Refusal {
        match key {
            "name" | "version" | "release" => Refusal::new(
                "no_keyword_value",
                format!("@{key}@ has no value: the spec has no '{key}:' before its first section"),
            )
            .hint("give the file its name without it: name=…"),
            "dir" | "old_dir" | "new_dir" => Refusal::new(
                "no_keyword_value",
                format!("@{key}@ has no value here: it is the last part of a tree's path, and not of the top"),
            )
            .hint("'tar' has @dir@, 'diff' has @old_dir@ and @new_dir@; for the top use @name@"),
            _ => {
                let mut known: Vec<&str> = KEYWORDS.to_vec();
                known.extend(self.values.keys().map(String::as_str));
                let refusal = Refusal::new("bad_rules", format!("there is no keyword @{}@", escaped(key)));
                match nearest(key, &known) {
                    Some(near) => refusal.hint(format!(
                        "did you mean @{near}@? A variable is named by 'specsubst: {key}' first"
                    )),
                    None => refusal.hint(format!("a variable is named by 'specsubst: {key}' first")),
                }
            }
        }
    }
}

/// The variables of `specsubst:` with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Variables(BTreeMap<String, Vec<u8>>);

impl Variables {
    /// Takes the values of these variables from the tag's message, its lines `X-gear-specsubst: VAR=value`.
    ///
    /// # Errors
    /// One has no value, or two.
    pub(super) fn read(names: &[String], message: &[u8]) -> Result<Self, Refusal> {
        let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for line in message.split(|byte| *byte == b'\n') {
            let Some(rest) = line.strip_prefix(b"X-gear-specsubst:") else {
                continue;
            };
            let rest = rest.trim_ascii();
            let Some(at) = rest.iter().position(|byte| *byte == b'=') else {
                return Err(Refusal::new(
                    "bad_specsubst",
                    format!("'{}' in the tag's message has no '='", escaped_bytes(line)),
                )
                .hint("a line is 'X-gear-specsubst: VAR=value'"));
            };
            let name = escaped_bytes(&rest[..at]);
            if names.contains(&name) && found.insert(name.clone(), rest[at + 1..].to_vec()).is_some() {
                return Err(Refusal::new(
                    "bad_specsubst",
                    format!("variable {name} has two values in the tag's message"),
                ));
            }
        }
        match names.iter().find(|name| !found.contains_key(*name)) {
            None => Ok(Self(found)),
            Some(name) => Err(Refusal::new(
                "bad_specsubst",
                format!("the rules want a value for variable {name}, and the tag's message has none"),
            )
            .hint(format!(
                "tag it again with a line 'X-gear-specsubst: {name}=value' in the message"
            ))),
        }
    }

    /// A spec with each `@VAR@` replaced, once: what a value brings in is not looked at again. Nothing where more than `limit`
    /// bytes come out.
    pub(super) fn substitute(&self, spec: &[u8], limit: u64) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(spec.len());
        let mut rest = spec;
        while let Some(at) = rest.iter().position(|byte| *byte == b'@') {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            let end = rest[1..].iter().position(|byte| *byte == b'@');
            let key = end.and_then(|end| std::str::from_utf8(&rest[1..=end]).ok());
            if let Some((key, value)) = key.and_then(|key| self.0.get_key_value(key)) {
                out.extend_from_slice(value);
                rest = &rest[key.len() + 2..];
            } else {
                out.push(b'@');
                rest = &rest[1..];
            }
            if out.len() as u64 > limit {
                return None;
            }
        }
        out.extend_from_slice(rest);
        (out.len() as u64 <= limit).then_some(out)
    }
}
