//! Every file that Windlass writes for a person: hook stubs, configuration, service units, the ssh server's snippet.
//!
//! The texts stand beside this file as they look on disk. What a person edits afterwards is rendered by minijinja;
//! the hook stub is not for editing and has three plain placeholders, see [`hook_stub`].

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

/// What may go wrong in rendering: a mistake in a template, never in what a person gave.
#[derive(Debug, thiserror::Error)]
#[error("template {template}: {source}")]
pub struct RenderError {
    template: &'static str,
    source: minijinja::Error,
}

/// The templates that are rendered, by name.
const TEXTS: [(&str, &str); 3] = [
    ("windlass.toml", include_str!("windlass.toml")),
    ("windlass.service", include_str!("systemd/windlass.service")),
    ("sshd.conf", include_str!("sshd/windlass.conf")),
];

/// The hook stub with its placeholders `@PROGRAM@`, `@CONFIG@` (quoted for sh) and `@NAME@`.
pub const HOOK_STUB: &str = include_str!("hooks/stub.sh");

/// What `windlass.toml` is made from; what is `None` or empty stays a commented default.
#[derive(Debug, Clone, Serialize)]
pub struct ConfigValues {
    /// The directory below which everything stands.
    pub root: String,
    /// The Unix user of hooks and ssh door.
    pub git_user: String,
    /// The Unix user of the daemon.
    pub bot_user: String,
    /// Who a push without ssh is from, in the one-user set-up.
    pub local: Option<String>,
    /// The repositories; the first one is the default.
    pub repositories: Vec<RepositoryValues>,
}

/// One `[[repository]]`.
#[derive(Debug, Clone, Serialize)]
pub struct RepositoryValues {
    /// Its name.
    pub name: String,
    /// Its architectures.
    pub architectures: Vec<String>,
}

/// What `windlass.service` is made from.
#[derive(Debug, Clone, Serialize)]
pub struct UnitValues {
    /// The absolute path of the program `windlass`.
    pub program: String,
    /// The absolute path of `windlass.toml`.
    pub config: String,
    /// The Unix user of the daemon.
    pub bot_user: String,
    /// Its group.
    pub bot_group: String,
    /// The group of the source repositories.
    pub git_group: String,
    /// The journal's directory.
    pub state: String,
    /// The socket's directory.
    pub run: String,
    /// The spool.
    pub spool: String,
    /// The repositories.
    pub repos: String,
    /// Whether one of them is below a home directory.
    pub home: bool,
}

/// What the ssh server's snippet is made from.
#[derive(Debug, Clone, Serialize)]
pub struct SshdValues {
    /// The Unix user whom people log in as.
    pub git_user: String,
    /// The absolute path of the file with everybody's keys.
    pub authorized_keys: String,
}

/// The commented configuration.
///
/// # Errors
/// A mistake in the template.
pub fn windlass_toml(values: &ConfigValues) -> Result<String, RenderError> {
    render("windlass.toml", values)
}

/// The unit of the daemon for systemd.
///
/// # Errors
/// A mistake in the template.
pub fn service_unit(values: &UnitValues) -> Result<String, RenderError> {
    render("windlass.service", values)
}

/// The snippet for `/etc/ssh/sshd_config.d`.
///
/// # Errors
/// A mistake in the template.
pub fn sshd_snippet(values: &SshdValues) -> Result<String, RenderError> {
    render("sshd.conf", values)
}

/// The stub that stands as one hook: program and configuration by absolute path.
pub fn hook_stub(program: &str, config: &str, name: &str) -> String {
    HOOK_STUB
        .replace("@PROGRAM@", &sh_quoted(program))
        .replace("@CONFIG@", &sh_quoted(config))
        .replace("@NAME@", name)
}

/// A text as one word for sh, whatever it holds.
pub fn sh_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A text as a basic string of TOML.
pub fn toml_quoted(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A path in a unit or in the ssh server's configuration: `%` doubled, quoted where it has anything but plain characters.
fn percent_quoted(text: &str) -> String {
    let text = text.replace('%', "%%");
    if text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"/._-+%:@".contains(&b))
    {
        text
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

fn render(template: &'static str, values: &impl Serialize) -> Result<String, RenderError> {
    let wrap = |source| RenderError { template, source };
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .keep_trailing_newline(true)
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    environment.set_syntax(syntax.map_err(wrap)?);
    environment.add_filter("toml", |text: String| toml_quoted(&text));
    environment.add_filter("quoted", |text: String| percent_quoted(&text));
    for (name, text) in TEXTS {
        environment.add_template(name, text).map_err(wrap)?;
    }
    environment
        .get_template(template)
        .and_then(|found| found.render(Serde(values)))
        .map_err(wrap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_quotes_whatever_the_paths_hold() {
        let stub = hook_stub(
            "/opt/it's here/windlass-hook",
            "/etc/$(id)/windlass.toml",
            "pre-receive",
        );
        let last = stub.lines().last().unwrap();
        assert_eq!(
            last,
            r#"exec '/opt/it'\''s here/windlass-hook' --config '/etc/$(id)/windlass.toml' pre-receive "$@""#
        );
        assert!(stub.starts_with("#!/bin/sh\n") && !stub.contains('@') | stub.contains("$@"));
    }

    #[test]
    fn the_unit_names_program_configuration_and_what_may_be_written() {
        let unit = service_unit(&UnitValues {
            program: "/usr/bin/windlass".into(),
            config: "/etc/windlass/100% mine.toml".into(),
            bot_user: "windlass".into(),
            bot_group: "windlass".into(),
            git_group: "git".into(),
            state: "/var/lib/windlass/state".into(),
            run: "/var/lib/windlass/run".into(),
            spool: "/var/lib/windlass/spool".into(),
            repos: "/var/lib/windlass/repos".into(),
            home: false,
        })
        .unwrap();
        assert!(unit.contains("ExecStart=/usr/bin/windlass --config \"/etc/windlass/100%% mine.toml\" serve\n"));
        assert!(unit.contains(" /var/lib/windlass/spool /var/lib/windlass/repos\n"));
        assert!(unit.contains("ProtectHome=yes\n") && unit.contains("SupplementaryGroups=git\n"));
        assert!(!unit.contains("{%") && unit.ends_with("WantedBy=multi-user.target\n"));
    }

    #[test]
    fn the_snippet_lets_no_configuration_of_git_through() {
        let snippet = sshd_snippet(&SshdValues {
            git_user: "git".into(),
            authorized_keys: "/srv/my git/.ssh/authorized_keys".into(),
        })
        .unwrap();
        assert!(snippet.contains("Match User git\n"));
        assert!(snippet.contains("AuthorizedKeysFile \"/srv/my git/.ssh/authorized_keys\"\n"));
        assert!(snippet.contains("AcceptEnv GIT_PROTOCOL\n") && !snippet.contains("AcceptEnv *"));
    }
}
