use std::cmp::Ordering::{self, Equal, Greater, Less};

use proptest::prelude::*;
use rstest::rstest;

use super::vercmp;
use crate::rpm::Evr;

/// What rpm's own test suite says of its order (rpmvercmp.at), and a few of ours at the end.
const PUBLISHED: &[(&str, &str, Ordering)] = &[
    ("1.0", "1.0", Equal),
    ("1.0", "2.0", Less),
    ("2.0", "1.0", Greater),
    ("2.0.1", "2.0.1", Equal),
    ("2.0", "2.0.1", Less),
    ("2.0.1", "2.0", Greater),
    ("2.0.1a", "2.0.1a", Equal),
    ("2.0.1a", "2.0.1", Greater),
    ("2.0.1", "2.0.1a", Less),
    ("5.5p1", "5.5p1", Equal),
    ("5.5p1", "5.5p2", Less),
    ("5.5p2", "5.5p1", Greater),
    ("5.5p10", "5.5p10", Equal),
    ("5.5p1", "5.5p10", Less),
    ("5.5p10", "5.5p1", Greater),
    ("10xyz", "10.1xyz", Less),
    ("10.1xyz", "10xyz", Greater),
    ("xyz10", "xyz10", Equal),
    ("xyz10", "xyz10.1", Less),
    ("xyz10.1", "xyz10", Greater),
    ("xyz.4", "xyz.4", Equal),
    ("xyz.4", "8", Less),
    ("8", "xyz.4", Greater),
    ("xyz.4", "2", Less),
    ("2", "xyz.4", Greater),
    ("5.5p2", "5.6p1", Less),
    ("5.6p1", "5.5p2", Greater),
    ("5.6p1", "6.5p1", Less),
    ("6.5p1", "5.6p1", Greater),
    ("6.0.rc1", "6.0", Greater),
    ("6.0", "6.0.rc1", Less),
    ("10b2", "10a1", Greater),
    ("10a2", "10b2", Less),
    ("1.0aa", "1.0aa", Equal),
    ("1.0a", "1.0aa", Less),
    ("1.0aa", "1.0a", Greater),
    ("10.0001", "10.0001", Equal),
    ("10.0001", "10.1", Equal),
    ("10.1", "10.0001", Equal),
    ("10.0001", "10.0039", Less),
    ("10.0039", "10.0001", Greater),
    ("4.999.9", "5.0", Less),
    ("5.0", "4.999.9", Greater),
    ("20101121", "20101121", Equal),
    ("20101121", "20101122", Less),
    ("20101122", "20101121", Greater),
    ("2_0", "2_0", Equal),
    ("2.0", "2_0", Equal),
    ("2_0", "2.0", Equal),
    ("a", "a", Equal),
    ("a+", "a+", Equal),
    ("a+", "a_", Equal),
    ("a_", "a+", Equal),
    ("+a", "+a", Equal),
    ("+a", "_a", Equal),
    ("_a", "+a", Equal),
    ("+_", "+_", Equal),
    ("_+", "+_", Equal),
    ("_+", "_+", Equal),
    ("+", "_", Equal),
    ("_", "+", Equal),
    ("1.0~rc1", "1.0~rc1", Equal),
    ("1.0~rc1", "1.0", Less),
    ("1.0", "1.0~rc1", Greater),
    ("1.0~rc1", "1.0~rc2", Less),
    ("1.0~rc2", "1.0~rc1", Greater),
    ("1.0~rc1~git123", "1.0~rc1~git123", Equal),
    ("1.0~rc1~git123", "1.0~rc1", Less),
    ("1.0~rc1", "1.0~rc1~git123", Greater),
    ("1.0^", "1.0^", Equal),
    ("1.0^", "1.0", Greater),
    ("1.0", "1.0^", Less),
    ("1.0^git1", "1.0^git1", Equal),
    ("1.0^git1", "1.0", Greater),
    ("1.0", "1.0^git1", Less),
    ("1.0^git1", "1.0^git2", Less),
    ("1.0^git2", "1.0^git1", Greater),
    ("1.0^git1", "1.01", Less),
    ("1.01", "1.0^git1", Greater),
    ("1.0^20160101", "1.0^20160101", Equal),
    ("1.0^20160101", "1.0.1", Less),
    ("1.0.1", "1.0^20160101", Greater),
    ("1.0^20160101^git1", "1.0^20160101^git1", Equal),
    ("1.0^20160102", "1.0^20160101^git1", Greater),
    ("1.0^20160101^git1", "1.0^20160102", Less),
    ("1.0~rc1^git1", "1.0~rc1^git1", Equal),
    ("1.0~rc1^git1", "1.0~rc1", Greater),
    ("1.0~rc1", "1.0~rc1^git1", Less),
    ("1.0^git1~pre", "1.0^git1~pre", Equal),
    ("1.0^git1", "1.0^git1~pre", Greater),
    ("1.0^git1~pre", "1.0^git1", Less),
    // Differences that nobody sees: leading zeros, letters beside ASCII, only separators.
    ("1b.fc17", "1b.fc17", Equal),
    ("1b.fc17", "1.fc17", Less),
    ("1.fc17", "1b.fc17", Greater),
    ("1g.fc17", "1g.fc17", Equal),
    ("1g.fc17", "1.fc17", Greater),
    ("1.fc17", "1g.fc17", Less),
    ("1.1.\u{3b1}", "1.1.\u{3b1}", Equal),
    ("1.1.\u{3b1}", "1.1.\u{3b2}", Equal),
    ("1.1.\u{3b1}", "", Greater),
    ("", "\u{3b1}", Equal),
    ("", "~", Greater),
    ("", "", Equal),
];

