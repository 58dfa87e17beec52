//! Builds whose results, logs and archives are not what they pass for.

use crate::hostile::{script, small, tail};
use crate::world::{DATE, ONE_FILE, Tar, can_build, failure, names, spec};

#[test]
fn results_that_lie_are_not_taken() {
    if !can_build() {
        return;
    }
    let world = small();
    // What a build can do to its results while rpm is still at work, and after it in what it leaves running.
    let clean = |lines: &str| {
        spec(
            "evil",
            &format!(
                "BuildArch: noarch\n{ONE_FILE}%clean\ncd /build\nrpm=RPMS/evil-1.0-1.noarch.rpm\nsrc=SRPMS/evil-1.0-1.src.rpm\n{lines}\n"
            ),
        )
    };
    for (lines, said) in [
        ("ln -s /etc/passwd RPMS/x.rpm", "/build/RPMS/x.rpm is no plain file"),
        ("mkfifo RPMS/x.rpm", "/build/RPMS/x.rpm is no plain file"),
        ("mkdir RPMS/x.rpm", "/build/RPMS/x.rpm is no plain file"),
        (
            "mv $rpm RPMS/y; ln -s y $rpm",
            "/build/RPMS/evil-1.0-1.noarch.rpm is no plain file",
        ),
        ("mv RPMS OLD; ln -s /etc RPMS", "/build/RPMS is no directory any more"),
        ("mv RPMS OLD; ln -s OLD RPMS", "/build/RPMS is no directory any more"),
        ("rm -r RPMS; echo > RPMS", "/build/RPMS is no directory any more"),
        ("echo hello > RPMS/x.rpm", "/build/RPMS/x.rpm is no package: "),
        (
            "truncate -s 20G RPMS/x.rpm || truncate -s 60M RPMS/x.rpm",
            "8MiB are taken: [build] max_package",
        ),
        ("head -c 2000 $rpm > RPMS/x.rpm", "/build/RPMS/x.rpm is no package: "),
        ("cp $rpm RPMS/again.rpm", "it made 'evil-1.0-1.noarch.rpm' twice"),
        ("cp $src SRPMS/again.rpm", "it made 'evil-1.0-1.src.rpm' twice"),
        ("cp $src RPMS/", "it made 'evil-1.0-1.src.rpm' twice"),
        ("rm $src", "it made no source package"),
        ("rm $rpm", "it made no binary package"),
        (
            "for n in $(seq 30); do cp $rpm RPMS/$n; done",
            "/build/RPMS holds more than 20 files",
        ),
        (
            "cp $rpm \"RPMS/$(printf 'a\\nb\\033[31m')\"; cp $rpm \"RPMS/$(printf '\\377')\"",
            "/build/RPMS holds a file of the name '\\xff'",
        ),
        ("chmod 0 $rpm", ""),
        ("mv $rpm \"RPMS/$(printf 'a\\nb\\033[31m')\"", ""),
        ("printf x >> $rpm", ""),
    ] {
        let run = world.runs();
        let result = world.spec("x86_64", &clean(lines));
        if said.is_empty() {
            // An odd name is no lie: files are named by what is in them.
            assert_eq!(names(&result.unwrap()), ["evil-1.0-1.noarch"], "{lines}");
        } else {
            let text = failure(result);
            println!("{text}");
            assert!(text.contains(said), "{lines}\n{text}\n{}", tail(&world.log(run)));
        }
    }
}

