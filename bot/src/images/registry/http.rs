//! Requests to one registry: with its token, within limits of time and size, and with every error in its place.
//!
//! The dance for tokens is oci-client's. What is read is read here, because answers are not trusted: a document has at most as many bytes as documents
//! have, a blob as many as were announced, and credentials go to the registry's own address only, wherever it sends us.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use tokio::sync::Mutex;

use super::error::{RegistryError, shown};
use super::{Settings, Transport};

/// How long a token is used: as long as the specification says that one is good at least.
const TOKEN: Duration = Duration::from_secs(50);

/// How much of an error's text is read.
const LARGEST_ERROR: usize = 64 << 10;

/// What is done with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Access {
    /// Something is read.
    Pull,
    /// Something is written.
    Push,
}

/// What says who we are, if anything has to, and since when it is known.
type Known = (Option<HeaderValue>, Instant);

/// A registry, as something to ask.
pub(super) struct Http {
    registry: String,
    base: Url,
    client: reqwest::Client,
    /// Without a limit on how long no answer comes: reqwest counts the time in which a body is sent, too.
    uploads: reqwest::Client,
    tokens: Client,
    auth: RegistryAuth,
    settings: Settings,
    known: Mutex<HashMap<(String, Access), Known>>,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No credentials, no tokens.
        f.debug_struct("Http")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

impl Http {
    pub(super) fn new(registry: &str, auth: RegistryAuth, settings: &Settings) -> Result<Self, RegistryError> {
        crate::images::engine::provide_tls();
        let nonsense = |why: String| RegistryError::Nonsense {
            registry: registry.to_owned(),
            why,
        };
        // What people call docker.io answers elsewhere.
        let host = if registry == "docker.io" {
            "registry-1.docker.io"
        } else {
            registry
        };
        let scheme = match settings.transport {
            Transport::Plain => "http",
            Transport::Tls if is_loopback(host) => "http",
            Transport::Tls => "https",
        };
        let base = Url::parse(&format!("{scheme}://{host}/"))
            .map_err(|error| nonsense(format!("this is no address of a registry: {error}")))?;
        let client = || {
            reqwest::Client::builder()
                .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(settings.connect)
                .redirect(reqwest::redirect::Policy::limited(5))
        };
        let failed = |error| RegistryError::of_request(registry, &error);
        let uploads = client().build().map_err(failed)?;
        let client = client().read_timeout(settings.idle).build().map_err(failed)?;
        let tokens = Client::try_from(ClientConfig {
            protocol: if scheme == "http" {
                ClientProtocol::Http
            } else {
                ClientProtocol::Https
            },
            connect_timeout: Some(settings.connect),
            read_timeout: Some(settings.idle),
            ..ClientConfig::default()
        })
        .map_err(|error| nonsense(error.to_string()))?;
        Ok(Self {
            registry: registry.to_owned(),
            base,
            client,
            uploads,
            tokens,
            auth,
            settings: settings.clone(),
            known: Mutex::new(HashMap::new()),
        })
    }

    pub(super) fn nonsense(&self, why: impl Into<String>) -> RegistryError {
        RegistryError::Nonsense {
            registry: self.registry.clone(),
            why: why.into(),
        }
    }

    /// An address below `/v2/`; the parts are checked names.
    pub(super) fn address(&self, path: &str) -> Result<Url, RegistryError> {
        self.base
            .join(&format!("v2/{path}"))
            .map_err(|error| self.nonsense(format!("'{path}': {error}")))
    }

    /// Where an answer sends us.
    pub(super) fn location(&self, answer: &Response) -> Result<Url, RegistryError> {
        answer
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .and_then(|location| answer.url().join(location).ok())
            .filter(|location| matches!(location.scheme(), "http" | "https"))
            .ok_or_else(|| self.nonsense("it does not say where an upload is to go"))
    }

    /// The header that says who we are, if the registry asks.
    async fn authorization(&self, repository: &str, access: Access) -> Result<Option<HeaderValue>, RegistryError> {
        let key = (repository.to_owned(), access);
        let mut known = self.known.lock().await;
        if let Some((header, since)) = known.get(&key)
            && since.elapsed() < TOKEN
        {
            return Ok(header.clone());
        }
        let host = self.base.host_str().unwrap_or_default();
        let host = self
            .base
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let reference = Reference::with_tag(host, repository.to_owned(), "latest".to_owned());
        let operation = match access {
            Access::Pull => RegistryOperation::Pull,
            Access::Push => RegistryOperation::Push,
        };
        let asked = tokio::time::timeout(
            self.settings.document,
            self.tokens.auth(&reference, &self.auth, operation),
        );
        let token = asked
            .await
            .map_err(|_| self.away("it takes too long to say who may enter"))?
            .map_err(|error| self.of_tokens(repository, &error))?;
        let text = match (token, &self.auth) {
            (Some(token), _) => Some(format!("Bearer {token}")),
            (None, RegistryAuth::Basic(user, password)) => {
                let pair = STANDARD.encode(format!("{user}:{password}"));
                Some(format!("Basic {pair}"))
            }
            (None, RegistryAuth::Anonymous | RegistryAuth::Bearer(_)) => None,
        };
        let header = text
            .map(|text| {
                let mut header = HeaderValue::try_from(text).map_err(|_| self.nonsense("its token is no text"))?;
                header.set_sensitive(true);
                Ok::<_, RegistryError>(header)
            })
            .transpose()?;
        known.insert(key, (header.clone(), Instant::now()));
        Ok(header)
    }

