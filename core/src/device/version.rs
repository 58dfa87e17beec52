//! The versions of payloads: how the next one is named, so that devices take it for newer than the one before.
//!
//! A version has components between dots. Numbers compare as numbers, and whatever begins like another one and goes on is newer: that is
//! how devices compare, and how `targetversionprefix` cuts ([`super::omaha::prefix_allows`]).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::escape::escaped;
use crate::id::Generation;

/// What stands for the number of a payload's version: 1, then one more each time.
const NUMBER: &str = "{number}";

/// What stands for the generation of the payload's first repository.
const GENERATION: &str = "{generation}";

/// The longest template, in bytes.
const LONGEST: usize = 64;

/// How versions are named, as in `{generation}.{number}` or `12.{number}.0`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionTemplate(String);

/// A text that is no such template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' names no versions\n\nhint: as in '12.{{number}}' or '{{generation}}.{{number}}': letters, digits, '-', '_', '+' between dots, '{{generation}}' \
     and '{{number}}' alone between two of them, the latter once at least, so that each next version is higher"
)]
pub struct BadTemplate(String);

impl VersionTemplate {
    /// The version of this number, made from this generation.
    pub fn fill(&self, number: u64, generation: Generation) -> String {
        self.0
            .replace(NUMBER, &number.to_string())
            .replace(GENERATION, &generation.to_string())
    }
}

impl Default for VersionTemplate {
    fn default() -> Self {
        Self(format!("{GENERATION}.{NUMBER}"))
    }
}

impl FromStr for VersionTemplate {
    type Err = BadTemplate;

    fn from_str(text: &str) -> Result<Self, BadTemplate> {
        let is_word = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_+".contains(&byte))
        };
        let mut parts = text.split('.');
        let first = text.bytes().next();
        if text.len() <= LONGEST
            && first.is_some_and(|first| first.is_ascii_alphanumeric() || first == b'{')
            && text.split('.').any(|part| part == NUMBER)
            && parts.all(|part| matches!(part, NUMBER | GENERATION) || is_word(part))
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadTemplate(escaped(&text.chars().take(100).collect::<String>())))
        }
    }
}

impl TryFrom<String> for VersionTemplate {
    type Error = BadTemplate;

    fn try_from(text: String) -> Result<Self, BadTemplate> {
        text.parse()
    }
}

impl From<VersionTemplate> for String {
    fn from(template: VersionTemplate) -> Self {
        template.0
    }
}

impl fmt::Display for VersionTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which of two versions is newer.
pub fn compare(one: &str, other: &str) -> Ordering {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(one), Some(other)) => match component(one, other) {
                Ordering::Equal => {}
                decided @ (Ordering::Less | Ordering::Greater) => return decided,
            },
        }
    }
}

fn component(one: &str, other: &str) -> Ordering {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (is_number(one), is_number(other)) {
        (true, true) => {
            let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
            one.len().cmp(&other.len()).then_with(|| one.cmp(other))
        }
        // A number is newer than a word, as rpm has it.
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => one.cmp(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1.2", "1.10", Ordering::Less)]
    #[case("1.2", "1.2.0", Ordering::Less)]
    #[case("13505.63.0", "13505.63.0", Ordering::Equal)]
    #[case("2", "1.9.9", Ordering::Greater)]
    #[case("1.007", "1.7", Ordering::Equal)]
    #[case("1.rc1", "1.0", Ordering::Less)]
    #[case("99999999999999999999999.1", "100000000000000000000000.0", Ordering::Less)]
    fn versions_compare_by_components(#[case] one: &str, #[case] other: &str, #[case] expected: Ordering) {
        assert_eq!(compare(one, other), expected);
        assert_eq!(compare(other, one), expected.reverse());
    }

    #[rstest]
    #[case("{generation}.{number}", "7.3")]
    #[case("12.{number}.0", "12.3.0")]
    #[case("{number}", "3")]
    #[case("4-g.{generation}.{number}", "4-g.7.3")]
    fn a_template_is_filled(#[case] template: &str, #[case] expected: &str) {
        let template: VersionTemplate = template.parse().unwrap();
        assert_eq!(template.fill(3, Generation(7)), expected);
    }

    #[rstest]
    #[case("")]
    #[case("1.0")]
    #[case("{generation}")]
    #[case("1.x{number}")]
    #[case("g{generation}.{number}")]
    #[case("1..{number}")]
    #[case("../{number}")]
    #[case(".{number}")]
    #[case("-1.{number}")]
    #[case("{date}.{number}")]
    #[case("1.{number}.a b")]
    fn what_names_no_rising_versions_is_refused(#[case] template: &str) {
        assert!(template.parse::<VersionTemplate>().is_err(), "{template}");
    }

    proptest! {
        #[test]
        fn the_next_version_is_newer_and_belongs_to_the_same_prefix(
            template in proptest::sample::select(vec!["{generation}.{number}", "12.{number}.0", "{number}", "5.{generation}.{number}.b"]),
            number in 1..10_000_u64, generation in 1..10_000_u64, more in 0..100_u64,
        ) {
            let template: VersionTemplate = template.parse().unwrap();
            let version = template.fill(number, Generation(generation));
            let next = template.fill(number + 1, Generation(generation));
            prop_assert_eq!(compare(&next, &version), Ordering::Greater);
            let later = template.fill(number + 1, Generation(generation + more));
            prop_assert_eq!(compare(&later, &version), Ordering::Greater);
            let prefix = version.split('.').next().unwrap();
            prop_assert!(crate::device::omaha::prefix_allows(prefix, &version));
        }
    }
}
