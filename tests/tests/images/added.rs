//! What comes into an image besides its Dockerfile: a layer, a user, what a script makes.

use windlass_tests::Cmd;

use crate::site::{engines, nothing};

#[test]
fn update_adds_a_layer_and_says_so() -> anyhow::Result<()> {
    for site in engines()? {
        site.write("plain.docker", "FROM scratch\nCOPY busybox /busybox\n")?;
        std::fs::create_dir(site.path("ctx"))?;
        std::fs::copy("/bin/busybox", site.path("ctx/busybox"))?;
        let before = site.build("-t plain -f plain.docker --context ctx")?;
        let old = site.labels("localhost/plain:latest")?["org.windlass.checksum"].clone();
        let updated = site
            .image(["update", "plain", "--executable", "/bin/ls", "--skip-binfmt"])
            .run()?
            .ok()?
            .line();
        assert_ne!(updated, before);
        assert_ne!(site.labels("localhost/plain:latest")?["org.windlass.checksum"], old);
        assert!(site.prints("plain", &["/bin/ls", "/busybox"])?.contains("/busybox"));
        let told = site.check("plain", 1)?;
        assert!(told.contains("`windlass image update` has changed it since"), "{told}");
        let absent = site.image(["update", "nowhere", "-u"]).run()?.exits(1)?;
        assert!(absent.err().contains("there is no such image"), "{}", absent.err());
        site.image(["update", "nowhere"]).run()?.exits(2)?;
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}

#[test]
fn a_user_comes_into_any_image_with_a_shell_or_without() -> anyhow::Result<()> {
    for site in engines()? {
        std::fs::create_dir(site.path("ctx"))?;
        std::fs::copy("/bin/busybox", site.path("ctx/busybox"))?;
        site.write("bare.docker", "FROM scratch\nCOPY busybox /busybox\n")?;
        let me = Cmd::new("id").arg("-un").run()?.ok()?.line();
        let id = site.build("-t bare -f bare.docker --context ctx -u")?;
        let passwd = site.prints("bare", &["/busybox", "cat", "/etc/passwd"])?;
        assert!(passwd.starts_with(&format!("{me}:x:")), "{passwd}");
        assert_eq!(site.build("-t bare -f bare.docker --context ctx -u")?, id);
        assert!(
            site.check("bare bare.docker --context ctx", 1)?
                .contains(&format!("user {me} ("))
        );
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}

#[test]
fn a_script_beside_the_dockerfile_runs_first_and_may_say_not_here() -> anyhow::Result<()> {
    for site in engines()? {
        site.write("made.docker", "FROM localhost/busybox\nCOPY made /made\n")?;
        site.script("made.pre", "#!/bin/sh\necho making it\necho content > made\n")?;
        let built = site.image(["build", "-t", "made", "-f", "made.docker"]).run()?.ok()?;
        assert!(
            built.err().contains("making it\n") && !built.out().contains("making"),
            "{}",
            built.err()
        );
        assert_eq!(site.prints("made", &["cat", "/made"])?, "content\n");
        assert_eq!(site.build("-t made -f made.docker")?, built.line());
        assert_eq!(site.check("made", 0)?, "localhost/made:latest is up to date\n");
        site.script("made.pre", "#!/bin/sh\necho else > made\n")?;
        assert!(site.check("made", 1)?.contains("script made.pre changed"));
        assert_ne!(site.build("-t made -f made.docker")?, built.line());
        site.script("made.pre", "#!/bin/sh\necho no debootstrap on this machine\nexit 3\n")?;
        let skipped = site
            .image(["build", "-t", "made", "-f", "made.docker", "--json"])
            .run()?
            .exits(3)?;
        assert_eq!(skipped.json()?["outcome"], "skipped");
        assert!(
            skipped
                .err()
                .contains("skipped localhost/made:latest: no debootstrap on this machine"),
            "{}",
            skipped.err()
        );
        site.script("made.pre", "#!/bin/sh\necho what a pity >&2\nexit 5\n")?;
        let failed = site
            .image(["build", "--quiet", "-t", "made", "-f", "made.docker"])
            .run()?
            .exits(1)?;
        assert!(
            failed.err().contains("failed (exit status: 5)\n    what a pity"),
            "{}",
            failed.err()
        );
        assert_eq!(site.left()?, nothing());
    }
    Ok(())
}