    fn away(&self, why: &str) -> RegistryError {
        RegistryError::Away {
            registry: self.registry.clone(),
            why: why.to_owned(),
        }
    }

    fn of_tokens(&self, repository: &str, error: &OciDistributionError) -> RegistryError {
        if let OciDistributionError::RequestError(error) = &error {
            return RegistryError::of_request(&self.registry, error);
        }
        if let OciDistributionError::AuthenticationFailure(why) = &error {
            return self.unauthorized(repository, why);
        }
        let why = shown(&error.to_string());
        self.nonsense(format!("it cannot be found out who may enter: {why}"))
    }

    fn unauthorized(&self, what: &str, why: &str) -> RegistryError {
        let hint = match &self.auth {
            RegistryAuth::Anonymous => "name a file with credentials for it".to_owned(),
            RegistryAuth::Basic(user, _) => {
                format!(
                    "the file of credentials says '{}': check its password and what it may do",
                    shown(user)
                )
            }
            RegistryAuth::Bearer(_) => "the token may have run out".to_owned(),
        };
        RegistryError::Unauthorized {
            registry: self.registry.clone(),
            what: what.to_owned(),
            why: shown(why),
            hint,
        }
    }

    /// A request that is ready but for its body.
    pub(super) async fn request(
        &self,
        method: Method,
        url: Url,
        repository: &str,
        access: Access,
    ) -> Result<RequestBuilder, RegistryError> {
        let headers = self.headers(&url, repository, access).await?;
        Ok(self.client.request(method, url).headers(headers))
    }

    /// A request whose body has so many bytes. It may take as long as the slowest connection does that the settings allow.
    pub(super) async fn upload(&self, url: Url, repository: &str, size: u64) -> Result<RequestBuilder, RegistryError> {
        let headers = self.headers(&url, repository, Access::Push).await?;
        let most = self.settings.document + Duration::from_secs(size / self.settings.slowest.max(1));
        Ok(self.uploads.put(url).headers(headers).timeout(most))
    }

    /// Who we are, for the registry's own address: somebody else's, as of a store behind it, does not get our credentials.
    async fn headers(&self, url: &Url, repository: &str, access: Access) -> Result<HeaderMap, RegistryError> {
        let mut headers = HeaderMap::new();
        if url.origin() == self.base.origin()
            && let Some(authorization) = self.authorization(repository, access).await?
        {
            headers.insert(AUTHORIZATION, authorization);
        }
        Ok(headers)
    }

    /// Sends a request; an answer that is an error is one.
    pub(super) async fn send(&self, request: RequestBuilder, what: &str) -> Result<Response, RegistryError> {
        let answer = request
            .send()
            .await
            .map_err(|error| RegistryError::of_request(&self.registry, &error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let said = self.said(answer).await;
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.unauthorized(what, &said),
            StatusCode::NOT_FOUND => RegistryError::Missing {
                registry: self.registry.clone(),
                what: what.to_owned(),
            },
            status => RegistryError::Answer {
                registry: self.registry.clone(),
                what: what.to_owned(),
                status: status.as_u16(),
                said,
            },
        })
    }

    /// As [`send`](Self::send), for what takes no longer than a document does.
    pub(super) async fn send_soon(&self, request: RequestBuilder, what: &str) -> Result<Response, RegistryError> {
        self.send(request.timeout(self.settings.document), what).await
    }

    /// What an error's body says: the messages, where it is as the specification wants it.
    async fn said(&self, answer: Response) -> String {
        let body = self.body(answer, LARGEST_ERROR).await.unwrap_or_default();
        let errors = serde_json::from_slice::<serde_json::Value>(&body)
            .ok()
            .and_then(|value| value.get("errors")?.as_array().cloned());
        let messages: Vec<String> = errors
            .iter()
            .flatten()
            .filter_map(|error| {
                let text = |key| error.get(key).and_then(serde_json::Value::as_str);
                text("message").or_else(|| text("code")).map(str::to_owned)
            })
            .collect();
        if messages.is_empty() {
            shown(&String::from_utf8_lossy(&body))
        } else {
            shown(&messages.join("; "))
        }
    }

    /// The body of an answer, if it is not larger than this.
    pub(super) async fn body(&self, answer: Response, most: usize) -> Result<Vec<u8>, RegistryError> {
        let mut body = Vec::new();
        let mut answer = answer;
        while let Some(piece) = self.piece(&mut answer).await? {
            if body.len() + piece.len() > most {
                return Err(self.nonsense(format!(
                    "its answer has more than {most} bytes, which no such answer has"
                )));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// The next piece of an answer's body.
    pub(super) async fn piece(&self, answer: &mut Response) -> Result<Option<Bytes>, RegistryError> {
        answer
            .chunk()
            .await
            .map_err(|error| RegistryError::of_request(&self.registry, &error))
    }
}

/// Whether an address is this very machine's.
fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => registry,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_spoken_to_without_tls() {
        for own in ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(own), "{own}");
        }
        for other in ["localhost.example.org", "10.0.0.1:5000", "[::2]:1", "example.org"] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