#[test]
fn the_published_cases() {
    for (a, b, order) in PUBLISHED {
        assert_eq!(vercmp(a, b), *order, "{a} {b}");
        assert_eq!(vercmp(b, a), order.reverse(), "{b} {a}");
    }
}

#[rstest]
#[case("1.0-1", "1:0.1-1", Less)]
#[case("0:1.0-1", "1.0-1", Equal)]
#[case("1.0", "1.0-1", Less)]
#[case("1.0-1", "1.0-2", Less)]
#[case("1.0~rc1-9", "1.0-1", Less)]
#[case("1.0^git-1", "1.0-9", Greater)]
#[case("4294967295:0", "1", Greater)]
#[case("1.0-alt10", "1.0-alt9", Greater)]
#[case("1.0-alt1.1", "1.0-alt1", Greater)]
fn epochs_then_versions_then_releases(#[case] a: &str, #[case] b: &str, #[case] order: Ordering) {
    let (one, two): (Evr, Evr) = (a.parse().unwrap(), b.parse().unwrap());
    assert_eq!(one.compare(&two), order);
    assert_eq!(two.compare(&one), order.reverse());
    assert_eq!((Evr::of_text(a), Evr::of_text(b)), (one, two));
}

#[rstest]
#[case("", "the version is empty")]
#[case("1:", "the version is empty")]
#[case("-1", "the version is empty")]
#[case("1.0-", "the release")]
#[case("1.0-1-2", "one '-'")]
#[case(":1.0", "whole number")]
#[case("a:1.0", "whole number")]
#[case("4294967296:1", "above 4294967295")]
#[case("1 0", "letters, digits")]
#[case("1.0\u{1b}[2J", "\\u{1b}")]
#[case("1.0;id", "letters, digits")]
#[case("é", "letters, digits")]
fn what_is_no_version(#[case] text: &str, #[case] why: &str) {
    let error = text.parse::<Evr>().unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

fn version() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-2a-b.~^_+]{0,7}",
        "[0-9]{1,3}(\\.[0-9]{1,2}){0,2}([~^][a-z]{1,2}[0-9]?)?"
    ]
}

fn evr() -> impl Strategy<Value = Evr> {
    (0..3_u32, version(), prop::option::of(version())).prop_map(|(epoch, version, release)| Evr {
        epoch,
        version,
        release,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_order_is_total(a in version(), b in version(), c in version()) {
        prop_assert_eq!(vercmp(&a, &a), Equal);
        prop_assert_eq!(vercmp(&a, &b), vercmp(&b, &a).reverse(), "antisymmetric");
        let (one, two) = (vercmp(&a, &b), vercmp(&b, &c));
        if one == two {
            prop_assert_eq!(vercmp(&a, &c), one, "transitive");
        } else if one == Equal {
            prop_assert_eq!(vercmp(&a, &c), two, "equals can stand for each other");
        }
    }

    #[test]
    fn so_is_that_of_whole_versions(a in evr(), b in evr(), c in evr()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b) == Equal, a == b);
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
        if a.compare(&b).is_le() && b.compare(&c).is_le() {
            prop_assert!(a.compare(&c).is_le());
        }
        if a.compare(&b) != Equal {
            prop_assert_eq!(a.compare(&b), a.cmp(&b), "the finer order agrees");
        }
    }

    #[test]
    fn what_is_written_is_read(text in "([1-9][0-9]{0,3}:)?[0-9a-z._+~^]{1,8}(-[0-9a-z._+~^]{1,8})?") {
        let evr: Evr = text.parse().unwrap();
        prop_assert_eq!(evr.to_string(), text.clone());
        prop_assert_eq!(Evr::of_text(&text), evr);
    }

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        let _ = Evr::of_text(&text);
        let _ = text.parse::<Evr>();
    }
}
