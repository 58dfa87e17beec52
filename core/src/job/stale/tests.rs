use rstest::rstest;

use super::*;
use crate::job::strategies::{image_with, making_of, payload_with, start};
use crate::job::{JobEvent, JobResult};

fn set(nevras: &[&str]) -> BTreeSet<String> {
    nevras.iter().map(|nevra| (*nevra).to_owned()).collect()
}

fn image(name: &str, bases: &[&str]) -> ProductFacts {
    ProductFacts {
        product: Product::Image(name.parse().unwrap()),
        repositories: vec!["sisyphus".parse().unwrap()],
        arch: "x86_64".parse().unwrap(),
        packages: Vec::new(),
        bases: bases.iter().map(|base| base.parse().unwrap()).collect(),
        before: None,
        after: None,
    }
}

fn payload(name: &str, images: &[&str]) -> ProductFacts {
    ProductFacts {
        product: Product::Payload(name.parse().unwrap()),
        ..image(name, images)
    }
}

/// A generation with these changes: `-nevra` goes, `+nevra` comes.
fn moved(said: &[&str]) -> Moved {
    let mut changes = Changes::new();
    for text in said {
        let (sign, nevra) = text.split_at(1);
        let change = changes.entry(name_of(nevra).to_owned()).or_default();
        let side = if sign == "-" {
            &mut change.went
        } else {
            &mut change.came
        };
        side.insert(nevra.to_owned(), evr_of(nevra));
    }
    Moved {
        repository: "sisyphus".parse().unwrap(),
        generation: Generation(2),
        changes: BTreeMap::from([("x86_64".parse().unwrap(), changes)]),
    }
}

/// Jobs in whose record an image holds packages.
fn holding(images: &[(&str, &[&str])]) -> Jobs {
    let mut jobs = Jobs::default();
    for (name, packages) in images {
        let kind = crate::job::strategies::build_of(name, 1);
        done(&mut jobs, kind, image_with(packages));
    }
    jobs
}

/// A job that was queued, begun and done.
fn done(jobs: &mut Jobs, kind: JobKind, result: JobResult) {
    let id = jobs.next_id();
    let mut say = |event: &JobEvent| jobs.apply(id, event, start());
    let after = BTreeSet::new();
    say(&JobEvent::Queued {
        kind,
        after,
        task: None,
    });
    let until = start();
    say(&JobEvent::Leased { attempt: 1, until });
    say(&JobEvent::Succeeded { attempt: 1, result });
}

fn names(wanted: &[Wanted]) -> Vec<String> {
    let name = |wanted: &Wanted| {
        let about = wanted.kind.subject().to_string();
        about.strip_prefix("image ").map(str::to_owned).unwrap_or(about)
    };
    wanted.iter().map(name).collect()
}

const UPGRADE: &[&str] = &["-hello-1.0-alt1.x86_64", "+hello-1.1-alt1.x86_64"];

#[rstest]
#[case::it_holds_the_old_one(&["hello-1.0-alt1.x86_64", "libc-2-1.x86_64"], UPGRADE, true)]
#[case::it_holds_another_package(&["libc-2-1.x86_64"], UPGRADE, false)]
#[case::a_name_that_only_begins_so(&["hello-data-1.0-alt1.x86_64"], UPGRADE, false)]
#[case::it_has_the_new_one_already(&["hello-1.1-alt1.x86_64"], UPGRADE, false)]
#[case::it_is_older_still(&["hello-0.9-alt1.x86_64"], UPGRADE, true)]
#[case::what_it_holds_goes(&["hello-1.0-alt1.x86_64"], &["-hello-1.0-alt1.x86_64"], true)]
#[case::an_epoch(&["hello-1:1.0-alt1.x86_64"], &["-hello-1:1.0-alt1.x86_64", "+hello-2:0.1-alt1.x86_64"], true)]
fn what_an_image_holds_decides(#[case] holds: &[&str], #[case] changed: &[&str], #[case] is_stale: bool) {
    let jobs = holding(&[("web", holds)]);
    let wanted = stale(&[image("web", &[])], &jobs, &moved(changed));
    assert_eq!(!wanted.is_empty(), is_stale);
}

#[test]
fn the_reason_is_told() {
    let jobs = holding(&[("web", &["hello-1.0-alt1.x86_64"])]);
    let wanted = stale(&[image("web", &[])], &jobs, &moved(UPGRADE));
    assert_eq!(wanted[0].kind.reasons(), ["hello 1.0-alt1 → 1.1-alt1"]);
    assert_eq!(
        wanted[0].kind.to_string(),
        "build image web with generation 2 of sisyphus"
    );
}

