//! What git's configuration of the account and of the machine does to every repository: `core.hooksPath` above all.
//!
//! The ssh door sets `core.hooksPath` itself; whoever pushes by path, or through another door, gets what is here.

use std::path::{Path, PathBuf};

use windlass_hooks::process::Run;

use super::{Finding, Fix, Site, unreadable};

pub(super) fn examine(site: &Site) -> Vec<Finding> {
    let home = site.config.paths.git();
    let files = [
        ("hooks_path_system", "the machine's", site.etc.join("gitconfig")),
        ("hooks_path_global", "the git user's", home.join(".gitconfig")),
        ("hooks_path_global", "the git user's", home.join(".config/git/config")),
    ];
    let mut findings = Vec::new();
    for (code, whose, file) in files {
        if !file.exists() {
            continue;
        }
        match settings(&file, &home) {
            Ok(settings) => findings.extend(settings.iter().filter_map(|setting| judge(code, whose, setting))),
            Err(error) => findings.push(unreadable(&format!("'{}'", file.display()), &error)),
        }
    }
    findings
}

/// One setting, and the file that says it (an included one, perhaps).
struct Setting {
    file: PathBuf,
    key: String,
    value: String,
}

fn settings(file: &Path, home: &Path) -> Result<Vec<Setting>, String> {
    let run = Run::new("git")
        .env("HOME", home)
        .args(["config", "--null", "--show-origin", "--includes", "--list", "--file"])
        .arg(file);
    let listed = run.ok().map_err(|error| error.to_string())?.stdout;
    let parts: Vec<String> = listed
        .split(|byte| *byte == 0)
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect();
    Ok(parts
        .chunks_exact(2)
        .map(|pair| {
            let origin = pair[0].strip_prefix("file:").unwrap_or(&pair[0]);
            let (key, value) = pair[1].split_once('\n').unwrap_or((&pair[1], "true"));
            Setting {
                file: PathBuf::from(origin),
                key: key.to_ascii_lowercase(),
                value: value.to_owned(),
            }
        })
        .collect())
}

fn judge(code: &'static str, whose: &str, setting: &Setting) -> Option<Finding> {
    let unset = |finding: Finding| {
        finding
            .value(format!(
                "{} = {}, in {}",
                setting.key,
                setting.value,
                setting.file.display()
            ))
            .mend(format!(
                "git config --file '{}' --unset-all {}",
                setting.file.display(),
                setting.key
            ))
            .fix(Fix::UnsetGitConfig {
                file: setting.file.clone(),
                key: setting.key.clone(),
            })
    };
    let is_off = matches!(
        setting.value.to_ascii_lowercase().as_str(),
        "false" | "no" | "off" | "0" | ""
    );
    match setting.key.as_str() {
        "core.hookspath" => Some(unset(Finding::error(
            code,
            format!(
                "{whose} configuration sets core.hooksPath: no repository's hooks are run but through the ssh door"
            ),
        ))),
        "transfer.fsckobjects" | "receive.fsckobjects" if is_off => Some(unset(Finding::warning(
            "fsck_off",
            format!("{whose} configuration switches the checking of objects off"),
        ))),
        key if key.starts_with("receive.fsck.") && setting.value.eq_ignore_ascii_case("ignore") => Some(unset(
            Finding::warning("fsck_ignored", format!("{whose} configuration lets bad objects in")),
        )),
        _ => None,
    }
}
