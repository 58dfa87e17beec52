//! The inputs as a label: compact JSON, bounded.
//!
//! `{"v":1,"dockerfile":["Dockerfile","0123456789abcdef"],"file":["big/","…*9000","src/a.c","…"]}`: for each kind its names
//! and stamps in turn. A digest is its first 16 digits: whether an image is up to date, the other label says. A text begins
//! with `=`. A name that ends with a slash stands for everything below it, its stamp says how many inputs that is; the
//! name `/` stands for all of a kind.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde_json::Value;

use super::{Hash, Input, Inputs, Kind, Stamp};
use crate::escape::escaped;
use crate::image::name::Digest;

/// The most bytes of the label: it travels in an engine's build request.
pub const LABEL: usize = 12 << 10;

/// The most bytes of a label that is read; somebody else may have written it.
const READ: usize = 1 << 20;
/// The longest text that stands on a label as it is.
const TEXT: usize = 64;
/// How many digits of a digest stand on a label.
const DIGITS: usize = 16;

/// Why a label cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLabel {
    /// It is not what this program writes.
    #[error("the label that names the image's inputs cannot be read: {0}")]
    Unreadable(String),
    /// A later release wrote it.
    #[error("the label that names the image's inputs has version {0}: a newer program built the image")]
    Newer(u64),
}

/// The inputs of an image as its label has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded(pub(super) BTreeMap<Kind, Vec<(String, Mark)>>);

/// What a label says of one input, or of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// The digest's first digits.
    Digits(String),
    /// The text.
    Text(String),
    /// Everything below a directory.
    Below { digits: String, count: usize },
}

impl Mark {
    pub(super) fn of(stamp: &Stamp) -> Self {
        match stamp {
            Stamp::Digest(digest) => Self::Digits(digest.digits()[..DIGITS].to_owned()),
            Stamp::Text(text) if text.len() <= TEXT => Self::Text(text.clone()),
            Stamp::Text(text) => Self::Digits(Digest::of(text.as_bytes()).digits()[..DIGITS].to_owned()),
        }
    }

    /// Of several inputs, which are sorted.
    pub(super) fn of_all<'a>(inputs: impl Iterator<Item = &'a Input>) -> Self {
        let mut hash = Hash::new("windlass inputs below 1");
        let mut count = 0;
        for input in inputs {
            count += 1;
            hash.input(input);
        }
        Self::Below {
            digits: hash.digest().digits()[..DIGITS].to_owned(),
            count,
        }
    }

    fn print(&self) -> String {
        match self {
            Self::Digits(digits) => digits.clone(),
            Self::Text(text) => format!("={text}"),
            Self::Below { digits, count } => format!("{digits}*{count}"),
        }
    }

    fn read(text: &str) -> Option<Self> {
        if let Some(text) = text.strip_prefix('=') {
            return (text.len() <= TEXT).then(|| Self::Text(text.to_owned()));
        }
        let (digits, count) = match text.split_once('*') {
            Some((digits, count)) => (digits, Some(count.parse().ok()?)),
            None => (text, None),
        };
        let good = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digits = good.then(|| digits.to_owned())?;
        Some(match count {
            Some(count) => Self::Below { digits, count },
            None => Self::Digits(digits),
        })
    }
}

/// Some inputs of one kind that have the beginning of their names in common.
#[derive(Clone, Copy)]
struct Fold<'i> {
    kind: Kind,
    /// Empty, or a directory with its slash.
    prefix: &'i str,
    inputs: &'i [Input],
}

impl<'i> Fold<'i> {
    /// How much a label grows by it.
    fn cost(&self) -> usize {
        match self.inputs {
            [one] => quoted(&one.name) + quoted(&Mark::of(&one.stamp).print()) + 2,
            many => quoted(self.prefix) + DIGITS + many.len().to_string().len() + 6,
        }
    }

    /// The files and directories right below it.
    fn parts(&self) -> Vec<Fold<'i>> {
        let mut parts = Vec::new();
        let mut rest = self.inputs;
        while let [first, ..] = rest {
            let below = &first.name[self.prefix.len()..];
            // A slash at the end is a part of the name.
            let slash = below.find('/').filter(|at| at + 1 < below.len());
            let (prefix, count) = match slash {
                // Bases are in no order, and their slashes are no directories.
                Some(at) if self.kind != Kind::Base => {
                    let prefix = &first.name[..=self.prefix.len() + at];
                    (prefix, rest.partition_point(|input| input.name.starts_with(prefix)))
                }
                Some(_) | None => (self.prefix, 1),
            };
            let (inputs, behind) = rest.split_at(count.max(1));
            parts.push(Fold {
                kind: self.kind,
                prefix,
                inputs,
            });
            rest = behind;
        }
        parts
    }

    fn print(&self) -> [String; 2] {
        match self.inputs {
            [one] => [one.name.clone(), Mark::of(&one.stamp).print()],
            many => {
                let name = if self.prefix.is_empty() { "/" } else { self.prefix };
                [name.to_owned(), Mark::of_all(many.iter()).print()]
            }
        }
    }
}