#[test]
fn before_its_first_build_the_closure_decides() {
    let mut web = image("web", &[]);
    web.packages = vec!["hello".to_owned()];
    let jobs = Jobs::default();
    assert!(
        stale(&[web.clone()], &jobs, &moved(&["+other-1-1.x86_64"])).is_empty(),
        "nothing that it names"
    );
    web.before = Some(set(&["hello-1.0-alt1.x86_64", "libfoo-1-1.x86_64"]));
    web.after = Some(set(&["hello-1.0-alt1.x86_64", "libfoo-2-1.x86_64"]));
    let upgrade = moved(&["-libfoo-1-1.x86_64", "+libfoo-2-1.x86_64"]);
    let wanted = stale(&[web.clone()], &jobs, &upgrade);
    assert_eq!(wanted[0].kind.reasons(), ["libfoo 1-1 → 2-1"]);
    web.after.clone_from(&web.before);
    assert!(stale(&[web.clone()], &jobs, &moved(&["+other-1-1.x86_64"])).is_empty());
    // What it declares can be installed for the first time.
    web.before = None;
    assert!(!stale(&[web], &jobs, &moved(&["+hello-1.0-alt1.x86_64"])).is_empty());
}

#[test]
fn a_closure_that_differs_makes_stale_what_holds_none_of_the_changed() {
    let jobs = holding(&[("web", &["hello-1.0-alt1.x86_64", "mta-a-1-1.x86_64"])]);
    let mut web = image("web", &[]);
    web.before = Some(set(&["hello-1.0-alt1.x86_64", "mta-a-1-1.x86_64"]));
    web.after = Some(set(&["hello-1.0-alt1.x86_64", "mta-b-1-1.x86_64"]));
    let wanted = stale(&[web], &jobs, &moved(&["+mta-b-1-1.x86_64"]));
    assert_eq!(wanted[0].kind.reasons(), ["mta-a 1-1 went", "mta-b 1-1 came"]);
}

#[test]
fn what_stands_on_a_stale_image_is_stale_and_comes_after_it() {
    let jobs = holding(&[
        ("app", &[]),
        ("base", &["hello-1.0-alt1.x86_64"]),
        ("other", &["x-1-1.noarch"]),
    ]);
    let images = [
        image("app", &["web"]),
        image("web", &["base"]),
        image("base", &[]),
        image("other", &[]),
    ];
    let wanted = stale(&images, &jobs, &moved(UPGRADE));
    assert_eq!(names(&wanted), ["base", "web", "app"]);
    assert_eq!(wanted[1].after, [Subject::Image("base".parse().unwrap())]);
    assert_eq!(wanted[2].kind.reasons(), ["its base web is built again"]);
}

#[test]
fn a_payload_is_stale_by_its_own_packages_and_by_the_image_that_it_takes() {
    let mut jobs = holding(&[("web", &["hello-1.0-alt1.x86_64"]), ("quiet", &["x-1-1.noarch"])]);
    for (name, packages) in [("plain", &["hello-1.0-alt1.x86_64"][..]), ("still", &["x-1-1.noarch"])] {
        done(&mut jobs, making_of(name, 1), payload_with(name, packages));
    }
    // `web` is an image and a payload: names of the two kinds have nothing to do with each other.
    let products = [
        payload("web", &["web"]),
        payload("plain", &[]),
        payload("still", &["quiet"]),
        image("quiet", &[]),
        image("web", &[]),
    ];
    let wanted = stale(&products, &jobs, &moved(UPGRADE));
    assert_eq!(names(&wanted), ["payload plain", "web", "payload web"]);
    assert_eq!(wanted[0].kind.reasons(), ["hello 1.0-alt1 → 1.1-alt1"]);
    assert_eq!(
        wanted[0].kind.to_string(),
        "make payload plain with generation 2 of sisyphus"
    );
    assert_eq!(wanted[2].kind.reasons(), ["its base web is built again"]);
    assert_eq!(wanted[2].after, [Subject::Image("web".parse().unwrap())]);
}

#[test]
fn another_repository_and_another_architecture_concern_nobody() {
    let jobs = holding(&[("web", &["hello-1.0-alt1.x86_64"])]);
    let mut elsewhere = moved(UPGRADE);
    elsewhere.repository = "p11".parse().unwrap();
    assert!(stale(&[image("web", &[])], &jobs, &elsewhere).is_empty());
    let mut arm = image("web", &[]);
    arm.arch = "aarch64".parse().unwrap();
    assert!(stale(&[arm], &jobs, &moved(UPGRADE)).is_empty());
}

#[test]
fn a_circle_of_bases_ends() {
    let jobs = holding(&[("a", &["hello-1.0-alt1.x86_64"])]);
    let images = [image("a", &["b"]), image("b", &["a"])];
    let wanted = stale(&images, &jobs, &moved(UPGRADE));
    assert_eq!(wanted.len(), 2);
}
