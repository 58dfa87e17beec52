//! The language, line by line.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn parse(text: &str) -> Result<Rules, Refusal> {
    Rules::parse(text.as_bytes())
}

fn told(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn everything_at_once() {
    let rules = parse(
        "# rules\n\
         spec: rpm/hello.spec\n\
         tags: .gear/old-tags\n\
         type: rpm\n\
         specsubst: date snapshot\n\
         exclude: *.orig ./.travis.yml\n\
         \n\
         \t tar.xz : v@version@:src name=@name@-@version@ base= suffix=.txz exclude=docs/* exclude='a b' spec=old.spec\n\
         copy?: *.patch conf/hello.conf\n\
         gzip: ChangeLog\n\
         compress: type=xz name=big.txz -9 -e -- big.txt\n\
         diff.gz: v@version@:. . name=fixes.patch exclude=.gear/*\n\
         zip: .\r\n",
    )
    .unwrap();
    assert_eq!(rules.spec.as_deref(), Some("rpm/hello.spec"));
    assert_eq!(rules.tags.as_deref(), Some(".gear/old-tags"));
    assert_eq!(rules.kind.as_deref(), Some("rpm"));
    assert_eq!(rules.specsubst, ["date", "snapshot"]);
    assert_eq!(
        rules.exclude.iter().map(Glob::as_str).collect::<Vec<_>>(),
        ["*.orig", "./.travis.yml"]
    );
    insta::assert_debug_snapshot!(rules.directives.iter().map(ToString::to_string).collect::<Vec<_>>(), @r#"
    [
        "line 8: tar.xz",
        "line 9: copy",
        "line 10: gzip",
        "line 11: compress",
        "line 12: diff.gz",
        "line 13: zip",
    ]
    "#);
    assert!(rules.directives[1].optional);
    let Makes::Archive {
        tree,
        format,
        name,
        base,
        suffix,
        spec,
        exclude,
    } = &rules.directives[0].makes
    else {
        panic!("{:?}", rules.directives[0])
    };
    assert_eq!((tree.as_str(), format.suffix().as_str()), ("v@version@:src", ".tar.xz"));
    assert_eq!(
        (name.as_deref(), base.as_deref(), suffix.as_deref(), spec.as_deref()),
        (Some("@name@-@version@"), Some(""), Some(".txz"), Some("old.spec"))
    );
    assert_eq!(exclude.iter().map(Glob::as_str).collect::<Vec<_>>(), ["docs/*", "a b"]);
    let Makes::Files { compression, name, .. } = &rules.directives[3].makes else {
        panic!()
    };
    let compression = compression.unwrap();
    assert_eq!(
        (compression.codec, compression.level, compression.extreme),
        (Codec::Xz, 9, true)
    );
    assert_eq!(name.as_deref(), Some("big.txz"));
}

#[rstest]
#[case("", 0)]
#[case("\n\n# only a comment: copy: x\n   \n", 0)]
#[case("copy: 'a b' \"c d\" e\\ f", 1)]
#[case("copy: a # not b", 1)]
#[case("tar: .", 1)]
#[case("tar: ./", 1)]
#[case("tar.zst: a:b:c", 1)]
#[case("diff?: a b", 1)]
#[case("lzma: x", 1)]
fn good(#[case] text: &str, #[case] directives: usize) {
    assert_eq!(parse(text).unwrap().directives.len(), directives);
}

#[test]
fn words_are_split_as_a_shell_does() {
    let rules = parse("copy: 'a b' \"c d\" e\\ f g'h'i # j").unwrap();
    let Makes::Files { globs, .. } = &rules.directives[0].makes else {
        panic!()
    };
    let names: Vec<String> = globs.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a b", "c d", "e f", "ghi"]);
}

#[rstest]
#[case("copi: x", "line 1: there is no directive 'copi'\n\nhint: did you mean 'copy:'?")]
#[case(
    "\n\ntar.gzip: .",
    "line 3: there is no directive 'tar.gzip'\n\nhint: did you mean 'tar.gz:'?"
)]
#[case(
    "copy",
    "line 1: 'copy' is no rule\n\nhint: a rule is 'directive: arguments', as in 'copy: *.patch'"
)]
#[case("copy:", "line 1: it wants a pattern for files, as in '*.patch'")]
#[case(
    "copy: 'a",
    "line 1: a quote or a backslash has no end\n\nhint: a rule does not go on on the next line"
)]
#[case(
    "copy: a\\",
    "line 1: a quote or a backslash has no end\n\nhint: a rule does not go on on the next line"
)]
#[case(
    "copy: */x",
    "line 1: '*/x' has a wildcard in a directory's name\n\nhint: only the last part may be a pattern: name each directory"
)]
#[case("copy: /etc/passwd", "line 1: '/etc/passwd' is absolute: paths are below the top")]
#[case("copy: ../x", "line 1: '..' has a '..' in it")]
#[case("copy: a/", "line 1: 'a/' names no files\n\nhint: as in 'copy: patches/*.patch'")]
#[case("copy: ''", "line 1: a path is empty\n\nhint: the top directory is '.'")]
#[case("spec: a\nspec: b", "line 2: 'spec:' stands there twice")]
#[case("spec: a b", "line 1: it wants one path; 'b' is one too many")]
#[case("spec: .", "line 1: '.' is no path below the top")]
#[case("tags: /x", "line 1: '/x' is absolute: paths are below the top")]
#[case("type: a/b", "line 1: 'a/b' is no type: letters, digits and '_+.-', at most 32")]
#[case(
    "spec?: a",
    "line 1: 'spec' cannot be optional\n\nhint: write 'spec:'; what makes files can be, as in 'copy?:'"
)]
#[case(
    "exclude?: a",
    "line 1: 'exclude' cannot be optional\n\nhint: write 'exclude:'; what makes files can be, as in 'copy?:'"
)]
#[case(
    "specsubst: version",
    "line 1: @version@ is a keyword of the rules: it cannot be a variable"
)]
#[case("specsubst: a a", "line 1: variable a stands there twice")]
#[case(
    "specsubst: a-b",
    "line 1: 'a-b' is no variable: letters, digits and '_', a letter first, at most 64"
)]
#[case("tar:", "line 1: it wants a tree, as in 'tar: .'")]
#[case("tar: . nam=x", "line 1: there is no option 'nam='\n\nhint: did you mean 'name='?")]
#[case(
    "tar: . x",
    "line 1: 'x' is one word too many\n\nhint: options are name= base= suffix= spec= exclude="
)]
#[case("tar: . name=a name=b", "line 1: 'name=' stands there twice")]
#[case("diff: a", "line 1: it wants two trees, as in 'diff: v@version@:. .'")]
#[case(
    "diff: a b base=c",
    "line 1: there is no option 'base='\n\nhint: there are name= spec= exclude="
)]
#[case(
    "gzip: -9 a",
    "line 1: '-9' is an option, and this form takes none\n\nhint: as in 'compress: type=gzip -9 -- *.txt'"
)]
#[case(
    "compress: type=xz a",
    "line 1: there is no '--' before the files\n\nhint: as in 'compress: type=xz -9 -- *.txt'"
)]
#[case(
    "compress: -9 -- a",
    "line 1: there is no 'type='\n\nhint: as in 'compress: type=xz -9 -- *.txt'"
)]
#[case("compress: type=rar -- a", "line 1: type=rar is none of gzip, bzip2, lzma, xz, zstd")]
#[case(
    "compress: type=xz -T0 -- a",
    "line 1: xz has no option '-T0' here\n\nhint: xz takes -0 to -9, --fast, --best, -e"
)]
#[case("compress: type=xz type=xz -- a", "line 1: 'type=' stands there twice")]
#[case(
    "copy: \u{1b}[2J/../x",
    "line 1: '\\u{1b}[2J/../x' has a wildcard in a directory's name\n\nhint: only the last part may be a pattern: name each directory"
)]
fn bad_lines(#[case] text: &str, #[case] message: &str) {
    assert_eq!(told(text), message);
}

