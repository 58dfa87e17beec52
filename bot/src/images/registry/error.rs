//! What can go wrong with a registry, and whether another try may help: decided here, once.

use std::io;

use windlass_core::escape::escaped;

use crate::images::logins::BadLogins;
use crate::images::oci::OciError;

/// How much of what a registry says is shown.
const LONGEST: usize = 300;

/// What can go wrong with a registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It cannot be reached, or it stopped in the middle.
    #[error("registry {registry} does not answer: {why}")]
    Away {
        /// Which registry.
        registry: String,
        /// Why, as far as it is known.
        why: String,
    },
    /// It can be reached, and is not what it has to be: its certificate is not trusted.
    #[error(
        "registry {registry} is not trusted: {why}\n\nhint: a registry without TLS needs `insecure = true`; one with its own authority needs that authority's certificate on this machine"
    )]
    Untrusted {
        /// Which registry.
        registry: String,
        /// Why.
        why: String,
    },
    /// It wants other credentials, or some.
    #[error("registry {registry} refuses {what}: {why}\n\nhint: {hint}")]
    Unauthorized {
        /// Which registry.
        registry: String,
        /// What was asked for.
        what: String,
        /// What it says.
        why: String,
        /// The way out.
        hint: String,
    },
    /// What was asked for is not there.
    #[error("registry {registry} has no {what}")]
    Missing {
        /// Which registry.
        registry: String,
        /// What was asked for.
        what: String,
    },
    /// It answers with an error.
    #[error("registry {registry} answers {status} to {what}: {said}")]
    Answer {
        /// Which registry.
        registry: String,
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        said: String,
    },
    /// It answers with something that makes no sense, or that is not what it was to be.
    #[error("registry {registry}: {why}")]
    Nonsense {
        /// Which registry.
        registry: String,
        /// What is wrong.
        why: String,
    },
    /// Several write the same list at once, all the time.
    #[error("registry {registry}: the list of what refers to {subject} is being changed again and again")]
    Busy {
        /// Which registry.
        registry: String,
        /// To what is referred.
        subject: String,
    },
    /// The credentials cannot be used.
    #[error(transparent)]
    Credentials(#[from] BadLogins),
    /// What is to be pushed, or where something is pulled to, cannot be used.
    #[error(transparent)]
    Layout(#[from] OciError),
}

impl RegistryError {
    /// Whether the same may succeed at another time.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Away { .. } | Self::Busy { .. } => true,
            // Too many requests, a timeout of its own, and whatever is broken on its side.
            Self::Answer { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::Untrusted { .. }
            | Self::Unauthorized { .. }
            | Self::Missing { .. }
            | Self::Nonsense { .. }
            | Self::Credentials(_)
            | Self::Layout(_) => false,
        }
    }

    /// The error of a request that did not come to an answer.
    pub(super) fn of_request(registry: &str, error: &reqwest::Error) -> Self {
        let mut why = Vec::new();
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        let mut untrusted = false;
        while let Some(this) = cause {
            untrusted |= this.is::<rustls::Error>()
                || this
                    .downcast_ref::<io::Error>()
                    .and_then(io::Error::get_ref)
                    .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
            why.push(this.to_string());
            cause = this.source();
        }
        let registry = registry.to_owned();
        // The outermost text names the whole address, which is known already.
        let last = if error.is_timeout() {
            "it takes too long".to_owned()
        } else {
            why.last().cloned().unwrap_or_default()
        };
        let why = shown(&last);
        if untrusted {
            return Self::Untrusted { registry, why };
        }
        if error.is_builder() || error.is_redirect() {
            return Self::Nonsense { registry, why };
        }
        Self::Away { registry, why }
    }
}

/// A text of the registry's, escaped and shortened.
pub(super) fn shown(text: &str) -> String {
    let text = escaped(text.trim());
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_go_away_by_itself_is_tried_again() {
        let answer = |status| RegistryError::Answer {
            registry: "r".to_owned(),
            what: "x".to_owned(),
            status,
            said: String::new(),
        };
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(answer(status).is_transient(), "{status}");
        }
        for status in [400, 403, 405, 413, 416] {
            assert!(!answer(status).is_transient(), "{status}");
        }
    }
}
