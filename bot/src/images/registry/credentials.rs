//! Who we are to a registry: from a file that others cannot read, never from the command line, and never in a log.
//!
//! Two forms are read. `config.json`, as `docker login` and `podman login` write it, with one entry for each registry; and TOML with `username`
//! and `password`, which is for whichever registry the file is named for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;
use windlass_core::escape::escaped;

use super::error::RegistryError;

/// The largest file of credentials.
const LARGEST: u64 = 1 << 20;

/// The part of `config.json` that matters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
}

/// The TOML form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    username: String,
    password: String,
}

/// Reads who we are to this registry; nobody, where the file has no entry for it.
pub(super) fn read(path: &Path, registry: &str) -> Result<RegistryAuth, RegistryError> {
    let shown = escaped(&path.display().to_string());
    let bad = |why: String| RegistryError::Credentials(format!("{shown}: {why}"));
    let mut file = File::open(path).map_err(|error| bad(format!("the credentials cannot be read: {error}")))?;
    let found = file.metadata().map_err(|error| bad(error.to_string()))?;
    if found.mode() & 0o077 != 0 {
        return Err(bad(format!(
            "others can read or write the credentials (mode {:o})\n\nhint: chmod 600 {shown}",
            found.mode() & 0o777
        )));
    }
    let us = rustix::process::geteuid().as_raw();
    if found.uid() != us && found.uid() != 0 {
        return Err(bad(format!(
            "the credentials belong to somebody else (user {})\n\nhint: chown {us} {shown}",
            found.uid()
        )));
    }
    let mut text = String::new();
    (&mut file)
        .take(LARGEST)
        .read_to_string(&mut text)
        .map_err(|error| bad(format!("the credentials cannot be read: {error}")))?;
    // What a parser says may quote what it read: only where it stopped is told.
    if text.trim_start().starts_with('{') {
        let config: Config = serde_json::from_str(&text).map_err(|error| {
            bad(format!(
                "this is no config.json (line {}, column {})",
                error.line(),
                error.column()
            ))
        })?;
        of_config(&config, registry).map_err(bad)
    } else {
        let plain: Plain = toml::from_str(&text).map_err(|_| {
            bad("this is neither a config.json with `auths` nor TOML with `username` and `password`".to_owned())
        })?;
        Ok(RegistryAuth::Basic(plain.username, plain.password))
    }
}

fn of_config(config: &Config, registry: &str) -> Result<RegistryAuth, String> {
    let names = [
        registry.to_owned(),
        format!("https://{registry}"),
        format!("http://{registry}"),
        format!("https://{registry}/v1/"),
        format!("https://{registry}/v2/"),
    ];
    let hub = (registry == "docker.io").then(|| "https://index.docker.io/v1/".to_owned());
    let entry = names.iter().chain(&hub).find_map(|name| config.auths.get(name));
    let helper = config.cred_helpers.contains_key(registry) || config.creds_store.is_some();
    let Some(entry) = entry else {
        if helper {
            return Err(format!(
                "the credentials for {registry} are with a helper program, which is not asked\n\nhint: write a file with `username` and `password`"
            ));
        }
        return Ok(RegistryAuth::Anonymous);
    };
    if entry.identitytoken.as_deref().is_some_and(|token| !token.is_empty()) {
        return Err(format!(
            "the entry for {registry} is an identity token, which is not understood\n\nhint: write a file with `username` and `password`"
        ));
    }
    if let (Some(username), Some(password)) = (&entry.username, &entry.password) {
        return Ok(RegistryAuth::Basic(username.clone(), password.clone()));
    }
    let decoded = entry
        .auth
        .as_deref()
        .and_then(|auth| STANDARD.decode(auth.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((username, password)) => Ok(RegistryAuth::Basic(
            username.to_owned(),
            password.trim_end_matches('\0').to_owned(),
        )),
        None => Err(format!("the entry for {registry} has no user and password")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn read_as(text: &str, mode: u32) -> Result<RegistryAuth, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        read(&path, "r.example.org:5000").map_err(|error| error.to_string())
    }

    fn basic(user: &str, password: &str) -> RegistryAuth {
        RegistryAuth::Basic(user.to_owned(), password.to_owned())
    }

    #[test]
    fn both_forms_are_read() {
        let toml = "username = \"bob\"\npassword = \"geheim\"\n";
        assert_eq!(read_as(toml, 0o600).unwrap(), basic("bob", "geheim"));
        let json = r#"{"auths": {"r.example.org:5000": {"auth": "Ym9iOmdlOmhlaW0="}, "x": {}}}"#;
        assert_eq!(read_as(json, 0o400).unwrap(), basic("bob", "ge:heim"));
        let json = r#"{"auths": {"https://r.example.org:5000": {"username": "bob", "password": "p"}}}"#;
        assert_eq!(read_as(json, 0o600).unwrap(), basic("bob", "p"));
        assert_eq!(
            read_as(r#"{"auths": {"other": {}}}"#, 0o600).unwrap(),
            RegistryAuth::Anonymous
        );
    }

    #[test]
    fn what_others_can_read_is_no_secret() {
        for mode in [0o640, 0o604, 0o620] {
            let told = read_as("username = \"bob\"\npassword = \"geheim\"\n", mode).unwrap_err();
            assert!(told.contains("hint: chmod 600"), "{told}");
            assert!(!told.contains("geheim"), "{told}");
        }
    }

    #[test]
    fn an_error_does_not_tell_the_password() {
        for text in [
            "username = \"bob\"\npassword = \"geheim",
            "username = \"bob\"\npassword = \"geheim\"\nmore = 1\n",
            r#"{"auths": {"r.example.org:5000": {"auth": "geheim"}}}"#,
            r#"{"auths": {"r.example.org:5000": "geheim"}}"#,
            r#"{"credsStore": "geheim"}"#,
        ] {
            let told = read_as(text, 0o600).unwrap_err();
            assert!(!told.contains("geheim"), "{told}");
        }
    }
}
