//! Builds as they are meant to be.

use windlass_core::repository::ArchResult;

use crate::world::{ONE_FILE, World, binaries, can_build, failure, names, source, spec};

/// A C program that says for what it was compiled.
const PROGRAM: &str = "#include <stdio.h>\nint main(void) { printf(\"%zu bits\\n\", sizeof(void *) * 8); return 0; }\n";

#[test]
fn a_noarch_package_is_built_once() {
    if !can_build() {
        return;
    }
    let world = World::new();
    let text = spec("hello", &format!("BuildArch: noarch\n{ONE_FILE}"));
    let outcome = world.spec("x86_64", &text).unwrap();
    println!("{:?}", outcome.timings);
    assert_eq!(names(&outcome), ["hello-1.0-1.noarch"]);
    assert!(!outcome.reused);
    let again = world.spec("x86_64", &text).unwrap();
    println!("{:?}", again.timings);
    assert!(again.reused && again.key == outcome.key);
    assert_eq!(names(&again), names(&outcome));
    let (one, other) = (world.log(0), world.log(1));
    assert!(one.contains("Wrote: /build/RPMS/hello-1.0-1.noarch.rpm"), "{one}");
    assert!(other.contains("Wrote: /build/RPMS/hello-1.0-1.noarch.rpm"), "{other}");
    assert!(other.contains("windlass: nothing was built"), "{other}");
    // One file, not two.
    let file =
        |outcome: &windlass::stages::build::BuildOutcome| std::fs::read(&outcome.files["hello-1.0-1.noarch"]).unwrap();
    assert_eq!(file(&outcome), file(&again));
}

#[test]
fn a_program_is_built_for_both_architectures() {
    if !can_build() {
        return;
    }
    let world = World::new();
    let more = "Source0: bits.c\nBuildRequires: gcc\n%description\nIt says how wide it is.\n%build\ngcc %optflags -o bits %SOURCE0\n\
                %install\ninstall -D bits %buildroot%_bindir/bits\n%check\n./bits\n%files\n%_bindir/bits\n";
    let files = [("bits.spec", spec("bits", more)), ("bits.c", PROGRAM.to_owned())];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    for (run, arch, bits, library) in [
        (0, "x86_64", "64 bits", "libc.so.6(GLIBC_2.34)(64bit)"),
        (1, "i586", "32 bits", "libc.so.6(GLIBC_2.34)"),
    ] {
        let outcome = world
            .sources(arch, &files)
            .unwrap_or_else(|error| panic!("{error}\n{}", world.log(run)));
        println!("{arch} {:?}", outcome.timings);
        assert_eq!(names(&outcome), [format!("bits-1.0-1.{arch}")]);
        assert!(world.log(run).lines().any(|line| line == bits), "{}", world.log(run));
        let requires: Vec<String> = binaries(&outcome)[0]
            .package
            .requires
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(requires.iter().any(|one| one == library), "{requires:?}");
        // What it needs, the host has.
        let host = world.builder.host(&arch.parse().unwrap()).unwrap();
        for require in &binaries(&outcome)[0].package.requires {
            let met = require
                .leaves()
                .iter()
                .all(|leaf| leaf.name.starts_with("rpmlib(") || !host.index.providers(leaf).is_empty());
            assert!(met, "{require}");
        }
    }
}

