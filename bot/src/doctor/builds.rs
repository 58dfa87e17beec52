//! Whether packages can be built here: programs, a sandbox, compilers for all architectures of the repositories.

use std::collections::BTreeSet;
use std::fs;

use windlass_core::id::ArchName;

use super::{Finding, Site};
use crate::config::SandboxKind;
use crate::layout::Part;
use crate::sandbox::{Builder, Lack, Sweeps};

/// What gives user namespaces to nobody but root, and the value at which it does so.
const SWITCHES: [(&str, &str, &str); 3] = [
    ("user/max_user_namespaces", "0", "user.max_user_namespaces=10000"),
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "kernel.unprivileged_userns_clone=1",
    ),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "kernel.apparmor_restrict_unprivileged_userns=0",
    ),
];

pub(super) fn examine(site: &Site) -> Vec<Finding> {
    let arches: BTreeSet<ArchName> = site
        .config
        .repositories
        .iter()
        .flat_map(crate::config::Repository::architectures)
        .collect();
    if arches.is_empty() {
        return Vec::new();
    }
    if site.config.build.sandbox == SandboxKind::Container {
        return super::builders::examine(&site.config);
    }
    let bot = site.accounts.part(Part::Bot).uid;
    if bot != 0 {
        let findings = switches();
        if !findings.is_empty() {
            return findings;
        }
    }
    let own = rustix::process::geteuid().as_raw() == bot;
    let builder = match Builder::of_this_program(&site.config, &site.config.paths, Sweeps::No) {
        Ok(builder) => builder,
        Err(error) => return vec![super::unreadable("the program that runs", &error)],
    };
    let arches: Vec<ArchName> = arches.into_iter().collect();
    // Who is another user than the daemon cannot try what that one can.
    let lacks = builder.lacks(if own { &arches } else { &[] });
    lacks.into_iter().map(finding).collect()
}

fn switches() -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, off, mend) in SWITCHES {
        let value = fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default();
        if value.trim() == off {
            let message = "this machine gives user namespaces to root only: nothing can be built";
            let shown = format!("{} = {off}", name.replace('/', "."));
            let mend = format!("echo {mend} > /etc/sysctl.d/60-windlass.conf && sysctl --system");
            findings.push(Finding::error("no_sandbox", message).value(shown).mend(mend));
        }
    }
    findings
}

fn finding(lack: Lack) -> Finding {
    match lack {
        Lack::Program(program, package) => {
            let message = format!("'{program}' is not installed: no package can be built");
            Finding::error("no_build_program", message)
                .value("it is neither in bin nor in sbin")
                .mend(format!("apt-get install {package}"))
        }
        Lack::Architecture(arch) => Finding::error(
            "foreign_architecture",
            format!("this machine does not build for '{arch}'"),
        )
        .value(format!("it is {}", std::env::consts::ARCH))
        .mend("take it out of `architectures` of the [[repository]]"),
        Lack::Sandbox(why) => {
            let (why, hint) = why.split_once("\n\nhint: ").unwrap_or((&why, ""));
            let mend = if hint.is_empty() {
                "mend what it says; bubblewrap has to be installed"
            } else {
                hint
            };
            Finding::error("no_sandbox", "no sandbox can be made: no package can be built")
                .value(why)
                .mend(mend)
        }
        Lack::Compiler(arch) => Finding::warning(
            "no_compiler",
            format!("C programs cannot be compiled for '{arch}' in build roots"),
        )
        .value("gcc makes no program that runs")
        .mend("apt-get install gcc gcc-multilib libc6-dev"),
        Lack::Counting => Finding::note(
            "limits_by_process",
            "memory and processes are limited for each process of a build, and not for all of it together",
        )
        .value("no control group can be made")
        .mend("let systemd start the daemon by the unit of `windlass init`, which says Delegate="),
    }
}
