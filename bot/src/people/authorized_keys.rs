//! The file with everybody's login keys, by which sshd lets people in: each line runs the ssh door for one person.
//!
//! Lines of ours stand between two marks; what stands outside is somebody else's and stays.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use windlass_core::escape::escaped;
use windlass_core::people::{Person, SshUse};
use windlass_templates::sh_quoted;

use super::keys::normal;
use crate::config::Config;
use crate::layout::{self, Accounts, Part, files};

/// The first line of ours.
pub const BEGIN: &str = "# BEGIN windlass: written by `windlass keys authorized-keys`; what is changed here is lost";

/// The last line of ours.
pub const END: &str = "# END windlass";

/// What cannot be written into the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// A path holds a line break or another control character.
    #[error("the path '{0}' holds a control character, which no line of authorized_keys can")]
    Path(String),
    /// The file has one mark without the other, or several.
    #[error("the marks of windlass in the file are damaged: one begins and one ends them")]
    Marks,
}

/// The lines of ours, marks included: one for each login key, in the order of people and keys.
///
/// # Errors
/// A path that no line can hold.
pub fn block(people: &[Person], shell: &Path, config: &Path) -> Result<String, Unwritable> {
    let (shell, config) = (word(shell)?, word(config)?);
    let mut block = format!("{BEGIN}\n");
    for person in people {
        for key in person.ssh.iter().filter(|key| key.uses.contains(&SshUse::Login)) {
            let command = format!("{shell} --config {config} {}", person.name);
            // sshd takes a backslash for itself only before a double quote.
            let command = command.replace('"', "\\\"");
            // A key that cannot be read opens nothing; `windlass keys lint` tells.
            if let Ok(key) = normal(&key.key) {
                // Writing to a String cannot fail.
                let _ = writeln!(block, "command=\"{command}\",restrict {key}");
            }
        }
    }
    block.push_str(END);
    block.push('\n');
    Ok(block)
}

/// The whole file with our lines in it: in the place of the old ones, else at the end.
///
/// # Errors
/// The marks in the old text are damaged.
pub fn merged(old: &str, block: &str) -> Result<String, Unwritable> {
    let is = |line: &str, mark: &str| line.trim_end() == mark;
    let lines: Vec<&str> = old.lines().collect();
    let begins: Vec<usize> = (0..lines.len()).filter(|at| is(lines[*at], BEGIN)).collect();
    let ends: Vec<usize> = (0..lines.len()).filter(|at| is(lines[*at], END)).collect();
    let (before, after) = match (begins.as_slice(), ends.as_slice()) {
        ([], []) => (lines.as_slice(), &[][..]),
        ([begin], [end]) if begin < end => (&lines[..*begin], &lines[end + 1..]),
        _ => return Err(Unwritable::Marks),
    };
    let text = |lines: &[&str]| lines.iter().flat_map(|line| [line, "\n"]).collect::<String>();
    Ok(format!("{}{block}{}", text(before), text(after)))
}

/// What was done about the file on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It says something else now.
    Changed,
    /// It said so before.
    Same,
    /// This process may not write it.
    NotAllowed,
}

/// Brings the file on disk up to date with everybody's keys.
///
/// # Errors
/// It cannot be read or written, though this process may.
pub fn update(config: &Config, config_file: &Path, people: &[Person]) -> anyhow::Result<Written> {
    let accounts = Accounts::of(&config.users)?;
    let git = accounts.part(Part::Git);
    let own = rustix::process::geteuid();
    if !own.is_root() && own.as_raw() != git.uid {
        return Ok(Written::NotAllowed);
    }
    let path = layout::authorized_keys(&config.paths);
    let shell = layout::program("windlass-shell")?;
    let config_file = std::path::absolute(config_file).context("the configuration's path cannot be made out")?;
    let block = block(people, &shell, &config_file)?;
    let shown = path.display();
    let old = match files::read_below(&config.paths.git(), &path) {
        Ok(old) => old,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read '{shown}'")),
    };
    let new = merged(&old, &block).with_context(|| format!("'{shown}' stays as it is"))?;
    if new == old {
        return Ok(Written::Same);
    }
    let permissions = files::Permissions {
        uid: git.uid,
        gid: git.gid,
        mode: 0o600,
    };
    files::replace_below(&config.paths.git(), &path, new.as_bytes(), permissions)
        .with_context(|| format!("cannot write '{shown}'"))?;
    Ok(Written::Changed)
}