#[test]
fn what_a_task_built_before_is_there_with_its_scriptlets() {
    if !can_build() {
        return;
    }
    let mut world = World::new();
    let library = "Source0: greet.c\nBuildRequires: gcc\n%description\nx\n%package devel\nSummary: x\nRequires: %name = %version-%release\n\
                   %description devel\nx\n%build\ngcc -shared -fPIC -Wl,-soname,libgreet.so.1 -o libgreet.so.1 %SOURCE0\n%install\n\
                   install -D libgreet.so.1 %buildroot%_libdir/libgreet.so.1\nln -s libgreet.so.1 %buildroot%_libdir/libgreet.so\n\
                   mkdir -p %buildroot/usr/include/greet %buildroot/opt/greet\necho 'int greet(void);' > %buildroot/usr/include/greet/greet.h\n\
                   %post\nmkdir -p /etc/greet\nid -u > /etc/greet/installed-by\nuseradd -r greeter\n\
                   %files\n%_libdir/libgreet.so.1\n/opt/greet\n%files devel\n%_libdir/libgreet.so\n/usr/include/greet\n";
    let user = "Source0: use.c\nBuildRequires: greet-devel gcc\n%description\nx\n%build\ngcc -o use %SOURCE0 -lgreet\n%install\n\
                install -D use %buildroot%_bindir/use\n%check\ncat /etc/greet/installed-by\nid -u greeter\n./use\n! touch /usr/bin/mine\n! touch /etc/mine\n\
                %files\n%_bindir/use\n";
    for arch in ["x86_64", "i586"] {
        let run = world.runs();
        let built = world
            .sources(
                arch,
                &[
                    ("greet.spec", &spec("greet", library)),
                    ("greet.c", "int greet(void) { return 7; }\n"),
                ],
            )
            .unwrap_or_else(|error| panic!("{error}\n{}", world.log(run)));
        assert_eq!(
            names(&built),
            [format!("greet-1.0-1.{arch}"), format!("greet-devel-1.0-1.{arch}")]
        );
        let run = world.runs();
        let program = "#include <greet/greet.h>\nint main(void) { return greet() == 7 ? 0 : 1; }\n";
        let files = [("use.spec", spec("use", user)), ("use.c", program.to_owned())];
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let alone = failure(world.sources(arch, &files));
        println!("{alone}");
        assert!(alone.contains("greet-devel"), "{alone}");
        let before = world.offer(&built);
        let outcome = world
            .sources(arch, &files)
            .unwrap_or_else(|error| panic!("{error}\n{}", world.log(run + 1)));
        println!("{arch} {:?}", outcome.timings);
        assert_eq!(names(&outcome), [format!("use-1.0-1.{arch}")]);
        world.forget(before);
    }
}

#[test]
fn a_package_that_is_not_for_an_architecture_is_excluded() {
    if !can_build() {
        return;
    }
    let world = World::new();
    for (line, why) in [
        ("ExclusiveArch: x86_64 aarch64\n", "ExclusiveArch: x86_64 aarch64"),
        ("ExcludeArch: %ix86\n", "ExcludeArch: i386 i486 i586 i686"),
        (
            "BuildArch: noarch\nExclusiveArch: x86_64 noarch\n",
            "ExclusiveArch: x86_64 noarch",
        ),
    ] {
        let text = spec("only", &format!("{line}{ONE_FILE}"));
        assert!(matches!(
            world.spec("x86_64", &text).unwrap().result,
            ArchResult::Built { .. }
        ));
        for again in [false, true] {
            let run = world.runs();
            let outcome = world.spec("i586", &text).unwrap();
            let ArchResult::Excluded { why: said } = &outcome.result else {
                panic!("{line} is built")
            };
            assert!(said.starts_with(why), "{said}");
            assert_eq!(outcome.reused, again);
            assert!(outcome.files.is_empty());
            println!("{}", world.log(run));
        }
    }
    let text = spec("all", &format!("ExclusiveArch: %ix86 x86_64\n{ONE_FILE}"));
    assert!(matches!(
        world.spec("i586", &text).unwrap().result,
        ArchResult::Built { .. }
    ));
}

#[test]
fn what_a_package_needs_can_depend_on_what_is_there() {
    if !can_build() {
        return;
    }
    let mut world = World::new();
    for (name, needs) in [("first", ""), ("second", "")] {
        let text = spec(name, &format!("BuildArch: noarch\n{needs}{ONE_FILE}"));
        let built = world.spec("x86_64", &text).unwrap();
        world.offer(&built);
    }
    let more = "BuildArch: noarch\n%description\nx\n%generate_buildrequires\necho first\n\
                if test -e /usr/share/first/hello; then echo second; fi\n\
                %build\ncat /usr/share/second/hello\n%install\nmkdir -p %buildroot/opt/x\n%files\n/opt/x\n";
    let run = world.runs();
    let outcome = world
        .spec("x86_64", &spec("asks", more))
        .unwrap_or_else(|error| panic!("{error}\n{}", world.log(run)));
    println!("{:?}", outcome.timings);
    let needs: Vec<String> = source(&outcome)
        .package
        .requires
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(needs.iter().any(|one| one == "second"), "{needs:?}");
    assert!(world.spec("x86_64", &spec("asks", more)).unwrap().reused);
}

#[test]
fn a_rebuild_counts_its_release_up() {
    if !can_build() {
        return;
    }
    let mut world = World::new();
    let text = spec("hello", &format!("BuildArch: noarch\n{ONE_FILE}"));
    let one = world.spec("x86_64", &text).unwrap();
    world.dist = Some(".1".to_owned());
    let other = world.spec("x86_64", &text).unwrap();
    assert_eq!(names(&other), ["hello-1.0-1.1.noarch"]);
    assert_ne!(one.key, other.key);
}

