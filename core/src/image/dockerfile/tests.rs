//! Tables of Dockerfiles: what is read, what is refused, and by which words.

use std::time::Duration;

use rstest::rstest;

use super::instruction::{Healthcheck, MountKind, Source};
use super::*;

fn parse(text: &str) -> Dockerfile {
    Dockerfile::parse(text).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// The instructions of the last stage, each as its name and its line.
fn outline(file: &Dockerfile) -> Vec<String> {
    let of = |instruction: &Instruction| format!("{} {}", instruction.lines.first, instruction.kind.name());
    file.last().instructions.iter().map(of).collect()
}

fn only(text: &str) -> Kind {
    let file = parse(&format!("FROM scratch\n{text}\n"));
    let [instruction] = file.last().instructions.as_slice() else {
        panic!("{text}")
    };
    instruction.kind.clone()
}

#[test]
fn lines_are_kept() {
    let file = parse(
        "\u{feff}# a comment\n\nFROM scratch\n\nRUN a \\\n  # between\n\n  && b\r\nCOPY x \\\n /y\nRUN <<EOF\none\nEOF\nUSER u",
    );
    assert_eq!(file.last().from.lines, Lines::one(3));
    assert_eq!(outline(&file), ["5 RUN", "9 COPY", "11 RUN", "14 USER"]);
    let lasts: Vec<u32> = file.last().instructions.iter().map(|i| i.lines.last).collect();
    assert_eq!(lasts, [8, 10, 13, 14]);
    let runs: Vec<_> = file
        .runs()
        .map(|(_, lines, run)| (lines.first, run.command.clone()))
        .collect();
    assert_eq!(runs[0], (5, CommandLine::Shell("a   && b".to_owned())));
}

#[rstest]
#[case("# escape=`\nFROM a\nRUN x `\n y\nCOPY c:\\ d\n", '`', None)]
#[case("#ESCAPE = `\nFROM a\n", '`', None)]
#[case(
    "# syntax=docker/dockerfile:1 x\n# escape=\\\nFROM a\n",
    '\\',
    Some("docker/dockerfile:1")
)]
#[case("# a comment\n# escape=`\nFROM a\n", '\\', None)]
#[case("\n# escape=`\nFROM a\n", '\\', None)]
#[case("# unknown=1\n# escape=`\nFROM a\n", '\\', None)]
#[case("#!/usr/bin/env builder\n# syntax=x\nFROM a\n", '\\', Some("x"))]
#[case("  # escape=`\nFROM a\n", '`', None)]
#[case("# check=skip=all\n# escape=`\nFROM a\n", '`', None)]
fn directives(#[case] text: &str, #[case] escape: char, #[case] syntax: Option<&str>) {
    let file = parse(text);
    assert_eq!(file.directives.escape, escape);
    assert_eq!(file.directives.syntax.as_deref(), syntax);
}

#[rstest]
#[case("a \\\nb", "a b")]
#[case("a \\  \t\nb", "a b")]
#[case("a\\\n# c\n   # d\n\n\nb", "ab")]
#[case("a \\\\\nUSER b", "a \\\\")]
#[case("a \\\n  b \\\n", "a   b")]
#[case("\\\n a", "a")]
fn continuations(#[case] text: &str, #[case] command: &str) {
    let file = parse(&format!("FROM scratch\nRUN {text}\n"));
    let (_, _, run) = file.runs().next().unwrap();
    assert_eq!(run.command, CommandLine::Shell(command.to_owned()));
}

#[rstest]
#[case("from a as b", "a", Some("b"), None)]
#[case("FROM a AS B", "a", Some("b"), None)]
#[case("FROM --platform=$BUILDPLATFORM a", "a", None, Some("$BUILDPLATFORM"))]
#[case("FROM ${x:-a}", "${x:-a}", None, None)]
#[case("FROM\ta\tAs\tb-1_2.3", "a", Some("b-1_2.3"), None)]
fn stages(#[case] text: &str, #[case] base: &str, #[case] name: Option<&str>, #[case] platform: Option<&str>) {
    let file = parse(text);
    let from = &file.last().from;
    assert_eq!(
        (from.base.as_str(), from.name.as_deref(), from.platform.as_deref()),
        (base, name, platform)
    );
}

