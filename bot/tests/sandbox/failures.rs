//! Builds that fail as packagers' builds do, and what is said of it.

use crate::world::{ONE_FILE, World, can_build, failure, spec};

/// A spec's end that builds one file with a command in a section.
fn with(section: &str, command: &str) -> String {
    spec(
        "broken",
        &format!(
            "BuildArch: noarch\n%description\nx\n{section}\n{command}\n{}",
            ONE_FILE.trim_start_matches("%description\nA package.\n")
        ),
    )
}

#[test]
fn a_failure_says_where_and_shows_the_end_of_the_log() {
    if !can_build() {
        return;
    }
    let world = World::new();
    let cases = [
        (
            with(
                "%build",
                "printf 'int main(void) {\\n  return undeclared;\\n}\\n' > x.c\ngcc -c x.c",
            ),
            "%build failed:\n  + printf int main(void) {\\n  return undeclared;\\n}\\n\n  + gcc -c x.c\n  x.c: In function ‘main’:\n",
            None,
        ),
        (
            with("%build", "gcc -c x.c\necho '#include <zlib.h>' > y.c\ngcc -c y.c"),
            "%build failed:\n  + gcc -c x.c\n  cc1: fatal error: x.c: No such file or directory\n  compilation terminated.",
            Some("name that one in BuildRequires"),
        ),
        (
            spec("broken", "%if 1\n%description\nx\n%files\n"),
            "rpmbuild failed: line 6: Unclosed %if",
            None,
        ),
        (
            spec("broken", "Sumary: typo\n%description\nx\n%files\n"),
            "rpmbuild failed: line 6: Unknown tag: Sumary: typo",
            None,
        ),
        (
            spec(
                "broken",
                "Source0: missing-1.0.tar.gz\n%description\nx\n%prep\n%setup -q\n%files\n",
            ),
            "rpmbuild failed: Bad file: /build/SOURCES/missing-1.0.tar.gz: No such file or directory",
            Some("the source archive has no such file: compare Source and Patch in the spec with .gear/rules"),
        ),
        (
            spec(
                "broken",
                "BuildArch: noarch\n%description\nx\n%install\nmkdir -p %buildroot/opt\ntouch %buildroot/opt/forgotten\n%files\n",
            ),
            "rpmbuild failed:\n  error: Installed (but unpackaged) file(s) found:\n     /opt/forgotten",
            Some("name these files in %files, or remove them in %install"),
        ),
        (
            spec("broken", "BuildArch: noarch\n%description\nx\n%files\n/opt/not-there\n"),
            "rpmbuild failed: File not found: /build/BUILDROOT/broken-1.0-1.x86_64/opt/not-there",
            Some("%files names what %install did not make"),
        ),
        (
            with("%check", "echo testing\nfalse"),
            "%check failed:\n  + echo testing\n  testing\n  + false",
            None,
        ),
        (
            spec("broken", "%description\nx\n"),
            "it made no binary package",
            Some("a spec needs a %files section"),
        ),
        (
            spec(
                "broken",
                "BuildArch: noarch\n%description\nx\n%install\nmkdir -p %buildroot/opt\n\
                 echo 'int main(void){return 0;}' | gcc -x c -o %buildroot/opt/x -\n%files\n/opt/x\n",
            ),
            "rpmbuild failed: Arch dependent binaries in noarch package",
            Some("take the line `BuildArch: noarch` out"),
        ),
        (
            with("%build", "bash -c 'echo > /dev/tcp/192.0.2.1/80'"),
            "%build failed:\n  + bash -c echo > /dev/tcp/192.0.2.1/80\n  bash: connect: Network is unreachable",
            Some("a build has no network"),
        ),
        (
            spec(
                "broken",
                &format!("BuildRequires: cmake(NoSuch) >= 5\nBuildRequires: libnothing-devel\n{ONE_FILE}"),
            ),
            "its build requirements cannot be installed:\n  nothing provides cmake(NoSuch) >= 5\n  nothing provides libnothing-devel",
            Some("land what is missing first"),
        ),
    ];
    for (text, said, hint) in cases {
        let told = failure(world.spec("x86_64", &text));
        assert!(
            told.starts_with(&format!("subtask 1, x86_64: {said}")),
            "{told}\n---\n{said}"
        );
        match hint {
            Some(hint) => assert!(told.contains(hint), "{told}\n---\n{hint}"),
            None => assert!(
                told.contains("\n\nhint: `windlass task log --stage build --arch x86_64` shows the whole log"),
                "{told}"
            ),
        }
    }
}
