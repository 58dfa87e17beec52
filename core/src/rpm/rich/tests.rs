use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::rpm::Comparison;

#[rstest]
#[case("(a)", "(a)")]
#[case("(a and b)", "(a and b)")]
#[case("( a  and b and c )", "(a and b and c)")]
// As in rpm, only a blank ends a name.
#[case("(a>=1.0 or b)", "(a>=1.0 or b)")]
#[case("(a(x) >= 1 and lib.so.1()(64bit))", "(a(x) >= 1 and lib.so.1()(64bit))")]
#[case("(a if b else (c or d))", "(a if b else (c or d))")]
#[case("(a unless (b and c))", "(a unless (b and c))")]
#[case("(a with b < 2)", "(a with b < 2)")]
#[case("(a without b)", "(a without b)")]
#[case("(a if(b or c))", "(a if (b or c))")]
#[case("(and and or)", "(and and or)")]
fn these_are_read(#[case] text: &str, #[case] written: &str) {
    let rich: Rich = text.parse().unwrap();
    assert_eq!(rich.to_string(), written);
    assert_eq!(written.parse::<Rich>().unwrap(), rich);
}

#[rstest]
#[case("", "begins with '('")]
#[case("a", "begins with '('")]
#[case("(", "a ')' is missing")]
#[case("()", "a part is empty")]
#[case("(a", "a ')' is missing")]
#[case("(a and", "a ')' is missing")]
#[case("(a and )", "a part is empty")]
#[case("(a b)", "between two parts")]
#[case("(a and b or c)", "add parentheses")]
#[case("(a if b if c)", "only 'else'")]
#[case("(a if b and c)", "only 'else'")]
#[case("(a else b)", "without 'if'")]
#[case("(a if b else c else d)", "after 'else'")]
#[case("(a without b without c)", "by 'without'")]
#[case("(a >= and b)", "between two parts")]
#[case("(a >=)", "a version is missing")]
#[case("(a ><= 1)", "a comparison")]
#[case("(a and b) c", "something follows")]
fn these_are_not(#[case] text: &str, #[case] why: &str) {
    let error = text.parse::<Rich>().unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(nested(DEEPEST).parse::<Rich>().is_ok());
    assert!(
        nested(DEEPEST + 1)
            .parse::<Rich>()
            .unwrap_err()
            .to_string()
            .contains("32 deep")
    );
    assert!("(".repeat(LONGEST).parse::<Rich>().is_err());
    let long = format!("(a{})", " or a".repeat(LONGEST / 4));
    assert!(long.parse::<Rich>().unwrap_err().to_string().contains("16 KiB"));
}

#[test]
fn leaves_come_from_left_to_right() {
    let rich: Rich = "((a or b) if c else (d without e))".parse().unwrap();
    let names: Vec<&str> = rich.leaves().iter().map(|leaf| leaf.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    let requirement: Requirement = "foo >= 1".parse().unwrap();
    assert_eq!(requirement.leaves(), [requirement.plain().unwrap()]);
    assert!("(a or b)".parse::<Requirement>().unwrap().plain().is_none());
}

#[test]
fn a_name_in_parentheses_is_rich_and_another_is_not() {
    let equal = Some((Comparison::Equal, Evr::of_text("1")));
    assert_eq!(Requirement::of_parts("(a or b)", None).unwrap().to_string(), "(a or b)");
    assert_eq!(Requirement::of_parts("a b", equal).unwrap().to_string(), "a b = 1");
    assert!(Requirement::of_parts("(a or", None).is_err());
}

fn rich() -> impl Strategy<Value = Rich> {
    let leaf = "[a-z]{1,3}(\\([a-z]\\))?( >= [1-9](-[1-9])?)?".prop_map(|text| Rich::Plain(text.parse().unwrap()));
    leaf.prop_recursive(4, 24, 3, |inner| {
        let some = prop::collection::vec(inner.clone(), 2..4);
        let boxed = inner.clone().prop_map(Box::new);
        let two = (boxed.clone(), boxed.clone(), prop::option::of(boxed.clone()));
        prop_oneof![
            some.clone().prop_map(Rich::And),
            some.clone().prop_map(Rich::Or),
            some.prop_map(Rich::With),
            two.clone().prop_map(|(a, b, c)| Rich::If(a, b, c)),
            two.prop_map(|(a, b, c)| Rich::Unless(a, b, c)),
            (boxed.clone(), boxed).prop_map(|(a, b)| Rich::Without(a, b)),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(rich in rich()) {
        prop_assert_eq!(rich.to_string().parse::<Rich>(), Ok(rich));
    }
}

#[test]
fn fuzz_texts_never_panic() {
    bolero::check!()
        .with_iterations(20_000)
        .with_type::<Vec<u8>>()
        .for_each(|choices| {
            const WORDS: [&str; 16] = [
                "(",
                ")",
                "(",
                ")",
                " and ",
                " or ",
                " if ",
                " else ",
                " unless ",
                " with ",
                " without ",
                "a",
                "b(c)",
                " >= ",
                "1.0",
                ",",
            ];
            let text: String = choices.iter().map(|choice| WORDS[usize::from(choice % 16)]).collect();
            if let Ok(rich) = text.parse::<Rich>() {
                assert_eq!(rich.to_string().parse::<Rich>(), Ok(rich), "{text}");
            }
        });
}
