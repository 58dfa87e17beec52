//! What is said of images where there is no engine, and of their age.

use windlass_tests::Cmd;

use crate::site::{Site, engines, nothing};

#[test]
fn age_is_the_same_in_every_time_zone() -> anyhow::Result<()> {
    for site in engines()? {
        site.write("young.docker", "FROM localhost/busybox\nENV now=1\n")?;
        let id = site.build("-t young -f young.docker")?;
        assert!(id.starts_with("sha256:"), "{id}");
        for zone in ["UTC", "Asia/Tokyo", "America/Los_Angeles", "UTC-14", "UTC+12"] {
            let check = |minutes| {
                site.image(["check", "young", "--checktype", "age", "--olderthan", minutes])
                    .env("TZ", zone)
                    .run()
            };
            assert!(check("30")?.ok()?.out().contains("less than 30 minutes ago"), "{zone}");
            assert!(check("0")?.exits(1)?.out().contains("0 minutes ago or more"), "{zone}");
        }
        site.check("nowhere --checktype age", 1)?;
    }
    Ok(())
}

#[test]
fn without_an_engine_a_check_says_so_and_a_build_does_what_can_be_done() -> anyhow::Result<()> {
    let site = Site::new(None, None)?;
    site.write("x.docker", "FROM scratch\nCOPY f /f\n")?;
    site.write("ctx/f", "text")?;
    let away = Cmd::new(&site.windlass).args([
        "image",
        "--host",
        "unix:///nowhere/engine.sock",
        "check",
        "x",
        "x.docker",
    ]);
    let away = away.dir(site.path("")).env("HOME", site.path("")).run()?.exits(3)?;
    assert!(away.err().contains("there is no container engine"), "{}", away.err());
    let id = site.build("-t x -f x.docker --context ctx")?;
    assert_eq!(site.build("-t x -f x.docker --context ctx")?, id);
    assert_eq!(site.check("x", 0)?, "localhost/x:latest is up to date\n");
    // On ours, one on the other, with a user.
    site.write("y.docker", "FROM localhost/x\nCOPY g /g\n")?;
    site.write("ctx/g", "text")?;
    let y = site.build("-t y -f y.docker --context ctx -u")?;
    site.write("ctx/f", "else")?;
    assert!(site.check("y", 1)?.contains("base localhost/x:latest would be built"));
    assert_ne!(site.build("-t y -f y.docker --context ctx -u")?, y);
    // The same inputs give the same image, wherever it is written.
    let one = site.build("-t z -f x.docker --context ctx --output oci:one")?;
    assert_eq!(
        site.build("-t z -f x.docker --context ctx --output oci:two --no-cache")?,
        one
    );
    assert!(site.path("one/oci-layout").exists());
    site.write("run.docker", "FROM scratch\n\nRUN true\n")?;
    let run = site.image(["build", "-t", "r", "-f", "run.docker"]).run()?.exits(1)?;
    assert!(run.err().contains("line 3: RUN"), "{}", run.err());
    assert_eq!(site.left()?, nothing());
    Ok(())
}
