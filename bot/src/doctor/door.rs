//! The lines of `authorized_keys`: each runs the ssh door and nothing else, or a key's owner is past every check.

use std::io;
use std::path::Path;

use super::{Finding, Fix, Site, sshd, unreadable};
use crate::layout::files::{self, Permissions};
use crate::layout::{Part, authorized_keys};
use crate::people::{self, authorized_keys as ours};

pub(super) fn examine(site: &Site) -> Vec<Finding> {
    let own = authorized_keys(&site.config.paths);
    let in_force = sshd::in_force(site).filter(|found| sshd::reads_ours(site, found));
    let mut paths = vec![own.clone()];
    // What else sshd reads for this user opens the same door.
    paths.extend(
        in_force
            .into_iter()
            .flat_map(|found| found.key_files)
            .filter(|path| *path != own),
    );
    let mut findings = block(site, &own);
    for path in paths {
        match read(site, &path) {
            Ok(text) => {
                findings.extend(permissions(site, &path));
                findings.extend(lines(site, &path, &text));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => findings.push(unreadable(&format!("'{}'", path.display()), &error)),
        }
    }
    findings
}

fn read(site: &Site, path: &Path) -> io::Result<String> {
    let root = site.config.paths.git();
    if path.starts_with(&root) {
        files::read_below(&root, path)
    } else {
        std::fs::read_to_string(path)
    }
}

/// Whether our lines say what the people's files say.
fn block(site: &Site, path: &Path) -> Vec<Finding> {
    let Ok((everybody, _)) = people::everybody(&site.config.paths.people()) else {
        return Vec::new();
    };
    let text = match read(site, path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        // That it cannot be read is told below.
        Err(_) => return Vec::new(),
    };
    let expected =
        ours::block(&everybody, &site.shell, &site.config_file).and_then(|block| ours::merged(&text, &block));
    match expected {
        Err(why) => vec![
            Finding::error(
                "door_damaged",
                "the file by which sshd lets people in cannot be brought up to date",
            )
            .value(format!("{}: {why}", path.display()))
            .mend("take both marks of windlass out of it, then `windlass keys authorized-keys --write`"),
        ],
        Ok(expected) if expected != text && (!text.is_empty() || expected.lines().count() > 2) => vec![
            Finding::error(
                "door_outdated",
                "the file by which sshd lets people in does not say what their files say",
            )
            .value(path.display().to_string())
            .mend("windlass keys authorized-keys --write")
            .fix(Fix::AuthorizedKeys),
        ],
        Ok(_) => Vec::new(),
    }
}

/// Whoever can write the file can let himself in; and sshd ignores a file that others can write.
fn permissions(site: &Site, path: &Path) -> Option<Finding> {
    let found = Permissions::of(&path.symlink_metadata().ok()?);
    let git = site.accounts.part(Part::Git);
    let wanted = Permissions {
        uid: git.uid,
        gid: git.gid,
        mode: 0o600,
    };
    let is_fine = (found.uid == git.uid || found.uid == 0) && found.mode & 0o022 == 0;
    (!is_fine).then(|| {
        Finding::error(
            "door_permissions",
            "others than the git user may write the file by which sshd lets people in",
        )
        .value(format!(
            "{} {}, to be {}",
            path.display(),
            found.shown(),
            wanted.shown()
        ))
        .mend(format!(
            "chown {}:{} '{1}' && chmod 600 '{1}'",
            git.user,
            path.display()
        ))
        .fix(Fix::Permissions {
            path: path.to_owned(),
            wanted,
        })
    })
}

/// The lines that are not ours.
fn lines(site: &Site, path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut is_ours = false;
    for (number, line) in text.lines().enumerate() {
        match line.trim_end() {
            mark if mark == ours::BEGIN => is_ours = true,
            mark if mark == ours::END => is_ours = false,
            _ if is_ours => {}
            comment if comment.trim_start().is_empty() || comment.trim_start().starts_with('#') => {}
            _ => findings.extend(judge(site, path, number + 1, line)),
        }
    }
    findings
}

fn judge(site: &Site, path: &Path, number: usize, line: &str) -> Vec<Finding> {
    let options = options(line);
    let has = |name: &str| options.iter().any(|option| option.eq_ignore_ascii_case(name));
    let value_of = |name: &str| {
        options.iter().find_map(|option| {
            let (key, value) = option.split_once('=')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim_matches('"').to_owned())
        })
    };
    let shown = path.display();
    let replace = |finding: Finding, new: String| {
        finding
            .value(format!("{shown} line {number}: {}", abridged(line)))
            .mend(format!("make line {number} of {shown} '{}'", abridged(&new)))
            .fix(Fix::ReplaceLine {
                file: path.to_owned(),
                line: number,
                old: line.to_owned(),
                new,
            })
    };
    let off = format!("# off, by `windlass doctor`: {line}");
    if value_of("environment").is_some() {
        let finding = Finding::error(
            "key_environment",
            "a key's line sets variables for git: hooks can be switched off by it",
        );
        return vec![replace(finding, off)];
    }
    let Some(command) = value_of("command") else {
        let finding = Finding::error(
            "unforced_key",
            format!("a key opens a shell as '{}', past every hook", site.config.users.git),
        );
        return vec![replace(finding, off)];
    };
    let mut findings = Vec::new();
    if !has("restrict") {
        let finding = Finding::error(
            "unrestricted_key",
            "a key may forward ports and agents and open terminals",
        );
        findings.push(replace(finding, format!("restrict,{line}")));
    }
    if !command.contains("windlass-shell") {
        findings.push(
            Finding::warning(
                "foreign_command",
                "a key runs another program than windlass-shell as the git user",
            )
            .value(format!("{shown} line {number}: {}", abridged(line)))
            .mend("make sure that it pushes nothing"),
        );
    }
    findings
}

/// A line short enough to be read, without most of its key.
fn abridged(line: &str) -> String {
    let short: String = line.chars().take(100).collect();
    if short.len() < line.len() {
        format!("{short}…")
    } else {
        short
    }
}

/// The options before the key's type: by commas, what is in double quotes kept together.
fn options(line: &str) -> Vec<String> {
    let line = line.trim_start();
    let mut options = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in line.chars() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ',' if !quoted => {
                options.push(String::new());
                continue;
            }
            ' ' | '\t' if !quoted => break,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        if let Some(option) = options.last_mut() {
            option.push(c);
        }
    }
    let is_key = options.first().is_some_and(|first| {
        ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"]
            .iter()
            .any(|kind| first.starts_with(kind))
    });
    if is_key { Vec::new() } else { options }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_end_at_the_key() {
        assert!(options("ssh-ed25519 AAAA me").is_empty());
        assert!(options("sk-ssh-ed25519@openssh.com AAAA").is_empty());
        assert_eq!(
            options(r#"command="a \" b, c",restrict,pty ssh-rsa AAAA"#),
            [r#"command="a \" b, c""#, "restrict", "pty"]
        );
    }
}
