//! What the host has of languages whose modules are capabilities: Perl and Python.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use windlass_hooks::process::Run;

use super::{find, is_word};

/// How deep Perl's modules lie, and how many are looked at.
const DEEPEST: usize = 10;
const MOST: usize = 20_000;

/// What was found last: in which tree, in which state of it.
static PERL: Mutex<Option<(PathBuf, String, BTreeSet<String>)>> = Mutex::new(None);

/// What rpm itself says that Perl's modules provide. It is the same for all architectures, and takes longer than all else: as long as
/// the tree's state is the same it is looked at once.
pub(super) fn perl(tree: &Path, state: &str) -> io::Result<BTreeSet<String>> {
    let mut known = PERL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((place, seen, names)) = &*known
        && place == tree
        && seen == state
    {
        return Ok(names.clone());
    }
    let mut names = BTreeSet::new();
    modules(tree, &mut names)?;
    *known = Some((tree.to_owned(), state.to_owned(), names.clone()));
    Ok(names)
}

fn modules(tree: &Path, names: &mut BTreeSet<String>) -> io::Result<()> {
    let tool = Path::new("/usr/lib/rpm/perl.prov");
    if !tree.join("usr/bin/perl").exists() || !tool.is_file() {
        return Ok(());
    }
    let mut files = Vec::new();
    for place in ["usr/share", "usr/lib", "usr/lib64"]
        .iter()
        .flat_map(|place| children(&tree.join(place)))
    {
        let name = place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("perl") {
            find(&place, DEEPEST, &mut files)?;
        } else if name.ends_with("-linux-gnu") {
            for below in children(&place) {
                if below
                    .file_name()
                    .is_some_and(|name| name.as_encoded_bytes().starts_with(b"perl"))
                {
                    find(&below, DEEPEST, &mut files)?;
                }
            }
        }
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "pm"));
    files.sort();
    files.truncate(MOST);
    let list: Vec<u8> = files
        .iter()
        .flat_map(|path| path.as_os_str().as_encoded_bytes().iter().copied().chain([b'\n']))
        .collect();
    if list.is_empty() {
        return Ok(());
    }
    let said = Run::new(tool)
        .clear_env()
        .env("PATH", "/usr/bin:/bin")
        .input(list)
        .timeout(Duration::from_mins(2))
        .output()
        .map_err(io::Error::other)?;
    for line in String::from_utf8_lossy(&said.stdout).lines() {
        let (name, version) = line.split_once(" = ").unwrap_or((line, ""));
        if name.starts_with("perl(") && is_word(name) {
            names.insert(match version.trim() {
                version if is_version(version) => format!("{name} = {version}"),
                _ => name.to_owned(),
            });
        }
    }
    Ok(())
}

/// What Python modules of the host's version ask for, and the distributions that it has.
pub(super) fn python(tree: &Path, names: &mut BTreeSet<String>) {
    let mut minors = Vec::new();
    for program in children(&tree.join("usr/bin")) {
        let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(minor) = name.strip_prefix("python3.") else {
            continue;
        };
        if minor.is_empty() || !minor.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        names.insert(format!("python(abi) = 3.{minor}"));
        if tree.join(format!("usr/include/python3.{minor}/Python.h")).is_file() {
            names.insert("python3-devel".to_owned());
        }
        minors.push(minor.to_owned());
    }
    for place in ["usr/lib/python3/dist-packages", "usr/lib/python3/site-packages"] {
        for entry in children(&tree.join(place)) {
            let Some((name, version)) = distribution(&entry) else {
                continue;
            };
            names.insert(format!("python3dist({name}) = {version}"));
            for minor in &minors {
                names.insert(format!("python3.{minor}dist({name}) = {version}"));
            }
        }
    }
}

/// The name and version of a Python distribution, as rpm writes them.
fn distribution(path: &Path) -> Option<(String, String)> {
    let kind = path.extension()?.to_str()?;
    let text = match kind {
        "dist-info" => fs::read_to_string(path.join("METADATA")),
        "egg-info" if path.is_dir() => fs::read_to_string(path.join("PKG-INFO")),
        "egg-info" => fs::read_to_string(path),
        _ => return None,
    }
    .ok()?;
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let name: String = value("Name:")?.to_ascii_lowercase();
    let parts: Vec<&str> = name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    let (name, version) = (parts.join("-"), value("Version:")?);
    (is_word(&name) && is_version(version)).then(|| (name, version.to_owned()))
}

fn children(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

fn is_version(text: &str) -> bool {
    is_word(text) && !text.contains(['-', '$', '(']) && text.len() <= 64
}
