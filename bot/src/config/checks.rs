//! What no single key can say: that names differ, that one repository is the default, that sizes fit one another.

mod builders;
mod devices;
mod images;
mod payloads;
mod update_server;

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Component, Path};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::build::{is_line, is_macro};
use super::repository::is_architecture;
use super::{Config, Problem, Repository};

/// A tag is read into memory whole: past this it is none of ours.
const LARGEST_TAG: u64 = 4 * 1024 * 1024;

/// Everything that is wrong with a configuration whose keys and values are well formed by themselves.
pub(super) fn all(config: &Config, text: &str) -> Vec<Problem> {
    let Ok(table) = DeTable::parse(text) else {
        return Vec::new();
    };
    let mut checker = Checker {
        text,
        table,
        problems: Vec::new(),
    };
    checker.paths(config);
    checker.users(config);
    checker.signing(config);
    checker.push(config);
    checker.limits(config);
    checker.http(config);
    checker.update_server(config);
    checker.build(config);
    checker.builders(config);
    checker.repositories(config);
    checker.images(config);
    checker.devices(config);
    checker.payloads(config);
    checker.problems.sort_by_key(|problem| (problem.line, problem.column));
    checker.problems
}

struct Checker<'t> {
    text: &'t str,
    table: Spanned<DeTable<'t>>,
    problems: Vec<Problem>,
}

