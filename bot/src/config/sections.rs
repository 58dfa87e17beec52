//! The sections that the bot alone reads: `[server]`, `[tasks]` and `[http]`; `[build]` has a file of its own.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use windlass_hooks::settings::Duration;

/// `[server]`: how the daemon serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// How often the references of all source repositories are compared with what the journal knows.
    pub reconcile_every: Duration,
    /// How many clients may be connected at once.
    pub max_connections: usize,
    /// How long a client may take to say what it wants.
    pub request_timeout: Duration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            reconcile_every: Duration::from_secs(300),
            max_connections: 512,
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// `[tasks]`: how much one user may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tasks {
    /// How many tasks one user may have that have not landed.
    pub max_open_per_user: usize,
    /// How many subtasks one task may have.
    pub max_subtasks: usize,
    /// How many tasks run at once.
    pub max_running: usize,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            max_open_per_user: 1000,
            max_subtasks: 1000,
            max_running: 2,
        }
    }
}

/// `[http]`: serving repositories over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The address to listen at; nothing is served where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// How clients name this server, without the slash at the end; `http://` and the address where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How many clients may be connected at once.
    pub max_connections: usize,
    /// How long a client may take to say what it wants, and to take the next piece of its answer.
    pub timeout: Duration,
}

impl Http {
    /// How clients name this server, without the slash at the end; nothing where that cannot be told from where it listens.
    pub fn base_url(&self) -> Option<String> {
        let named = |address: &SocketAddr| !address.ip().is_unspecified() && address.port() != 0;
        let listening = || {
            let address = self.listen.filter(named)?;
            Some(format!("http://{address}"))
        };
        self.url.clone().or_else(listening)
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: None,
            url: None,
            max_connections: 512,
            timeout: Duration::from_secs(30),
        }
    }
}
