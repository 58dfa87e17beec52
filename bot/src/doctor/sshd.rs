//! The ssh server: what it lets through into the environment of git, and whether it reads our keys at all.
//!
//! `sshd -T` says what is in force for the git user; where it cannot be asked, its files are read, `Include` and `Match` as
//! far as they matter here. The files also say on which line a fault stands.

use std::path::{Path, PathBuf};
use std::time::Duration;

use windlass_hooks::process::Run;
use windlass_templates::SshdValues;

use super::sshd_files::{Directive, directives, matches, read};
use super::{Finding, Fix, Site};
use crate::layout::{authorized_keys, unix};

/// What must come from nobody outside: with the first three any hook is switched off.
const DANGEROUS: [&str; 12] = [
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_KEY_0",
    "GIT_CONFIG_GLOBAL",
    "GIT_DIR",
    "GIT_EXEC_PATH",
    "GIT_OBJECT_DIRECTORY",
    "LD_PRELOAD",
    "PATH",
    "BASH_ENV",
    "WINDLASS_USER",
    "WINDLASS_CONFIG",
];

/// What is in force for the git user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct InForce {
    pub(super) accept_env: Vec<String>,
    pub(super) set_env: Vec<String>,
    pub(super) permit_user_environment: String,
    pub(super) force_command: String,
    pub(super) keys_command: String,
    pub(super) user_ca: String,
    pub(super) password: bool,
    /// The files with keys, absolute.
    pub(super) key_files: Vec<PathBuf>,
}

/// What the ssh server does for the git user; `None` where there is no ssh server.
pub(super) fn in_force(site: &Site) -> Option<InForce> {
    let main = site.etc.join("ssh/sshd_config");
    if !main.exists() {
        return None;
    }
    let mut found = asked(site, &main).unwrap_or_else(|| read(&directives(&main, &site.config.users.git)));
    let home = site.config.paths.git();
    let user = &site.config.users.git;
    let words: Vec<PathBuf> = found
        .key_files
        .iter()
        .map(|word| {
            let word = word
                .display()
                .to_string()
                .replace("%h", &home.display().to_string())
                .replace("%u", user);
            home.join(word.replace("%%", "%"))
        })
        .collect();
    found.key_files = words;
    Some(found)
}

/// Whether the git user's keys are ours.
pub(super) fn reads_ours(site: &Site, found: &InForce) -> bool {
    let ours = authorized_keys(&site.config.paths);
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    found.key_files.iter().any(|file| real(file) == real(&ours))
}

pub(super) fn examine(site: &Site) -> Vec<Finding> {
    let Some(found) = in_force(site) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    if !reads_ours(site, &found) {
        // One user who only pushes by path needs no ssh door.
        if !site.is_one_user() {
            findings.push(closed(site, &found));
        }
        return findings;
    }
    let lines = directives(&site.etc.join("ssh/sshd_config"), &site.config.users.git);
    let reload = "then `sshd -t && systemctl reload ssh`";
    for pattern in &found.accept_env {
        let Some(name) = DANGEROUS.iter().find(|name| matches(pattern, name)) else {
            continue;
        };
        let line = lines
            .iter()
            .find(|line| line.keyword == "acceptenv" && line.words.contains(pattern));
        let finding = Finding::error(
            "accept_env",
            format!("sshd takes {name} from a client: with it every hook can be switched off"),
        );
        findings.push(at_line(
            finding,
            line,
            &format!("AcceptEnv {pattern}"),
            reload,
            |line| {
                let kept: Vec<&str> = line
                    .words
                    .iter()
                    .map(String::as_str)
                    .filter(|word| !DANGEROUS.iter().any(|name| matches(word, name)))
                    .collect();
                let indent = &line.text[..line.text.len() - line.text.trim_start().len()];
                match (kept.is_empty(), line.matched) {
                    (false, _) => format!("{indent}AcceptEnv {}", kept.join(" ")),
                    // In a block for the git user a list keeps the one for everybody from counting.
                    (true, true) => format!("{indent}AcceptEnv GIT_PROTOCOL"),
                    (true, false) => commented(&line.text),
                }
            },
        ));
    }
    for setting in &found.set_env {
        let name = setting.split('=').next().unwrap_or_default();
        if DANGEROUS.contains(&name) || name.starts_with("GIT_CONFIG") {
            let line = lines
                .iter()
                .find(|line| line.keyword == "setenv" && line.text.contains(name));
            let finding = Finding::error(
                "set_env",
                format!("sshd sets {name} for git: hooks can be switched off by it"),
            );
            let value = format!("SetEnv {setting}");
            findings.push(at_line(finding, line, &value, reload, |line| commented(&line.text)));
        }
    }
    let permitted = found.permit_user_environment.to_ascii_lowercase();
    let reaches_git = permitted == "yes"
        || (permitted != "no"
            && found
                .permit_user_environment
                .split(',')
                .any(|pattern| DANGEROUS.iter().any(|name| matches(pattern, name))));
    if reaches_git {
        let line = lines.iter().find(|line| line.keyword == "permituserenvironment");
        let finding = Finding::error(
            "user_environment",
            "sshd takes variables from ~/.ssh/environment and from lines of authorized_keys: hooks can be switched off",
        );
        let value = format!("PermitUserEnvironment {}", found.permit_user_environment);
        findings.push(at_line(finding, line, &value, reload, |_| {
            "PermitUserEnvironment no".to_owned()
        }));
    }
    if !found.force_command.is_empty() && !found.force_command.eq_ignore_ascii_case("none") {
        let line = lines.iter().find(|line| line.keyword == "forcecommand");
        let finding = Finding::error(
            "force_command",
            "sshd runs another command than the one in each key's line, so that nobody is known by his key",
        );
        let value = format!("ForceCommand {}", found.force_command);
        findings.push(at_line(finding, line, &value, reload, |line| commented(&line.text)));
    }
    findings.extend(other_ways_in(site, &found));
    findings
}

