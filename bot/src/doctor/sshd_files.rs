//! The ssh server's files: which lines may concern the git user, and what they come to, as far as the doctor asks.

use std::path::{Path, PathBuf};

use super::sshd::InForce;

/// One line of the ssh server's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) keyword: String,
    pub(super) words: Vec<String>,
    /// Whether it stands in a `Match` block (that may be for the git user).
    pub(super) matched: bool,
}

/// What the lines say: what stands in a `Match` block counts before what stands outside, the first one of each.
pub(super) fn read(lines: &[Directive]) -> InForce {
    let of = |keyword: &str| {
        let all: Vec<&Directive> = lines.iter().filter(|line| line.keyword == keyword).collect();
        let matched: Vec<&Directive> = all.iter().filter(|line| line.matched).copied().collect();
        if matched.is_empty() { all } else { matched }
    };
    let all_words = |keyword: &str| {
        of(keyword)
            .iter()
            .flat_map(|line| line.words.clone())
            .collect::<Vec<_>>()
    };
    let first = |keyword: &str| of(keyword).first().map(|line| line.words.join(" "));
    let key_files = of("authorizedkeysfile").first().map(|line| line.words.clone());
    InForce {
        accept_env: all_words("acceptenv"),
        set_env: all_words("setenv"),
        permit_user_environment: first("permituserenvironment").unwrap_or_else(|| "no".to_owned()),
        force_command: first("forcecommand").unwrap_or_default(),
        keys_command: first("authorizedkeyscommand").unwrap_or_default(),
        user_ca: first("trustedusercakeys").unwrap_or_default(),
        password: first("authenticationmethods").is_none_or(|methods| methods != "publickey")
            && first("passwordauthentication").is_none_or(|word| word.eq_ignore_ascii_case("yes")),
        key_files: key_files
            .unwrap_or_else(|| vec![".ssh/authorized_keys".to_owned(), ".ssh/authorized_keys2".to_owned()])
            .into_iter()
            .map(PathBuf::from)
            .collect(),
    }
}

/// The lines that may concern the git user, in the order in which sshd reads them.
pub(super) fn directives(main: &Path, user: &str) -> Vec<Directive> {
    let mut lines = Vec::new();
    let base = main.parent().unwrap_or(Path::new("/etc/ssh")).to_owned();
    collect(main, &base, user, Scope::Everybody, 0, &mut lines);
    lines
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Outside of every `Match`.
    Everybody,
    /// In a `Match` that may be for the git user.
    Ours,
    /// In a `Match` for others.
    Others,
}

fn collect(file: &Path, base: &Path, user: &str, outer: Scope, depth: usize, lines: &mut Vec<Directive>) {
    // As deep as sshd itself goes.
    if depth > 16 {
        return;
    }
    let Ok(text) = std::fs::read_to_string(file) else {
        return;
    };
    let mut scope = outer;
    for (number, text) in text.lines().enumerate() {
        let words = words(text);
        let Some((keyword, rest)) = words.split_first() else {
            continue;
        };
        let keyword = keyword.to_ascii_lowercase();
        match keyword.as_str() {
            "match" => {
                scope = if outer == Scope::Others {
                    outer
                } else {
                    match_scope(rest, user)
                }
            }
            "include" => {
                for pattern in rest {
                    for path in expand(&base.join(pattern)) {
                        collect(&path, base, user, scope, depth + 1, lines);
                    }
                }
            }
            _ if scope != Scope::Others => lines.push(Directive {
                file: file.to_owned(),
                line: number + 1,
                text: text.to_owned(),
                keyword,
                words: rest.to_vec(),
                matched: scope == Scope::Ours,
            }),
            _ => {}
        }
    }
}

/// The words of a line: by blanks, the first also by `=`, double quotes kept together; none of a comment.
fn words(line: &str) -> Vec<String> {
    let line = line.trim();
    if line.starts_with('#') {
        return Vec::new();
    }
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quoted, mut begun) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            '#' if !quoted && !begun => break,
            c if !quoted && (c.is_whitespace() || (c == '=' && words.is_empty())) => {
                if begun {
                    words.push(std::mem::take(&mut word));
                    begun = false;
                }
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// Only a `User` that is surely not the git user keeps a block from counting.
fn match_scope(criteria: &[String], user: &str) -> Scope {
    if criteria.first().is_some_and(|word| word.eq_ignore_ascii_case("all")) {
        return Scope::Everybody;
    }
    let others = criteria.chunks(2).any(|pair| {
        matches!(pair, [keyword, patterns] if keyword.eq_ignore_ascii_case("user")
            && (!patterns.split(',').any(|pattern| matches(pattern, user))
                || patterns.split(',').any(|pattern| pattern.strip_prefix('!').is_some_and(|not| matches(not, user)))))
    });
    if others { Scope::Others } else { Scope::Ours }
}

/// The files that a path with patterns in its last part stands for, sorted.
fn expand(path: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(pattern)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    if !pattern.contains(['*', '?']) {
        return vec![path.to_owned()];
    }
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| !name.starts_with('.') && matches(pattern, name))
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Whether a pattern of sshd's (`*`, `?`) stands for a name.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    fn go(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => go(rest, name) || name.split_first().is_some_and(|(_, left)| go(pattern, left)),
            (Some((b'?', rest)), Some((_, left))) => go(rest, left),
            (Some((one, rest)), Some((other, left))) => one == other && go(rest, left),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
    // Longer ones are no patterns of names, and would take long.
    pattern.len() <= 128 && go(pattern.as_bytes(), name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_sshd_does() {
        let etc = tempfile::tempdir().unwrap();
        let ssh = etc.path();
        std::fs::create_dir(ssh.join("sshd_config.d")).unwrap();
        std::fs::write(
            ssh.join("sshd_config.d/50-x.conf"),
            "Match User git\n  AcceptEnv GIT_PROTOCOL\n  AuthorizedKeysFile \"/srv/a b/keys\"\nMatch User bob\n  AcceptEnv *\n",
        )
        .unwrap();
        let main = ssh.join("sshd_config");
        std::fs::write(
            &main,
            "# AcceptEnv X\nInclude sshd_config.d/*.conf\nAcceptEnv LANG GIT_* # all\nPermitUserEnvironment=yes\nMatch Address 10.0.0.0/8\n  ForceCommand x\n",
        )
        .unwrap();
        let lines = directives(&main, "git");
        let found = read(&lines);
        assert_eq!(found.accept_env, ["GIT_PROTOCOL"]);
        assert_eq!(found.key_files, [PathBuf::from("/srv/a b/keys")]);
        assert_eq!(
            (found.permit_user_environment.as_str(), found.force_command.as_str()),
            ("yes", "x")
        );
        assert_eq!(read(&directives(&main, "alice")).accept_env, ["LANG", "GIT_*"]);
        assert_eq!(read(&directives(&main, "bob")).accept_env, ["*"]);
    }

    #[test]
    fn patterns_stand_for_what_sshd_says() {
        assert!(
            matches("GIT_*", "GIT_CONFIG_COUNT") && matches("*", "X") && matches("?IT_*_COUNT", "GIT_CONFIG_COUNT")
        );
        assert!(!matches("GIT_PROTOCOL", "GIT_CONFIG_COUNT") && !matches("LC_*", "LD_PRELOAD"));
    }
}
