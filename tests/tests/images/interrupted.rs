//! Builds that meet each other or a signal.

use anyhow::Context as _;
use rustix::process::Signal;
use windlass_tests::wait;

use crate::site::engines;

/// What stands before a command whose talk is to be looked at while it runs.
fn heard_in(file: &str) -> [&str; 4] {
    ["sh", "-c", "exec \"$@\" 2> \"$0\"", file]
}

#[test]
fn two_builds_of_one_tag_are_one_build() -> anyhow::Result<()> {
    for site in engines()? {
        site.script(
            "slow.pre",
            "#!/bin/sh\necho go >> ../../src/runs\nwhile [ ! -e ../../src/free ]; do sleep 0.05; done\n",
        )?;
        site.write("slow.docker", "FROM localhost/busybox\nENV x=1\n")?;
        let args = ["build", "-t", "slow", "-f", "slow.docker"];
        let first = site.image(args).start()?;
        wait::until("the first to be at work", || {
            Ok(site.path("runs").exists().then_some(()))
        })?;
        let heard = site.dir.path().join("second");
        let second = site
            .image(args)
            .before(heard_in(&heard.display().to_string()))
            .start()?;
        wait::until("the second to wait", || {
            let said = std::fs::read_to_string(&heard).unwrap_or_default();
            Ok(said
                .contains("localhost/slow:latest is being built by somebody else (process ")
                .then_some(()))
        })?;
        site.write("free", "")?;
        let (first, second) = (first.finish()?.ok()?, second.finish()?.ok()?);
        assert_eq!(first.line(), second.line());
        assert_eq!(
            std::fs::read_to_string(site.path("runs"))?,
            "go\n",
            "the script ran once"
        );
        assert!(std::fs::read_to_string(&heard)?.contains("localhost/slow:latest is up to date"));
    }
    Ok(())
}

#[test]
fn a_signal_in_any_phase_leaves_no_container_no_file_and_no_tag() -> anyhow::Result<()> {
    for site in engines()? {
        let engine = site.engine.as_ref().context("an engine")?;
        site.write("pre.docker", "FROM localhost/busybox\nENV x=1\n")?;
        site.script("pre.pre", "#!/bin/sh\necho here we are\nsleep 1000\n")?;
        site.write(
            "run.docker",
            "FROM localhost/busybox\nRUN echo here we are; sleep 1000\n",
        )?;
        for phase in ["pre", "run"] {
            for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
                let heard = site.dir.path().join("heard");
                let file = format!("{phase}.docker");
                let command = site
                    .image(["build", "-t", "cut", "-f", &file, "-u", "--network", "none"])
                    .before(heard_in(&heard.display().to_string()));
                let mut running = command.start()?;
                wait::until("the phase", || {
                    let said = std::fs::read_to_string(&heard).unwrap_or_default();
                    Ok((said.matches("here we are").count() > usize::from(phase == "run")).then_some(()))
                })?;
                running.child().signal(signal);
                let ended = running.finish()?;
                assert_eq!(ended.code(), code, "{phase}: {}", std::fs::read_to_string(&heard)?);
                wait::until("nothing to be left", || Ok(site.left()?.is_empty().then_some(())))?;
                assert!(!engine.image_names()?.iter().any(|name| name.contains("cut")));
            }
        }
    }
    Ok(())
}