#[test]
fn what_is_no_text_is_told_with_its_line() {
    assert_eq!(
        Rules::parse(b"copy: a\ncopy: \xff\n").unwrap_err().message,
        "line 2: it is no UTF-8"
    );
}

#[test]
fn there_is_an_end_to_directives() {
    assert!(told(&"copy: a\n".repeat(MOST_DIRECTIVES + 1)).contains("more than 2000 directives"));
}

#[rstest]
#[case(".", Some(""))]
#[case("./a//b/.", Some("a/b"))]
#[case("a", Some("a"))]
#[case("", None)]
#[case("/a", None)]
#[case("a/../b", None)]
#[case("..", None)]
#[case("..a", Some("..a"))]
fn paths(#[case] path: &str, #[case] expected: Option<&str>) {
    assert_eq!(relative(path).ok().as_deref(), expected);
}

proptest! {
    #[test]
    fn no_path_leads_out(path in "[a./]{0,12}") {
        if let Ok(path) = relative(&path) {
            prop_assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".." && part != "."));
        }
    }
}

#[test]
fn fuzz_rules() {
    bolero::check!().for_each(|bytes: &[u8]| {
        if let Ok(rules) = Rules::parse(bytes) {
            assert!(rules.directives.len() <= MOST_DIRECTIVES);
        }
    });
}

#[test]
fn fuzz_lines() {
    let words = [
        "copy",
        "tar",
        "diff.gz",
        "compress",
        "exclude",
        "zip",
        "spec",
        "?",
        ":",
        " ",
        "type=xz",
        "--",
        "-9",
        "name=",
        "'",
        "\\",
        "@version@",
        ":.",
        "../",
        "*",
    ];
    bolero::check!().with_type::<Vec<u8>>().for_each(|picks| {
        let text: String = picks
            .iter()
            .map(|pick| words[usize::from(*pick) % words.len()])
            .collect();
        if let Err(refusal) = parse(&text) {
            assert!(refusal.message.starts_with("line 1: "), "{refusal}");
        }
    });
}
