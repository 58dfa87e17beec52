//! Engines that are lost: nobody's package is blamed, and another engine builds it.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use windlass::stages::StageError;
use windlass_hooks::settings::Duration as Setting;
use windlass_tests::engines::Kind;
use windlass_tests::wait;

use crate::bench::{Bench, engines_with_image, left, names, script};

#[test]
fn a_lost_engine_is_nobodys_fault_and_another_one_builds() -> anyhow::Result<()> {
    let Some(mut engines) = engines_with_image(&[Kind::Docker, Kind::Podman])? else {
        return Ok(());
    };
    let bench = Bench::new(&[&engines[0], &engines[1]]).and(|settings| {
        settings.engine_timeout = Setting::from_secs(20);
        settings.engine_rest = Setting::from_secs(300);
    });
    // Two builds go to two engines; the same image is the same on both, so one engine's result is the other's.
    let one = bench.spec(&script("true"))?;
    let other = bench.spec(&script(": other"))?;
    assert!(!one.reused && !other.reused);
    let on = |run: u32, name: &str| bench.log(run).contains(&format!("on builder {name}"));
    assert!(on(0, "docker") != on(1, "docker"), "{}\n{}", bench.log(0), bench.log(1));
    assert!(bench.spec(&script("true"))?.reused);

    // The one that builds is killed in the middle; the build is begun again on the other.
    let order = bench.order(&[("package.spec", &script("echo under way\nsleep 3\necho over"))]);
    let log = order.log.clone();
    let text = |log: &std::path::Path| std::fs::read_to_string(log).unwrap_or_default();
    let (built, killed) = std::thread::scope(|scope| -> anyhow::Result<_> {
        let build = scope.spawn(|| windlass::stages::build::run(&bench.builder, &order, &bench.stop));
        let under_way = wait::until("the build to be under way", || {
            Ok(text(&log).contains("\nunder way\n").then_some(()))
        });
        let victim = usize::from(text(&log).contains("on builder podman"));
        engines[victim].daemon()?.signal(Signal::KILL);
        under_way?;
        Ok((build.join().expect("a build does not panic"), victim))
    })?;
    let built = built.unwrap_or_else(|error| panic!("{error}\n{}", text(&log)));
    assert_eq!(names(&built), ["evil-1.0-1.noarch"]);
    let said = text(&log);
    println!("{said}");
    let (dead, alive) = (engines[killed].kind.name(), engines[1 - killed].kind.name());
    assert!(said.contains(&format!("windlass: builder {dead} is lost: ")), "{said}");
    assert!(said.contains("windlass: it is begun again\n"), "{said}");
    assert!(said.contains(&format!("on builder {alive}\n")), "{said}");
    assert!(
        said.ends_with("ms\n") && said.matches("\nover\n").count() >= 1,
        "{said}"
    );
    assert_eq!(left(&engines[1 - killed])?, Vec::<String>::new());

    // With both gone it is the infrastructure's fault, with the time at which it is worth another try.
    engines[1 - killed].daemon()?.signal(Signal::KILL);
    let began = Instant::now();
    let error = bench.spec(&script("echo nobody builds this")).unwrap_err();
    println!("{error}");
    let StageError::Infrastructure { message, retry_after } = error else {
        panic!("somebody is blamed: {error}")
    };
    assert!(
        message.contains("docker: ") && message.contains("podman: ") && message.contains("windlass doctor"),
        "{message}"
    );
    assert!(
        retry_after.is_some_and(|again| again > Duration::from_mins(1)),
        "{retry_after:?}"
    );
    assert!(began.elapsed() < Duration::from_mins(1));
    // What was built is there all the same.
    assert!(bench.spec(&script("true"))?.reused);
    Ok(())
}

#[test]
fn a_container_that_somebody_ends_is_begun_again_and_not_for_ever() -> anyhow::Result<()> {
    let Some(engines) = engines_with_image(&[Kind::Docker])? else {
        return Ok(());
    };
    let engine = &engines[0];
    let bench = Bench::new(&[engine]);
    let order = bench.order(&[("package.spec", &script("echo under way\nsleep 600"))]);
    let log = order.log.clone();
    let ended = std::thread::scope(|scope| -> anyhow::Result<_> {
        let build = scope.spawn(|| windlass::stages::build::run(&bench.builder, &order, &bench.stop));
        for time in 1..=3 {
            wait::until("the build to be under way", || {
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                Ok((text.matches("\nunder way\n").count() == time).then_some(()))
            })?;
            let list = engine.get("/containers/json")?;
            for one in list.as_array().into_iter().flatten() {
                // The keeper has a name of ours.
                let id = one["Id"].as_str().unwrap_or_default();
                let is_keeper = one["Names"][0].as_str().unwrap_or_default().contains("windlass-build-");
                if !is_keeper {
                    engine.request("POST", &format!("/containers/{id}/kill"))?.ok()?;
                }
            }
        }
        Ok(build.join().expect("a build does not panic"))
    })?;
    let text = crate::bench::failure(ended);
    println!("{text}");
    assert!(text.contains("somebody ended its container"), "{text}");
    assert_eq!(left(engine)?, Vec::<String>::new());
    // A build that is stopped leaves nothing either.
    let order = bench.order(&[("package.spec", &script("echo stop me\nsleep 600"))]);
    let log = order.log.clone();
    let stopped = std::thread::scope(|scope| -> anyhow::Result<_> {
        let build = scope.spawn(|| windlass::stages::build::run(&bench.builder, &order, &bench.stop));
        let text = || std::fs::read_to_string(&log).unwrap_or_default();
        wait::until("the build to be under way", || {
            Ok(text().contains("\nstop me\n").then_some(()))
        })?;
        bench.stop.set();
        Ok(build.join().expect("a build does not panic"))
    })?;
    assert!(matches!(stopped, Err(StageError::Stopped)), "{stopped:?}");
    assert_eq!(left(engine)?, Vec::<String>::new());
    Ok(())
}