#[test]
fn stages_are_found_by_name_and_number() {
    let file = parse("FROM a AS one\nFROM b\nFROM c AS Three\n");
    assert_eq!(file.stage("ONE").unwrap().index, 0);
    assert_eq!(file.stage("1").unwrap().index, 1);
    assert_eq!(file.stage("three").unwrap().index, 2);
    assert_eq!(file.stage("3"), None);
    assert_eq!(
        file.stages.iter().map(Stage::title).collect::<Vec<_>>(),
        ["stage one", "stage 1", "stage three"]
    );
}

fn exec(words: &[&str]) -> CommandLine {
    CommandLine::Exec(words.iter().map(ToString::to_string).collect())
}

#[rstest]
#[case("CMD [\"a\", \"b c\"]", exec(&["a", "b c"]))]
#[case("CMD [ \"a\" ]", exec(&["a"]))]
#[case("CMD []", exec(&[]))]
#[case("CMD ['a']", CommandLine::Shell("['a']".to_owned()))]
#[case("CMD [\"a\",]", CommandLine::Shell("[\"a\",]".to_owned()))]
#[case("CMD a  b", CommandLine::Shell("a  b".to_owned()))]
#[case("CMD", CommandLine::Shell(String::new()))]
#[case("CMD [\"\\u0061\"]", exec(&["a"]))]
#[case("CMD [ -f x ] && y", CommandLine::Shell("[ -f x ] && y".to_owned()))]
#[case("cmd $x", CommandLine::Shell("$x".to_owned()))]
fn forms(#[case] text: &str, #[case] expected: CommandLine) {
    assert_eq!(only(text), Kind::Cmd(expected));
}

