//! Where a foreign repository is: a directory, or a web address.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use windlass_core::escape::escaped;

use super::super::rpmmd::read::location;

/// How long a server may take to answer the call.
const CONNECT: Duration = Duration::from_secs(10);
/// How long it may fall silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How long one file may take.
const WHOLE: Duration = Duration::from_hours(1);

/// Where a repository is.
#[derive(Debug)]
pub(super) enum Place {
    /// On this machine.
    Directory(PathBuf),
    /// On a web server.
    Web(Web),
}

/// A web address.
#[derive(Debug)]
pub(super) struct Web {
    /// Without a slash at the end.
    base: String,
    agent: ureq::Agent,
}

impl Place {
    /// Reads what is configured.
    pub(super) fn of(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file://") {
            return match decoded(path) {
                Some(path) if path.starts_with('/') => Ok(Self::Directory(path.into())),
                Some(_) | None => {
                    Err("a file:// address names this machine's directory, as in file:///srv/base".to_owned())
                }
            };
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['#', '?']);
            if !is_plain {
                return Err("the address has blanks, '#', '?' or letters beyond ASCII in it".to_owned());
            }
            return Ok(Self::Web(Web::new(text)));
        }
        Ok(Self::Directory(text.into()))
    }

    /// Opens a file of it, by what the metadata calls it.
    pub(super) fn open(&self, name: &str) -> Result<Box<dyn Read>, String> {
        match self {
            Self::Directory(directory) => {
                let path = directory.join(location(name)?);
                let file =
                    File::open(&path).map_err(|error| format!("{}: {error}", escaped(&path.display().to_string())))?;
                Ok(Box::new(file))
            }
            Self::Web(web) => web.open(name),
        }
    }
}

impl Web {
    fn new(base: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            // Whoever asked for a certificate is not led around it.
            .https_only(base.starts_with("https://"))
            .max_redirects(5)
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .timeout_recv_response(Some(SILENCE))
            .timeout_global(Some(WHOLE))
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self {
            base: base.trim_end_matches('/').to_owned(),
            agent,
        }
    }

    fn open(&self, name: &str) -> Result<Box<dyn Read>, String> {
        let address = if name.starts_with("http://") || name.starts_with("https://") {
            name.to_owned()
        } else {
            format!("{}/{}", self.base, encoded(location(name)?))
        };
        let response = self.agent.get(&address).call().map_err(|error| {
            let why = if let ureq::Error::StatusCode(code) = error {
                format!("the server answers {code}")
            } else {
                escaped(&error.to_string())
            };
            format!("{}: {why}", escaped(&address))
        })?;
        // The limit is the caller's.
        Ok(Box::new(
            response.into_body().into_with_config().limit(u64::MAX).reader(),
        ))
    }
}

/// A path as addresses have it.
fn encoded(path: &str) -> String {
    use std::fmt::Write as _;
    path.bytes().fold(String::with_capacity(path.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~+:@,=".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// An address's path as a file system has it, if it is one.
fn decoded(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
            out.push(u8::try_from(value).ok().filter(|byte| *byte != 0)?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("file:///srv/a%20b", Some("/srv/a b"))]
    #[case("/srv/a%20b", Some("/srv/a%20b"))]
    #[case("file://host/srv", None)]
    #[case("file:///srv/%0", None)]
    #[case("file:///srv/%00", None)]
    #[case("http://x/a b", None)]
    #[case("http://x/?a", None)]
    fn places(#[case] text: &str, #[case] expected: Option<&str>) {
        match (Place::of(text), expected) {
            (Ok(Place::Directory(path)), Some(expected)) => assert_eq!(path, PathBuf::from(expected)),
            (Err(_), None) => {}
            (other, _) => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(encoded("a b/g++-1.0~rc^1%.rpm"), "a%20b/g++-1.0~rc%5E1%25.rpm");
    }
}
