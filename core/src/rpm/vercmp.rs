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
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                a = &a[1..];
                b = &b[1..];
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(b'^'), Some(_)) => return Ordering::Less,
            (Some(_), Some(b'^')) => return Ordering::Greater,
            (Some(one), Some(two)) => match (one.is_ascii_digit(), two.is_ascii_digit()) {
                (true, false) => return Ordering::Greater,
                (false, true) => return Ordering::Less,
                (true, true) => {
                    let (one, two) = (take(&mut a, u8::is_ascii_digit), take(&mut b, u8::is_ascii_digit));
                    let (one, two) = (without_zeros(one), without_zeros(two));
                    let order = one.len().cmp(&two.len()).then_with(|| one.cmp(two));
                    if order.is_ne() {
                        return order;
                    }
                }
                (false, false) => {
                    let one = take(&mut a, u8::is_ascii_alphabetic);
                    let order = one.cmp(take(&mut b, u8::is_ascii_alphabetic));
                    if order.is_ne() {
                        return order;
                    }
                }
            },
        }
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
