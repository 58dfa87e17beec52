//! What is written on a label is read back, stays small, and says what changed.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn inputs(list: &[(Kind, &str, &str)]) -> Inputs {
    list.iter()
        .map(|(kind, name, text)| {
            if kind.is_single() {
                Input::named(*kind, *name)
            } else if *kind == Kind::Package {
                Input::text(*kind, *name, *text)
            } else {
                Input::new(*kind, *name, digest(text))
            }
        })
        .collect()
}

fn changes(then: &Inputs, now: &Inputs) -> Vec<String> {
    let recorded = Recorded::from_label(&then.to_label()).unwrap();
    told(&difference(&recorded, now), 20)
}

fn usual() -> Vec<(Kind, &'static str, &'static str)> {
    vec![
        (Kind::Dockerfile, "Dockerfile", "1"),
        (Kind::Base, "docker.io/library/debian:12", "1"),
        (Kind::Base, "localhost/tools:latest", "1"),
        (Kind::Platform, "linux/amd64", ""),
        (Kind::Argument, "version", "1"),
        (Kind::File, "src/a.c", "1"),
        (Kind::File, "src/b.c", "1"),
        (Kind::Package, "hello", "1.0-alt1"),
    ]
}

#[test]
fn the_label_is_plain_to_read() {
    insta::assert_snapshot!(inputs(&usual()).to_label(), @r#"{"v":1,"dockerfile":["Dockerfile","6b86b273ff34fce1"],"base":["docker.io/library/debian:12","6b86b273ff34fce1","localhost/tools:latest","6b86b273ff34fce1"],"platform":["linux/amd64","="],"argument":["version","6b86b273ff34fce1"],"file":["src/a.c","6b86b273ff34fce1","src/b.c","6b86b273ff34fce1"],"package":["hello","=1.0-alt1"]}"#);
}

#[rstest]
#[case(0, Some((Kind::Dockerfile, "Dockerfile", "2")), "the Dockerfile changed")]
#[case(1, Some((Kind::Base, "docker.io/library/debian:12", "2")), "base docker.io/library/debian:12 moved: 6b86b273ff34fce1 → d4735e3a265e16ee")]
#[case(2, None, "base localhost/tools:latest is gone")]
#[case(3, Some((Kind::Platform, "linux/arm64", "")), "the platform is linux/arm64 now, it was linux/amd64")]
#[case(4, Some((Kind::Argument, "version", "2")), "build argument version changed")]
#[case(4, None, "build argument version is gone")]
#[case(5, Some((Kind::File, "src/a.c", "2")), "file src/a.c changed")]
#[case(7, Some((Kind::Package, "hello", "1.0-alt2")), "package hello: 1.0-alt1 → 1.0-alt2")]
#[case(8, Some((Kind::Extra, "x", "1")), "extra file x is new")]
#[case(8, Some((Kind::User, "alice", "")), "user alice is new")]
fn what_changed_is_said(
    #[case] at: usize,
    #[case] by: Option<(Kind, &'static str, &'static str)>,
    #[case] expected: &str,
) {
    let mut changed = usual();
    changed.splice(at..(at + 1).min(changed.len()), by);
    let (then, now) = (inputs(&usual()), inputs(&changed));
    assert_eq!(changes(&then, &now), [expected]);
    assert_ne!(then.digest(), now.digest());
    assert!(changes(&then, &then).is_empty());
}

#[test]
fn order_counts_for_bases_alone() {
    let mut turned = usual();
    turned.reverse();
    let (then, now) = (inputs(&usual()), inputs(&turned));
    assert_eq!(changes(&then, &now), ["the bases stand in another order"]);
    turned.swap(5, 6);
    assert_eq!(inputs(&turned).digest(), then.digest());
}

#[test]
fn what_stands_twice_counts_once() {
    let twice: Vec<_> = usual().into_iter().chain(usual()).collect();
    assert_eq!(inputs(&twice), inputs(&usual()));
}

fn many() -> Vec<Input> {
    let file = |name: String| Input::new(Kind::File, name, digest("1"));
    let mut all: Vec<Input> = inputs(&usual()).iter().cloned().collect();
    all.extend((0..10_000).map(|at| file(format!("data/part{}/a-long-name-{at}.txt", at % 7))));
    all.extend((0..20).map(|at| file(format!("etc/{at}.conf"))));
    all
}

#[test]
fn a_label_stays_small_and_still_names_what_it_can() {
    let all = many();
    let then: Inputs = all.iter().cloned().collect();
    let label = then.to_label();
    assert!(label.len() <= LABEL, "{}", label.len());
    let change = |name: &str| -> Inputs {
        let same = all.iter().filter(|input| input.name != name).cloned();
        same.chain([Input::new(Kind::File, name, digest("2"))]).collect()
    };
    assert_eq!(changes(&then, &change("etc/7.conf")), ["file etc/7.conf changed"]);
    assert_eq!(
        changes(&then, &change("data/part3/a-long-name-3.txt")),
        ["a file in data/part3/ changed (one or several of 1429)"]
    );
    assert_eq!(
        changes(&then, &change("data/part3/new")),
        ["a file in data/part3/ changed (there were 1429, there are 1430)"]
    );
    assert_eq!(changes(&then, &change("other/new")), ["file other/new is new"]);
    assert!(changes(&then, &then).is_empty());
}

#[test]
fn many_packages_are_one() {
    let packages = |version: &str| -> Inputs {
        let of = |at: usize| {
            Input::text(
                Kind::Package,
                format!("package-{at}"),
                if at == 7 { version } else { "1" },
            )
        };
        (0..2000).map(of).collect()
    };
    assert_eq!(
        changes(&packages("1"), &packages("2")),
        ["the packages changed (one or several of 2000)"]
    );
}

#[rstest]
#[case("", "EOF")]
#[case("[]", "it is no object")]
#[case("{}", "it has no version")]
#[case("{\"v\":1,\"unknown\":[]}", "its 'unknown' is none")]
#[case("{\"v\":1,\"file\":[\"a\"]}", "its 'file' is none")]
#[case("{\"v\":1,\"file\":[\"a\",\"x\"]}", "its 'file' is none")]
#[case("{\"v\":2,\"any\":1}", "has version 2")]
fn labels_of_others(#[case] text: &str, #[case] expected: &str) {
    let told = Recorded::from_label(text).unwrap_err().to_string();
    assert!(told.contains(expected), "{told}");
}

#[test]
fn contents_of_paths_differ_in_all_that_an_image_takes_over() {
    let of = |content| Input::path(Kind::File, "a", &content);
    let file = |mode, byte| {
        of(Content::File {
            mode,
            sha256: [byte; 32],
        })
    };
    assert_ne!(file(0o644, 0), file(0o755, 0));
    assert_ne!(file(0o644, 0), file(0o644, 1));
    assert_eq!(file(0o100_644, 0), file(0o644, 0));
    assert_ne!(of(Content::Link(b"x")), of(Content::Link(b"y")));
    assert_ne!(
        of(Content::Directory { mode: 0o755 }),
        of(Content::Directory { mode: 0o700 })
    );
}

fn some() -> impl Strategy<Value = Vec<Input>> {
    let kind = prop::sample::select(Kind::ALL.to_vec());
    let name = "[a-c/\"é]{1,6}";
    let stamp = prop_oneof![
        "[ab]".prop_map(|text| Stamp::hidden(&text)),
        "[ab=*]{0,3}".prop_map(Stamp::Text)
    ];
    let input = (kind, name, stamp).prop_map(|(kind, name, stamp)| Input {
        kind,
        name: name.trim_end_matches('/').to_owned() + "x",
        stamp,
    });
    prop::collection::vec(input, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_same_inputs_have_no_differences_and_one_digest(list in some()) {
        let one: Inputs = list.iter().cloned().collect();
        let again: Inputs = one.iter().cloned().collect();
        prop_assert_eq!(&one, &again);
        prop_assert_eq!(one.digest(), again.digest());
        prop_assert!(changes(&one, &one).is_empty());
    }

    #[test]
    fn other_inputs_have_differences_and_another_digest(one in some(), other in some()) {
        let (one, other): (Inputs, Inputs) = (one.into_iter().collect(), other.into_iter().collect());
        prop_assert_eq!(one == other, one.digest() == other.digest());
        prop_assert_eq!(one == other, changes(&one, &other).is_empty(), "{:?} {:?}", one, other);
    }

    #[test]
    fn every_label_is_within_its_limit(names in prop::collection::vec("[a-d]{1,3}(/[a-d\"]{1,40}){0,6}", 0..300)) {
        let one: Inputs = names.iter().map(|name| Input::new(Kind::File, name.clone(), digest("1"))).collect();
        let label = one.to_label();
        prop_assert!(label.len() <= LABEL);
        prop_assert!(changes(&one, &one).is_empty());
        if let Some(first) = names.first() {
            let other: Inputs = names.iter().map(|name| {
                Input::new(Kind::File, name.clone(), digest(if name == first { "2" } else { "1" }))
            }).collect();
            prop_assert_eq!(changes(&one, &other).len(), 1);
        }
    }
}

#[test]
fn fuzz_labels() {
    bolero::check!().for_each(|bytes: &[u8]| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            let _ = Recorded::from_label(text);
        }
    });
}
