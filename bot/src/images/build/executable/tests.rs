//! Closures of real programs against what the real loader says, and of programs built for the purpose.

use windlass_hooks::process::Run;

use super::*;

fn host() -> Host {
    Host::default()
}

fn images(closure: &Closure) -> Vec<String> {
    closure
        .pieces
        .iter()
        .map(|piece| piece.image.display().to_string())
        .collect()
}

/// What the loader itself says a program would load, links resolved.
fn loaded(program: &Path) -> BTreeSet<PathBuf> {
    let run = Run::new(program).env("LD_TRACE_LOADED_OBJECTS", "1").ok().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    let paths = text.lines().filter_map(|line| {
        let path = line.split("=> ").last()?.trim().split(" (").next()?;
        path.starts_with('/').then(|| std::fs::canonicalize(path).unwrap())
    });
    paths.collect()
}

struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        bench.write("answer.c", "int answer(void) { return 42; }");
        bench.write("main.c", "int answer(void); int main(void) { return answer() != 42; }");
        bench.write("plain.c", "int main(void) { return 0; }");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        std::fs::canonicalize(self.0.path()).unwrap().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn cc(&self, args: &[&str]) {
        for folder in ["bin", "lib"] {
            std::fs::create_dir_all(self.path(folder)).unwrap();
        }
        Run::new("cc").args(args).dir(self.0.path()).ok().unwrap();
    }
}

#[test]
fn real_programs_have_what_the_loader_would_load() {
    let mut compared = 0;
    for program in [
        "/bin/ls",
        "/usr/bin/git",
        "/usr/bin/gpg",
        "/usr/bin/ssh",
        "/usr/bin/rpm",
        "/usr/bin/python3",
    ] {
        let program = Path::new(program);
        if !program.exists() {
            continue;
        }
        let closure = host().closure(program, None).unwrap();
        let ours: BTreeSet<PathBuf> = closure.pieces.iter().map(|piece| piece.host.clone()).collect();
        assert_eq!(ours, loaded(program), "{}", program.display());
        compared += 1;
    }
    assert!(compared > 0);
}

#[test]
fn the_loader_is_at_the_path_that_the_program_names_and_content_comes_from_behind_the_links() {
    let bench = Bench::new();
    bench.cc(&["-o", "bin/plain", "plain.c"]);
    let closure = host()
        .closure(&bench.path("bin/plain"), Some(Path::new("/usr/bin/plain")))
        .unwrap();
    let Sort::Elf(elf) = elf::look(&bench.path("bin/plain")).unwrap() else {
        panic!("a program");
    };
    let interpreter = elf.interpreter.unwrap();
    let loader = closure.pieces.iter().find(|piece| piece.image == interpreter).unwrap();
    assert_eq!(loader.host, std::fs::canonicalize(&interpreter).unwrap());
    let program = closure
        .pieces
        .iter()
        .find(|piece| piece.image == Path::new("/usr/bin/plain"))
        .unwrap();
    assert_eq!(program.host, bench.path("bin/plain"));
    assert!(images(&closure).iter().any(|path| path.ends_with("/libc.so.6")));
}

#[test]
fn both_kinds_of_search_path_and_origin_are_followed_into_the_image() {
    for flag in ["-Wl,--disable-new-dtags", "-Wl,--enable-new-dtags"] {
        let bench = Bench::new();
        bench.cc(&["-shared", "-fPIC", "-o", "lib/libanswer.so", "answer.c"]);
        bench.cc(&[
            "-o",
            "bin/main",
            "main.c",
            "-Llib",
            "-lanswer",
            flag,
            "-Wl,-rpath,$ORIGIN/../lib",
        ]);
        let stays = host()
            .closure(&bench.path("bin/main"), Some(&bench.path("bin/main")))
            .unwrap();
        assert!(images(&stays).contains(&bench.path("lib/libanswer.so").display().to_string()));
        // Where the program goes to another place, what it looks for beside itself goes with it.
        let moves = host()
            .closure(&bench.path("bin/main"), Some(Path::new("/opt/x/bin/main")))
            .unwrap();
        assert!(
            images(&moves).contains(&"/opt/x/lib/libanswer.so".to_owned()),
            "{:?}",
            images(&moves)
        );
    }
}

#[test]
fn an_old_search_path_is_inherited_and_a_new_one_is_not() {
    let bench = Bench::new();
    bench.write("middle.c", "int answer(void); int middle(void) { return answer(); }");
    bench.write("top.c", "int middle(void); int main(void) { return middle() != 42; }");
    bench.cc(&["-shared", "-fPIC", "-o", "lib/libanswer.so", "answer.c"]);
    bench.cc(&[
        "-shared",
        "-fPIC",
        "-o",
        "lib/libmiddle.so",
        "middle.c",
        "-Llib",
        "-lanswer",
    ]);
    let link = |flag| {
        bench.cc(&[
            "-o",
            "bin/top",
            "top.c",
            "-Llib",
            "-lmiddle",
            "-Wl,-rpath-link,lib",
            flag,
            "-Wl,-rpath,$ORIGIN/../lib",
        ]);
        host().closure(&bench.path("bin/top"), None)
    };
    let inherited = link("-Wl,--disable-new-dtags").unwrap();
    assert!(
        inherited
            .pieces
            .iter()
            .any(|piece| piece.host == bench.path("lib/libanswer.so"))
    );
    let error = link("-Wl,--enable-new-dtags").unwrap_err().to_string();
    assert!(
        error.contains("libanswer.so") && error.contains("libmiddle.so"),
        "{error}"
    );
}