#[test]
fn packages_that_pass_for_others_are_not_taken() {
    if !can_build() {
        return;
    }
    let world = small();
    // A second rpmbuild within the first, with whatever it likes in its spec.
    let forged = |tags: &str, target: &str, what: &str| {
        let inner = format!("{tags}\nSummary: x\nLicense: x\n@description\nx\n@files\n").replace('\n', "\\n");
        spec(
            "evil",
            &format!(
                "BuildArch: noarch\n{ONE_FILE}%clean\nprintf '{inner}' | tr @ '\\045' > /tmp/inner.spec\n\
                 rpmbuild {what} --nodeps --target {target} /tmp/inner.spec\n"
            ),
        )
    };
    for (tags, target, what, said) in [
        (
            "Name: bash\nVersion: 99\nRelease: 1",
            "noarch",
            "-bb",
            "'bash-99-1.noarch' names bash-99-1.src.rpm as its source package, and it was built from evil-1.0-1.src.rpm",
        ),
        (
            "Name: bash\nVersion: 99\nRelease: 1",
            "noarch",
            "-bs",
            "it made 2 source packages; a build makes one",
        ),
        (
            "Name: evil\nVersion: 1.0\nRelease: 1",
            "aarch64",
            "-bb",
            "'evil-1.0-1.aarch64' is for another architecture than x86_64",
        ),
        (
            "Name: evil\nVersion: 1.0\nRelease: 1",
            "i686",
            "-bb",
            "'evil-1.0-1.i686' is for another architecture than x86_64",
        ),
    ] {
        let run = world.runs();
        let result = world.spec("x86_64", &forged(tags, target, what));
        let text = failure(result);
        println!("{text}");
        assert!(text.contains(said), "{tags}\n{text}\n{}", tail(&world.log(run)));
    }
}

#[test]
fn a_log_cannot_play_with_a_terminal() {
    if !can_build() {
        return;
    }
    let world = small();
    let text = failure(world.spec(
        "x86_64",
        &script("set +x\nprintf '\\033]0;gotcha\\007\\033[2Jgone\\r\\n\\377\\n'\nexit 1"),
    ));
    println!("{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(
        text.contains("\\x1b[2Jgone") || text.contains("\\u{1b}[2Jgone") || text.contains("\\e[2Jgone"),
        "{text}"
    );
}

#[test]
fn an_archive_that_is_none_is_refused() {
    if !can_build() {
        return;
    }
    let world = small();
    let good = script("");
    let entry = |kind: tar::EntryType, name: &[u8], link: &str, size: u64| {
        let mut tar = Tar::new("package.spec");
        tar.file("package.spec", good.as_bytes());
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(DATE);
        if !link.is_empty() {
            header.set_link_name(link).unwrap();
        }
        header.set_cksum();
        tar.0.append(&header, std::io::empty()).unwrap();
        tar.done()
    };
    let file = tar::EntryType::Regular;
    for (archive, said) in [
        (
            entry(tar::EntryType::Symlink, b"link", "/etc/passwd", 0),
            "holds 'link', which is no plain file",
        ),
        (
            entry(tar::EntryType::Link, b"link", "package.spec", 0),
            "holds 'link', which is no plain file",
        ),
        (
            entry(tar::EntryType::Char, b"dev", "", 0),
            "holds 'dev', which is no plain file",
        ),
        (
            entry(tar::EntryType::Directory, b"dir", "", 0),
            "holds 'dir', which is no plain file",
        ),
        (entry(file, b"../../etc/cron.d/x", "", 0), "'../../etc/cron.d/x'"),
        (entry(file, b"/etc/cron.d/x", "", 0), "'/etc/cron.d/x'"),
        (entry(file, b"..", "", 0), "'..'"),
        (entry(file, b"a\nb", "", 0), "'a\\u{a}b'"),
        (entry(file, b"package.spec", "", 0), "holds 'package.spec' twice"),
        (entry(file, b"huge", "", 1 << 33), "pkg.tar"),
        (b"no archive at all".to_vec(), "pkg.tar"),
        (vec![0xff; 4096], "pkg.tar cannot be read"),
    ] {
        let text = failure(world.tar("x86_64", "package.spec", &archive));
        println!("{text}");
        assert!(text.contains(said), "{said}\n{text}");
    }
    let mut tar = Tar::new("other.spec");
    tar.file("package.spec", good.as_bytes());
    let text = failure(world.tar("x86_64", "other.spec", &tar.done()));
    println!("{text}");
    assert!(text.contains("other.spec"), "{text}");
}