/// The length of a text as JSON.
fn quoted(text: &str) -> usize {
    let more = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 1,
        0..=0x1f => 5,
        _ => 0,
    });
    text.len() + 2 + more.sum::<usize>()
}

/// What becomes of the inputs while a label is made.
#[derive(Default)]
struct Folding<'i> {
    /// What stands on the label.
    kept: Vec<Fold<'i>>,
    /// What may give way to its parts: how much the label grows by that, and which it is.
    open: BinaryHeap<Reverse<(usize, usize)>>,
    folds: Vec<(Fold<'i>, Vec<Fold<'i>>)>,
}

impl<'i> Folding<'i> {
    fn add(&mut self, fold: Fold<'i>) {
        if fold.inputs.len() == 1 {
            self.kept.push(fold);
            return;
        }
        let parts = fold.parts();
        let grows = parts.iter().map(Fold::cost).sum::<usize>().saturating_sub(fold.cost());
        self.open.push(Reverse((grows, self.folds.len())));
        self.folds.push((fold, parts));
    }

    /// Opens directories, those first that make the label grow least, as long as there is room.
    fn unfold(&mut self, mut room: usize) {
        while let Some(Reverse((grows, at))) = self.open.pop() {
            match room.checked_sub(grows) {
                Some(left) => {
                    room = left;
                    for part in std::mem::take(&mut self.folds[at].1) {
                        self.add(part);
                    }
                }
                None => self.kept.push(self.folds[at].0),
            }
        }
    }
}

impl Inputs {
    /// The label's text, at most [`LABEL`] bytes.
    ///
    /// # Panics
    /// Never: strings are always JSON.
    pub fn to_label(&self) -> String {
        let mut folding = Folding::default();
        let mut size = "{\"v\":1}".len();
        for kind in Kind::ALL {
            let inputs = self.of(kind);
            if !inputs.is_empty() {
                let fold = Fold {
                    kind,
                    prefix: "",
                    inputs,
                };
                size += fold.cost() + quoted(kind.as_str()) + 4;
                folding.add(fold);
            }
        }
        folding.unfold(LABEL.saturating_sub(size));
        let mut kept = folding.kept;
        // The place of its first input: so they stand in the order of all inputs.
        kept.sort_by_key(|fold| fold.inputs.as_ptr());
        let mut kinds: Vec<(Kind, Vec<String>)> = Vec::new();
        for fold in kept {
            if kinds.last().is_none_or(|(kind, _)| *kind != fold.kind) {
                kinds.push((fold.kind, Vec::new()));
            }
            if let Some((_, texts)) = kinds.last_mut() {
                texts.extend(fold.print());
            }
        }
        let mut text = String::with_capacity(LABEL);
        text.push_str("{\"v\":1");
        for (kind, texts) in kinds {
            let list = serde_json::to_string(&texts).expect("a list of strings is always JSON");
            text.extend([",\"", kind.as_str(), "\":", list.as_str()]);
        }
        text.push('}');
        text
    }
}

impl Recorded {
    /// Reads a label's text.
    ///
    /// # Errors
    /// Where it is none of this program's.
    pub fn from_label(text: &str) -> Result<Self, BadLabel> {
        let unreadable = |what: &str| BadLabel::Unreadable(what.to_owned());
        if text.len() > READ {
            return Err(BadLabel::Unreadable(format!("it has more than {READ} bytes")));
        }
        let value: Value = serde_json::from_str(text).map_err(|error| BadLabel::Unreadable(error.to_string()))?;
        let fields = value.as_object().ok_or_else(|| unreadable("it is no object"))?;
        match fields.get("v").and_then(Value::as_u64) {
            Some(1) => {}
            Some(newer) => return Err(BadLabel::Newer(newer)),
            None => return Err(unreadable("it has no version")),
        }
        let mut recorded = Self::default();
        for (word, list) in fields.iter().filter(|(word, _)| *word != "v") {
            let bad = || BadLabel::Unreadable(format!("its '{}' is none", escaped(word)));
            let kind = Kind::of(word).ok_or_else(bad)?;
            let texts: Option<Vec<&str>> = list
                .as_array()
                .and_then(|list| list.iter().map(Value::as_str).collect());
            let texts = texts.filter(|texts| texts.len() % 2 == 0).ok_or_else(bad)?;
            let mut inputs = Vec::new();
            for pair in texts.chunks(2) {
                inputs.push((pair[0].to_owned(), Mark::read(pair[1]).ok_or_else(bad)?));
            }
            recorded.0.insert(kind, inputs);
        }
        Ok(recorded)
    }
}
