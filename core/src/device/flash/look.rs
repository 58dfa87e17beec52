//! What a device says of itself, read without believing it: whatever it is, it is cut to a size and comes out as plain text.
//!
//! All of it comes from one session: the script of [`script`] says one marked section after the other, [`Look::read`] takes them apart.

use super::judge::Seen;
use super::shell;
use crate::escape::{escaped, shortened};

/// The most bytes of one value.
const MOST: usize = 200;

/// What stands before each section.
const MARK: &str = "@@windlass ";

/// What is asked of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    /// Says the slot that it runs from, as a command's words.
    pub slot: Vec<String>,
    /// Says what the updater does.
    pub status: Vec<String>,
    /// Says the version, where the release files do not.
    pub version: Vec<String>,
    /// Says the board, where the release files do not.
    pub board: Vec<String>,
}

/// What an updater does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Updater {
    /// Nothing.
    Idle,
    /// It has installed something that waits for a restart.
    NeedsReboot,
    /// It is at something, in its own word.
    Busy(String),
    /// It says nothing that is understood.
    Unknown(String),
}

/// What was seen of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Boot, slot and version.
    pub seen: Seen,
    /// The board.
    pub board: Option<String>,
    /// What the updater said, for its driver to read.
    pub status: String,
}

/// A script that answers the questions in one session.
pub fn script(questions: &Questions) -> String {
    let mut script = String::new();
    let mut section = |name: &str, command: &str| {
        // The line feed before it: what stands before need not end in one.
        let mark = shell::quote(&format!("{MARK}{name}"));
        script.extend(["echo; echo ", &mark, "; ", command, " 2>/dev/null\n"]);
    };
    section("boot_id", "cat /proc/sys/kernel/random/boot_id");
    section("lsb", "cat /etc/lsb-release");
    section("os", "cat /etc/os-release");
    for (name, words) in [
        ("slot", &questions.slot),
        ("status", &questions.status),
        ("version", &questions.version),
        ("board", &questions.board),
    ] {
        if !words.is_empty() {
            section(name, &shell::command(words));
        }
    }
    script += "true\n";
    script
}

impl Look {
    /// Reads what the script said; nothing if the device says no boot.
    pub fn read(said: &str) -> Option<Self> {
        let section = |name: &str| section(said, name);
        let line = |name: &str| first_line(section(name)?);
        let lsb = section("lsb").unwrap_or_default();
        let os = section("os").unwrap_or_default();
        let (version, board) = release(lsb, os);
        let (version, board) = (line("version").or(version), line("board").or(board));
        Some(Self {
            seen: Seen {
                boot_id: line("boot_id")?,
                slot: line("slot"),
                version,
            },
            board,
            status: section("status").unwrap_or_default().to_owned(),
        })
    }
}

/// Version and board, by the content of `/etc/lsb-release` and of `/etc/os-release`.
pub fn release(lsb: &str, os: &str) -> (Option<String>, Option<String>) {
    let version = variable(lsb, "CHROMEOS_RELEASE_VERSION")
        .or_else(|| variable(os, "IMAGE_VERSION"))
        .or_else(|| variable(os, "VERSION_ID"))
        .or_else(|| variable(lsb, "DISTRIB_RELEASE"));
    let board = variable(lsb, "CHROMEOS_RELEASE_BOARD")
        .or_else(|| variable(os, "IMAGE_ID"))
        .or_else(|| variable(os, "ID"))
        .or_else(|| variable(lsb, "DISTRIB_ID"));
    (version, board)
}

/// What stands below a mark, up to the next.
fn section<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    let mark = format!("{MARK}{name}\n");
    let from = said.find(&mark)? + mark.len();
    let rest = &said[from..];
    Some(rest.find(MARK).map_or(rest, |end| &rest[..end]))
}

fn first_line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(shortened(escaped(line), MOST))
}

/// The value of a variable in a file of `NAME=VALUE` lines, as release files are.
pub fn variable(text: &str, name: &str) -> Option<String> {
    let value = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .find_map(|(key, value)| (key.trim() == name).then(|| value.trim()))?;
    let bare = [('"', '"'), ('\'', '\'')]
        .into_iter()
        .find_map(|(open, close)| value.strip_prefix(open)?.strip_suffix(close))
        .unwrap_or(value);
    (!bare.is_empty()).then(|| shortened(escaped(bare), MOST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAID: &str = "\n@@windlass boot_id\n1b4e28ba-2fa1-11d2-883f-0016d3cca427\n\n@@windlass lsb\n\
        CHROMEOS_RELEASE_BOARD = vm-lab\nCHROMEOS_RELEASE_VERSION=1.0.0\n\n@@windlass os\nID=x\nVERSION_ID=\"9\"\n\n\
        @@windlass slot\n/dev/vda2\n\n@@windlass status\nPROGRESS=0.0\nCURRENT_OP=UPDATE_STATUS_IDLE\n";

    #[test]
    fn a_device_is_read() {
        let look = Look::read(SAID).unwrap();
        assert_eq!(look.seen.boot_id, "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
        assert_eq!(look.seen.slot.as_deref(), Some("/dev/vda2"));
        assert_eq!(look.seen.version.as_deref(), Some("1.0.0"));
        assert_eq!(look.board.as_deref(), Some("vm-lab"));
        assert!(look.status.contains("UPDATE_STATUS_IDLE"));
        let plain = SAID.replace("CHROMEOS_", "");
        let look = Look::read(&plain).unwrap();
        assert_eq!(
            (look.seen.version.as_deref(), look.board.as_deref()),
            (Some("9"), Some("x"))
        );
        assert_eq!(Look::read("bash: not found\n"), None);
    }

    #[test]
    fn the_script_asks_for_what_is_wanted() {
        let questions = Questions {
            slot: vec!["slotctl".to_owned(), "active slot".to_owned()],
            ..Questions::default()
        };
        let script = script(&questions);
        assert!(
            script.contains("echo '@@windlass slot'; slotctl 'active slot' 2>/dev/null\n"),
            "{script}"
        );
        assert!(!script.contains("status"), "{script}");
    }

    proptest! {
        #[test]
        fn whatever_a_device_says_is_short_and_plain(said in "(\\PC|\n|\u{1b}|=|\"|@@windlass (boot_id|slot|lsb|version)\n){0,60}") {
            if let Some(look) = Look::read(&said) {
                let texts = [Some(look.seen.boot_id), look.seen.slot, look.seen.version, look.board];
                for text in texts.into_iter().flatten() {
                    prop_assert!(text.len() <= MOST + 3 && text.chars().all(crate::escape::is_plain), "{text:?}");
                }
            }
        }
    }
}
