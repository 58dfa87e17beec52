//! How an engine is told who we are to a registry: headers, which are logged nowhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Map, Value, json};

use crate::images::logins::{Login, Logins};

/// All logins as `X-Registry-Config` has them, for builds that pull.
pub(super) fn all(logins: &Logins) -> String {
    let all: Map<String, Value> = logins
        .iter()
        .map(|(registry, login)| {
            let login = json!({"username": login.user, "password": login.password});
            (registry.to_owned(), login)
        })
        .collect();
    URL_SAFE.encode(Value::Object(all).to_string())
}

/// One as `X-Registry-Auth` has it. Engines read this alphabet, with `-` and `_`; bollard writes the other.
pub(super) fn one(login: &Login, registry: &str) -> String {
    let value = json!({"username": login.user, "password": login.password, "serveraddress": registry});
    URL_SAFE.encode(value.to_string())
}
