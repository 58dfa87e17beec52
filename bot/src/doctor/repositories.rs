//! Source repositories: hooks that git does not run, settings that let bad objects in, owners with whom git refuses to work.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use windlass_hooks::install::{HookState, Status};
use windlass_hooks::receive::Hook;

use super::{Finding, Fix, Site, unreadable};
use crate::layout::{Part, sources, unix};

pub(super) fn examine(site: &Site) -> Vec<Finding> {
    let root = site.config.paths.git();
    if !root.exists() {
        return Vec::new();
    }
    let repositories = match sources::below(&root) {
        Ok(repositories) => repositories,
        Err(error) => return vec![unreadable("the source repositories", &format!("{error:#}"))],
    };
    repositories
        .iter()
        .flat_map(|repository| one(site, repository))
        .collect()
}

fn one(site: &Site, repository: &Path) -> Vec<Finding> {
    let name = site.shown(repository);
    let mut findings = ownership(site, repository, &name);
    match site.installation.status(repository) {
        Ok(status) => findings.extend(hooks(repository, &name, &status)),
        Err(error) => findings.push(unreadable(&name, &error)),
    }
    findings
}

fn hooks(repository: &Path, name: &str, status: &Status) -> Vec<Finding> {
    let install = |finding: Finding| {
        finding
            .mend(format!("windlass hooks install {name}"))
            .fix(Fix::InstallHooks {
                repository: repository.to_owned(),
            })
    };
    let mut findings = Vec::new();
    for (hook, state) in &status.hooks {
        let code = match state {
            HookState::Good => continue,
            HookState::Missing => "hook_missing",
            HookState::Dangling => "hook_dangling",
            HookState::NotExecutable => "hook_not_executable",
            HookState::Outdated => "hook_outdated",
            HookState::Foreign => "hook_foreign",
        };
        let meaning = match (state, hook) {
            (HookState::Outdated, Hook::PreReceive) => "is edited, or names another program or configuration",
            (HookState::Outdated, Hook::PostReceive) => {
                "is edited, or names another program or configuration: no task may come of a push"
            }
            (_, Hook::PreReceive) => match state {
                HookState::Missing => "is missing: every push passes unjudged",
                HookState::Dangling => "is a link that leads nowhere: every push passes unjudged",
                HookState::NotExecutable => "is not executable: every push passes unjudged",
                HookState::Foreign | HookState::Good | HookState::Outdated => {
                    "is somebody else's: every push passes unjudged"
                }
            },
            (_, Hook::PostReceive) => match state {
                HookState::Missing => "is missing: no task comes of a push",
                HookState::Dangling => "is a link that leads nowhere: no task comes of a push",
                HookState::NotExecutable => "is not executable: no task comes of a push",
                HookState::Foreign | HookState::Good | HookState::Outdated => {
                    "is somebody else's: no task comes of a push"
                }
            },
        };
        let path = repository.join("hooks").join(hook.name());
        findings.push(install(
            Finding::error(code, format!("{name}: the hook {} {meaning}", hook.name())).value(describe(&path)),
        ));
    }
    if let Some(elsewhere) = &status.hooks_elsewhere {
        let (word, what) = if elsewhere.is_dir() {
            ("", "another directory")
        } else {
            (", which is not there", "nowhere")
        };
        findings.push(install(
            Finding::error(
                "hooks_path_repository",
                format!("{name}: core.hooksPath leads to {what}: its hooks are not run"),
            )
            .value(format!(
                "core.hooksPath = {}{word}, in {}",
                elsewhere.display(),
                repository.join("config").display()
            )),
        ));
    }
    for difference in &status.settings {
        let found = if difference.found.is_empty() {
            "not set".to_owned()
        } else {
            difference.found.join(", ")
        };
        findings.push(install(
            Finding::warning(
                "git_setting",
                format!("{name}: {} is to be {}", difference.key, difference.wanted),
            )
            .value(format!("{found}, in {}", repository.join("config").display())),
        ));
    }
    if let Some(why) = &status.broken_chain {
        findings.push(
            Finding::error(
                "chained_hook",
                format!("{name}: a chained hook cannot be run, so every push is refused"),
            )
            .value(why)
            .mend("chmod +x it, or move it out of the directory"),
        );
    }
    findings
}

/// What stands at a path, in a few words.
fn describe(path: &Path) -> String {
    let shown = path.display();
    match path.symlink_metadata() {
        Err(error) => format!("{shown}: {error}"),
        Ok(metadata) if metadata.is_symlink() => {
            let target = std::fs::read_link(path).unwrap_or_default();
            format!("{shown} -> {}", target.display())
        }
        Ok(metadata) => format!("{shown}, mode {:04o}", metadata.permissions().mode() & 0o7777),
    }
}

/// git does not work in somebody else's repository (`safe.directory`), and whoever else can write there is its master.
fn ownership(site: &Site, repository: &Path, name: &str) -> Vec<Finding> {
    let git = site.accounts.part(Part::Git);
    let mut findings = Vec::new();
    for path in [
        repository.to_owned(),
        repository.join("config"),
        repository.join("hooks"),
        repository.join("objects"),
    ] {
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        if metadata.uid() != git.uid && !metadata.is_symlink() {
            findings.push(
                Finding::error(
                    "repository_owner",
                    format!(
                        "{name}: it is not {}'s, so git refuses to work in it (safe.directory)",
                        git.user
                    ),
                )
                .value(format!("{} is {}'s", path.display(), unix::user_name(metadata.uid())))
                .mend(format!(
                    "chown -R {}:{} '{}'",
                    git.user,
                    git.group,
                    repository.display()
                ))
                .fix(Fix::GiveToGit {
                    repository: repository.to_owned(),
                }),
            );
            break;
        }
    }
    for path in [
        repository.to_owned(),
        repository.join("config"),
        repository.join("hooks"),
    ] {
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o002 != 0 && !metadata.is_symlink() {
            findings.push(
                Finding::error(
                    "repository_writable",
                    format!("{name}: everybody on this machine may change it"),
                )
                .value(format!("{}, mode {mode:04o}", path.display()))
                .mend(format!("chmod o-w '{}'", path.display()))
                .fix(Fix::Permissions {
                    wanted: crate::layout::files::Permissions {
                        mode: mode & !0o002,
                        ..crate::layout::files::Permissions::of(&metadata)
                    },
                    path,
                }),
            );
        }
    }
    findings
}
