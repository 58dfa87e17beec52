//! What the log of a build says went wrong: the lines that tell, without those that every build has.

use crate::sandbox::Ended;

/// How many lines are shown.
const SHOWN: usize = 12;

/// Lines that every build has.
const USUAL: [&str; 9] = [
    "+ umask ",
    "+ cd /build/BUILD",
    "+ RPM_EC=",
    "+ jobs -p",
    "+ /usr/lib/rpm/brp-",
    "Building target platforms: ",
    "Building for target ",
    "Executing(",
    "windlass: ",
];

/// What programs say that are let have no more processes, where the kernel does not tell us.
const PROCESSES: [&str; 3] = ["Cannot fork", "fork: retry: ", "Resource temporarily unavailable"];

/// The same of memory.
const MEMORY: [&str; 5] = [
    "Out of memory",
    "out of memory",
    "Cannot allocate memory",
    "MemoryError",
    "std::bad_alloc",
];

/// What is said where a process was killed and nobody tells why: mostly it is its memory.
const KILLED: &str = "one of its processes was killed, mostly for its memory: the limit is `memory` in [build]; an administrator can raise it";

/// What a compiler or a linker says of the first thing that is wrong.
const FIRST: [&str; 3] = [": error: ", ": fatal error: ", ": undefined reference to "];

/// What is known of some failures by what they say, and the way out.
const HINTS: &[(&[&str], &str)] = &[
    (
        &[
            "Could not resolve host",
            "Network is unreachable",
            "unable to resolve host",
            "Temporary failure in name resolution",
            "Name or service not known",
            "network is unreachable",
            "dial tcp",
        ],
        "a build has no network: what it needs belongs into the source archive, or into its BuildRequires",
    ),
    (
        &["error: Bad file: /build/SOURCES/", "error: Bad source: /build/SOURCES/"],
        "the source archive has no such file: compare Source and Patch in the spec with .gear/rules; `windlass gear export` shows what it holds",
    ),
    (
        &PROCESSES,
        "it may have no more processes: the limit is `processes` in [build]; an administrator can raise it",
    ),
    (
        &MEMORY,
        "one of its processes may have no more memory: the limit is `memory` in [build]; an administrator can raise it",
    ),
    (
        &["Installed (but unpackaged) file(s) found"],
        "name these files in %files, or remove them in %install",
    ),
    (
        &["error: File not found: ", "error: Directory not found: "],
        "%files names what %install did not make",
    ),
    (
        &["Arch dependent binaries in noarch package"],
        "it holds compiled programs: take the line `BuildArch: noarch` out",
    ),
    (
        &[
            ": command not found",
            ": not found",
            "fatal error: ",
            "cannot find -l",
            "No module named ",
            "No package '",
            "Package requirements (",
            "Could NOT find ",
        ],
        "if it is another package's, name that one in BuildRequires",
    ),
];

/// What is said of a failed build.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Where it failed, in one line.
    pub(super) how: String,
    /// The lines of the log that tell.
    pub(super) lines: Vec<String>,
    /// The way out, where one is known.
    pub(super) hint: Option<&'static str>,
}

/// Reads the end of a log. `ended` is how rpmbuild did.
pub(super) fn read(log: &str, ended: &Ended) -> Said {
    let mut lines: Vec<&str> = log
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.trim().is_empty())
        .collect();
    // Of what was run before, nothing is told; and rpm says everything twice.
    if let Some(at) = lines.iter().rposition(|line| line.starts_with("+ rpmbuild ")) {
        lines.drain(..=at);
    }
    if let Some(at) = lines.iter().rposition(|line| *line == "RPM build errors:") {
        lines.truncate(at);
    }
    let section = lines.iter().rev().find_map(|line| {
        let (_, section) = line.strip_prefix("error: Bad exit status from ")?.rsplit_once(" (")?;
        Some(section.trim_end_matches(')').to_owned())
    });
    let how = match (&section, ended.signal, ended.code) {
        (Some(section), ..) => format!("{section} failed"),
        (None, Some(signal), _) => format!("rpmbuild was killed by signal {signal}"),
        (None, None, Some(code)) if code > 128 => format!("rpmbuild was killed by signal {}", code - 128),
        (None, None, _) => "rpmbuild failed".to_owned(),
    };
    let told = match &section {
        Some(section) => of_section(&lines, section),
        None => of_rpmbuild(&lines),
    };
    let hint = if told.iter().any(|line| is_kill(line)) {
        Some(KILLED)
    } else {
        HINTS
            .iter()
            .find(|(needles, _)| {
                told.iter()
                    .any(|line| needles.iter().any(|needle| line.contains(needle)))
            })
            .map(|(_, hint)| *hint)
    };
    Said { how, lines: told, hint }
}

/// The end of what a section said; where its first error is not in there, that before it.
fn of_section(lines: &[&str], section: &str) -> Vec<String> {
    let begin = format!("Executing({section}):");
    let from = lines
        .iter()
        .rposition(|line| line.starts_with(&begin))
        .map_or(0, |at| at + 1);
    let said: Vec<&str> = lines[from..]
        .iter()
        .copied()
        .filter(|line| !is_usual(line) && !line.starts_with("error: Bad exit status from "))
        .collect();
    let end = said.len().saturating_sub(SHOWN);
    let first = said[..end].iter().find(|line| {
        FIRST
            .iter()
            .chain(&PROCESSES)
            .chain(&MEMORY)
            .any(|needle| line.contains(needle))
    });
    let before = first.into_iter().flat_map(|line| [*line, "…"]);
    before.chain(said[end..].iter().copied()).map(str::to_owned).collect()
}

