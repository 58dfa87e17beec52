//! What is read, and how what is wrong is told.

use insta::assert_snapshot;
use serde::Deserialize;

use super::problem::render;
use super::strict;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the reading is looked at")]
struct Sample {
    #[serde(default)]
    signing: Option<Signing>,
    #[serde(default)]
    repository: Vec<super::Repository>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the reading is looked at")]
struct Signing {
    future_tolerance: Option<String>,
    mode: Option<Mode>,
    max_refs: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Enforce,
    Observe,
}

fn problems(text: &str) -> String {
    let found = strict::parse::<Sample>(text).expect_err("it is wrong");
    render("windlass.toml".as_ref(), text, &found)
}

#[test]
fn every_problem_is_told_at_once_in_the_order_of_the_file() {
    let text = "\
[signing]
future_tolerence = \"5m\"
mode = \"enforced\"
max_refs = -1

[[repository]]
default = true

[[repository]]
name = \"sisyphus\"
architecture = [\"x86_64\"]

[signign]
mode = \"observe\"
";
    assert_snapshot!(problems(text), @r#"
    windlass.toml:2:1: unknown key 'future_tolerence' in [signing]
      2 | future_tolerence = "5m"
        | ^^^^^^^^^^^^^^^^
    hint: did you mean 'future_tolerance'?

    windlass.toml:3:8: 'enforced' is not known for 'mode'
      3 | mode = "enforced"
        |        ^^^^^^^^^^
    hint: did you mean "enforce"? Known: enforce, observe

    windlass.toml:4:12: 'max_refs': invalid value: integer '-1', expected u32
      4 | max_refs = -1
        |            ^^

    windlass.toml:6:1: the key 'name' is missing in [[repository]]
      6 | [[repository]]
        | ^^^^^^^^^^^^^^

    windlass.toml:11:1: unknown key 'architecture' in [[repository]]
      11 | architecture = ["x86_64"]
         | ^^^^^^^^^^^^
    hint: did you mean 'architectures'?

    windlass.toml:13:2: unknown key 'signign'
      13 | [signign]
         |  ^^^^^^^
    hint: did you mean 'signing'?
    "#);
}

#[test]
fn bad_syntax_is_told_with_all_its_places() {
    assert_snapshot!(problems("[signing\nmode = observe\nmode = 'enforce'\n"), @r"
    windlass.toml:1:9: unclosed table, expected `]`
      1 | [signing
        |         ^
    ");
}

#[test]
fn what_is_shown_is_harmless() {
    let shown = problems("\"a\u{1b}[2Jb\u{202e}\" = 1\n");
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
}