#[test]
fn a_changed_root_is_built_in_again_and_an_unrelated_change_is_not() {
    if !can_build() {
        return;
    }
    let mut world = World::new();
    let tool = |version: &str| {
        format!(
            "{}\nProvides: tool-api = {version}\n{ONE_FILE}",
            spec("tool", "BuildArch: noarch").replace("1.0", version)
        )
    };
    let built = world.spec("x86_64", &tool("1.0")).unwrap();
    world.offer(&built);
    let text = spec("user", &format!("BuildArch: noarch\nBuildRequires: tool\n{ONE_FILE}"));
    let one = world.spec("x86_64", &text).unwrap();
    let other = world
        .spec("x86_64", &spec("unrelated", &format!("BuildArch: noarch\n{ONE_FILE}")))
        .unwrap();
    world.offer(&other);
    assert!(world.spec("x86_64", &text).unwrap().reused);
    let newer = world.spec("x86_64", &tool("2.0")).unwrap();
    world.offer(&newer);
    let again = world.spec("x86_64", &text).unwrap();
    assert!(!again.reused && again.key != one.key);
}

#[test]
fn a_damaged_result_is_built_again() {
    if !can_build() {
        return;
    }
    let world = World::new();
    let text = spec("hello", &format!("BuildArch: noarch\n{ONE_FILE}"));
    let outcome = world.spec("x86_64", &text).unwrap();
    let kept = world.path("state/builds/results").join(&outcome.key);
    let file = kept.join("hello-1.0-1.noarch.rpm");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, bytes).unwrap();
    let again = world.spec("x86_64", &text).unwrap();
    assert!(!again.reused && again.key == outcome.key);
    std::fs::remove_file(kept.join("result.json")).unwrap();
    assert!(!world.spec("x86_64", &text).unwrap().reused);
    assert!(world.spec("x86_64", &text).unwrap().reused);
}

#[test]
fn what_scripts_need_the_host_has() {
    if !can_build() {
        return;
    }
    let world = World::new();
    let more = "BuildArch: noarch\n%description\nx\n%install\nmkdir -p %buildroot%_bindir\n\
                printf '#!/usr/bin/perl\\nuse strict;\\nuse POSIX;\\nuse File::Temp;\\n' > %buildroot%_bindir/one\n\
                printf '#!/usr/bin/python3\\nimport json\\n' > %buildroot%_bindir/two\n\
                printf '#!/bin/bash\\n' > %buildroot%_bindir/three\nchmod 755 %buildroot%_bindir/*\n%files\n%_bindir/*\n";
    let outcome = world.spec("x86_64", &spec("scripts", more)).unwrap();
    let requires = &binaries(&outcome)[0].package.requires;
    assert!(
        requires.iter().any(|one| one.to_string() == "perl(POSIX)"),
        "{requires:?}"
    );
    let host = world.builder.host(&"x86_64".parse().unwrap()).unwrap();
    for require in requires {
        let leaves = require.leaves();
        let met = leaves
            .iter()
            .all(|leaf| leaf.name.starts_with("rpmlib(") || !host.index.providers(leaf).is_empty());
        assert!(met, "{require}");
    }
}

#[test]
fn what_nobody_takes_any_more_goes() {
    if !can_build() {
        return;
    }
    let world = World::new();
    let text = spec("hello", &format!("BuildArch: noarch\n{ONE_FILE}"));
    world.spec("x86_64", &text).unwrap();
    world.builder.sweep();
    assert!(world.spec("x86_64", &text).unwrap().reused);
    let world = world.and(|settings| settings.keep = windlass_hooks::settings::Duration::from_secs(0));
    world.builder.sweep();
    assert_eq!(
        std::fs::read_dir(world.path("state/builds/results")).unwrap().count(),
        0
    );
    assert!(!world.spec("x86_64", &text).unwrap().reused);
}

#[test]
fn a_damaged_package_of_the_root_is_nobodys_fault() {
    if !can_build() {
        return;
    }
    let mut world = World::new();
    let built = world
        .spec("x86_64", &spec("tool", &format!("BuildArch: noarch\n{ONE_FILE}")))
        .unwrap();
    world.offer(&built);
    let file = &built.files["tool-1.0-1.noarch"];
    let mut bytes = std::fs::read(file).unwrap();
    let last = bytes.len() - 9;
    bytes[last] ^= 0x55;
    std::fs::remove_file(file).unwrap();
    std::fs::write(file, bytes).unwrap();
    let text = spec("user", &format!("BuildArch: noarch\nBuildRequires: tool\n{ONE_FILE}"));
    let error = world.spec("x86_64", &text).unwrap_err();
    println!("{error}");
    assert!(
        matches!(&error, windlass::stages::StageError::Infrastructure { message, .. } if message.contains("repo verify")),
        "{error:?}"
    );
}
