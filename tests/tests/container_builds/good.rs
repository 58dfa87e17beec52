//! Builds as they are meant to be, told on each engine.

use windlass_core::repository::ArchResult;
use windlass_tests::engines::Kind;

use crate::bench::{Bench, ONE_FILE, engines_with_image, failure, left, names, spec};

#[test]
fn packages_are_built_in_containers_on_docker() -> anyhow::Result<()> {
    story(Kind::Docker)
}

#[test]
fn packages_are_built_in_containers_on_podman() -> anyhow::Result<()> {
    story(Kind::Podman)
}

const LIBRARY: &str = "Source0: greet.c\nBuildRequires: gcc\n%description\nx\n%package devel\nSummary: x\nRequires: %name = %version-%release\n\
    %description devel\nx\n%build\ngcc -shared -fPIC -Wl,-soname,libgreet.so.1 -o libgreet.so.1 %SOURCE0\n%install\n\
    install -D libgreet.so.1 %buildroot%_libdir/libgreet.so.1\nln -s libgreet.so.1 %buildroot%_libdir/libgreet.so\n\
    mkdir -p %buildroot/usr/include/greet %buildroot/opt/greet\necho 'int greet(void);' > %buildroot/usr/include/greet/greet.h\n\
    %post\nmkdir -p /etc/greet\nid -u > /etc/greet/installed-by\nuseradd -r greeter\ntouch /etc/greet/hers\nchown greeter /etc/greet/hers\n\
    %files\n%_libdir/libgreet.so.1\n/opt/greet\n%files devel\n%_libdir/libgreet.so\n/usr/include/greet\n";

const USER: &str = "Source0: use.c\nBuildRequires: greet-devel gcc\n%description\nx\n%build\ngcc -o use %SOURCE0 -lgreet\n%install\n\
    install -D use %buildroot%_bindir/use\n%check\ncat /etc/greet/installed-by\nid -u greeter\n./use\nrpm -q greet windlass-host\n\
    ! touch /usr/bin/mine\n! touch /etc/mine\n! touch /etc/greet/hers\n%files\n%_bindir/use\n";

fn story(kind: Kind) -> anyhow::Result<()> {
    let Some(engines) = engines_with_image(&[kind])? else {
        return Ok(());
    };
    let engine = &engines[0];
    let mut bench = Bench::new(&[engine]);

    // A package of a C program, from a source, with what it needs in the image.
    let files = [
        ("greet.spec", spec("greet", LIBRARY)),
        ("greet.c", "int greet(void) { return 7; }\n".to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let library = bench
        .run(&bench.order(&files))
        .unwrap_or_else(|error| panic!("{error}\n{}", bench.log(0)));
    println!("{} {:?}", kind.name(), library.timings);
    assert_eq!(names(&library), ["greet-1.0-1.x86_64", "greet-devel-1.0-1.x86_64"]);
    assert!(!library.reused);
    assert!(
        bench
            .log(0)
            .contains(&format!("in containers on builder {}", kind.name())),
        "{}",
        bench.log(0)
    );
    let again = bench.run(&bench.order(&files)).unwrap();
    assert!(again.reused && again.key == library.key);
    assert_eq!(left(engine)?, Vec::<String>::new());

    // What it made is a build requirement of another, and is installed by rpm, scriptlets included.
    let files = [
        ("use.spec", spec("use", USER)),
        (
            "use.c",
            "#include <greet/greet.h>\nint main(void) { return greet() == 7 ? 0 : 1; }\n".to_owned(),
        ),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let alone = failure(bench.run(&bench.order(&files)));
    assert!(alone.contains("nothing provides greet-devel"), "{alone}");
    bench.offer(&library);
    let run = bench.runs();
    let user = bench
        .run(&bench.order(&files))
        .unwrap_or_else(|error| panic!("{error}\n{}", bench.log(run)));
    println!("{} {:?}", kind.name(), user.timings);
    assert_eq!(names(&user), ["use-1.0-1.x86_64"]);
    let log = bench.log(run);
    assert!(log.lines().any(|line| line == "0"), "rpm installs as root: {log}");
    assert!(log.contains("greet-1.0-1.x86_64\nwindlass-host-1-"), "{log}");
    assert_eq!(left(engine)?, Vec::<String>::new());
    bench.forget();

    // What a spec asks for while it is built; one that is for another architecture; one that fails.
    let first = bench
        .spec(&spec("first", &format!("BuildArch: noarch\n{ONE_FILE}")))
        .unwrap();
    bench.offer(&first);
    let asks = "BuildArch: noarch\n%description\nx\n%generate_buildrequires\necho first\n%build\ncat /usr/share/first/hello\n%install\n\
                mkdir -p %buildroot/opt/x\n%files\n/opt/x\n";
    let run = bench.runs();
    let asked = bench.spec(&spec("asks", asks));
    assert_eq!(
        names(&asked.unwrap_or_else(|error| panic!("{error}\n{}", bench.log(run)))),
        ["asks-1.0-1.noarch"]
    );
    let only = bench
        .spec(&spec("only", &format!("ExclusiveArch: aarch64\n{ONE_FILE}")))
        .unwrap();
    assert!(matches!(only.result, ArchResult::Excluded { .. }));
    let broken = failure(bench.spec(&spec("broken", "%description\nx\n%build\ngcc -c missing.c\n%files\n")));
    assert!(
        broken.contains("%build failed:") && broken.contains("missing.c: No such file"),
        "{broken}"
    );

    // Neither the engine's variables are there, nor those of the image.
    let run = bench.runs();
    bench
        .spec(&spec(
            "sees",
            &format!(
                "BuildArch: noarch\n{}",
                ONE_FILE.replace("%install\n", "%install\nenv | sort\n")
            ),
        ))
        .unwrap();
    let log = bench.log(run);
    assert!(log.contains("HOME=/build/home\n"), "{log}");
    assert!(
        !log.contains("SECRET=") && !log.contains("\ncontainer=") && !log.contains("\nHOSTNAME="),
        "{log}"
    );
    assert_eq!(left(engine)?, Vec::<String>::new());
    Ok(())
}
