//! Who we are to a registry: the files that `docker login` and `podman login` write, or one that is named.
//!
//! Programs that keep passwords (`credHelpers`, `credsStore`) are not asked; a registry that only they know is anonymous here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

use super::environment::Environment;

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

/// A file of logins that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read the registry logins in '{file}': {why}\n\nhint: it is a file such as ~/.docker/config.json, made by `docker login`"
)]
pub struct BadLogins {
    file: String,
    why: String,
}

impl Logins {
    /// What the usual files hold: `REGISTRY_AUTH_FILE`, podman's, docker's; the first that knows a registry wins. Files that are not
    /// there, or of no use, hold nothing.
    pub fn usual(environment: &Environment) -> Self {
        let mut all = Self::default();
        let files = [
            environment.variable("REGISTRY_AUTH_FILE").map(Into::into),
            Some(environment.runtime_dir().join("containers/auth.json")),
            environment.docker_config().map(|dir| dir.join("config.json")),
        ];
        for file in files.into_iter().flatten() {
            if let Ok(logins) = Self::read(&file) {
                for (registry, login) in logins.0 {
                    all.0.entry(registry).or_insert(login);
                }
            }
        }
        all
    }

    /// What one file holds.
    ///
    /// # Errors
    /// It cannot be read, or is not of that form.
    pub fn read(file: &Path) -> Result<Self, BadLogins> {
        let bad = |why: String| BadLogins {
            file: file.display().to_string(),
            why,
        };
        let text = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
        // The text of the error might hold a part of a password.
        let value: Value =
            serde_json::from_slice(&text).map_err(|error| bad(format!("line {} is no JSON", error.line())))?;
        let mut logins = BTreeMap::new();
        for (registry, entry) in value["auths"].as_object().into_iter().flatten() {
            if let Some(login) = login(entry) {
                logins.insert(plain(registry).to_owned(), login);
            }
        }
        Ok(Self(logins))
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

    /// As `X-Registry-Config` has it, for builds that pull.
    pub(super) fn header(&self) -> String {
        let all: serde_json::Map<String, Value> = self
            .0
            .iter()
            .map(|(registry, login)| {
                (
                    registry.clone(),
                    json!({"username": login.user, "password": login.password}),
                )
            })
            .collect();
        URL_SAFE.encode(Value::Object(all).to_string())
    }
}

impl Login {
    /// As `X-Registry-Auth` has it. Engines read this alphabet, with `-` and `_`; bollard writes the other.
    pub(super) fn header(&self, registry: &str) -> String {
        let value = json!({"username": self.user, "password": self.password, "serveraddress": registry});
        URL_SAFE.encode(value.to_string())
    }
}

fn login(entry: &Value) -> Option<Login> {
    if let (Some(user), Some(password)) = (entry["username"].as_str(), entry["password"].as_str()) {
        return Some(Login {
            user: user.to_owned(),
            password: password.to_owned(),
        });
    }
    let both = STANDARD.decode(entry["auth"].as_str()?).ok()?;
    let both = String::from_utf8(both).ok()?;
    let (user, password) = both.split_once(':')?;
    (!user.is_empty()).then(|| Login {
        user: user.to_owned(),
        password: password.trim_end_matches('\0').to_owned(),
    })
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
    use super::*;

    #[test]
    fn logins_are_read_and_never_shown() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("config.json");
        let auth = STANDARD.encode("alice:s3cret:x");
        std::fs::write(
            &file,
            format!(
                r#"{{"auths":{{"https://index.docker.io/v1/":{{"auth":"{auth}"}},"r.example.org:5000":{{"username":"bob","password":"pw"}},"empty":{{}}}}}}"#
            ),
        )?;
        let logins = Logins::read(&file)?;
        assert_eq!(
            logins.of("docker.io").map(|login| login.password.as_str()),
            Some("s3cret:x")
        );
        assert_eq!(
            logins
                .of_image("r.example.org:5000/x:1")
                .map(|login| login.user.as_str()),
            Some("bob")
        );
        assert_eq!(logins.of("empty"), None);
        assert!(!format!("{logins:?}").contains("s3cret"));
        let variables = |name: &str| (name == "REGISTRY_AUTH_FILE").then(|| file.display().to_string());
        assert!(Logins::usual(&Environment::of(variables)).of("docker.io").is_some());
        std::fs::write(&file, "{\"auths\": s3cret")?;
        let error = Logins::read(&file).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        Ok(())
    }
}
