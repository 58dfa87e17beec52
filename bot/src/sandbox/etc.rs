//! What a build root has beside `/usr`: a generated `/etc`, and the links that make `/bin` and `/lib` stand for what is in `/usr`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::bubble::{BUILDER, HOST};
use super::macros::Target;
use super::session::Furnishing;

/// The users that packages of any distribution take for given.
const USERS: &[(&str, u32, u32, &str)] = &[
    ("root", 0, 0, "/root"),
    ("bin", 1, 1, "/bin"),
    ("daemon", 2, 2, "/sbin"),
    ("lp", 4, 7, "/var/spool/lpd"),
    ("mail", 8, 12, "/var/mail"),
    ("news", 9, 13, "/etc/news"),
    ("uucp", 10, 14, "/var/spool/uucp"),
    ("games", 12, 20, "/usr/games"),
    ("ftp", 14, 50, "/var/ftp"),
    ("nobody", 65_534, 65_534, "/"),
];

/// The same for groups.
const GROUPS: &[(&str, u32)] = &[
    ("root", 0),
    ("bin", 1),
    ("daemon", 2),
    ("sys", 3),
    ("adm", 4),
    ("tty", 5),
    ("disk", 6),
    ("lp", 7),
    ("mem", 8),
    ("kmem", 9),
    ("wheel", 10),
    ("mail", 12),
    ("news", 13),
    ("uucp", 14),
    ("man", 15),
    ("games", 20),
    ("video", 39),
    ("ftp", 50),
    ("lock", 54),
    ("audio", 63),
    ("users", 100),
    ("utmp", 22),
    ("nobody", 65_534),
    ("nogroup", 65_533),
];

/// The links that make old places stand for those in `/usr`.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What the tree of a build gets. `tree` is where the host's `/usr` and `/etc` are taken from.
pub(super) fn furnishing(tree: &Path, target: &Target, macros: &str, copies: Vec<(String, PathBuf)>) -> Furnishing {
    let mut passwd = String::new();
    let mut group = String::new();
    for (name, uid, gid, home) in USERS
        .iter()
        .copied()
        .chain([("builder", BUILDER, BUILDER, "/build/home")])
    {
        let shell = if matches!(name, "root" | "builder") {
            "/bin/sh"
        } else {
            "/sbin/nologin"
        };
        let _ = writeln!(passwd, "{name}:x:{uid}:{gid}:{name}:{home}:{shell}");
    }
    for (name, gid) in GROUPS.iter().copied().chain([("builder", BUILDER)]) {
        let _ = writeln!(group, "{name}:x:{gid}:");
    }
    let text = |path: &str, content: String| (path.to_owned(), content.into_bytes());
    let mut files = vec![
        text("etc/passwd", passwd),
        text("etc/group", group),
        text(
            "etc/hosts",
            format!("127.0.0.1 localhost {HOST}\n::1 localhost {HOST}\n"),
        ),
        text("etc/hostname", format!("{HOST}\n")),
        text(
            "etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files\nprotocols: files\nservices: files\n".to_owned(),
        ),
        text("etc/ld.so.conf", loader(tree, target)),
        text("etc/shells", "/bin/sh\n/bin/bash\n".to_owned()),
        text("etc/rpm/macros", macros.to_owned()),
    ];
    files.extend(target.programs());
    Furnishing {
        files,
        links: links(tree),
        copies,
    }
}

/// Where the loader looks for libraries: where the host has them, and where rpm puts them.
fn loader(tree: &Path, target: &Target) -> String {
    let mut directories = vec![target.libraries().to_owned()];
    for other in ["/usr/lib64", "/usr/lib", "/usr/lib32"] {
        if !directories.iter().any(|one| one == other) {
            directories.push(other.to_owned());
        }
    }
    let mut texts = vec![fs::read_to_string(tree.join("etc/ld.so.conf")).unwrap_or_default()];
    let mut parts: Vec<_> = fs::read_dir(tree.join("etc/ld.so.conf.d"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    parts.sort();
    texts.extend(parts.iter().filter_map(|path| fs::read_to_string(path).ok()));
    for line in texts.iter().flat_map(|text| text.lines()) {
        let line = line.trim();
        let own = (line.starts_with("/usr/lib") || line.starts_with("/lib")) && !line.contains("..");
        if own && !directories.iter().any(|one| one == line) {
            directories.push(line.to_owned());
        }
    }
    directories.join("\n") + "\n"
}

fn links(tree: &Path) -> Vec<(String, String)> {
    let mut links = Vec::new();
    for name in MERGED {
        if tree.join("usr").join(name).is_dir() {
            links.push((name.to_owned(), format!("usr/{name}")));
        }
    }
    // What a program's name means is said here on Debian: cc, awk, which.
    if let Ok(entries) = fs::read_dir(tree.join("etc/alternatives")) {
        for entry in entries.flatten() {
            let (Ok(target), Some(name)) = (
                fs::read_link(entry.path()),
                entry.file_name().to_str().map(str::to_owned),
            ) else {
                continue;
            };
            if let Some(target) = target.to_str()
                && target.starts_with("/usr/")
            {
                links.push((format!("etc/alternatives/{name}"), target.to_owned()));
            }
        }
    }
    links.extend(
        [
            ("etc/localtime", "/usr/share/zoneinfo/UTC"),
            ("etc/os-release", "../usr/lib/os-release"),
            ("etc/mtab", "/proc/self/mounts"),
            ("var/run", "../run"),
            ("var/lock", "../run/lock"),
        ]
        .map(|(path, target)| (path.to_owned(), target.to_owned())),
    );
    links
}
