//! What is wrong with a request, as its sender is told.

use std::borrow::Cow;

use crate::escape::escaped;

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// There is nothing in it.
    #[error(
        "the request is empty\n\nhint: send an Omaha request, of protocol 2.0 or 3.0 as XML, of 3.0 or 3.1 as JSON"
    )]
    Empty,
    /// It is larger than any request is.
    #[error("the request has more than {} bytes", super::MOST_BYTES)]
    TooLarge,
    /// It is no XML, no JSON, or says something that makes no sense.
    #[error("the request is malformed: {0}")]
    Malformed(Cow<'static, str>),
    /// It is of a protocol that is not spoken here.
    #[error("the protocol '{}' is not spoken here\n\nhint: 2.0 and 3.0 are in XML, 3.0 and 3.1 in JSON", escaped(.0))]
    Protocol(String),
}

impl BadRequest {
    /// A request that makes no sense.
    pub(super) fn malformed(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Malformed(what.into())
    }
}
