//! An image is built once, and again only when something that it is made from changes.

use anyhow::Context as _;
use windlass_tests::Cmd;

use crate::site::{Site, engines, nothing};

#[test]
fn an_image_is_built_once_and_again_only_when_what_it_is_made_from_changes() -> anyhow::Result<()> {
    for site in engines()? {
        site.script("ctx/tool", "#!/bin/sh\necho one\n")?;
        site.write("tool.docker", "FROM localhost/busybox\nCOPY tool /tool\n")?;
        let args = "-t tool -f tool.docker --context ctx";
        let plan = site
            .image([
                "build",
                "-t",
                "tool",
                "-f",
                "tool.docker",
                "--context",
                "ctx",
                "--dry-run",
            ])
            .run()?
            .ok()?;
        assert!(
            plan.out()
                .contains("localhost/tool:latest would be built from tool.docker:\n  there is no such image"),
            "{}",
            plan.out()
        );
        let one = site.build(args)?;
        assert_eq!(site.prints("tool", &["/tool"])?, "one\n");
        assert_eq!(site.build(args)?, one);
        // Nothing that matters.
        site.write("ctx/notes", "of no use")?;
        site.write(
            "tool.docker",
            "# a comment\nFROM localhost/busybox\n\nCOPY   tool /tool\n",
        )?;
        assert_eq!(site.build(args)?, one);
        assert_eq!(site.check("tool", 0)?, "localhost/tool:latest is up to date\n");
        // A file that COPY names.
        site.script("ctx/tool", "#!/bin/sh\necho two\n")?;
        let told = site.check("tool", 1)?;
        assert_eq!(told, "localhost/tool:latest is not up to date:\n  file tool changed\n");
        let two = site.build(args)?;
        assert_ne!(two, one);
        assert_eq!(site.prints("tool", &["/tool"])?, "two\n");
        // A base, as an engine has it.
        site.write("other/x", "")?;
        site.engine
            .as_ref()
            .context("an engine")?
            .build_by_hand("localhost/busybox:latest", &{
                site.write("other/Dockerfile", "FROM localhost/busybox:latest\nENV moved=yes\n")?;
                site.path("other")
            })?;
        let told = site.check("tool tool.docker --context ctx", 1)?;
        assert!(told.contains("base localhost/busybox:latest moved"), "{told}");
        assert_ne!(site.build(args)?, two);
        // Options count; a build in any case is one.
        assert!(
            site.check("tool tool.docker --context ctx --label a=b", 1)?
                .contains("option --label a is new")
        );
        let three = site.build(args)?;
        assert_eq!(
            site.image([
                "build",
                "-t",
                "tool",
                "-f",
                "tool.docker",
                "--context",
                "ctx",
                "--dry-run",
                "--no-cache"
            ])
            .run()?
            .ok()?
            .out(),
            "localhost/tool:latest would be built from tool.docker:\n  --no-cache asks for it\n"
        );
        assert_eq!(site.build(args)?, three);
        assert_eq!(
            site.labels("localhost/tool:latest")?["org.windlass.tag"],
            "localhost/tool:latest"
        );
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}

#[test]
fn an_executable_its_libraries_and_extra_files_count_and_go_where_they_belong() -> anyhow::Result<()> {
    for site in engines()? {
        site.write(
            "prog.c",
            "#include <stdio.h>\nint answer(void); int main(void) { printf(\"%d\\n\", answer()); return 0; }\n",
        )?;
        site.write("answer.c", "int answer(void) { return 41; }\n")?;
        let cc = |args: &str| -> anyhow::Result<()> {
            Cmd::new("cc").args(args.split(' ')).dir(site.path("")).run()?.ok()?;
            Ok(())
        };
        cc("-shared -fPIC -o libanswer.so answer.c")?;
        cc("-o prog prog.c -L. -lanswer -Wl,-rpath,$ORIGIN")?;
        site.write("extra.conf", "one")?;
        site.write("all.docker", "FROM scratch\nADD . /\n")?;
        let prog = site.path("prog").display().to_string();
        let args = format!("-t all -f all.docker -e {prog} --skip-binfmt --extra-files extra.conf");
        let one = site.build(&args)?;
        assert_eq!(site.prints("all", &[&prog])?, "41\n");
        assert_eq!(site.build(&args)?, one);
        // A library alone: the program is the same.
        site.write("answer.c", "int answer(void) { return 42; }\n")?;
        cc("-shared -fPIC -o libanswer.so answer.c")?;
        assert!(site.check("all", 1)?.contains("libanswer.so changed"));
        let two = site.build(&args)?;
        assert_ne!(two, one);
        assert_eq!(site.prints("all", &[&prog])?, "42\n");
        site.write("extra.conf", "two")?;
        assert!(site.check("all", 1)?.contains("extra file extra.conf changed"));
        assert_ne!(site.build(&args)?, two);
        // binfmt_misc is asked where nothing else is said.
        let refused = site
            .image(["build", "-t", "all", "-f", "all.docker", "-e", &prog])
            .run()?
            .exits(1)?;
        assert!(refused.err().contains("--skip-binfmt"), "{}", refused.err());
        let missing = site
            .image(["build", "-t", "all", "-f", "all.docker", "--extra-files", "nowhere"])
            .run()?;
        assert!(
            missing.code() != 0 && missing.err().contains("cannot read 'nowhere'"),
            "{}",
            missing.err()
        );
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}

#[test]
fn own_bases_are_built_first_and_a_rebuilt_one_rebuilds_what_stands_on_it_alone() -> anyhow::Result<()> {
    for site in engines()? {
        site.write("base.docker", "FROM localhost/busybox\nENV who=base\n")?;
        site.write("left.docker", "FROM localhost/base\nRUN echo left > /left\n")?;
        site.write("right.docker", "FROM localhost/base\nRUN echo right > /right\n")?;
        site.write(
            "top.docker",
            "FROM localhost/left\nCOPY --from=localhost/right /right /right\nRUN cat /right > /top\n",
        )?;
        site.write("apart.docker", "FROM localhost/busybox\nENV apart=1\n")?;
        let top = site.build("-t top -f top.docker --network none")?;
        let apart = site.build("-t apart -f apart.docker")?;
        assert_eq!(site.prints("top", &["cat", "/left", "/top"])?, "left\nright\n");
        assert_eq!(site.build("-t top -f top.docker --network none")?, top);
        let graph = site.image(["graph", "."]).run()?.ok()?;
        assert!(!graph.out().contains("stale"), "{}", graph.out());
        site.write("right.docker", "FROM localhost/base\nRUN echo RIGHT > /right\n")?;
        let graph = site.image(["graph", ".", "--json"]).run()?.exits(1)?.json()?;
        let stale: Vec<&str> = graph
            .as_array()
            .context("rows")?
            .iter()
            .filter(|row| row["stale"] == true)
            .filter_map(|row| row["tag"].as_str())
            .collect();
        assert_eq!(stale, ["localhost/right:latest", "localhost/top:latest"]);
        let text = site.image(["graph", "."]).run()?.exits(1)?.out();
        assert!(text.contains("localhost/top:latest: stale"), "{text}");
        assert!(text.contains("  because the Dockerfile changed\n"), "{text}");
        assert!(text.contains("  because of localhost/right:latest\n"), "{text}");
        assert!(
            site.image(["graph", ".", "--dot"])
                .run()?
                .exits(1)?
                .out()
                .starts_with("digraph images {\n")
        );
        let left = site.build("-t left -f left.docker --network none")?;
        let plan = site
            .image([
                "build",
                "-t",
                "top",
                "-f",
                "top.docker",
                "--network",
                "none",
                "--dry-run",
                "--json",
            ])
            .run()?
            .ok()?
            .json()?;
        let wanted: Vec<bool> = plan["images"]
            .as_array()
            .context("images")?
            .iter()
            .map(|image| image["up_to_date"] == true)
            .collect();
        assert_eq!(wanted, [true, true, false, false], "{plan}");
        assert_ne!(site.build("-t top -f top.docker --network none")?, top);
        assert_eq!(site.prints("top", &["cat", "/top"])?, "RIGHT\n");
        assert_eq!(site.build("-t left -f left.docker --network none")?, left);
        assert_eq!(site.build("-t apart -f apart.docker")?, apart);
        site.write("base.docker", "FROM localhost/top\n")?;
        let circle = site
            .image(["build", "-t", "top", "-f", "top.docker", "--network", "none"])
            .run()?
            .exits(1)?;
        assert!(circle.err().contains("in a circle"), "{}", circle.err());
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}

#[test]
fn what_a_base_of_ours_copies_behind_onbuild_counts() -> anyhow::Result<()> {
    let mut sites = engines()?;
    sites.push(Site::new(None, None)?);
    for site in sites {
        site.write("base.docker", "FROM scratch\nONBUILD COPY taken /taken\n")?;
        site.write("top.docker", "FROM localhost/base\nENV top=1\n")?;
        site.write("taken", "one")?;
        site.write("beside", "one")?;
        let base = "-t base -f base.docker --context .";
        let top = "-t top -f top.docker --context .";
        let (below, first) = (site.build(base)?, site.build(top)?);
        site.write("beside", "two")?;
        assert_eq!(site.build(top)?, first);
        site.write("taken", "two")?;
        let told = site.check("top top.docker --context .", 1)?;
        assert!(told.contains("file taken changed"), "{told}");
        assert_ne!(site.build(top)?, first);
        site.check("top top.docker --context .", 0)?;
        assert_eq!(site.build(base)?, below, "the base does not have the file");
    }
    Ok(())
}
