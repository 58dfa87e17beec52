use proptest::prelude::*;
use rstest::rstest;

use super::*;

#[rstest]
// Without a version, everything fits, whichever side it is.
#[case("foo", "foo", true)]
#[case("foo >= 2", "foo", true)]
#[case("foo", "foo = 1-1", true)]
#[case("foo", "bar", false)]
// Ranges meet where they have a version in common.
#[case("foo >= 1.0", "foo = 1.0-1", true)]
#[case("foo > 1.0-1", "foo = 1.0-1", false)]
#[case("foo < 2.0", "foo >= 1.0", true)]
#[case("foo < 1.0", "foo > 1.0", false)]
#[case("foo < 1.0", "foo < 0.1", true)]
#[case("foo <= 1.0", "foo >= 1.0", true)]
// Who leaves the release open means all of them, if he means the version.
#[case("foo = 1.0", "foo = 1.0-1", true)]
#[case("foo <= 1.0", "foo = 1.0-1", true)]
#[case("foo > 1.0", "foo = 1.0-1", false)]
#[case("foo < 1.0", "foo = 1.0-1", false)]
#[case("foo = 1.0-1", "foo = 1.0", true)]
#[case("foo > 1.0-1", "foo = 1.0", true)]
#[case("foo = 1.0", "foo = 1.0", true)]
// A missing epoch is 0.
#[case("foo = 1.0", "foo = 0:1.0-1", true)]
#[case("foo = 1.0", "foo = 1:1.0-1", false)]
#[case("foo >= 1.0", "foo = 1:0.1-1", true)]
#[case("foo < 1:0", "foo = 9.9-1", true)]
// Tilde and caret.
#[case("foo >= 1.0", "foo = 1.0~rc1-1", false)]
#[case("foo >= 1.0~", "foo = 1.0~rc1-1", true)]
#[case("foo > 1.0", "foo = 1.0^git1-1", true)]
fn they_meet(#[case] required: &str, #[case] provided: &str, #[case] met: bool) {
    let (required, provided): (Dependency, Dependency) = (required.parse().unwrap(), provided.parse().unwrap());
    assert_eq!(required.is_met_by(&provided), met);
    assert_eq!(provided.is_met_by(&required), met, "either way round");
}

#[rstest]
#[case("", "it is empty")]
#[case("foo >=", "NAME COMPARISON VERSION")]
#[case("foo >= 1 2", "NAME COMPARISON VERSION")]
#[case("foo ~ 1", "one of")]
#[case(">= 1", "a name stands before")]
fn what_is_no_dependency(#[case] text: &str, #[case] why: &str) {
    let error = text.parse::<Dependency>().unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

proptest! {
    #[test]
    fn what_is_written_is_read(text in "[a-z/][a-z.()+:=]{0,8}( (<|<=|=|>=|>) ([1-9]:)?[0-9a-z.~^]{1,4}(-[0-9a-z]{1,3})?)?") {
        let dependency: Dependency = text.parse().unwrap();
        prop_assert_eq!(dependency.to_string(), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = text.parse::<Dependency>();
    }

    #[test]
    fn everything_meets_itself(text in "a (<|<=|=|>=|>) ([0-2]:)?[0-2.~^]{0,3}(-[0-2~])?") {
        if let Ok(dependency) = text.parse::<Dependency>() {
            prop_assert!(dependency.is_met_by(&dependency));
        }
    }
}
