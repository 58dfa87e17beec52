//! Tables and laws for the structure of tags, and what a fuzzer is given to break.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::signing::{Case, KeyHint};

const PGP: &str = "-----BEGIN PGP SIGNATURE-----

iHUEABYIAB0WIQRxWBDFbvupreWElaSWbeXdbbgxXAUCawF2CQAKCRCWbeXdbbgx
XHA9AQDb97p2XK4zuB8DVwVdTpRThrBZPLvfrOudvFbCX36UQwD+JZfPKBjJc4li
uoM+B2RbWOe3VaccQ31fLxlvCMPrtAE=
=8mEc
-----END PGP SIGNATURE-----
";

/// From ssh-key's documentation: a signature in the namespace `example`.
const SSH: &str = "-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgsz6u836i33yqAQ3v3qNOJB9l8b
UppPQ+0UMn9cVKq2IAAAAHZXhhbXBsZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQy
NTUxOQAAAEBPEav+tMGNnox4MuzM7rlHyVBajCn8B0kAyiOWwPKprNsG3i6X+voz/WCSik
/FowYwqhgCABUJSvRX3AERVBUP
-----END SSH SIGNATURE-----
";

fn tag(signature: &str) -> Vec<u8> {
    let head = "object 1111111111111111111111111111111111111111\ntype commit\ntag 1.0-alt1\n";
    format!("{head}tagger Alice <alice@example.org> 1780315140 +0100\n\n1.0-alt1\n\nA message.\n{signature}")
        .into_bytes()
}

fn codes(bytes: &[u8]) -> Vec<String> {
    Reading::of(bytes, &Policy::default())
        .reasons
        .iter()
        .map(|reason| reason.code.to_string())
        .collect()
}

#[test]
fn a_good_tag_is_taken_apart() {
    let bytes = tag(PGP);
    let tag = SignedTag::parse(&bytes, &Policy::default()).unwrap();
    assert_eq!(tag.name.as_str(), "1.0-alt1");
    assert_eq!(
        (tag.tagger.name, tag.tagger.address),
        (&b"Alice"[..], &b"alice@example.org"[..])
    );
    assert_eq!((tag.tagger.seconds, tag.tagger.zone), (1_780_315_140, &b"+0100"[..]));
    assert_eq!(tag.message, b"1.0-alt1\n\nA message.\n");
    assert!(tag.payload.ends_with(b"A message.\n"));
    assert_eq!(tag.kind, SignatureKind::OpenPgp);
    assert_eq!(tag.render(), bytes);
}

#[rstest]
#[case("", &["unsigned", "missing_header", "missing_header", "missing_header", "missing_header", "missing_header"])]
#[case("\n", &["unsigned", "extra_header", "missing_header", "missing_header", "missing_header", "missing_header", "missing_header"])]
#[case("-----BEGIN PGP SIGNATURE-----\n", &["bad_armor", "missing_header", "missing_header", "missing_header", "missing_header", "missing_header"])]
fn what_is_no_tag_at_all_is_told_as_such(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(codes(text.as_bytes()), expected);
}

#[rstest]
#[case("Alice <a@b> 1 +0000", true)]
#[case(" <a@b> 1 +0000", true)]
#[case("A  B  <a b@c> 0 -1200", true)]
#[case("<a@b> 1 +0000", false)]
#[case("Alice <> 1 +0000", false)]
#[case("Alice <a@b>1 +0000", false)]
#[case("Alice <a@b> 01 +0000", false)]
#[case("Alice <a@b> -1 +0000", false)]
#[case("Alice <a@b> 99999999999999999999 +0000", false)]
#[case("Alice <a@b> 1 0000", false)]
#[case("Alice <a@b> 1 +000", false)]
#[case("Alice <a@b> 1 +0000 ", false)]
#[case("Alice <a@b> 1", false)]
#[case("Alice a@b", false)]
#[case("Al<ice <a@b> 1 +0000", false)]
#[case("Alice <a@b> <c@d> 1 +0000", false)]
fn taggers(#[case] value: &str, #[case] good: bool) {
    assert_eq!(tagger(value.as_bytes()).is_some(), good);
}

#[test]
fn the_line_that_begins_a_signature_may_stand_nowhere_else() {
    // In the message, quoted or not: only what begins a line counts.
    let quoted = String::from_utf8(tag(PGP))
        .unwrap()
        .replace("A message.", "> -----BEGIN PGP SIGNATURE-----");
    assert_eq!(codes(quoted.as_bytes()), [""; 0]);
    let bare = String::from_utf8(tag(PGP))
        .unwrap()
        .replace("A message.", "-----BEGIN CERTIFICATE-----");
    assert_eq!(codes(bare.as_bytes()), ["many_signatures", "unsupported_signature"]);
    // After a carriage return it begins no line, and the line with it is no such line.
    let returned = String::from_utf8(tag(PGP))
        .unwrap()
        .replace("SIGNATURE-----\n\n", "SIGNATURE-----\r\n\n");
    assert_eq!(codes(returned.as_bytes()), ["unsupported_signature"]);
}

