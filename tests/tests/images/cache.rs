//! A registry as a cache.

use anyhow::Context as _;
use windlass_tests::engines::{self, Engine, Registry};

use crate::site::{nothing, sites};

#[test]
fn a_registry_is_a_cache_and_a_broken_one_is_told() -> anyhow::Result<()> {
    for site in sites(Some(Registry::start))? {
        let engine = site.engine.as_ref().context("an engine")?;
        let registry = site.registry.as_ref().context("a registry")?.address();
        site.write("ground.docker", "FROM scratch\nCOPY root/ /\n")?;
        engines::busybox_context(&site.path("ctx"))?;
        site.write(
            "tool.docker",
            "FROM localhost/ground\nENV PATH=/bin\nRUN echo made > /made\n",
        )?;
        let build = |more: &str| {
            site.image(
                format!("build -t tool -f tool.docker --network none {more}")
                    .trim()
                    .split(' '),
            )
            .run()
        };
        let ground = site.build("-t ground -f ground.docker --context ctx")?;
        let tool = build("")?.ok()?.line();
        // Nobody there: it is said, and everything is built here.
        let broken = build("--no-cache")?.ok()?;
        assert_ne!(broken.line(), tool);
        site.write(
            "tool.docker",
            "FROM localhost/ground\nENV PATH=/bin\nRUN echo more > /made\n",
        )?;
        let broken = build("-r 127.0.0.1:1")?.ok()?;
        assert!(
            broken.err().contains("is built here without the cache of 127.0.0.1:1"),
            "{}",
            broken.err()
        );
        let tool = broken.line();
        // The registry is empty.
        site.write(
            "tool.docker",
            "FROM localhost/ground\nENV PATH=/bin\nRUN echo most > /made\n",
        )?;
        let empty = build(&format!("-r {registry}"))?.ok()?;
        assert!(
            empty
                .err()
                .contains(&format!("{registry} has no localhost/tool:latest: it is built here")),
            "{}",
            empty.err()
        );
        assert_ne!(empty.line(), tool);
        let tool = empty.line();
        // It has both: they are taken, and none is built.
        for name in ["ground", "tool"] {
            let (local, there) = (format!("localhost/{name}:latest"), format!("{registry}/{name}:latest"));
            engine.cli().args(["tag", &local, &there]).run()?.ok()?;
            engine.cli().args(["push", &there]).run()?.ok()?;
        }
        forget(engine, &registry)?;
        let taken = build(&format!("-r {registry}"))?.ok()?;
        assert_eq!(taken.line(), tool);
        assert!(
            taken
                .err()
                .contains(&format!("localhost/ground:latest is taken from {registry}")),
            "{}",
            taken.err()
        );
        assert!(
            taken
                .err()
                .contains(&format!("localhost/tool:latest is taken from {registry}")),
            "{}",
            taken.err()
        );
        assert_eq!(site.build("-t ground -f ground.docker --context ctx")?, ground);
        // One that was made from something else is not taken for ours, and keeps its own labels.
        let old = site.labels("localhost/ground:latest")?["org.windlass.checksum"].clone();
        site.write("ctx/root/new", "file")?;
        forget(engine, &registry)?;
        let other = site
            .image([
                "build",
                "-t",
                "ground",
                "-f",
                "ground.docker",
                "--context",
                "ctx",
                "-r",
                &registry,
            ])
            .run()?
            .ok()?;
        assert!(other.err().contains("was made from something else"), "{}", other.err());
        assert_ne!(other.line(), ground);
        assert_ne!(site.labels("localhost/ground:latest")?["org.windlass.checksum"], old);
        let there = site.labels(&format!("{registry}/ground:latest"))?["org.windlass.checksum"].clone();
        assert_eq!(there, old, "{}: {:?}", engine.kind.name(), engine.image_names()?);
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}

/// Removes all images but the one that stories begin with.
fn forget(engine: &Engine, registry: &str) -> anyhow::Result<()> {
    for name in engine.image_names()? {
        if name.contains("ground") || name.contains("tool") || name.starts_with(registry) {
            engine.request("DELETE", &format!("/images/{name}?force=1"))?.ok()?;
        }
    }
    Ok(())
}
