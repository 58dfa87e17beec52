//! Preambles as people write them, and as nobody should.

use std::fmt::Write as _;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// What is read, as `name epoch version release`; what is not certain has a `?`.
fn read(spec: &str) -> String {
    let preamble = Preamble::read(spec.as_bytes());
    let told = |value: &Option<Value>| match value {
        None => "-".to_owned(),
        Some(value) => format!("{}{}", value.text, if value.certain { "" } else { "?" }),
    };
    let Preamble {
        name,
        epoch,
        version,
        release,
    } = &preamble;
    [name, epoch, version, release].map(told).join(" ")
}

#[rstest]
#[case("Name: a\nVersion: 1.0\nRelease: alt1\n", "a - 1.0 alt1")]
#[case("name :a\r\nVERSION:\t1.0 \r\nRelease:alt1\r\nEpoch: 2\r\n", "a 2 1.0 alt1")]
#[case("Name: a\nSerial: 3\n%description\nVersion: 1\n", "a 3 - -")]
#[case("%define ver 1.2\nVersion: %ver\nRelease: %{ver}\n", "- - 1.2 1.2")]
#[case("%global ver 1.2\n%define full %{ver}.3\nVersion: %full\n", "- - 1.2.3 -")]
#[case("%define a %b\n%define b 2\nVersion: %a\n", "- - 2 -")]
#[case("%global a %b\n%define b 2\nVersion: %a\n", "- - %b? -")]
#[case("%define a 1\nVersion: %a\n%define a 2\n", "- - 1 -")]
#[case("%define x 1\n%undefine x\nVersion: %x\n", "- - %x? -")]
#[case("Name: a\nVersion: 1\nRelease: 1.%{version}.%name\n", "a - 1 1.1.a")]
#[case("Release: 1%{?dist}\n", "- - - 1%{?dist}?")]
#[case("%define dist .x\nRelease: 1%{?dist}\n", "- - - 1.x")]
#[case("%define dist .x\nRelease: 1%?dist\n", "- - - 1.x")]
#[case("%define x y\nRelease: 1%{?x:2}%{!?x:3}%{?x:%x}\n", "- - - 12y")]
#[case("Release: 1%{!?x:3}\n", "- - - 1%{!?x:3}?")]
#[case("%define x y\nRelease: 1%{x:2}\n", "- - - 1%{x:2}?")]
#[case("Version: 1%%2\n", "- - 1%2 -")]
#[case("Version: %(echo 1 (2) )3\n", "- - %(echo 1 (2) )3? -")]
#[case("Version: %[1 + 2]\n", "- - %[1 + 2]? -")]
#[case("Version: %{lua:print(1)}\n", "- - %{lua:print(1)}? -")]
#[case("Version: %{x\n", "- - %{x? -")]
#[case("%define a b\nVersion: %{x%{a}}\n", "- - %{x%{a}}? -")]
#[case("Version: 1%\n", "- - 1% -")]
#[case("Version: 1.0 beta\n", "- - 1.0 beta? -")]
#[case("Version:\nRelease: 1\n", "- - - 1")]
#[case("%define x() 1\nVersion: %x\n", "- - %x? -")]
#[case("%define x 1\\\n2\nVersion: %x\nRelease: 1\n", "- - %x? 1")]
#[case("%{lua:\nVersion: 9\n}\nVersion: 1\n", "- - 1 -")]
#[case("%define ver 1\n%{lua:rpm.define('ver 2')}\nVersion: %ver\nRelease: 1\n", "- - 1? 1")]
#[case("%{!?ver: %define ver 1}\nVersion: %ver\n", "- - %ver? -")]
#[case("%define ver 1\n%{?x: %define ver 2}\nVersion: %ver\n", "- - %ver? -")]
#[case("%define ver 1\n#%define ver 2\nVersion: %ver\n", "- - %ver? -")]
#[case("# Version: 2\nVersion: 1\n", "- - 1 -")]
#[case("Version: 1\nVersion: 2\n", "- - 1? -")]
#[case("%if 0\nVersion: 1\n%else\nVersion: 2\n%endif\n", "- - 2 -")]
#[case("%if 1\nVersion: 1\n%else\nVersion: 2\n%endif\n", "- - 1 -")]
#[case("%if 0%{?x}\nVersion: 1\n%else\nVersion: 2\n%endif\nRelease: 1\n", "- - 1? 1")]
#[case("%define x 1\n%if 0%{?x}\nVersion: 1\n%else\nVersion: 2\n%endif\n", "- - 1 -")]
#[case(
    "%define x 0\n%if %x\nVersion: 1\n%elif 1\nVersion: 2\n%else\nVersion: 3\n%endif\n",
    "- - 2 -"
)]
#[case("%if !0\nVersion: 1\n%endif\n", "- - 1 -")]
#[case("%if 1 == 2\nVersion: 1\n%endif\n", "- - 1? -")]
#[case(
    "%ifarch x86_64\n%define r 1\n%else\n%define r 2\n%endif\nRelease: %r\n",
    "- - - %r?"
)]
#[case("%if 0\n%if 1\nVersion: 1\n%endif\n%description\n%endif\nVersion: 2\n", "- - 2 -")]
#[case("%endif\n%else\nVersion: 1\n", "- - 1 -")]
#[case("%package x\nVersion: 1\n", "- - - -")]
#[case("%filetriggerin\nVersion: 1\n", "- - - -")]
#[case("%packager x\nVersion: 1\n", "- - 1 -")]
fn preambles(#[case] spec: &str, #[case] expected: &str) {
    assert_eq!(read(spec), expected);
}

