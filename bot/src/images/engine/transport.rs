//! The connection to an engine: one for each request, on a Unix socket, TCP or TLS. Bollard's requests go over it, and ours.
//!
//! Ours are those of which the bytes are wanted as they come: builds, pulls, archives, a container's streams.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::{BollardRequest, Docker};
use hyper::body::{Body, Incoming};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::error::{EngineError, TooLong};

/// Where the bytes go.
#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    Unix(PathBuf),
    Tcp {
        host: String,
        port: u16,
    },
    Tls {
        host: String,
        port: u16,
        config: Arc<rustls::ClientConfig>,
    },
}

/// How requests reach an engine. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    pub(super) endpoint: Endpoint,
    /// How long connecting may take.
    pub(super) connect: Duration,
    /// The most bytes of an answer to one of bollard's requests.
    pub(super) answer_bytes: u64,
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Transport {
    async fn open(&self) -> io::Result<Box<dyn Wire>> {
        match &self.endpoint {
            Endpoint::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Endpoint::Tcp { host, port } => Ok(Box::new(TcpStream::connect((host.as_str(), *port)).await?)),
            Endpoint::Tls { host, port, config } => {
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                let connector = tokio_rustls::TlsConnector::from(config.clone());
                Ok(Box::new(connector.connect(name, stream).await?))
            }
        }
    }

    async fn connected(&self) -> io::Result<Box<dyn Wire>> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the connection was not made in time");
        let wire = tokio::time::timeout(self.connect, self.open())
            .await
            .map_err(|_| late())??;
        Ok(Box::new(Listening { wire, deaf: false }))
    }

    /// Sends one request on a connection of its own; the answer's body is still on its way. When the answer is dropped the engine sees
    /// us hang up.
    pub(super) async fn send<B>(&self, doing: &str, request: Request<B>) -> Result<Response<Incoming>, EngineError>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let wire = self.connected().await.map_err(|error| EngineError::io(doing, &error))?;
        exchange(wire, self.host(), request)
            .await
            .map_err(|error| EngineError::hyper(doing, &error))
    }

    fn host(&self) -> HeaderValue {
        let name = match &self.endpoint {
            Endpoint::Unix(_) => "engine".to_owned(),
            Endpoint::Tcp { host, port } | Endpoint::Tls { host, port, .. } if host.contains(':') => {
                format!("[{host}]:{port}")
            }
            Endpoint::Tcp { host, port } | Endpoint::Tls { host, port, .. } => format!("{host}:{port}"),
        };
        HeaderValue::from_str(&name).unwrap_or(HeaderValue::from_static("engine"))
    }
}

async fn exchange<B>(
    wire: impl Wire + 'static,
    host: HeaderValue,
    mut request: Request<B>,
) -> hyper::Result<Response<Incoming>>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    if let Ok(path) = path.parse::<Uri>() {
        *request.uri_mut() = path;
    }
    request.headers_mut().insert(HOST, host);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(wire)).await?;
    // It ends with the answer's body, or with what the connection was upgraded to.
    tokio::spawn(connection.with_upgrades());
    sender.send_request(request).await
}

impl Transport {
    /// Bollard's client over this transport; its answers are limited in length.
    pub(super) fn client(&self, timeout: Duration) -> Result<Docker, bollard::errors::Error> {
        let transport = self.clone();
        let send = move |request: BollardRequest| {
            let transport = transport.clone();
            async move {
                let wire = Capped {
                    wire: transport.connected().await?,
                    limit: transport.answer_bytes,
                    left: transport.answer_bytes,
                };
                Ok::<_, bollard::errors::Error>(exchange(wire, transport.host(), request).await?)
            }
        };
        let seconds = timeout.as_secs().max(1);
        Docker::connect_with_custom_transport(send, Some("http://engine"), seconds, bollard::API_DEFAULT_VERSION)
    }
}

/// A connection on which it is no error that the other side reads no more: its answer, which says why, may lie there already.
///
/// An engine that refuses a build does so before it has read the context, and hangs up. Where there is no answer, reading says so.
struct Listening {
    wire: Box<dyn Wire>,
    deaf: bool,
}

impl AsyncRead for Listening {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(context, buffer)
    }
}

impl AsyncWrite for Listening {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        match std::task::ready!(Pin::new(&mut self.wire).poll_write(context, bytes)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                self.deaf = true;
                Poll::Ready(Ok(bytes.len()))
            }
            other => Poll::Ready(other),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}

/// A connection on which only so much is read: bollard keeps the whole of an answer in memory.
struct Capped {
    wire: Box<dyn Wire>,
    limit: u64,
    left: u64,
}

impl AsyncRead for Capped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.wire).poll_read(context, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        match self.left.checked_sub(read) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Err(io::Error::other(TooLong(self.limit)))),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Capped {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