/// What rpmbuild itself finds wrong, with the lines that belong to it; the end of what it said where it names nothing.
fn of_rpmbuild(lines: &[&str]) -> Vec<String> {
    let mut told = Vec::new();
    let mut belongs = false;
    for line in lines {
        belongs = line.starts_with("error: ") || belongs && line.starts_with(' ');
        if belongs && !told.contains(line) {
            told.push(line);
        }
    }
    if told.is_empty() {
        let said: Vec<&str> = lines.iter().copied().filter(|line| !is_usual(line)).collect();
        told = said[said.len().saturating_sub(SHOWN)..].to_vec();
    }
    let more = told.len().saturating_sub(SHOWN);
    let mut told: Vec<String> = told.into_iter().take(SHOWN).map(|line| (*line).to_owned()).collect();
    if more > 0 {
        told.push(format!("… and {more} lines more"));
    }
    told
}

/// Whether a shell or a compiler says that a process of its was killed: dash alone on a line, bash with the script's place.
fn is_kill(line: &str) -> bool {
    let bash = || {
        let (place, _) = line.split_once(" Killed ")?;
        Some(place.contains(": line ") && place.trim_end().ends_with(|last: char| last.is_ascii_digit()))
    };
    line.trim() == "Killed" || line.contains("Killed signal terminated program") || bash().unwrap_or(false)
}

fn is_usual(line: &str) -> bool {
    USUAL.iter().any(|usual| line.starts_with(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(log: &str) -> Said {
        read(
            log,
            &Ended {
                code: Some(1),
                ..Ended::default()
            },
        )
    }

    #[test]
    fn the_section_that_failed_is_shown_and_no_other() {
        let said = told(
            "+ rpmbuild -ba x.spec\nExecuting(%prep): /bin/sh -e /var/tmp/rpm-tmp.1\n+ tar x\nExecuting(%build): /bin/sh -e /var/tmp/rpm-tmp.2\n\
             + umask 022\n+ cd /build/BUILD\n+ make\nmake: *** No rule to make target 'all'.  Stop.\nerror: Bad exit status from /var/tmp/rpm-tmp.2 (%build)\n\n\n\
             RPM build errors:\n    Bad exit status from /var/tmp/rpm-tmp.2 (%build)\n",
        );
        assert_eq!(said.how, "%build failed");
        assert_eq!(said.lines, ["+ make", "make: *** No rule to make target 'all'.  Stop."]);
        assert_eq!(said.hint, None);
    }

    #[test]
    fn the_first_error_is_shown_however_much_follows() {
        let rest: String = (0..40).map(|n| format!("cc -c {n}.c\n")).collect::<Vec<_>>().concat();
        let said = told(&format!(
            "Executing(%build): x\n+ make -j2\na.c:1:10: fatal error: zlib.h: No such file or directory\n{rest}make: *** [a.o] Error 1\n\
             error: Bad exit status from /var/tmp/rpm-tmp.2 (%build)\n"
        ));
        assert_eq!(said.lines.len(), 14);
        assert_eq!(
            said.lines[0],
            "a.c:1:10: fatal error: zlib.h: No such file or directory"
        );
        assert_eq!(said.lines[13], "make: *** [a.o] Error 1");
        assert!(said.hint.unwrap().contains("BuildRequires"));
    }

    #[test]
    fn what_rpm_finds_wrong_is_shown_with_what_belongs_to_it() {
        let said = told(
            "Processing files: x-1-1.noarch\nChecking for unpackaged file(s): /usr/lib/rpm/check-files /build/BUILDROOT/x\n\
             error: Installed (but unpackaged) file(s) found:\n   /opt/one\n   /opt/two\n\n\nRPM build errors:\n    Installed (but unpackaged) file(s) found:\n   /opt/one\n",
        );
        assert_eq!(said.how, "rpmbuild failed");
        assert_eq!(
            said.lines,
            [
                "error: Installed (but unpackaged) file(s) found:",
                "   /opt/one",
                "   /opt/two"
            ]
        );
        assert!(said.hint.unwrap().contains("%files"));
    }

    #[test]
    fn a_kill_that_nobody_explains_is_mostly_memory() {
        let end = "error: Bad exit status from /var/tmp/rpm-tmp.2 (%build)\n";
        for line in [
            "Killed",
            "/var/tmp/rpm-tmp.2: line 31:    17 Killed                  perl -e 1",
            "gcc: fatal error: Killed signal terminated program cc1",
        ] {
            let said = told(&format!("Executing(%build): x\n+ make\n{line}\n{end}"));
            assert!(said.hint.is_some_and(|hint| hint.contains("`memory`")), "{line}");
        }
        let said = told(&format!("Executing(%build): x\nKilled by the test suite\n{end}"));
        assert_eq!(said.hint, None);
    }

    #[test]
    fn nothing_said_is_nothing_shown() {
        let said = told("+ rpmbuild -ba x.spec\nBuilding for target i586\n");
        assert_eq!((said.how.as_str(), said.lines.len()), ("rpmbuild failed", 0));
    }
}
