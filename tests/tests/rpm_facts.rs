//! What core says of versions, dependencies and packages is what rpm and `createrepo_c` say of them.
//!
//! Everything in here asks the real programs. Random questions come from a seed that a failure prints.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use windlass_core::id::{ArchName, SubtaskNumber};
use windlass_core::repository::{ArchResult, Brought, BroughtBy, agree};
use windlass_core::rpm::header::{self, is_primary};
use windlass_core::rpm::{Comparison, Dependency, Evr, FileKind, Header, Requirement, vercmp};
use windlass_tests::chance::Chance;
use windlass_tests::{Cmd, skipped};

const SEED: u64 = 20_261_121;

/// Whether a program answers; says so when it does not.
fn has(program: &str, arguments: &[&str]) -> bool {
    let there = Cmd::new(program).args(arguments).run().is_ok_and(|ran| ran.code() == 0);
    if !there {
        skipped(&format!("there is no {program} here"));
    }
    there
}

/// Some version, mostly of the characters that matter.
fn version(chance: &mut Chance, alphabet: &[u8]) -> String {
    let length = 1 + chance.below(8);
    (0..length)
        .filter_map(|_| chance.one_of(alphabet).copied().map(char::from))
        .collect()
}

/// One version, and another one that is near it more often than not.
fn pair(chance: &mut Chance, alphabet: &[u8]) -> (String, String) {
    let one = version(chance, alphabet);
    if chance.below(3) == 0 {
        return (one, version(chance, alphabet));
    }
    let at = usize::try_from(chance.below(one.len() as u64)).unwrap_or(0);
    let mut other = one.clone();
    match chance.below(3) {
        0 => other.insert_str(at, &version(chance, alphabet)),
        1 => {
            other.remove(at);
        }
        _ => other.replace_range(at..=at, &version(chance, alphabet)),
    }
    if other.is_empty() {
        other.push('0');
    }
    (one, other)
}

/// What rpm says of all these pairs, by one process.
fn asked(pairs: &[(String, String)]) -> anyhow::Result<Vec<i32>> {
    let dir = tempfile::tempdir()?;
    let questions = dir.path().join("pairs");
    let text: String = pairs.iter().fold(String::new(), |mut text, (a, b)| {
        let _ = writeln!(text, "{a} {b}");
        text
    });
    std::fs::write(&questions, text)?;
    let script = format!(
        "%{{lua: for line in io.lines('{}') do local a, b = line:match('(%S+) (%S+)'); print(rpm.vercmp(a, b) .. '\\n') end}}",
        questions.display()
    );
    let ran = Cmd::new("rpm").args(["--eval", &script]).run()?.ok()?;
    let text = String::from_utf8(ran.stdout)?;
    text.split_whitespace().map(|number| Ok(number.parse()?)).collect()
}

