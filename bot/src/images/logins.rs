//! Who we are to registries, from files: never from the command line, and never in a log.
//!
//! Two forms are read. `config.json`, as `docker login` and `podman login` write it, with one entry for each registry; and, where a file is named
//! for one registry, TOML with `username` and `password`.
//!
//! A file of a person's ([`Logins::read`], [`Logins::usual`]) is taken as docker takes it, whatever its mode. One that our settings name for a
//! registry ([`Logins::ours`]) has to be ours alone, and has to say something that we understand. Programs that keep passwords (`credHelpers`,
//! `credsStore`) are not asked; a registry that only they know is anonymous to the first reader, and refused by the second.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use windlass_core::escape::escaped;

use super::engine::Environment;

/// The largest file of logins.
const LARGEST: u64 = 1 << 20;

/// A user and a password. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password, or a token in its place.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Logins by registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logins(BTreeMap<String, Login>);

/// A file of logins that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the registry logins in '{file}' cannot be used: {why}\n\nhint: {hint}")]
pub struct BadLogins {
    file: String,
    why: String,
    hint: String,
}

impl Logins {
    /// What the usual files hold; the first that knows a registry wins. Files that are not there, or of no use, hold nothing.
    pub fn usual(environment: &Environment) -> Self {
        let mut all = Self::default();
        for file in environment.login_files() {
            if let Ok(logins) = Self::read(&file) {
                for (registry, login) in logins.0 {
                    all.0.entry(registry).or_insert(login);
                }
            }
        }
        all
    }

    /// What a `config.json` of a person's holds.
    ///
    /// # Errors
    /// It cannot be read, or is not of that form.
    pub fn read(file: &Path) -> Result<Self, BadLogins> {
        let told = Told(file);
        let text = told.text(told.opened()?)?;
        Ok(told.config(&text)?.logins())
    }

    /// What a file holds that is named for this registry: nothing for it, where it has no entry.
    ///
    /// # Errors
    /// It cannot be read, others can read or write it, it is in neither form, or it knows the registry in a way that we do not understand.
    pub fn ours(file: &Path, registry: &str) -> Result<Self, BadLogins> {
        let told = Told(file);
        let opened = told.opened()?;
        told.guarded(&opened)?;
        let text = told.text(opened)?;
        if text.trim_start().starts_with('{') {
            let config = told.config(&text)?;
            match config.refusal(registry) {
                Some(why) => Err(told.bad(why, "write a file with `username` and `password`")),
                None => Ok(config.logins()),
            }
        } else {
            // What the parser says may quote what it read.
            let Plain { username, password } = toml::from_str(&text).map_err(|_| {
                told.bad(
                    "it is neither a config.json nor TOML with `username` and `password`",
                    FORM,
                )
            })?;
            let login = Login {
                user: username,
                password,
            };
            Ok(Self::default().with(registry, login))
        }
    }

    /// One login more.
    #[must_use]
    pub fn with(mut self, registry: &str, login: Login) -> Self {
        self.0.insert(plain(registry).to_owned(), login);
        self
    }

    /// The login for a registry, named as in an image's name.
    pub fn of(&self, registry: &str) -> Option<&Login> {
        self.0.get(registry)
    }

    /// The login for the registry in an image's full name.
    pub fn of_image(&self, name: &str) -> Option<&Login> {
        self.of(name.split('/').next()?)
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each registry with its login.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Login)> {
        self.0.iter().map(|(registry, login)| (registry.as_str(), login))
    }
}

/// How the file is to be.
const FORM: &str = "it is a file such as ~/.docker/config.json, made by `docker login`";

/// A file of which is told what is wrong with it.
struct Told<'a>(&'a Path);

impl Told<'_> {
    fn bad(&self, why: impl Into<String>, hint: impl Into<String>) -> BadLogins {
        BadLogins {
            file: escaped(&self.0.display().to_string()),
            why: why.into(),
            hint: hint.into(),
        }
    }

    fn opened(&self) -> Result<File, BadLogins> {
        File::open(self.0).map_err(|error| self.bad(error.to_string(), FORM))
    }

    fn text(&self, file: File) -> Result<String, BadLogins> {
        let mut text = String::new();
        file.take(LARGEST + 1)
            .read_to_string(&mut text)
            .map_err(|error| self.bad(error.to_string(), FORM))?;
        if text.len() as u64 > LARGEST {
            return Err(self.bad(format!("it has more than {LARGEST} bytes"), FORM));
        }
        Ok(text)
    }

    /// Refuses what others can read or write, and what somebody else may change.
    fn guarded(&self, file: &File) -> Result<(), BadLogins> {
        let found = file.metadata().map_err(|error| self.bad(error.to_string(), FORM))?;
        let shown = escaped(&self.0.display().to_string());
        if found.mode() & 0o077 != 0 {
            let why = format!("others can read or write them (mode {:o})", found.mode() & 0o777);
            return Err(self.bad(why, format!("chmod 600 {shown}")));
        }
        let us = rustix::process::geteuid().as_raw();
        if found.uid() != us && found.uid() != 0 {
            let why = format!("they belong to somebody else (user {})", found.uid());
            return Err(self.bad(why, format!("chown {us} {shown}")));
        }
        Ok(())
    }

    fn config(&self, text: &str) -> Result<Config, BadLogins> {
        // What the parser says may quote what it read: only where it stopped is told.
        serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            self.bad(format!("line {line}, column {column} is in no config.json"), FORM)
        })
    }
}