/// The place of a value, by keys and, in arrays, by number.
type Place<'a> = &'a [&'a str];

impl Checker<'_> {
    fn wrong(&mut self, place: Place<'_>, message: impl Into<String>, hint: &str) {
        let span = span_of(self.table.get_ref(), place).unwrap_or(0..0);
        let problem = Problem::at(self.text, span, message);
        self.problems
            .push(if hint.is_empty() { problem } else { problem.hint(hint) });
    }

    fn paths(&mut self, config: &Config) {
        let paths = &config.paths;
        let named = [
            ("root", Some(&paths.root)),
            ("people", paths.people.as_ref()),
            ("git", paths.git.as_ref()),
            ("spool", paths.spool.as_ref()),
            ("socket", paths.socket.as_ref()),
            ("state", paths.state.as_ref()),
        ];
        for (key, path) in named {
            let Some(path) = path else { continue };
            if path.is_relative() {
                self.wrong(
                    &["paths", key],
                    format!("'{key}' is no absolute path: '{}'", path.display()),
                    "write it from '/' on: hooks, ssh door and daemon start in different directories",
                );
            } else if path.components().any(|part| part == Component::ParentDir) || path == Path::new("/") {
                self.wrong(
                    &["paths", key],
                    format!("'{key}' may not be '/' or hold '..': '{}'", path.display()),
                    "",
                );
            }
        }
        if let Some(signers) = &config.signing.allowed_signers
            && signers.is_relative()
        {
            self.wrong(
                &["signing", "allowed_signers"],
                format!("'allowed_signers' is no absolute path: '{}'", signers.display()),
                "",
            );
        }
        let apart = [
            ("people", paths.people()),
            ("git", paths.git()),
            ("spool", paths.spool()),
            ("state", paths.state()),
        ];
        for (at, (key, path)) in apart.iter().enumerate() {
            for (other_key, other) in &apart[at + 1..] {
                if path.starts_with(other) || other.starts_with(path) {
                    let key = if span_of(self.table.get_ref(), &["paths", key]).is_some() {
                        key
                    } else {
                        other_key
                    };
                    self.wrong(
                        &["paths", key],
                        format!(
                            "'{}' and '{}' may not lie in one another",
                            path.display(),
                            other.display()
                        ),
                        "each has its own owner and mode",
                    );
                }
            }
        }
    }

    fn users(&mut self, config: &Config) {
        for (key, name) in [("git", &config.users.git), ("bot", &config.users.bot)] {
            let good = !name.is_empty()
                && name.len() <= 32
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                && !name.starts_with('-');
            if !good {
                let shown = windlass_core::escape::escaped(name);
                self.wrong(&["users", key], format!("'{shown}' is no name of a Unix user"), "");
            }
        }
    }

    fn signing(&mut self, config: &Config) {
        let signing = &config.signing;
        if signing.max_tag_size.bytes() > LARGEST_TAG || signing.max_tag_size.bytes() == 0 {
            let message = format!("'max_tag_size' is {}; it may be from 1B to 4MiB", signing.max_tag_size);
            self.wrong(
                &["signing", "max_tag_size"],
                message,
                "the largest of some thousand real tags is under 8KiB",
            );
        }
        if signing.max_signature_size > signing.max_tag_size {
            let key = if span_of(self.table.get_ref(), &["signing", "max_signature_size"]).is_some() {
                "max_signature_size"
            } else {
                "max_tag_size"
            };
            let message = format!(
                "'max_signature_size' ({}) is more than 'max_tag_size' ({}), of which it is a part",
                signing.max_signature_size, signing.max_tag_size
            );
            self.wrong(&["signing", key], message, "");
        }
        if signing.max_refs == 0 {
            self.wrong(&["signing", "max_refs"], "'max_refs' is 0: nothing could be pushed", "");
        }
        if signing.future_tolerance.as_secs() > 86_400 {
            let message = format!(
                "'future_tolerance' is {}; it may be a day at most",
                signing.future_tolerance
            );
            self.wrong(
                &["signing", "future_tolerance"],
                message,
                "it makes up for clocks, and a clock is minutes wrong",
            );
        }
        let mut seen = HashSet::new();
        for bot in &signing.bots {
            if !seen.insert(bot) {
                self.wrong(&["signing", "bots"], format!("'{bot}' stands twice in 'bots'"), "");
            }
        }
    }

    fn push(&mut self, config: &Config) {
        if config.push.namespaces.is_empty() {
            self.wrong(
                &["push", "namespaces"],
                "'namespaces' is empty: nothing could be pushed",
                "",
            );
        }
        for (at, namespace) in config.push.namespaces.iter().enumerate() {
            let place = ["push", "namespaces", &at.to_string()];
            let shown = windlass_core::escape::escaped(namespace);
            if !(namespace.starts_with("refs/") && namespace.ends_with('/') && !namespace.contains("//"))
                || namespace == "refs/"
            {
                self.wrong(
                    &place,
                    format!("'{shown}' is no namespace of references"),
                    "it begins with 'refs/', has a name, and ends with '/', as in \"refs/heads/\"",
                );
            } else if namespace.starts_with("refs/replace/") {
                self.wrong(
                    &place,
                    "'refs/replace/' may not be pushed",
                    "a replaced object makes an unsigned tag look signed",
                );
            }
        }
        if config.push.max_input_size.bytes() == 0 {
            self.wrong(
                &["push", "max_input_size"],
                "'max_input_size' is 0: nothing could be pushed",
                "",
            );
        }
    }

    fn limits(&mut self, config: &Config) {
        let zeros = [
            (["push", "answer_timeout"], config.push.answer_timeout.as_secs() == 0),
            (["ssh", "time_limit"], config.ssh.time_limit.as_secs() == 0),
            (["ssh", "commands_per_minute"], config.ssh.commands_per_minute == 0),
            (["ssh", "pushes_per_hour"], config.ssh.pushes_per_hour == 0),
            (
                ["server", "reconcile_every"],
                config.server.reconcile_every.as_secs() == 0,
            ),
            (["server", "max_connections"], config.server.max_connections == 0),
            (
                ["server", "request_timeout"],
                config.server.request_timeout.as_secs() == 0,
            ),
            (["tasks", "max_open_per_user"], config.tasks.max_open_per_user == 0),
            (["tasks", "max_subtasks"], config.tasks.max_subtasks == 0),
        ];
        for (place, zero) in zeros {
            if zero {
                self.wrong(&place, format!("'{}' is 0: nothing would work", place[1]), "");
            }
        }
        if config.ssh.memory_limit.bytes() < 64 << 20 {
            self.wrong(
                &["ssh", "memory_limit"],
                format!(
                    "'memory_limit' is {}; git needs at least 64MiB",
                    config.ssh.memory_limit
                ),
                "",
            );
        }
        if config.ssh.file_size_limit < config.push.max_input_size {
            let key = if span_of(self.table.get_ref(), &["ssh", "file_size_limit"]).is_some() {
                ["ssh", "file_size_limit"]
            } else {
                ["push", "max_input_size"]
            };
            let message = format!(
                "ssh.file_size_limit ({}) is less than push.max_input_size ({}): such a push could not be stored",
                config.ssh.file_size_limit, config.push.max_input_size
            );
            self.wrong(&key, message, "");
        }
    }

    fn build(&mut self, config: &Config) {
        let build = &config.build;
        if let Some(root) = &build.root
            && (root.is_relative() || root.components().any(|part| part == Component::ParentDir))
        {
            self.wrong(
                &["build", "root"],
                format!("'root' is no absolute path: '{}'", root.display()),
                "it names a directory that holds 'usr', as debootstrap makes one",
            );
        }
        let least = [
            ("timeout", build.timeout.as_secs(), 1, "1s"),
            ("memory", build.memory.bytes(), 64 << 20, "64MiB"),
            ("disk", build.disk.bytes(), 64 << 20, "64MiB"),
            ("processes", u64::from(build.processes), 16, "16"),
            ("log", build.log.bytes(), 4 << 10, "4KiB"),
            ("max_package", build.max_package.bytes(), 1 << 20, "1MiB"),
            ("max_packages", u64::from(build.max_packages), 1, "1"),
            ("engine_timeout", build.engine_timeout.as_secs(), 1, "1s"),
            ("engine_rest", build.engine_rest.as_secs(), 1, "1s"),
        ];
        for (key, value, least, shown) in least {
            if value < least {
                self.wrong(
                    &["build", key],
                    format!("'{key}' is too little: nothing could be built"),
                    &format!("it is {shown} at least"),
                );
            }
        }
        // Below are the ids of people and services, above them systemd keeps its own.
        if !(100_000..=0x7fff_0000).contains(&build.first_id) {
            self.wrong(
                &["build", "first_id"],
                format!("'first_id' is {}; it may be from 100000 to 2147418112", build.first_id),
                "from there on no id may be in use on this machine",
            );
        }
        for (name, value) in &build.macros {
            if !is_macro(name) || !is_line(value) {
                let shown = windlass_core::escape::escaped(name);
                self.wrong(
                    &["build", "macros", name],
                    format!("'{shown}' cannot be defined so"),
                    "a macro's name has letters, digits and '_', three at least; its value is one line",
                );
            }
        }
        for (capability, path) in &build.host_provides {
            if capability.is_empty() || !is_line(capability) || !is_line(path) {
                let shown = windlass_core::escape::escaped(capability);
                self.wrong(
                    &["build", "host_provides", capability],
                    format!("'{shown}' is no capability with the path that has to be there for it"),
                    "as in \"gcc-c++\" = \"/usr/bin/g++\"; an empty path means always",
                );
            }
        }
        for (key, value) in [("packager", &build.packager), ("vendor", &build.vendor)] {
            if !is_line(value) || value.contains('%') {
                self.wrong(&["build", key], format!("'{key}' is one line without '%'"), "");
            }
        }
    }

    fn http(&mut self, config: &Config) {
        if let Some(url) = &config.http.url
            && let Some(wrong) = bad_url(url)
        {
            self.wrong(&["http", "url"], wrong, "as in \"https://packages.example.org\"");
        }
        if config.http.max_connections == 0 || config.http.timeout.as_secs() == 0 {
            let key = if config.http.max_connections == 0 {
                "max_connections"
            } else {
                "timeout"
            };
            self.wrong(&["http", key], format!("'{key}' is 0: nobody could be served"), "");
        }
    }

    fn repository_files(&mut self, number: &str, repository: &Repository) {
        if let Some(url) = &repository.url
            && let Some(wrong) = bad_url(url)
        {
            self.wrong(
                &["repository", number, "url"],
                wrong,
                "as in \"https://packages.example.org/repos/NAME\"",
            );
        }
        if repository.overlap > repository.keep {
            let message = format!(
                "'overlap' ({}) is longer than 'keep' ({}): what is not kept cannot be found",
                repository.overlap, repository.keep
            );
            self.wrong(&["repository", number, "overlap"], message, "");
        }
        for (at, base) in repository.base.iter().enumerate() {
            let is_url = ["http://", "https://", "file:///"]
                .iter()
                .any(|scheme| base.starts_with(scheme));
            if !is_url && !base.starts_with('/') {
                let shown = windlass_core::escape::escaped(base);
                self.wrong(
                    &["repository", number, "base", &at.to_string()],
                    format!("'{shown}' is no directory and no URL"),
                    "a path from '/' on, or file:///…, http://…, https://…",
                );
            }
        }
    }

    fn repositories(&mut self, config: &Config) {
        let mut names = HashSet::new();
        for (at, repository) in config.repositories.iter().enumerate() {
            let number = at.to_string();
            self.repository_files(&number, repository);
            if !names.insert(&repository.name) {
                self.wrong(
                    &["repository", &number, "name"],
                    format!("there are two repositories '{}'", repository.name),
                    "",
                );
            }
            if repository.architectures.is_empty() {
                let message = format!("repository '{}' has no architecture", repository.name);
                self.wrong(&["repository", &number, "architectures"], message, "as in [\"x86_64\"]");
            }
            let mut architectures = HashSet::new();
            for (index, architecture) in repository.architectures.iter().enumerate() {
                let place = ["repository", &number, "architectures", &index.to_string()];
                if !is_architecture(architecture) {
                    let shown = windlass_core::escape::escaped(architecture);
                    self.wrong(
                        &place,
                        format!("'{shown}' is no architecture"),
                        "rpm's word for a machine, as in \"x86_64\" or \"aarch64\"; 'noarch' and 'source' come by themselves",
                    );
                } else if !architectures.insert(architecture) {
                    self.wrong(&place, format!("'{architecture}' stands twice in 'architectures'"), "");
                }
            }
        }
        let defaults: Vec<usize> = (0..config.repositories.len())
            .filter(|at| config.repositories[*at].default)
            .collect();
        if let [first, rest @ ..] = defaults.as_slice() {
            for at in rest {
                let message = format!(
                    "'{}' and '{}' are both the default repository",
                    config.repositories[*first].name, config.repositories[*at].name
                );
                self.wrong(
                    &["repository", &at.to_string(), "default"],
                    message,
                    "only one may say `default = true`",
                );
            }
        } else if config.repositories.len() > 1 {
            let names: Vec<&str> = config.repositories.iter().map(|r| r.name.as_str()).collect();
            let message = format!("none of the repositories is the default: {}", names.join(", "));
            self.wrong(&["repository", "0"], message, "one of them says `default = true`");
        }
    }
}

/// What is wrong with an address that clients are told.
fn bad_url(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let good = rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.ends_with('/')
            && rest
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"\"'<>\\`?#".contains(&b))
    });
    (!good).then(|| {
        let shown = windlass_core::escape::escaped(url);
        format!("'{shown}' is no address: http:// or https://, a host, no '/' at the end")
    })
}

/// Where a value stands in the text; `None` if it is not written there.
fn span_of(table: &DeTable<'_>, place: Place<'_>) -> Option<Range<usize>> {
    let (first, rest) = place.split_first()?;
    let mut value: &Spanned<DeValue<'_>> = table.get(*first)?;
    for step in rest {
        value = match value.get_ref() {
            DeValue::Table(inner) => inner.get(*step)?,
            DeValue::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {
                return None;
            }
        };
    }
    Some(value.span())
}