#[rstest]
#[case("Version: 1\nRelease: 2\n", Some("1-2"))]
#[case("Epoch: 0\nVersion: 1\nRelease: 2\n", Some("1-2"))]
#[case("Epoch: 1\nVersion: 1\nRelease: 2\n", Some("1:1-2"))]
#[case("Epoch: %e\nVersion: 1\nRelease: 2\n", None)]
#[case("Version: 1\nRelease: 2%{?dist}\n", None)]
#[case("Version: 1\n", None)]
fn evrs(#[case] spec: &str, #[case] expected: Option<&str>) {
    assert_eq!(Preamble::read(spec.as_bytes()).evr().as_deref(), expected);
}

#[test]
fn bombs_stay_small() {
    let mut spec = String::from("%define a0 xxxxxxxxxx\n");
    for level in 1..40 {
        let _ = writeln!(spec, "%define a{level} %a{0}%a{0}%a{0}%a{0}", level - 1);
    }
    spec.push_str("Version: %a39\nRelease: %{loop}\n%define loop %loop\n");
    let preamble = Preamble::read(spec.as_bytes());
    assert_eq!(preamble.version.unwrap().text, "%a39");
    let circle = "%define x %y\n%define y %x\nVersion: %x\n";
    assert_eq!(read(circle), "- - %x? -");
    let deep = format!("Version: {}1\n", "%{?a:".repeat(100_000));
    assert!(!Preamble::read(deep.as_bytes()).version.unwrap().certain);
    let lines = "Version: %{?a:%{?b:1}}\n".repeat(50_000);
    Preamble::read(lines.as_bytes());
}

#[test]
fn a_spec_in_another_encoding_is_read_too() {
    let preamble = Preamble::read(b"Name: a\nSummary: \xc0\xc1\nVersion: 1\n");
    assert_eq!(preamble.version.unwrap().text, "1");
}

proptest! {
    #[test]
    fn what_has_no_percent_is_certain_and_verbatim(version in "[0-9a-z.~^+]{1,20}") {
        prop_assert_eq!(read(&format!("Version: {version}\n")), format!("- - {version} -"));
    }
}

#[test]
fn fuzz_bytes() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let preamble = Preamble::read(bytes);
        if let Some(version) = preamble.version {
            assert!(version.text.len() <= bytes.len().max(4 << 10) * 3);
        }
    });
}

#[test]
fn fuzz_words() {
    let words = [
        "%define a ",
        "%global b ",
        "%a",
        "%{b}",
        "%{?a:",
        "}",
        "%{!?b}",
        "%%",
        "%(",
        ")",
        "\n",
        "Version: ",
        "Release: ",
        "%if ",
        "0",
        "1",
        "%else",
        "%endif",
        "%{lua:",
        "\\\n",
        " ",
        "#",
        "%undefine a",
        "%[",
        "]",
        "%elif ",
    ];
    bolero::check!().with_type::<Vec<u8>>().for_each(|picks| {
        let text: String = picks
            .iter()
            .map(|pick| words[usize::from(*pick) % words.len()])
            .collect();
        let _ = Preamble::read(text.as_bytes()).evr();
    });
}