/// The part of `config.json` that matters. As for docker, `null` stands for nothing anywhere.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    auths: Option<BTreeMap<String, Option<Entry>>>,
    cred_helpers: Option<BTreeMap<String, Option<String>>>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// The TOML form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    username: String,
    password: String,
}

impl Config {
    fn entries(&self) -> impl Iterator<Item = (&str, Option<&Entry>)> {
        let entries = self.auths.iter().flatten();
        entries.map(|(name, entry)| (name.as_str(), entry.as_ref()))
    }

    fn logins(&self) -> Logins {
        let mut logins = BTreeMap::new();
        for (name, entry) in self.entries() {
            let registry = plain(name);
            let Some(login) = entry.and_then(Entry::login) else {
                continue;
            };
            // An entry by the plain name counts before one by an address.
            if name == registry {
                logins.insert(registry.to_owned(), login);
            } else {
                logins.entry(registry.to_owned()).or_insert(login);
            }
        }
        Logins(logins)
    }

    /// Why what the file says of a registry cannot be used.
    fn refusal(&self, registry: &str) -> Option<String> {
        let entries = || self.entries().filter(|(name, _)| plain(name) == registry);
        let entry = entries()
            .find(|(name, _)| *name == registry)
            .or_else(|| entries().next());
        let known = entry.is_some();
        let entry = entry.and_then(|(_, entry)| entry);
        if entry.is_some_and(Entry::is_token) {
            return Some(format!(
                "the entry for {registry} is an identity token, which is not understood"
            ));
        }
        if entry.is_some_and(|entry| entry.login().is_some()) {
            return None;
        }
        let helped = self
            .cred_helpers
            .as_ref()
            .is_some_and(|helpers| helpers.contains_key(registry));
        if helped || self.creds_store.is_some() {
            return Some(format!("a helper program has those for {registry}, and is not asked"));
        }
        known.then(|| format!("the entry for {registry} has no user and password"))
    }
}

impl Entry {
    fn is_token(&self) -> bool {
        self.identitytoken.as_deref().is_some_and(|token| !token.is_empty())
    }

    fn login(&self) -> Option<Login> {
        if self.is_token() {
            return None;
        }
        if let (Some(user), Some(password)) = (&self.username, &self.password)
            && !user.is_empty()
        {
            return Some(Login {
                user: user.clone(),
                password: password.clone(),
            });
        }
        let both = STANDARD.decode(self.auth.as_deref()?.trim()).ok()?;
        let both = String::from_utf8(both).ok()?;
        let (user, password) = both.split_once(':')?;
        (!user.is_empty()).then(|| Login {
            user: user.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        })
    }
}