#[rstest]
#[case("ENV a=1 b=2", &[("a", "1"), ("b", "2")])]
#[case("ENV a=\"1 2\" b='3 4' c=5\\ 6", &[("a", "\"1 2\""), ("b", "'3 4'"), ("c", "5\\ 6")])]
#[case("ENV a 1 2  3", &[("a", "1 2  3")])]
#[case("ENV a b=1", &[("a", "b=1")])]
#[case("ENV a=", &[("a", "")])]
#[case("ENV a=b=c", &[("a", "b=c")])]
#[case("ENV a=1 \\\n    b=2", &[("a", "1"), ("b", "2")])]
fn pairs(#[case] text: &str, #[case] expected: &[(&str, &str)]) {
    let Kind::Env(pairs) = only(text) else { panic!("{text}") };
    let found: Vec<_> = pairs
        .iter()
        .map(|pair| (pair.name.as_str(), pair.value.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn heredocs_of_a_run() {
    let Kind::Run(run) = only("RUN cat <<A 3<<-\"B C\" | x\n\tone\nA\n\ttwo $x\n\tB C") else {
        panic!()
    };
    let [a, b] = run.heredocs.as_slice() else {
        panic!("{:?}", run.heredocs)
    };
    assert_eq!(
        (a.name.as_str(), a.descriptor, a.expands, a.strip_tabs),
        ("A", 0, true, false)
    );
    assert_eq!(a.text(), "\tone\n");
    assert_eq!(
        (b.name.as_str(), b.descriptor, b.expands, b.strip_tabs),
        ("B C", 3, false, true)
    );
    assert_eq!(b.content, "\ttwo $x\n");
    assert_eq!(b.text(), "two $x\n");
}

#[test]
fn heredocs_of_a_copy() {
    let Kind::Copy(copy) = only("COPY <<a x <<'b' /d/\nA\r\na\nB\nb") else {
        panic!()
    };
    let [Source::Inline(a), Source::Path(x), Source::Inline(b)] = copy.transfer.sources.as_slice() else {
        panic!("{:?}", copy.transfer.sources)
    };
    assert_eq!((a.name.as_str(), a.content.as_str(), a.expands), ("a", "A\r\n", true));
    assert_eq!((b.name.as_str(), b.content.as_str(), b.expands), ("b", "B\n", false));
    assert_eq!(x, "x");
    assert_eq!(copy.transfer.destination, "/d/");
}

#[rstest]
#[case("RUN echo $((1<<2))")]
#[case("RUN cat <<<word")]
#[case("RUN [\"cat\", \"<<EOF\"]")]
#[case("RUN echo \"<<EOF\"")]
#[case("CMD cat <<EOF")]
#[case("RUN echo a << b<c")]
fn no_heredocs(#[case] text: &str) {
    let file = parse(&format!("FROM scratch\n{text}\nUSER x\n"));
    assert_eq!(file.last().instructions.len(), 2, "{text}");
}

#[test]
fn comments_within_a_heredoc_are_its_text() {
    let Kind::Run(run) = only("RUN <<EOF\n# no comment\n\nFROM x \\\nEOF") else {
        panic!()
    };
    assert_eq!(run.heredocs[0].content, "# no comment\n\nFROM x \\\n");
}

#[test]
fn all_flags_of_a_copy() {
    let Kind::Copy(copy) =
        only("COPY --from=a --chown=1:2 --chmod=755 --link --parents=true --exclude=*.o --exclude=b x y /d")
    else {
        panic!()
    };
    assert_eq!(copy.from.as_deref(), Some("a"));
    assert!(copy.parents && copy.transfer.link);
    assert_eq!(copy.transfer.chown.as_deref(), Some("1:2"));
    assert_eq!(copy.transfer.chmod.as_deref(), Some("755"));
    assert_eq!(copy.transfer.exclude, ["*.o", "b"]);
    assert_eq!(copy.transfer.sources.len(), 2);
    let Kind::Copy(json) = only("COPY [\"a b\", \"/c d\"]") else {
        panic!()
    };
    assert_eq!(json.transfer.destination, "/c d");
}

#[test]
fn all_flags_of_an_add() {
    let Kind::Add(add) = only("ADD --checksum=sha256:12 --keep-git-dir --unpack=false https://x.org/a /d") else {
        panic!()
    };
    assert_eq!(add.checksum.as_deref(), Some("sha256:12"));
    assert_eq!((add.keep_git_dir, add.unpack), (Some(true), Some(false)));
}

#[test]
fn all_flags_of_a_run() {
    let Kind::Run(run) = only(
        "RUN --mount=type=bind,from=a,source=/x,target=/y --mount=type=cache,target=/c --network=none --security=insecure x",
    ) else {
        panic!()
    };
    assert_eq!(run.mounts.len(), 2);
    assert_eq!(run.mounts[0].from.as_deref(), Some("a"));
    assert_eq!(run.mounts[1].kind, MountKind::Cache);
    assert_eq!(run.network.as_deref(), Some("none"));
    assert_eq!(run.security.as_deref(), Some("insecure"));
    assert_eq!(run.command, CommandLine::Shell("x".to_owned()));
}

#[test]
fn health() {
    assert_eq!(only("HEALTHCHECK none"), Kind::Healthcheck(Healthcheck::None));
    let all = "HEALTHCHECK --interval=5m --timeout=3s --start-period=1s --start-interval=500ms --retries=2 CMD [\"x\"]";
    assert_eq!(
        only(all),
        Kind::Healthcheck(Healthcheck::Command {
            command: exec(&["x"]),
            interval: Some(Duration::from_mins(5)),
            timeout: Some(Duration::from_secs(3)),
            start_period: Some(Duration::from_secs(1)),
            start_interval: Some(Duration::from_millis(500)),
            retries: Some(2),
        })
    );
}

#[test]
fn triggers() {
    let Kind::Onbuild(trigger) = only("ONBUILD run <<EOF\nx\nEOF") else {
        panic!()
    };
    assert_eq!(trigger.text, "run <<EOF\nx\nEOF");
    assert_eq!(trigger.kind.name(), "RUN");
}

#[rstest]
#[case("", "line 1: the file has no instructions")]
#[case("# only this\n", "line 1: the file has no instructions")]
#[case("ARG x\n", "line 1: the file has no FROM")]
#[case("RUN x\nFROM a\n", "line 1: RUN stands above the first FROM")]
#[case("FROM\n", "line 1: FROM : one word is expected, or three")]
#[case("FROM a b\n", "line 1: FROM a b: one word")]
#[case("FROM a AS 1\n", "line 1: '1' is no name of a stage")]
#[case("FROM a AS b\nFROM c AS B\n", "line 2: stage b stands twice, on line 1 first")]
#[case("FROM a AS b/c\n", "line 1: 'b/c' is no name of a stage")]
#[case("FROM ${x\n", "line 1: in ${x: '${x' without")]
#[case("FROM a\nCOPI x y\n", "line 2: 'COPI' is no instruction")]
#[case("FROM a\nRUN x\n  && y\n", "line 3: '&&' is no instruction")]
#[case("FROM a\nCOPY x\n", "line 2: COPY x: a source and a destination")]
#[case("FROM a\nCOPY x \"y\n", "line 2: in \"y: the quote")]
#[case("FROM a\nCOPY --form=b x y\n", "line 2: COPY has no flag --form")]
#[case("FROM a\nCOPY --from=b --from=c x y\n", "line 2: the flag --from stands twice")]
#[case("FROM a\nCOPY --from x y\n", "line 2: the flag --from has no value")]
#[case("FROM a\nCOPY --from=$x x y\n", "line 2: COPY --from=$x")]
#[case("FROM a\nCOPY --link=maybe x y\n", "line 2: --link=maybe")]
#[case("FROM a\nCOPY x <<E\nE\n", "line 2: COPY: the heredoc <<E cannot be the destination")]
#[case("FROM a\nRUN <<E\nx\n", "line 2: the heredoc <<E does not end")]
#[case("FROM a\nRUN\n", "line 2: RUN runs nothing")]
#[case("FROM a\nRUN []\n", "line 2: RUN runs nothing")]
#[case("FROM a\nRUN --mount=type=bnd,target=/x y\n", "line 2: 'bnd' is no type of mount")]
#[case("FROM a\nRUN --network=nine x\n", "line 2: --network=nine is unknown")]
#[case("FROM a\nCMD [\"a\", 1]\n", "line 2: CMD [\"a\", 1]: in the JSON form")]
#[case("FROM a\nCMD [\"a\"] # b\n", "line 2: CMD: '# b' stands behind the JSON form")]
#[case("FROM a\nCMD --x\n", "line 2: CMD has no flag --x")]
#[case("FROM a\nENV\n", "line 2: ENV sets nothing")]
#[case("FROM a\nENV a\n", "line 2: ENV a: the value is missing")]
#[case("FROM a\nENV a=1 b\n", "line 2: ENV: 'b' has no '='")]
#[case("FROM a\nENV =1\n", "line 2: ENV =1: the name is missing")]
#[case("FROM a\nLABEL a=\"b\n", "line 2: in \"b: the quote")]
#[case("FROM a\nARG\n", "line 2: ARG names nothing")]
#[case("FROM a\nARG =1\n", "line 2: ARG =1: the name is missing")]
#[case("FROM a\nUSER\n", "line 2: USER says nothing")]
#[case("FROM a\nEXPOSE\n", "line 2: EXPOSE names no port")]
#[case("FROM a\nVOLUME [\"\"]\n", "line 2: VOLUME names no directory")]
#[case("FROM a\nSHELL sh -c\n", "line 2: SHELL sh -c: a JSON list")]
#[case("FROM a\nSHELL []\n", "line 2: SHELL []: a JSON list")]
#[case("FROM a\nHEALTHCHECK\n", "line 2: HEALTHCHECK checks nothing")]
#[case("FROM a\nHEALTHCHECK CMD\n", "line 2: HEALTHCHECK CMD runs nothing")]
#[case("FROM a\nHEALTHCHECK NONE x\n", "line 2: HEALTHCHECK NONE x")]
#[case("FROM a\nHEALTHCHECK FOO x\n", "line 2: HEALTHCHECK FOO is unknown")]
#[case(
    "FROM a\nHEALTHCHECK --interval=5 CMD x\n",
    "line 2: --interval=5 is no length of time"
)]
#[case("FROM a\nHEALTHCHECK --interval=1us CMD x\n", "line 2: --interval=1us is below")]
#[case("FROM a\nHEALTHCHECK --retries=-1 CMD x\n", "line 2: --retries=-1 is no number")]
#[case("FROM a\nONBUILD\n", "line 2: ONBUILD does nothing")]
#[case("FROM a\nONBUILD FROM b\n", "line 2: FROM may not stand behind ONBUILD")]
#[case("FROM a\nONBUILD onbuild RUN x\n", "line 2: ONBUILD may not stand")]
#[case("FROM a\nONBUILD MAINTAINER x\n", "line 2: MAINTAINER may not stand")]
#[case("FROM a\nONBUILD COPI x y\n", "line 2: 'COPI' is no instruction")]
#[case("# escape=x\nFROM a\n", "line 1: 'x' is no escape character")]
#[case("# escape=`\n# escape=`\nFROM a\n", "line 2: the directive '# escape=' stands twice")]
fn refused(#[case] text: &str, #[case] expected: &str) {
    let problems = Dockerfile::parse(text).unwrap_err();
    let told = problems.to_string();
    assert!(told.starts_with(expected), "{told}\n{text}");
    assert!(problems.iter().all(|problem| problem.hint.is_some()), "{told}");
    assert_eq!(problems.iter().count(), 1, "{told}");
}

#[test]
fn all_problems_are_told_at_once_with_their_lines() {
    let text = "FROM a AS 1\nCOPI x y\nRUN ok\nCMD [\"a\", 1]\nHEALTHCHECK --interval=5 --retries=x CMD y\n";
    let problems = Dockerfile::parse(text).unwrap_err();
    insta::assert_snapshot!(problems, @r#"
    line 1: '1' is no name of a stage (a letter first, then letters, digits, '-', '_' and '.')
    line 2: 'COPI' is no instruction (did you mean COPY?)
    line 4: CMD ["a", 1]: in the JSON form stand strings alone (put quotes around each of them)
    line 5: --interval=5 is no length of time (30s, 1m30s, 500ms)
    line 5: --retries=x is no number (a whole number from 0 up)
    "#);
}

#[test]
fn limits_are_problems() {
    let told = |text: &str| Dockerfile::parse(text).unwrap_err().to_string();
    assert!(told(&"#".repeat(limits::FILE + 1)).contains("more than 1048576"));
    let long = format!("FROM a\nRUN {}\n", "x".repeat(limits::LINE));
    assert!(told(&long).starts_with("line 2: the line has more than 65535 bytes"));
    let many = format!("FROM a\n{}", "USER x\n".repeat(limits::INSTRUCTIONS));
    assert!(told(&many).starts_with("line 5001: the file has more than 5000 instructions"));
    let heredocs = format!("FROM a\nRUN cat{}\n", " <<a".repeat(limits::HEREDOCS + 1));
    assert!(told(&format!("{heredocs}{}", "a\n".repeat(70))).contains("more than 64 heredocs"));
    let wrong = format!("FROM a\n{}", "NO x\n".repeat(1000));
    assert_eq!(Dockerfile::parse(&wrong).unwrap_err().iter().count(), Problems::MOST);
}

#[test]
fn bytes_that_are_no_text_have_their_line() {
    let problems = Dockerfile::from_bytes(b"FROM a\nRUN \xff\n").unwrap_err();
    assert!(problems.to_string().starts_with("line 2: the file is no UTF-8 text"));
}

#[test]
fn what_is_told_is_safe_to_show() {
    let told = Dockerfile::parse("FROM a\n\u{1b}[2J x\n").unwrap_err().to_string();
    assert!(told.starts_with("line 2: '\\u{1b}[2J' is no instruction"), "{told}");
}
