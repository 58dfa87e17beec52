//! The order of one version, or one release: a string against a string, by rpm's own rules.
//!
//! Source: rpm's manual, `rpm-version(7)`, and the published test cases of `rpmvercmp`, which stand in the tests below.

use std::cmp::Ordering;

/// Compares two versions, or two releases, as rpm does.
///
/// * They are cut into runs of digits and runs of ASCII letters; everything else only separates.
/// * Digits are compared as numbers of any length, letters as text; a number is newer than letters.
/// * Whoever has a run more is newer, but `~` is older than anything, even than the end, and `^` is newer than the end and older
///   than anything else.
///
/// It is a total preorder: different texts can be equal (`1.0` and `1_00`).
pub fn vercmp(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        a = without_separators(a);
        b = without_separators(b);
        let order = rank(a).cmp(&rank(b));
        if order.is_ne() {
            return order;
        }
        let (Some(one), Some(two)) = (a.first(), b.first()) else {
            return Ordering::Equal;
        };
        let order = match (one, two) {
            (b'~' | b'^', _) => {
                a = &a[1..];
                b = &b[1..];
                Ordering::Equal
            }
            (b'0'..=b'9', b'0'..=b'9') => {
                let (one, two) = (take(&mut a, u8::is_ascii_digit), take(&mut b, u8::is_ascii_digit));
                let (one, two) = (without_zeros(one), without_zeros(two));
                one.len().cmp(&two.len()).then_with(|| one.cmp(two))
            }
            (b'0'..=b'9', _) => Ordering::Greater,
            (_, b'0'..=b'9') => Ordering::Less,
            _ => {
                let one = take(&mut a, u8::is_ascii_alphabetic);
                one.cmp(take(&mut b, u8::is_ascii_alphabetic))
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// What comes next, by age: `~`, then the end, then `^`, then anything else.
fn rank(text: &[u8]) -> u8 {
    match text.first() {
        Some(b'~') => 0,
        None => 1,
        Some(b'^') => 2,
        Some(_) => 3,
    }
}

fn without_separators(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|b| b.is_ascii_alphanumeric() || matches!(b, b'~' | b'^'))
        .unwrap_or(text.len());
    &text[start..]
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    let start = digits.iter().position(|b| *b != b'0').unwrap_or(digits.len());
    &digits[start..]
}

/// Cuts off the leading bytes that are of one class.
fn take<'a>(text: &mut &'a [u8], class: fn(&u8) -> bool) -> &'a [u8] {
    let end = text.iter().position(|b| !class(b)).unwrap_or(text.len());
    let (run, rest) = text.split_at(end);
    *text = rest;
    run
}

#[cfg(test)]
mod tests;