/// A registry's name as images have it.
fn plain(registry: &str) -> &str {
    let name = registry
        .strip_prefix("https://")
        .or_else(|| registry.strip_prefix("http://"));
    let name = name.unwrap_or(registry);
    let name = name.split('/').next().unwrap_or(name);
    if matches!(name, "index.docker.io" | "registry-1.docker.io") {
        "docker.io"
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use rstest::rstest;

    use super::*;

    const REGISTRY: &str = "r.example.org:5000";

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    fn ours(text: &str, mode: u32) -> Result<Option<Login>, String> {
        let (_dir, path) = file(text, mode);
        let logins = Logins::ours(&path, REGISTRY).map_err(|error| error.to_string())?;
        Ok(logins.of(REGISTRY).cloned())
    }

    fn theirs(text: &str) -> Result<Logins, String> {
        let (_dir, path) = file(text, 0o644);
        Logins::read(&path).map_err(|error| error.to_string())
    }

    fn login(user: &str, password: &str) -> Login {
        Login {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    #[rstest]
    #[case("username = \"bob\"\npassword = \"geheim\"\n", Some(login("bob", "geheim")))]
    #[case(
        r#"{"auths": {"r.example.org:5000": {"auth": "Ym9iOmdlOmhlaW0="}, "x": {}}}"#,
        Some(login("bob", "ge:heim"))
    )]
    #[case(
        r#"{"auths": {"https://r.example.org:5000": {"username": "bob", "password": "p"}}}"#,
        Some(login("bob", "p"))
    )]
    #[case(
        r#"{"auths": {"https://r.example.org:5000/v2/": {"auth": "Ym9iOmdlOmhlaW0="}}}"#,
        Some(login("bob", "ge:heim"))
    )]
    #[case(r#"{"auths": {"other": {}}}"#, None)]
    #[case(r#"{"auths": null, "credsStore": null}"#, None)]
    fn both_forms_are_read(#[case] text: &str, #[case] expected: Option<Login>) {
        assert_eq!(ours(text, 0o600).unwrap(), expected);
        assert_eq!(ours(text, 0o400).unwrap(), expected);
    }

    #[rstest]
    #[case(r#"{"credsStore": "geheim"}"#, "a helper program has those for r.example.org:5000")]
    #[case(r#"{"credHelpers": {"r.example.org:5000": "geheim"}}"#, "a helper program")]
    #[case(
        r#"{"auths": {"r.example.org:5000": {}}, "credsStore": "geheim"}"#,
        "a helper program"
    )]
    #[case(
        r#"{"auths": {"r.example.org:5000": {"auth": "Ym9iOg==", "identitytoken": "geheim"}}}"#,
        "an identity token"
    )]
    #[case(r#"{"auths": {"r.example.org:5000": {}}}"#, "has no user and password")]
    #[case(
        r#"{"auths": {"r.example.org:5000": {"auth": "geheim"}}}"#,
        "has no user and password"
    )]
    fn what_is_not_understood_is_told_of_our_file_only(#[case] text: &str, #[case] expected: &str) {
        let told = ours(text, 0o600).unwrap_err();
        assert!(told.contains(expected) && told.contains("\n\nhint: "), "{told}");
        assert!(!told.contains("geheim"), "{told}");
        assert_eq!(theirs(text).unwrap().of(REGISTRY), None);
    }

    #[rstest]
    #[case("username = \"bob\"\npassword = \"geheim")]
    #[case("username = \"bob\"\npassword = \"geheim\"\nmore = 1\n")]
    #[case(r#"{"auths": {"r.example.org:5000": "geheim"}}"#)]
    #[case(r#"{"auths": geheim"#)]
    fn an_error_does_not_tell_the_password(#[case] text: &str) {
        for told in [ours(text, 0o600).unwrap_err(), theirs(text).unwrap_err()] {
            assert!(!told.contains("geheim"), "{told}");
        }
    }

    #[test]
    fn what_others_can_read_is_no_secret_of_ours() {
        for mode in [0o640, 0o604, 0o620] {
            let told = ours("username = \"bob\"\npassword = \"geheim\"\n", mode).unwrap_err();
            assert!(told.contains("hint: chmod 600"), "{told}");
            assert!(!told.contains("geheim"), "{told}");
        }
    }

    #[test]
    fn a_persons_file_is_read_as_docker_does_and_never_shown() {
        let auth = STANDARD.encode("alice:s3cret:x");
        let text = format!(
            r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{auth}"}},"r.example.org:5000":{{"username":"bob","password":"pw"}},"empty":{{}}}},"credsStore":"x"}}"#
        );
        let (_dir, path) = file(&text, 0o644);
        let logins = Logins::read(&path).unwrap();
        assert_eq!(logins.of("docker.io").cloned(), Some(login("alice", "s3cret:x")));
        assert_eq!(
            logins.of_image("r.example.org:5000/x:1").cloned(),
            Some(login("bob", "pw"))
        );
        assert_eq!(logins.of("empty"), None);
        assert!(!format!("{logins:?}").contains("s3cret"));
        let variables = |name: &str| (name == "REGISTRY_AUTH_FILE").then(|| path.display().to_string());
        assert_eq!(
            Logins::usual(&Environment::of(variables)).of("docker.io"),
            logins.of("docker.io")
        );
    }

    #[test]
    fn the_plain_name_counts_before_an_address() {
        let text = r#"{"auths": {"a": {"username": "plain", "password": "p"}, "https://a/v1/": {"username": "other", "password": "p"}}}"#;
        assert_eq!(theirs(text).unwrap().of("a").cloned(), Some(login("plain", "p")));
    }
}
