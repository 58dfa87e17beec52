//! `[update_server]`: serving updates to lab devices.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use windlass_hooks::settings::{Duration, Size};

/// `[update_server]`: serving updates to lab devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateServer {
    /// The address to listen at; nothing is served where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// How many devices may be connected at once.
    pub max_connections: usize,
    /// How long a device may take to say what it wants, and to take the next piece of its answer.
    pub timeout: Duration,
    /// How many bytes go out in a second, to all devices together; without a limit where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Size>,
    /// What is on offer from the start.
    #[serde(rename = "offer", skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<UpdateOffer>,
}

/// `[[update_server.offer]]`: a payload for whoever asks, or for the devices with one board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateOffer {
    /// The version that it brings.
    pub version: String,
    /// The payload.
    pub payload: PathBuf,
    /// The archive of the stateful partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stateful: Option<PathBuf>,
    /// The board that it is for; any where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
}

impl Default for UpdateServer {
    fn default() -> Self {
        Self {
            listen: None,
            max_connections: 256,
            timeout: Duration::from_secs(30),
            bandwidth: None,
            offers: Vec::new(),
        }
    }
}