/// Whoever comes in by a key or password that is in no line of ours has a shell.
fn other_ways_in(site: &Site, found: &InForce) -> Vec<Finding> {
    let user = &site.config.users.git;
    let mut findings = Vec::new();
    for (keyword, value) in [
        ("AuthorizedKeysCommand", &found.keys_command),
        ("TrustedUserCAKeys", &found.user_ca),
    ] {
        if !value.is_empty() && !value.eq_ignore_ascii_case("none") {
            findings.push(
                Finding::error(
                    "other_keys",
                    format!("sshd lets '{user}' in by keys from elsewhere, which open a shell past every hook"),
                )
                .value(format!("{keyword} {value}"))
                .mend(format!(
                    "write '{keyword} none' into the block 'Match User {user}', then `sshd -t && systemctl reload ssh`"
                )),
            );
        }
    }
    let has_password = unix::has_password(user);
    if found.password && has_password && !site.is_one_user() {
        findings.push(
            Finding::error(
                "password_login",
                format!("'{user}' may log in by password, which opens a shell past every hook"),
            )
            .value("PasswordAuthentication yes, and the account has a password")
            .mend(format!("usermod --password '*' {user}"))
            .fix(Fix::NoPassword { user: user.clone() }),
        );
    }
    findings
}

fn closed(site: &Site, found: &InForce) -> Finding {
    let files: Vec<String> = found.key_files.iter().map(|file| file.display().to_string()).collect();
    let ours = authorized_keys(&site.config.paths);
    let snippet = site.etc.join("ssh/sshd_config.d/50-windlass.conf");
    let finding = Finding::warning(
        "door_closed",
        "sshd does not read the keys that Windlass writes: nobody can log in by them",
    )
    .value(format!(
        "AuthorizedKeysFile {}, to be {}",
        files.join(" "),
        ours.display()
    ))
    .mend("`windlass init` writes the snippet for sshd; then `sshd -t && systemctl reload ssh`");
    let text = windlass_templates::sshd_snippet(&SshdValues {
        git_user: site.config.users.git.clone(),
        authorized_keys: ours.display().to_string(),
    });
    match text {
        Ok(text) if !snippet.exists() && snippet.parent().is_some_and(Path::is_dir) => {
            finding.fix(Fix::Write { path: snippet, text })
        }
        Ok(_) | Err(_) => finding,
    }
}

fn commented(text: &str) -> String {
    format!("# off, by `windlass doctor`: {}", text.trim())
}

/// The finding with its line, where that is known, and the line's mending.
fn at_line(
    finding: Finding,
    line: Option<&Directive>,
    value: &str,
    reload: &str,
    mended: impl Fn(&Directive) -> String,
) -> Finding {
    let Some(line) = line else {
        return finding
            .value(value)
            .mend(format!("take it out of sshd's configuration, {reload}"));
    };
    let new = mended(line);
    finding
        .value(format!("{value}, in {} line {}", line.file.display(), line.line))
        .mend(format!("make it '{new}', {reload}"))
        .fix(Fix::ReplaceLine {
            file: line.file.clone(),
            line: line.line,
            old: line.text.clone(),
            new,
        })
}

/// What `sshd -T` says, if it can be asked.
fn asked(site: &Site, main: &Path) -> Option<InForce> {
    let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/lib/ssh/sshd"]
        .into_iter()
        .find(|path| Path::new(path).exists())?;
    let run = Run::new(program)
        .args(["-T", "-C"])
        .arg(format!("user={},host=localhost,addr=127.0.0.1", site.config.users.git))
        .arg("-f")
        .arg(main)
        .timeout(Duration::from_secs(10));
    let text = String::from_utf8_lossy(&run.ok().ok()?.stdout).into_owned();
    let (mut found, mut by_key_only) = (InForce::default(), false);
    for line in text.lines() {
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words = || rest.split_whitespace().map(str::to_owned);
        match keyword {
            "acceptenv" => found.accept_env.extend(words()),
            "setenv" => found.set_env.push(rest.to_owned()),
            "permituserenvironment" => rest.clone_into(&mut found.permit_user_environment),
            "forcecommand" => rest.clone_into(&mut found.force_command),
            "authorizedkeyscommand" => rest.clone_into(&mut found.keys_command),
            "trustedusercakeys" => rest.clone_into(&mut found.user_ca),
            "passwordauthentication" | "kbdinteractiveauthentication" => found.password |= rest == "yes",
            "authenticationmethods" => by_key_only = rest == "publickey",
            "authorizedkeysfile" => found.key_files = words().map(PathBuf::from).collect(),
            _ => {}
        }
    }
    found.password &= !by_key_only;
    Some(found)
}