#[test]
fn values_are_escaped_and_cut_in_what_is_told() {
    let bytes = String::from_utf8(tag(PGP))
        .unwrap()
        .replace("tag 1.0", &format!("evil\u{1b}[2J{} x\ntag 1.0", "y".repeat(500)));
    let reading = Reading::of(bytes.as_bytes(), &Policy::default());
    assert_eq!(reading.reasons.len(), 1);
    let told = &reading.reasons[0].message;
    assert!(
        told.contains("evil\\u{1b}[2Jyyy") && told.contains('…') && told.len() < 200,
        "{told}"
    );
}

proptest! {
    #[test]
    fn rendering_a_parsed_tag_gives_its_bytes(
        name in "[A-Za-z0-9][A-Za-z0-9+~^_-]{0,20}",
        tagger_name in prop::collection::vec(any::<u8>().prop_filter("cannot be in a name", |b| !b"\0\n<>".contains(b)), 0..20),
        address in prop::collection::vec(any::<u8>().prop_filter("cannot be in an address", |b| !b"\0\n<>".contains(b)), 1..20),
        seconds in 0..4_000_000_000_u64,
        zone in "[+-][0-9]{4}",
        message in prop::collection::vec(any::<u8>().prop_filter("NUL", |b| *b != 0), 0..200),
        ssh in any::<bool>(),
    ) {
        let text = String::from_utf8_lossy(&message);
        prop_assume!(!text.contains("-----BEGIN ") && !text.contains("[windlass"));
        let mut bytes = format!("object {}\ntype commit\ntag {name}\ntagger ", "a".repeat(40)).into_bytes();
        bytes.extend(tagger_name);
        bytes.extend(b" <");
        bytes.extend(address);
        bytes.extend(format!("> {seconds} {zone}\n\n").bytes());
        bytes.extend(&message);
        bytes.push(b'\n');
        bytes.extend(if ssh { SSH.as_bytes() } else { PGP.as_bytes() });
        let policy = Policy::default();
        // An address may hold what looks like the end of one; whatever is taken must render to what was read.
        if let Ok(tag) = SignedTag::parse(&bytes, &policy) {
            prop_assert_eq!(tag.render(), bytes);
        } else {
            let codes = codes(&bytes);
            prop_assert!(false, "{:?}", codes);
        }
    }

    #[test]
    fn no_byte_can_be_put_in_front_of_or_behind_a_tag(byte in any::<u8>(), more in prop::collection::vec(any::<u8>(), 0..20)) {
        let bytes = tag(PGP);
        let extra = [&[byte][..], &more].concat();
        prop_assert!(SignedTag::parse(&[&bytes[..], &extra].concat(), &Policy::default()).is_err());
        prop_assert!(SignedTag::parse(&[&extra[..], &bytes].concat(), &Policy::default()).is_err());
    }
}

/// All of the path from bytes to the keys that are asked for.
fn open(bytes: &[u8]) -> Vec<KeyHint> {
    let object: ObjectId = "1111111111111111111111111111111111111111".parse().unwrap();
    Case::open(&object, bytes, &Policy::default()).hints()
}

#[test]
fn fuzz_bytes_never_panic() {
    bolero::check!().with_iterations(5_000).for_each(|bytes: &[u8]| {
        open(bytes);
    });
}

#[test]
fn fuzz_changed_tags_never_panic() {
    let seeds = [tag(PGP), tag(SSH)];
    bolero::check!()
        .with_iterations(5_000)
        .with_type::<(bool, Vec<(u16, u8)>, Vec<u8>, u16)>()
        .for_each(|(which, changes, inserted, at)| {
            let mut bytes = seeds[usize::from(*which)].clone();
            for (place, value) in changes {
                let place = usize::from(*place) % bytes.len();
                bytes[place] = *value;
            }
            let at = usize::from(*at) % bytes.len();
            bytes.splice(at..at, inserted.iter().copied());
            open(&bytes);
        });
}

#[test]
fn fuzz_armored_packets_never_panic() {
    bolero::check!()
        .with_iterations(2_000)
        .with_type::<(bool, Vec<u8>)>()
        .for_each(|(ssh, packets)| {
            const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let prefix: &[u8] = if *ssh { b"SSHSIG\0\0\0\x01" } else { b"" };
            let bytes = [prefix, packets].concat();
            let mut text = String::new();
            for three in bytes.chunks(3) {
                let padded = [three, &[0; 2][..]].concat();
                let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
                for digit in 0..4_u32 {
                    let used = usize::try_from(digit).unwrap() <= three.len();
                    let value = usize::try_from(bits >> (18 - 6 * digit) & 63).unwrap();
                    text.push(if used { char::from(DIGITS[value]) } else { '=' });
                }
            }
            let kind = if *ssh { "SSH" } else { "PGP" };
            open(&tag(&format!(
                "-----BEGIN {kind} SIGNATURE-----\n\n{text}\n-----END {kind} SIGNATURE-----\n"
            )));
        });
}
