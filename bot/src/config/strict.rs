//! Reads TOML strictly and finds every problem at once: bad syntax, unknown keys with a near match, bad values.
//!
//! The types alone say which keys there are (`deny_unknown_fields`). A deserializer stops at the first error, so the
//! entry that is at fault is noted, taken out, and the rest is read again, until nothing is left to complain about.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;

/// A table or value with the place where it stands in the text.
type Table<'i> = Spanned<DeTable<'i>>;

/// Problems after which no further are looked for: a file with more is no configuration.
const MOST_PROBLEMS: usize = 50;

/// Reads a text as `T`; every problem otherwise, in the order of the text.
///
/// # Errors
/// All that is wrong with the text.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Problem>> {
    let (mut table, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        let mut problems: Vec<Problem> = syntax
            .iter()
            .take(MOST_PROBLEMS)
            .map(|error| {
                Problem::at(
                    text,
                    error.span().unwrap_or(0..0),
                    windlass_core::escape::escaped(error.message()),
                )
            })
            .collect();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        return Err(problems);
    }
    let mut problems = Vec::new();
    let mut removed: Vec<String> = Vec::new();
    while problems.len() < MOST_PROBLEMS {
        let error = match T::deserialize(toml::de::Deserializer::from(table.clone())) {
            Ok(value) if problems.is_empty() => return Ok(value),
            Ok(_) => break,
            Err(error) => error,
        };
        let span = error.span().unwrap_or(0..0);
        let place = locate(&table, &span);
        // A key that was taken out because its value is bad is not missing.
        let follows = quoted_after(error.message(), "missing field `").is_some_and(|key| removed.contains(&key));
        if !follows {
            problems.push(explain(text, &error, span, &place));
        }
        match place.last() {
            Some(Step::Key(key)) => removed.push(key.clone()),
            Some(Step::Index(_)) => {}
            None => break,
        }
        if !remove(table.get_mut(), &place) {
            break;
        }
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    Err(problems)
}

/// One step from a table or array to what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// The way to the innermost entry whose key or value covers the place; empty when none does.
fn locate(table: &Table<'_>, span: &Range<usize>) -> Vec<Step> {
    let mut best = None;
    let mut path = Vec::new();
    search_table(table.get_ref(), span, &mut path, &mut best);
    best.map(|(_, path)| path).unwrap_or_default()
}

/// The length of the innermost place found so far and the way there.
type Best = Option<(usize, Vec<Step>)>;

fn offer(candidate: Range<usize>, wanted: &Range<usize>, path: &[Step], best: &mut Best) {
    let covers = candidate.start <= wanted.start && wanted.end <= candidate.end && !candidate.is_empty();
    let length = candidate.len();
    // At equal length the inner one, which is offered later: `[[a]]` is one element, not the whole array.
    if covers && best.as_ref().is_none_or(|(found, _)| length <= *found) {
        *best = Some((length, path.to_vec()));
    }
}

fn search_table(table: &DeTable<'_>, span: &Range<usize>, path: &mut Vec<Step>, best: &mut Best) {
    for (key, value) in table {
        path.push(Step::Key(key.get_ref().to_string()));
        offer(key.span(), span, path, best);
        search_value(value, span, path, best);
        path.pop();
    }
}

fn search_value(value: &Spanned<DeValue<'_>>, span: &Range<usize>, path: &mut Vec<Step>, best: &mut Best) {
    offer(value.span(), span, path, best);
    if let Some(table) = value.get_ref().as_table() {
        search_table(table, span, path, best);
    } else if let Some(array) = value.get_ref().as_array() {
        for (index, item) in array.iter().enumerate() {
            path.push(Step::Index(index));
            search_value(item, span, path, best);
            path.pop();
        }
    }
}

/// Takes one entry out; whether it was there.
fn remove(table: &mut DeTable<'_>, path: &[Step]) -> bool {
    let Some((Step::Key(key), rest)) = path.split_first() else {
        return false;
    };
    if rest.is_empty() {
        return table.remove(key.as_str()).is_some();
    }
    table
        .get_mut(key.as_str())
        .is_some_and(|value| remove_in_value(value, rest))
}

