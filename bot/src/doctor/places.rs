//! Users, programs, directories and files: that each is there, whose it is, who may write it.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use windlass_hooks::spool::Spool;

use super::{Finding, Fix, Site, unreadable};
use crate::layout::files::Permissions;
use crate::layout::{Part, directories, person_file, unix};

/// A request that waits longer while the bot answers is stuck.
const STUCK: Duration = Duration::from_mins(10);

pub(super) fn examine(site: &Site) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !site.is_one_user() {
        findings.extend(users(site));
    }
    findings.extend(configuration(site));
    findings.extend(programs(site));
    findings.extend(all_directories(site));
    findings.extend(people(site));
    findings.extend(socket_and_spool(site));
    findings
}

fn users(site: &Site) -> Vec<Finding> {
    let (git, bot) = (site.accounts.part(Part::Git), site.accounts.part(Part::Bot));
    let mut findings = Vec::new();
    if !unix::is_member(bot, git.gid) {
        findings.push(
            Finding::error(
                "bot_not_in_group",
                format!(
                    "'{}' is not in the group '{}': it can read no source repository",
                    bot.user, git.group
                ),
            )
            .value(format!("groups of {}", bot.user))
            .mend(format!(
                "usermod --append --groups {} {}, then systemctl restart windlass",
                git.group, bot.user
            ))
            .fix(Fix::JoinGroup {
                user: bot.user.clone(),
                group: git.group.clone(),
            }),
        );
    }
    let shell = unix::shell_of(&git.user).unwrap_or_default();
    if ["nologin", "false", "git-shell"]
        .iter()
        .any(|name| shell.ends_with(name))
    {
        findings.push(
            Finding::error(
                "git_shell",
                format!("'{}' has no shell through which sshd could run the ssh door", git.user),
            )
            .value(shell.display().to_string())
            .mend(format!("usermod --shell /bin/sh {}", git.user))
            .fix(Fix::LoginShell { user: git.user.clone() }),
        );
    }
    findings
}

/// Whoever can write the configuration decides what is judged good.
fn configuration(site: &Site) -> Vec<Finding> {
    let path = &site.config_file;
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) => return vec![unreadable(&format!("'{}'", path.display()), &error)],
    };
    let found = Permissions::of(&metadata);
    let admin = site.accounts.part(Part::Admin);
    let git = site.accounts.part(Part::Git);
    let readable = found.mode & 0o004 != 0
        || (found.mode & 0o040 != 0 && found.gid == git.gid)
        || (found.mode & 0o400 != 0 && found.uid == git.uid);
    let message = if found.mode & 0o022 != 0 || (found.uid != admin.uid && found.uid != 0) {
        "others than the administrator may change what is judged good"
    } else if !readable {
        "hooks and ssh door cannot read the configuration: every push is refused"
    } else {
        return Vec::new();
    };
    let wanted = Permissions {
        uid: admin.uid,
        gid: admin.gid,
        mode: 0o644,
    };
    vec![mended(
        Finding::error("config_permissions", message),
        path,
        found,
        wanted,
    )]
}

/// A finding about permissions, with its value, command and fix.
fn mended(finding: Finding, path: &Path, found: Permissions, wanted: Permissions) -> Finding {
    let (user, group) = (unix::user_name(wanted.uid), unix::group_name(wanted.gid));
    finding
        .value(format!(
            "{} {}, to be {}",
            path.display(),
            found.shown(),
            wanted.shown()
        ))
        .mend(format!(
            "chown {user}:{group} '{0}' && chmod {1:04o} '{0}'",
            path.display(),
            wanted.mode
        ))
        .fix(Fix::Permissions {
            path: path.to_owned(),
            wanted,
        })
}

fn programs(site: &Site) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in [&site.installation.program, &site.shell] {
        let metadata = match path.metadata() {
            Ok(metadata) => metadata,
            Err(error) => {
                findings.push(
                    Finding::error(
                        "program_missing",
                        "a program that hooks and ssh door call is not there: every push is refused",
                    )
                    .value(format!("{}: {error}", path.display()))
                    .mend("install it beside windlass"),
                );
                continue;
            }
        };
        let found = Permissions::of(&metadata);
        let wanted = Permissions {
            mode: (found.mode & !0o022) | 0o555,
            ..found
        };
        let message = if found.mode & 0o111 != 0o111 {
            "a program that hooks and ssh door call may not be run: every push is refused"
        } else if found.mode & 0o022 != 0 {
            "others than its owner may change what hooks and ssh door run"
        } else {
            continue;
        };
        findings.push(mended(
            Finding::error("program_permissions", message),
            path,
            found,
            wanted,
        ));
    }
    if !site.is_one_user() {
        findings.extend(reachable(site, &site.installation.program));
    }
    findings
}

/// A program below a closed directory, as one's own home is, cannot be run by the git user.
fn reachable(site: &Site, program: &Path) -> Option<Finding> {
    let git = site.accounts.part(Part::Git);
    let closed = program.ancestors().skip(1).find(|directory| {
        directory.metadata().is_ok_and(|metadata| {
            let found = Permissions::of(&metadata);
            let open = found.mode & 0o001 != 0
                || (found.mode & 0o010 != 0 && found.gid == git.gid)
                || (found.mode & 0o100 != 0 && found.uid == git.uid);
            !open
        })
    })?;
    Some(
        Finding::error(
            "program_unreachable",
            format!(
                "'{}' cannot come to the program of the hooks: every push is refused",
                git.user
            ),
        )
        .value(format!("{} is closed by {}", program.display(), closed.display()))
        .mend("install the programs where everybody can run them, then `windlass hooks install --all`"),
    )
}

