//! As much HTTP/1.1 as an updater needs: a POST, and a GET that goes on where it was cut.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use super::{Code, Failure};

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a download is taken up again without a byte in between.
const TRIES: u32 = 20;
/// How long is waited before that.
const PAUSE: Duration = Duration::from_secs(1);
/// The most bytes of an answer to a POST.
const MOST: u64 = 1 << 20;

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    host: String,
    port: u16,
    path: String,
}

impl Url {
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| format!("'{url}' is no http:// address"))?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| format!("'{port}' is no port"))?),
            None => (authority, 80),
        };
        if host.is_empty() || path.contains(|c: char| c.is_control() || c == ' ') {
            return Err(format!("'{url}' is no address"));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }

    fn ask(&self, method: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
        let mut last = io::Error::other("the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(mut stream) => {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.set_write_timeout(Some(PATIENCE))?;
                    write!(
                        stream,
                        "{method} {} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\nAccept: */*\r\n{headers}\r\n",
                        self.path, self.host, self.port
                    )?;
                    stream.write_all(body)?;
                    return Answer::read(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Posts XML; gives the status and the body.
    pub(super) fn post_xml(&self, body: &str) -> io::Result<(u16, Vec<u8>)> {
        let headers = format!("Content-Type: text/xml\r\nContent-Length: {}\r\n", body.len());
        let answer = self.ask("POST", &headers, body.as_bytes())?;
        let mut bytes = Vec::new();
        answer
            .body
            .take(answer.length.unwrap_or(MOST).min(MOST))
            .read_to_end(&mut bytes)?;
        Ok((answer.status, bytes))
    }
}

struct Answer {
    status: u16,
    length: Option<u64>,
    etag: Option<String>,
    /// The first byte of a part.
    from: Option<u64>,
    body: BufReader<TcpStream>,
}

impl Answer {
    fn read(stream: TcpStream) -> io::Result<Self> {
        let mut answer = Self {
            status: 0,
            length: None,
            etag: None,
            from: None,
            body: BufReader::with_capacity(1 << 16, stream),
        };
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "this is no HTTP");
        let first = answer.line()?;
        answer.status = first
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .ok_or_else(bad)?;
        loop {
            let line = answer.line()?;
            if line.is_empty() {
                return Ok(answer);
            }
            let (name, value) = line.split_once(':').ok_or_else(bad)?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => answer.length = value.parse().ok(),
                "etag" => answer.etag = Some(value.to_owned()),
                "content-range" => {
                    let part = value.strip_prefix("bytes ").and_then(|part| part.split('-').next());
                    answer.from = part.and_then(|from| from.parse().ok());
                }
                _ => {}
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        (&mut self.body).take(8192).read_line(&mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// A file that is downloaded; a cut connection is taken up where it was.
pub(super) struct Download {
    url: Url,
    size: u64,
    at: u64,
    etag: Option<String>,
    connection: Option<BufReader<TcpStream>>,
}

impl Download {
    pub(super) fn new(url: Url, size: u64) -> Self {
        Self {
            url,
            size,
            at: 0,
            etag: None,
            connection: None,
        }
    }

    /// Reads exactly so many bytes.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<(), Failure> {
        let mut done = 0;
        let mut tries = 0;
        while done < into.len() {
            if self.at >= self.size {
                return Err(
                    Code::PayloadSizeMismatch.because(format!("the payload has more than its {} bytes", self.size))
                );
            }
            match self.some(&mut into[done..]) {
                Ok(read) => {
                    done += read;
                    self.at += read as u64;
                    tries = 0;
                }
                Err(Cut::Final(failure)) => return Err(failure),
                Err(Cut::Perhaps(error)) => {
                    self.connection = None;
                    tries += 1;
                    if tries > TRIES {
                        return Err(Code::DownloadTransfer.because(error));
                    }
                    std::thread::sleep(PAUSE);
                }
            }
        }
        Ok(())
    }

    fn some(&mut self, into: &mut [u8]) -> Result<usize, Cut> {
        if self.connection.is_none() {
            self.connect()?;
        }
        let Some(connection) = &mut self.connection else {
            return Err(Cut::Perhaps(io::ErrorKind::NotConnected.into()));
        };
        let left = usize::try_from(self.size - self.at).unwrap_or(usize::MAX);
        let length = into.len().min(left);
        match connection.read(&mut into[..length]) {
            Ok(0) => Err(Cut::Perhaps(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => Ok(read),
            Err(error) => Err(Cut::Perhaps(error)),
        }
    }

    fn connect(&mut self) -> Result<(), Cut> {
        let same = self.etag.as_ref().map(|etag| format!("If-Range: {etag}\r\n"));
        let headers = format!("Range: bytes={}-\r\n{}", self.at, same.unwrap_or_default());
        let answer = self.url.ask("GET", &headers, &[]).map_err(Cut::Perhaps)?;
        let wanted = if self.at == 0 && answer.status == 200 {
            None
        } else {
            Some(self.at)
        };
        match answer.status {
            200 | 206 if answer.from == wanted || (self.at == 0 && answer.from == Some(0)) => {
                self.etag = answer.etag.or(self.etag.take());
                self.connection = Some(answer.body);
                Ok(())
            }
            200 | 206 => Err(Cut::Final(Code::DownloadTransfer.because(format!(
                "the server does not go on at byte {}: it has another file, or knows no ranges",
                self.at
            )))),
            status @ 400..=499 => Err(Cut::Final(
                Code::DownloadTransfer.because(format!("the server answers {status}")),
            )),
            status => Err(Cut::Perhaps(io::Error::other(format!("the server answers {status}")))),
        }
    }
}

/// Why nothing came.
enum Cut {
    /// It is tried again.
    Perhaps(io::Error),
    /// It is not.
    Final(Failure),
}