fn number(order: Ordering) -> i32 {
    match order {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

#[test]
fn versions_are_ordered_as_rpm_orders_them() -> anyhow::Result<()> {
    if !has("rpm", &["--version"]) {
        return Ok(());
    }
    let mut chance = Chance::seeded(SEED);
    // No '-' and ':' first: these are versions, or releases; then whole ones.
    let mut pairs: Vec<_> = (0..20_000).map(|_| pair(&mut chance, b"0012ab9Zz..~~^^_+")).collect();
    let parts = pairs.len();
    pairs.extend((0..20_000).map(|_| pair(&mut chance, b"0012ab.~^-:")));
    // rpm refuses what has no version at all.
    pairs.retain(|(a, b)| [a, b].iter().all(|text| !Evr::of_text(text).version.is_empty()));
    let answers = asked(&pairs)?;
    assert_eq!(answers.len(), pairs.len());
    assert!(pairs.len() > 30_000, "{}", pairs.len());
    for (at, ((a, b), answer)) in pairs.iter().zip(answers).enumerate() {
        let ours = Evr::of_text(a).compare(&Evr::of_text(b));
        assert_eq!(number(ours), answer, "seed {SEED}: '{a}' and '{b}'");
        if at < parts && !a.contains([':', '-']) && !b.contains([':', '-']) {
            assert_eq!(number(vercmp(a, b)), answer, "seed {SEED}: '{a}' and '{b}'");
        }
    }
    Ok(())
}

/// rpm's own comparison of dependencies, through its Python module: a line a question, a line an answer.
const MATCH: &str = r#"
import rpm, sys
flags = {"<": rpm.RPMSENSE_LESS, "<=": rpm.RPMSENSE_LESS | rpm.RPMSENSE_EQUAL, "=": rpm.RPMSENSE_EQUAL,
         ">=": rpm.RPMSENSE_GREATER | rpm.RPMSENSE_EQUAL, ">": rpm.RPMSENSE_GREATER, "-": 0}
def one(sign, evr):
    ds = rpm.ds(("foo", flags[sign], "" if evr == "-" else evr), "P")
    next(ds)
    return ds
for line in sys.stdin:
    a, b, c, d = line.split()
    print(int(one(a, b).Compare(one(c, d))))
"#;

#[test]
fn dependencies_meet_as_rpm_says() -> anyhow::Result<()> {
    const PYTHON: &str = "/usr/bin/python3";
    if !has(PYTHON, &["-c", "import rpm"]) {
        return Ok(());
    }
    let mut chance = Chance::seeded(SEED);
    let mut side = || -> Dependency {
        const SIGNS: [Comparison; 5] = [
            Comparison::Less,
            Comparison::LessOrEqual,
            Comparison::Equal,
            Comparison::GreaterOrEqual,
            Comparison::Greater,
        ];
        let mut text = String::new();
        if chance.below(3) == 0 {
            let _ = write!(text, "{}:", chance.below(3));
        }
        text.push_str(&version(&mut chance, b"011.~^"));
        if chance.below(2) == 0 {
            let _ = write!(text, "-{}", version(&mut chance, b"01~"));
        }
        let sign = chance.one_of(&SIGNS).copied().filter(|_| chance.below(8) > 0);
        Dependency {
            name: "foo".to_owned(),
            versions: sign.map(|sign| (sign, Evr::of_text(&text))),
        }
    };
    let pairs: Vec<(Dependency, Dependency)> = (0..20_000).map(|_| (side(), side())).collect();
    let words = |dependency: &Dependency| match &dependency.versions {
        Some((sign, evr)) => format!("{sign} {evr}"),
        None => "- -".to_owned(),
    };
    let questions: String = pairs.iter().fold(String::new(), |mut text, (a, b)| {
        let _ = writeln!(text, "{} {}", words(a), words(b));
        text
    });
    let ran = Cmd::new(PYTHON).args(["-c", MATCH]).stdin(questions).run()?.ok()?;
    let answers = String::from_utf8(ran.stdout)?;
    let answers: Vec<bool> = answers.lines().map(|line| line == "1").collect();
    assert_eq!(answers.len(), pairs.len());
    let met = answers.iter().filter(|met| **met).count();
    assert!((4_000..16_000).contains(&met), "a fair share of both: {met}");
    for ((a, b), answer) in pairs.iter().zip(answers) {
        assert_eq!(a.is_met_by(b), answer, "seed {SEED}: '{a}' and '{b}'");
        assert_eq!(b.is_met_by(a), answer, "seed {SEED}: '{b}' and '{a}'");
    }
    Ok(())
}

/// A package with everything in it that headers and metadata treat in a way of their own.
const ODD: &str = r"
Name: odd
Epoch: 3
Version: 1.2~rc1
Release: alt1
Summary: Odd things in one package
License: MIT
Group: Development/Tools
Vendor: Someone
URL: https://example.com/odd
BuildArch: noarch
Requires: libc.so.6(GLIBC_2.4)(64bit)
Requires: libc.so.6(GLIBC_2.34)(64bit)
Requires: libc.so.6()(64bit)
Requires: libc.so.6(GLIBC_2.17)(64bit)
Requires: other >= 1:2.0-3, third < 5, fourth = 2, fourth = 2
Requires(pre): /bin/sh
Requires(post): tool
Requires: tool
Requires(preun): before
Requires(postun): after
Requires(interp): interpreter
Requires: (a and b >= 2)
Requires: (x and (y if z else w))
Requires: own-virtual
Requires: own-versioned = 5
Requires: own-versioned >= 4
Requires: /usr/bin/odd
Requires: /usr/share/odd/data
Provides: own-virtual
Provides: own-versioned = 5
Provides: font(:lang=en)
Conflicts: enemy < 3
Obsoletes: ancient < 2
Recommends: nice
Suggests: (s1 or s2)
Supplements: (sup1 and sup2)
Enhances: enhanced > 1
BuildRequires: make, gcc >= 4
BuildConflicts: evil

%description
Several
lines.

%package sub
Version: 9
Summary: A version of its own
%description sub
Nothing in it.

%install
mkdir -p %buildroot/usr/bin %buildroot/usr/share/odd %buildroot/etc/odd
echo x > %buildroot/usr/bin/odd
echo y > %buildroot/usr/share/odd/data
echo z > %buildroot/etc/odd/conf
ln -s data %buildroot/usr/share/odd/link

%files
%attr(4755,root,daemon) /usr/bin/odd
%dir /usr/share/odd
/usr/share/odd/*
%config(noreplace) /etc/odd/conf
%ghost /var/lib/odd/state
%ghost %dir /var/lib/odd.d
%files sub

%post
echo hello

%changelog
* Sat Nov 21 2026 Alice <alice@example.com> 1.2-alt1
- second
* Fri Nov 20 2026 Alice <alice@example.com> 1.1-alt1
- first
";

/// Builds a spec for an architecture; the packages are left flat in the directory.
fn build(dir: &Path, arch: &str, spec: &str) -> anyhow::Result<Vec<PathBuf>> {
    let top = dir.join(arch);
    let out = top.join("out");
    std::fs::create_dir_all(&out)?;
    std::fs::write(top.join("it.spec"), spec)?;
    let top_text = top.display();
    Cmd::new("setarch")
        .args([arch, "rpmbuild", "-ba", "--nodeps", "--target", arch])
        .args(["--define", &format!("_topdir {top_text}")])
        .args(["--define", &format!("_rpmdir {top_text}/out")])
        .args(["--define", &format!("_srcrpmdir {top_text}/out")])
        .args([
            "--define",
            "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
        ])
        .arg("it.spec")
        .dir(&top)
        .env("HOME", &top)
        .run()?
        .ok()?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&out)? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> anyhow::Result<Header> {
    let file = std::fs::File::open(path)?;
    header::read(&mut BufReader::new(file)).with_context(|| path.display().to_string())
}

/// One dependency as primary.xml has it.
fn entry(out: &mut String, requirement: &Requirement, pre: bool) {
    let xml = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let pre = if pre { " pre=\"1\"" } else { "" };
    match requirement {
        Requirement::Rich(rich) => {
            let _ = writeln!(out, "<rpm:entry name=\"{}\"{pre}/>", xml(&rich.to_string()));
        }
        Requirement::Plain(plain) => {
            let _ = write!(out, "<rpm:entry name=\"{}\"", xml(&plain.name));
            if let Some((sign, evr)) = &plain.versions {
                let flags = match sign {
                    Comparison::Less => "LT",
                    Comparison::LessOrEqual => "LE",
                    Comparison::Equal => "EQ",
                    Comparison::GreaterOrEqual => "GE",
                    Comparison::Greater => "GT",
                };
                let _ = write!(
                    out,
                    " flags=\"{flags}\" epoch=\"{}\" ver=\"{}\"",
                    evr.epoch, evr.version
                );
                if let Some(release) = &evr.release {
                    let _ = write!(out, " rel=\"{release}\"");
                }
            }
            let _ = writeln!(out, "{pre}/>");
        }
    }
}

/// What primary.xml would say of a header, in the order in which `createrepo_c` says it.
fn primary(header: &Header) -> String {
    let (package, about) = (&header.package, &header.about);
    let mut out = String::new();
    let _ = writeln!(out, "<name>{}</name>", package.name);
    let _ = writeln!(out, "<arch>{}</arch>", package.arch);
    let evr = &package.evr;
    let release = evr.release.as_deref().unwrap_or_default();
    let _ = writeln!(
        out,
        "<version epoch=\"{}\" ver=\"{}\" rel=\"{release}\"/>",
        evr.epoch, evr.version
    );
    let _ = writeln!(out, "<summary>{}</summary>", about.summary);
    let _ = writeln!(out, "<description>{}</description>", about.description);
    let _ = writeln!(out, "<url>{}</url>", about.url.as_deref().unwrap_or_default());
    let _ = writeln!(out, "build=\"{}\"", about.build_time.as_second());
    let _ = writeln!(
        out,
        "installed=\"{}\" archive=\"{}\"",
        about.installed_size, about.archive_size
    );
    let texts = [
        ("license", &about.license),
        ("vendor", &about.vendor),
        ("group", &about.group),
        ("buildhost", &about.build_host),
        ("sourcerpm", &package.source_rpm),
    ];
    for (name, text) in texts {
        let _ = writeln!(out, "<rpm:{name}>{}</rpm:{name}>", text.as_deref().unwrap_or_default());
    }
    let range = &about.header_range;
    let _ = writeln!(
        out,
        "<rpm:header-range start=\"{}\" end=\"{}\"/>",
        range.start, range.end
    );
    let plain = |list: &[Dependency]| list.iter().cloned().map(Requirement::Plain).collect::<Vec<_>>();
    let lists = [
        plain(&package.provides),
        package.requires.clone(),
        package.conflicts.clone(),
        plain(&package.obsoletes),
        about.suggests.clone(),
        about.enhances.clone(),
        package.recommends.clone(),
        about.supplements.clone(),
    ];
    for (at, list) in lists.iter().enumerate() {
        for (place, requirement) in list.iter().enumerate() {
            entry(&mut out, requirement, at == 1 && about.pre[place]);
        }
    }
    for file in &package.files {
        let kind = match file.kind {
            FileKind::Plain => "",
            FileKind::Directory => " type=\"dir\"",
            FileKind::Ghost => " type=\"ghost\"",
        };
        if is_primary(&file.path) {
            let _ = writeln!(out, "<file{kind}>{}</file>", file.path);
        }
    }
    out
}

/// How the lines begin that say where and what a file is: they are not of its header.
const LEFT_OUT: [&str; 8] = [
    "type=",
    "<checksum",
    "<packager",
    "<location",
    "<format",
    "</",
    "<rpm:provides",
    "<rpm:requires",
];

/// The lines of primary.xml about one package, as `primary` writes them.
fn told(xml: &str, nevra: (&str, &str)) -> anyhow::Result<String> {
    let package = xml
        .split("<package ")
        .find(|part| {
            part.contains(&format!("<name>{}</name>", nevra.0)) && part.contains(&format!("<arch>{}</arch>", nevra.1))
        })
        .context("the package is there")?;
    let mut out = String::new();
    for line in package.lines().map(str::trim) {
        if line.starts_with("<time ") {
            let build = line
                .split(' ')
                .find(|word| word.starts_with("build="))
                .unwrap_or_default();
            let _ = writeln!(out, "{}", build.trim_end_matches("/>"));
        } else if line.starts_with("<size ") {
            let words: Vec<&str> = line.trim_end_matches("/>").split(' ').skip(2).collect();
            let _ = writeln!(out, "{}", words.join(" "));
        } else if !LEFT_OUT.iter().any(|start| line.starts_with(start))
            && (!line.starts_with("<rpm:") || line.contains("</") || line.ends_with("/>"))
            && !line.is_empty()
        {
            let _ = writeln!(out, "{line}");
        }
    }
    Ok(out)
}

#[test]
fn a_header_says_what_createrepo_c_puts_into_metadata() -> anyhow::Result<()> {
    if !has("rpmbuild", &["--version"]) || !has("createrepo_c", &["--version"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let files = build(dir.path(), "x86_64", ODD)?;
    assert_eq!(files.len(), 3, "{files:?}");
    let out = dir.path().join("x86_64/out");
    Cmd::new("createrepo_c")
        .args(["-q", "--no-database", "--simple-md-filenames"])
        .arg(&out)
        .run()?
        .ok()?;
    let xml = Cmd::new("zcat")
        .arg(out.join("repodata/primary.xml.gz"))
        .run()?
        .ok()?
        .stdout;
    let xml = String::from_utf8(xml)?;
    for file in &files {
        let header = read(file)?;
        let package = &header.package;
        assert_eq!(
            primary(&header),
            told(&xml, (&package.name, &package.arch))?,
            "{}",
            file.display()
        );
    }
    Ok(())
}

#[test]
fn a_header_says_what_rpm_says() -> anyhow::Result<()> {
    if !has("rpmbuild", &["--version"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    for file in build(dir.path(), "x86_64", ODD)? {
        let header = read(&file)?;
        let query = |format: &str| -> anyhow::Result<String> {
            let ran = Cmd::new("rpm")
                .args(["-qp", "--nosignature", "--qf", format])
                .arg(&file)
                .run()?
                .ok()?;
            Ok(String::from_utf8(ran.stdout)?)
        };
        assert_eq!(header.about.header_sha256, query("%{SHA256HEADER}")?);
        let listed = query(
            "[%{FILENAMES}|%{FILEMODES:octal}|%{FILEDIGESTS}|%{LONGFILESIZES}|%{FILEFLAGS}|%{FILELINKTOS}|%{FILEUSERNAME}|%{FILEGROUPNAME}\n]",
        )?;
        let ours: String =
            header
                .package
                .files
                .iter()
                .zip(&header.about.files)
                .fold(String::new(), |mut text, (file, detail)| {
                    let _ = writeln!(
                        text,
                        "{}|{:o}|{}|{}|{}|{}|{}|{}",
                        file.path,
                        detail.mode,
                        detail.digest,
                        detail.size,
                        detail.flags,
                        detail.link,
                        detail.user,
                        detail.owner_group
                    );
                    text
                });
        assert_eq!(ours, listed.replace("(none)", ""));
        let changelog: Vec<String> = header
            .about
            .changelog
            .iter()
            .map(|entry| format!("{}|{}|{}", entry.time, entry.author, entry.text))
            .collect();
        assert_eq!(
            changelog.join("\n"),
            query("[%{CHANGELOGTIME}|%{CHANGELOGNAME}|%{CHANGELOGTEXT}\n]")?.trim_end()
        );
    }
    Ok(())
}

/// A program and data for all architectures; `odd` goes into the spec of one architecture.
fn spec(odd: &str) -> String {
    format!(
        r"
Name: both
Version: 1.0
Release: alt1
Summary: Built on two architectures
License: MIT
%ifarch x86_64
BuildRequires: nasm
%endif
%description
It is {odd}.
%package data
Summary: Data
BuildArch: noarch
%description data
Data.
%install
mkdir -p %buildroot/usr/share/both %buildroot/usr/lib/both
echo data > %buildroot/usr/share/both/data
date +%%N > %buildroot/usr/lib/both/binary
{odd}
%files
/usr/lib/both
%files data
/usr/share/both
%post data
true
"
    )
}

/// What check-build says of a spec, built for real on two architectures.
fn verdict(spec: &str) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let dir = tempfile::tempdir()?;
    let mut results = std::collections::BTreeMap::new();
    for arch in ["i586", "x86_64"] {
        let (mut source, mut binaries) = (None, Vec::new());
        for file in build(dir.path(), arch, spec)? {
            let header = Arc::new(read(&file)?);
            if header.package.is_source() {
                source = Some(header);
            } else {
                binaries.push(header);
            }
        }
        let source = source.context("a source package is built")?;
        results.insert(arch.parse::<ArchName>()?, ArchResult::Built { source, binaries });
    }
    let agreement = agree(&[Brought {
        subtask: SubtaskNumber(1),
        action: BroughtBy::Build { tag: None, results },
    }]);
    let texts =
        |problems: &[windlass_core::repository::Problem]| problems.iter().map(|one| one.message.clone()).collect();
    Ok((texts(&agreement.problems), texts(&agreement.notes)))
}

#[test]
fn real_builds_on_two_architectures_agree_or_it_is_said_why_not() -> anyhow::Result<()> {
    if !has("rpmbuild", &["--version"]) {
        return Ok(());
    }
    let (problems, notes) = verdict(&spec("true"))?;
    assert_eq!(
        problems,
        Vec::<String>::new(),
        "all that differs is when, where and for what it was built"
    );
    assert_eq!(
        notes,
        [
            "the source package both-1.0-alt1 is not quite the same: i586 / x86_64; what differs: what its build needs. That of the first \
          architecture lands"
        ]
    );
    let (problems, _) = verdict(&spec("echo %_arch > %buildroot/usr/share/both/data"))?;
    assert_eq!(
        problems,
        [
            "the source package both-1.0-alt1 is not the same: i586 / x86_64; what differs: description",
            "the package for all architectures both-data-1.0-alt1 is not the same: i586 / x86_64; what differs: files (/usr/share/both/data)"
        ]
    );
    Ok(())
}