fn all_directories(site: &Site) -> Vec<Finding> {
    let mut findings = Vec::new();
    for directory in directories(&site.config.paths) {
        let wanted = site.accounts.permissions(&directory);
        let path = &directory.path;
        let fix = Fix::Directory {
            path: path.clone(),
            wanted,
        };
        let metadata = match path.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                findings.push(
                    Finding::error(
                        "directory_missing",
                        format!("the directory for {} is not there", directory.holds),
                    )
                    .value(path.display().to_string())
                    .mend("windlass init")
                    .fix(fix),
                );
                continue;
            }
            Err(error) => {
                findings.push(unreadable(&format!("'{}'", path.display()), &error));
                continue;
            }
        };
        let found = Permissions::of(&metadata);
        if found == wanted {
            continue;
        }
        if !metadata.is_dir() {
            findings.push(
                Finding::error(
                    "directory_missing",
                    format!(
                        "in the place of the directory for {} is something else",
                        directory.holds
                    ),
                )
                .value(path.display().to_string())
                .mend("move it away, then `windlass init`"),
            );
            continue;
        }
        let too_open = found.mode & !wanted.mode & 0o077 != 0 || (found.uid, found.gid) != (wanted.uid, wanted.gid);
        let finding = if too_open {
            Finding::error(
                "directory_permissions",
                format!(
                    "the directory for {} is open to others than it is to be",
                    directory.holds
                ),
            )
        } else {
            Finding::error(
                "directory_permissions",
                format!("the directory for {} is closed to some who need it", directory.holds),
            )
        };
        findings.push(mended(finding, path, found, wanted).fix(fix));
    }
    findings
}

/// Whoever can write a person's file can sign as that person.
fn people(site: &Site) -> Vec<Finding> {
    let wanted = person_file(&site.accounts);
    let Ok(entries) = std::fs::read_dir(site.config.paths.people()) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let is_person = path
            .extension()
            .is_some_and(|ending| ["toml", "asc", "pgp", "gpg"].iter().any(|e| ending == *e));
        let is_index = entry.file_name() == ".index";
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        if !(is_person || is_index) || !metadata.is_file() {
            continue;
        }
        let found = Permissions::of(&metadata);
        let owner_is_fine = found.uid == wanted.uid || found.uid == 0;
        let readable =
            found.mode & 0o004 != 0 || (found.mode & 0o040 != 0 && found.gid == wanted.gid) || site.is_one_user();
        let message = if found.mode & 0o022 != 0 || !owner_is_fine {
            "others than the administrator may change who somebody is"
        } else if !readable {
            "hooks and ssh door cannot read who somebody is: his pushes are refused"
        } else {
            continue;
        };
        findings.push(mended(
            Finding::error("person_permissions", message),
            &path,
            found,
            wanted,
        ));
    }
    findings
}

fn socket_and_spool(site: &Site) -> Vec<Finding> {
    let mut findings = Vec::new();
    let socket = site.config.paths.socket();
    let mut answers = false;
    match socket.symlink_metadata() {
        Ok(metadata) if metadata.file_type().is_socket() => {
            let found = Permissions::of(&metadata);
            let wanted = Permissions {
                uid: site.accounts.part(Part::Bot).uid,
                gid: site.accounts.part(Part::Git).gid,
                mode: 0o660,
            };
            answers = std::os::unix::net::UnixStream::connect(&socket).is_ok();
            if found != wanted {
                let finding = Finding::error(
                    "socket_permissions",
                    "the bot's socket is not for those for whom it is to be",
                );
                findings.push(mended(finding, &socket, found, wanted));
            }
        }
        Ok(_) => findings.push(
            Finding::error(
                "socket_permissions",
                "in the place of the bot's socket is something else",
            )
            .value(socket.display().to_string())
            .mend("move it away, then systemctl restart windlass"),
        ),
        Err(_) => {}
    }
    if !answers {
        findings.push(
            Finding::note(
                "bot_away",
                "the bot does not answer: pushes and builds wait in the spool, all else is refused",
            )
            .value(socket.display().to_string())
            .mend("systemctl start windlass, or `windlass serve`"),
        );
    }
    findings.extend(spool(site, answers));
    findings
}

fn spool(site: &Site, answers: bool) -> Vec<Finding> {
    let directory = site.config.paths.spool();
    let Ok(waiting) = Spool::new(&directory).entries() else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let trusted = site.config.users.trusted_uids();
    let foreign: Vec<String> = waiting
        .iter()
        .filter(|path| {
            path.symlink_metadata()
                .is_ok_and(|found| !trusted.contains(&found.uid()))
        })
        .map(|path| path.display().to_string())
        .collect();
    if let Some(first) = foreign.first() {
        findings.push(
            Finding::error(
                "spool_foreign",
                format!(
                    "{} requests in the spool are from users who may make none",
                    foreign.len()
                ),
            )
            .value(first)
            .mend("find out whose they are; the bot does not take them"),
        );
    }
    let age = |path: &Path| {
        let modified = path.symlink_metadata().and_then(|found| found.modified()).ok()?;
        SystemTime::from(site.now).duration_since(modified).ok()
    };
    let oldest = waiting.iter().filter_map(|path| age(path)).max().unwrap_or_default();
    if !waiting.is_empty() {
        let finding = if answers && oldest > STUCK {
            Finding::warning(
                "spool_stuck",
                format!("{} requests wait in the spool, though the bot answers", waiting.len()),
            )
            .mend("journalctl -u windlass says why")
        } else {
            Finding::note("spool_waiting", format!("{} requests wait in the spool", waiting.len()))
                .mend("the bot takes them up when it starts")
        };
        findings.push(finding.value(format!(
            "{}, the oldest for {} minutes",
            directory.display(),
            oldest.as_secs() / 60
        )));
    }
    findings
}