fn remove_in_value(value: &mut Spanned<DeValue<'_>>, path: &[Step]) -> bool {
    if let DeValue::Table(table) = value.get_mut() {
        return remove(table, path);
    }
    let (DeValue::Array(array), Some((Step::Index(index), rest))) = (value.get_mut(), path.split_first()) else {
        return false;
    };
    if !rest.is_empty() {
        return array.get_mut(*index).is_some_and(|item| remove_in_value(item, rest));
    }
    let kept: Vec<_> = array
        .iter()
        .enumerate()
        .filter(|(at, _)| at != index)
        .map(|(_, item)| item.clone())
        .collect();
    let shorter = kept.len() < array.len();
    *array = kept.into_iter().collect();
    shorter
}

/// Says in our words what the deserializer found.
fn explain(text: &str, error: &toml::de::Error, span: Range<usize>, place: &[Step]) -> Problem {
    let message = error.message();
    let section = section_of(place);
    if let Some(key) = quoted_after(message, "unknown field `") {
        let known = quoted_list(message);
        let problem = Problem::at(text, span, format!("unknown key '{}'{section}", shown(&key)));
        return match nearest(&key, &known) {
            Some(near) => problem.hint(format!("did you mean '{near}'?")),
            None => problem.hint(format!("known here: {}", known.join(", "))),
        };
    }
    if let Some(word) = quoted_after(message, "unknown variant `") {
        let known = quoted_list(message);
        let problem = Problem::at(
            text,
            span,
            format!("'{}' is not known for {}", shown(&word), last_key(place)),
        );
        return match nearest(&word, &known) {
            Some(near) => problem.hint(format!("did you mean \"{near}\"? Known: {}", known.join(", "))),
            None => problem.hint(format!("known: {}", known.join(", "))),
        };
    }
    if let Some(key) = quoted_after(message, "missing field `") {
        let inside = match place.last() {
            Some(_) => format!(" in {}", bracketed(place)),
            None => String::new(),
        };
        return Problem::at(text, span, format!("the key '{key}' is missing{inside}"));
    }
    let key = last_key(place);
    let message = windlass_core::escape::escaped(message).replace('`', "'");
    Problem::at(
        text,
        span,
        if key.is_empty() {
            message
        } else {
            format!("{key}: {message}")
        },
    )
}

fn shown(word: &str) -> Cow<'_, str> {
    let short: String = word.chars().take(80).collect();
    Cow::Owned(windlass_core::escape::escaped(&short))
}

/// ` in [section]`, or nothing at the top.
fn section_of(place: &[Step]) -> String {
    match place.split_last() {
        Some((_, outer)) if !outer.is_empty() => format!(" in {}", bracketed(outer)),
        Some(_) | None => String::new(),
    }
}

/// `[a.b]`, or `[[a]]` for an element of an array of tables.
fn bracketed(place: &[Step]) -> String {
    let keys: Vec<&str> = place
        .iter()
        .filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
        .collect();
    let in_array = matches!(place.last(), Some(Step::Index(_)));
    let name = shown(&keys.join(".")).into_owned();
    if in_array {
        format!("[[{name}]]")
    } else {
        format!("[{name}]")
    }
}

fn last_key(place: &[Step]) -> String {
    place
        .iter()
        .rev()
        .find_map(|step| match step {
            Step::Key(key) => Some(format!("'{}'", shown(key))),
            Step::Index(_) => None,
        })
        .unwrap_or_default()
}

/// The word in backquotes after a beginning.
fn quoted_after(message: &str, beginning: &str) -> Option<String> {
    let rest = message.strip_prefix(beginning)?;
    // serde puts what it expects after the word; the word itself may hold any character.
    let end = rest.find("`, ").or_else(|| rest.rfind('`'))?;
    Some(rest[..end].to_owned())
}

/// The words in backquotes after "expected".
fn quoted_list(message: &str) -> Vec<&str> {
    let Some(at) = message.rfind(", expected ") else {
        return Vec::new();
    };
    message[at..].split('`').skip(1).step_by(2).collect()
}

/// The known word that was likely meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, candidate), *candidate))
        .chain(
            known
                .iter()
                .filter(|c| lower.len() >= 4 && c.contains(&lower))
                .map(|c| (0.9, *c)),
        )
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