/// A path as one word for the shell through which sshd runs the command.
fn word(path: &Path) -> Result<String, Unwritable> {
    let text = path
        .to_str()
        .ok_or_else(|| Unwritable::Path(escaped(&path.display().to_string())))?;
    if text.chars().any(char::is_control) {
        return Err(Unwritable::Path(escaped(text)));
    }
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+".contains(&b));
    Ok(if plain { text.to_owned() } else { sh_quoted(text) })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8ht8Z3j6yDWPBHQtOp/R9rjWvfMYo3MSA/K6q8D86r";

    fn person(name: &str, text: &str) -> Person {
        Person::from_toml(name.parse().unwrap(), text).unwrap()
    }

    #[test]
    fn each_login_key_runs_the_door_for_its_person() {
        let people = [
            person(
                "alice",
                &format!("[[ssh]]\nkey = \"{KEY} alice@laptop\"\n[[ssh]]\nkey = \"{KEY}\"\nuses = [\"sign\"]\n"),
            ),
            person("bob", ""),
            person(
                "carol",
                &format!("[[ssh]]\nkey = \"{KEY} c\\nssh-rsa AAAA evil\"\nuses = [\"login\"]\n"),
            ),
        ];
        let block = block(
            &people,
            "/usr/bin/windlass-shell".as_ref(),
            "/etc/windlass/windlass.toml".as_ref(),
        )
        .unwrap();
        assert_snapshot!(block, @r#"
        # BEGIN windlass: written by `windlass keys authorized-keys`; what is changed here is lost
        command="/usr/bin/windlass-shell --config /etc/windlass/windlass.toml alice",restrict ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8ht8Z3j6yDWPBHQtOp/R9rjWvfMYo3MSA/K6q8D86r alice@laptop
        command="/usr/bin/windlass-shell --config /etc/windlass/windlass.toml carol",restrict ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8ht8Z3j6yDWPBHQtOp/R9rjWvfMYo3MSA/K6q8D86r c ssh-rsa AAAA evil
        # END windlass
        "#);
    }

    #[test]
    fn odd_paths_are_one_word_for_the_shell_and_one_option_for_sshd() {
        let people = [person("alice", &format!("[[ssh]]\nkey = \"{KEY}\"\n"))];
        let block = block(
            &people,
            "/opt/it's \"here\"/windlass-shell".as_ref(),
            "/etc/$(id)/w.toml".as_ref(),
        )
        .unwrap();
        assert_snapshot!(block.lines().nth(1).unwrap(), @r#"command="'/opt/it'\''s \"here\"/windlass-shell' --config '/etc/$(id)/w.toml' alice",restrict ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8ht8Z3j6yDWPBHQtOp/R9rjWvfMYo3MSA/K6q8D86r"#);
        assert!(super::block(&people, "/a\nb".as_ref(), "/c".as_ref()).is_err());
    }

    #[test]
    fn foreign_lines_stay_where_they_are() {
        let block = format!("{BEGIN}\nnew\n{END}\n");
        let old = format!("# mine\nssh-rsa A me\n{BEGIN}\nold\nold2\n{END}\nssh-rsa B later\n");
        let new = merged(&old, &block).unwrap();
        assert_eq!(new, format!("# mine\nssh-rsa A me\n{block}ssh-rsa B later\n"));
        assert_eq!(merged(&new, &block).unwrap(), new);
        assert_eq!(
            merged("ssh-rsa A me", &block).unwrap(),
            format!("ssh-rsa A me\n{block}")
        );
        assert_eq!(merged(BEGIN, &block), Err(Unwritable::Marks));
        assert_eq!(merged(&format!("{END}\n{BEGIN}\n"), &block), Err(Unwritable::Marks));
    }
}