#[test]
fn a_library_that_is_not_there_is_named_with_who_needs_it() {
    let bench = Bench::new();
    bench.cc(&["-shared", "-fPIC", "-o", "lib/libanswer.so", "answer.c"]);
    bench.cc(&["-o", "bin/main", "main.c", "-Llib", "-lanswer"]);
    let error = host().closure(&bench.path("bin/main"), None).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!(
            "the executable '{}' needs 'libanswer.so'",
            bench.path("bin/main").display()
        )),
        "{text}"
    );
    assert!(text.contains("\n\nhint: install it for x86-64"), "{text}");
}

#[test]
fn a_program_for_another_machine_takes_no_library_of_this_one() {
    let bench = Bench::new();
    bench.cc(&["-o", "bin/plain", "plain.c"]);
    // The same file, but for aarch64.
    let mut bytes = std::fs::read(bench.path("bin/plain")).unwrap();
    bytes[18..20].copy_from_slice(&183_u16.to_le_bytes());
    std::fs::write(bench.path("bin/other"), bytes).unwrap();
    let error = host().closure(&bench.path("bin/other"), None).unwrap_err();
    assert!(matches!(error, ExecutableError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("for aarch64"), "{error}");
}

#[test]
fn a_32_bit_program_takes_32_bit_libraries() {
    let bench = Bench::new();
    if Run::new("cc")
        .args(["-m32", "-o", "narrow", "plain.c"])
        .dir(bench.0.path())
        .ok()
        .is_err()
    {
        eprintln_skip("no compiler for 32 bits (gcc-multilib)");
        return;
    }
    let closure = host().closure(&bench.path("narrow"), None).unwrap();
    for piece in &closure.pieces {
        let Sort::Elf(elf) = elf::look(&piece.host).unwrap() else {
            panic!("{piece:?}");
        };
        assert!(!elf.kind.wide, "{piece:?}");
    }
    assert!(images(&closure).iter().any(|path| path.ends_with("/libc.so.6")));
}

#[expect(
    clippy::print_stderr,
    reason = "what is skipped is said where the runner collects it"
)]
fn eprintln_skip(why: &str) {
    eprintln!("SKIPPED: {why}");
}

#[test]
fn static_programs_and_scripts_come_alone_and_data_does_not_come() {
    let bench = Bench::new();
    bench.write("script", "#!/bin/sh\nexit 0\n");
    bench.write("data", "no program");
    let script = host()
        .closure(&bench.path("script"), Some(Path::new("/bin/script")))
        .unwrap();
    assert_eq!(images(&script), ["/bin/script"]);
    assert!(script.notes[0].contains("its interpreter /bin/sh is left to the image"));
    bench.cc(&["-static", "-o", "bin/static", "plain.c"]);
    let alone = host()
        .closure(&bench.path("bin/static"), Some(Path::new("/bin/static")))
        .unwrap();
    assert_eq!(images(&alone), ["/bin/static"]);
    assert!(
        host()
            .closure(&bench.path("bin/static"), None)
            .unwrap()
            .pieces
            .is_empty()
    );
    assert!(matches!(
        host().closure(&bench.path("data"), None),
        Err(ExecutableError::NoProgram(_))
    ));
}

#[test]
fn the_configuration_of_the_loader_is_read_with_what_it_includes() {
    let bench = Bench::new();
    bench.write(
        "etc/ld.so.conf",
        "include ld.so.conf.d/*.conf # first\n/opt/last=libc5\n",
    );
    bench.write("etc/ld.so.conf.d/10-a.conf", "# comment\n/opt/a:/opt/b,/opt/c\n");
    bench.write("etc/ld.so.conf.d/20-b.conf", "/opt/d\ninclude /etc/ld.so.conf\n");
    bench.write("etc/ld.so.conf.d/30-c.off", "/opt/never\n");
    let root = Host::at(bench.path(""));
    let kind = Kind {
        wide: true,
        big_endian: false,
        machine: 62,
    };
    let shelves: Vec<PathBuf> = root.shared(kind, None).into_iter().map(|shelf| shelf.image).collect();
    let first: Vec<&str> = shelves.iter().take(5).filter_map(|path| path.to_str()).collect();
    assert_eq!(first, ["/opt/a", "/opt/b", "/opt/c", "/opt/d", "/opt/last"]);
    assert!(shelves.ends_with(&["/lib".into(), "/usr/lib".into()]), "{shelves:?}");
}

#[test]
fn musl_has_its_own_list() {
    let bench = Bench::new();
    bench.write("etc/ld.so.conf", "/opt/glibc\n");
    let root = Host::at(bench.path(""));
    let kind = Kind {
        wide: true,
        big_endian: false,
        machine: 62,
    };
    let loader = Path::new("/lib/ld-musl-x86_64.so.1");
    let images = |root: &Host| -> Vec<PathBuf> {
        let shelves = root.shared(kind, Some(loader)).into_iter();
        shelves.map(|shelf| shelf.image).collect()
    };
    assert_eq!(images(&root), ["/lib", "/usr/local/lib", "/usr/lib"].map(PathBuf::from));
    bench.write("etc/ld-musl-x86_64.path", "/opt/musl:/lib\n");
    assert_eq!(images(&root), ["/opt/musl", "/lib"].map(PathBuf::from));
}
