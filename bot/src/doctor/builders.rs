//! Whether the engines of `[[builder]]` can be used: reached, with the image, for the architectures; and what builds may there.

use std::collections::BTreeMap;

use super::Finding;
use crate::config::{BuildHost, Config};
use crate::sandbox::{Seen, look_at};

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    // Those that do not answer take their time, all at once.
    let seen: Vec<(&BuildHost, Result<Seen, String>)> = std::thread::scope(|scope| {
        let asked: Vec<_> = config
            .builders
            .iter()
            .map(|host| (host, scope.spawn(|| look_at(host, &config.build))))
            .collect();
        let joined = asked.into_iter().map(|(host, asked)| {
            let seen = asked
                .join()
                .unwrap_or_else(|_| Err("it could not be looked at".to_owned()));
            (host, seen)
        });
        joined.collect()
    });
    let mut findings = Vec::new();
    let mut images: BTreeMap<&str, (&str, String)> = BTreeMap::new();
    for (host, seen) in &seen {
        match seen {
            Ok(seen) => {
                findings.extend(of_engine(host, seen));
                let (first, image) = images
                    .entry(&host.image)
                    .or_insert_with(|| (&host.name, seen.image.clone()));
                if *image != seen.image {
                    let message = format!(
                        "builders '{first}' and '{}' have different images of one name",
                        host.name
                    );
                    let value = format!("'{}' is {image} and {}", host.image, seen.image);
                    let mend = "load the same image on both, or name it by its digest";
                    findings.push(Finding::error("builder_image", message).value(value).mend(mend));
                }
            }
            Err(why) => {
                let (why, hint) = why.split_once("\n\nhint: ").unwrap_or((why, ""));
                let mend = if hint.is_empty() {
                    "start the engine, and let the daemon's user reach it; builds go to the others meanwhile"
                } else {
                    hint
                };
                let message = format!("builder '{}' cannot be used", host.name);
                let finding = Finding::error("builder_lost", message);
                findings.push(finding.value(format!("{}: {why}", host.host)).mend(mend));
            }
        }
    }
    findings
}

fn of_engine(host: &BuildHost, seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    for arch in &seen.cannot {
        let message = format!("builder '{}' does not build for '{arch}'", host.name);
        let finding = Finding::error("foreign_architecture", message).value(format!("its machine is {}", seen.machine));
        findings.push(finding.mend("take it out of `architectures` of the [[builder]]"));
    }
    if !seen.maps_ids {
        let message = format!(
            "on builder '{}' scriptlets of packages run as the root of its machine, in a container",
            host.name
        );
        let finding = Finding::note("builder_root", message).value(format!("{} maps no ids", seen.engine));
        findings.push(finding.mend("let the engine run without root, or with `userns-remap`"));
    }
    if seen.nests {
        let message = format!("on builder '{}' builds can make user namespaces", host.name);
        let finding =
            Finding::note("builder_namespaces", message).value(format!("the filter of {} allows it", seen.engine));
        findings.push(finding.mend("name a stricter `seccomp_profile` in its containers.conf, such as Docker's"));
    }
    findings
}
