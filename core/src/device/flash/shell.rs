//! Words for a device's shell. Whatever goes to a device goes through [`quote`].

/// A word as every POSIX shell reads it back: nothing in it is special.
pub fn quote(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/.:@,+%".contains(&byte);
    // '=' is none of them: a first word with it would be an assignment.
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Words as one command.
pub fn command<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quote(word.as_ref())).collect();
    quoted.join(" ")
}

/// Words in which `{NAME}` stands for a value, as words. What is not named among the values stays.
pub fn filled(words: &[String], values: &[(&str, &str)]) -> Vec<String> {
    words.iter().map(|word| fill(word, values)).collect()
}

/// One word, from left to right, so that a value with braces in it is not filled again.
fn fill(word: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let found = values.iter().find_map(|(name, value)| {
            let behind = rest.strip_prefix('{')?.strip_prefix(name)?.strip_prefix('}')?;
            Some((value, behind))
        });
        if let Some((value, behind)) = found {
            out.push_str(value);
            rest = behind;
        } else {
            out.push('{');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("plain", "plain")]
    #[case("", "''")]
    #[case("a b", "'a b'")]
    #[case("it's", r"'it'\''s'")]
    #[case("$(reboot)", "'$(reboot)'")]
    #[case("a;b", "'a;b'")]
    #[case("--omaha_url=http://127.0.0.1:1/x", "'--omaha_url=http://127.0.0.1:1/x'")]
    #[case("~root", "'~root'")]
    #[case("a\nb", "'a\nb'")]
    fn words_are_quoted(#[case] word: &str, #[case] quoted: &str) {
        assert_eq!(quote(word), quoted);
    }

    #[test]
    fn values_are_filled_in_once() {
        let words = ["install", "{url}/x", "{{slot}", "{none}", "{"].map(str::to_owned);
        let values = [("url", "http://{slot}"), ("slot", "B")];
        assert_eq!(
            filled(&words, &values),
            ["install", "http://{slot}/x", "{B", "{none}", "{"]
        );
    }

    proptest! {
        #[test]
        fn a_shell_reads_back_what_was_said(words in proptest::collection::vec("\\PC*", 1..5)) {
            prop_assert_eq!(shlex::split(&command(&words)), Some(words));
        }
    }
}
