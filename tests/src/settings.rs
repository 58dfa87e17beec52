//! Changing a key of a configuration that `windlass init` wrote, as a person with an editor does.

use std::path::Path;

use anyhow::bail;

/// Sets one key, in place of its commented default; of several sections of a name, in the first.
pub fn set(file: &Path, section: &str, key: &str, value: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file)?;
    let heads = [format!("[{section}]"), format!("[[{section}]]")];
    let mut here = false;
    let mut found = false;
    let mut out = String::new();
    for line in text.lines() {
        if line.starts_with('[') {
            here = heads.iter().any(|head| head == line.trim());
        }
        let bare = line.strip_prefix('#').unwrap_or(line);
        let is_it = bare.split('=').next().is_some_and(|name| name.trim() == key);
        if here && is_it && !found {
            found = true;
            out.extend([key, " = ", value, "\n"]);
        } else {
            out.extend([line, "\n"]);
        }
    }
    if !found {
        bail!("the configuration has no key {key} in [{section}]");
    }
    std::fs::write(file, out)?;
    Ok(())
}
