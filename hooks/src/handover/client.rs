//! One conversation over the bot's socket: connect, send, read frames, each within its time.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::CONNECT;
use crate::wire::{Frame, MAX_LINE, Request, WireError};

/// How long the bot may take to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// All of the answer within this time.
    AtMost(Duration),
    /// For as long as it takes: the command waits for something, as `task wait` does.
    Endless,
}

/// The bot cannot be reached, or the connection to it broke.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// There is no socket, or nobody listens at it.
    #[error("{}: {error}", socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The connection broke or took too long.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// It took too long.
    #[error("no answer within {} seconds", .0.as_secs())]
    Slow(Duration),
    /// The bot is there and says that it can take nothing on record.
    #[error("the bot can take nothing on record: {0}")]
    Unable(String),
    /// Nobody reads our output any more.
    #[error("nobody is listening any more")]
    CallerGone,
    /// What came is no frame, or what should go is no line.
    #[error("a bad line: {0}")]
    Wire(#[from] WireError),
}

/// A request that was sent and is being answered.
#[derive(Debug)]
pub struct Conversation {
    stream: UnixStream,
    patience: Patience,
    until: Option<Instant>,
    /// What came and was not yet made frames.
    pending: Vec<u8>,
}

impl Conversation {
    pub(super) fn open(socket: &Path, request: &Request, patience: Patience) -> Result<Self, Lost> {
        let line = request.to_line()?;
        let stream = dial(socket).map_err(|error| Lost::Connect {
            socket: socket.to_owned(),
            error,
        })?;
        let until = match patience {
            Patience::AtMost(time) => Some(Instant::now() + time),
            Patience::Endless => None,
        };
        let mut conversation = Self {
            stream,
            patience,
            until,
            pending: Vec::new(),
        };
        conversation
            .stream
            .write_all(&line)
            .map_err(|error| conversation.lost(error))?;
        Ok(conversation)
    }

    /// The next frame. After [`Frame::Exit`] there is none.
    pub fn next_frame(&mut self) -> Result<Frame, Lost> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let frame = Frame::parse(&self.pending[..end])?;
                self.pending.drain(..=end);
                return Ok(frame);
            }
            if self.pending.len() > MAX_LINE {
                return Err(WireError::TooLong.into());
            }
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> Result<(), Lost> {
        if let Some(until) = self.until {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Err(self.lost(io::ErrorKind::WouldBlock.into()));
            }
            self.stream.set_read_timeout(Some(rest))?;
        } else {
            self.wait_for_either()?;
        }
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(Lost::Broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) => {
                self.pending.extend_from_slice(&buffer[..read]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// Waits until the bot says something, or until nobody reads what we would tell: a client that hung up must not leave us waiting.
    fn wait_for_either(&self) -> Result<(), Lost> {
        let out = io::stdout();
        let mut fds = [
            PollFd::new(&self.stream, PollFlags::IN),
            PollFd::new(&out, PollFlags::empty()),
        ];
        loop {
            match poll(&mut fds, None) {
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Lost::Broken(error.into())),
            }
        }
        if fds[0].revents().is_empty() && !fds[1].revents().is_empty() {
            return Err(Lost::CallerGone);
        }
        self.stream.set_read_timeout(None)?;
        Ok(())
    }

    fn lost(&self, error: io::Error) -> Lost {
        match (error.kind(), self.patience) {
            (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, Patience::AtMost(time)) => Lost::Slow(time),
            (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, Patience::Endless) => Lost::Slow(CONNECT),
            _ => Lost::Broken(error),
        }
    }
}

/// Connects within [`CONNECT`]: a bot that is stopped and whose queue is full would hold a plain `connect` for ever. On Linux the send
/// timeout also bounds the connecting of a Unix socket.
fn dial(socket: &Path) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(socket)?;
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&fd, Timeout::Send, Some(CONNECT))?;
    connect(&fd, &address)?;
    Ok(UnixStream::from(fd))
}

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;
    use std::os::unix::net::UnixListener;

    use jiff::Timestamp;

    use super::super::*;
    use super::*;
    use crate::wire::{Body, random_request_id};

    fn request() -> Request {
        let body = Body::Command {
            argv: vec!["build".into()],
        };
        Request::new(
            random_request_id().unwrap(),
            Timestamp::UNIX_EPOCH,
            "alice".parse().unwrap(),
            body,
        )
    }

    /// A place with a spool and a socket at which `answer` is said to one request; where it is none, nobody listens.
    fn place(
        answer: Option<&'static [&'static str]>,
    ) -> (tempfile::TempDir, Handover, Option<std::thread::JoinHandle<Request>>) {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.paths.root = dir.path().to_owned();
        std::fs::create_dir_all(dir.path().join("run")).unwrap();
        std::fs::create_dir_all(dir.path().join("spool")).unwrap();
        let bot = answer.map(|answer| {
            let listener = UnixListener::bind(settings.paths.socket()).unwrap();
            std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut line = String::new();
                io::BufReader::new(stream.try_clone().unwrap())
                    .read_line(&mut line)
                    .unwrap();
                for part in answer {
                    stream.write_all(part.as_bytes()).unwrap();
                }
                Request::parse(line.as_bytes()).unwrap()
            })
        });
        (dir, Handover::new(&settings), bot)
    }

    const PATIENCE: Patience = Patience::AtMost(Duration::from_secs(20));

    #[test]
    fn the_bot_answers_in_pieces() {
        let answer = &[
            "{\"accepted\":{\"request\":\"r-0123456789abcdef\",\"task\":7}}\n{\"out\":\"ta",
            "sk 7\\n\"}\n{\"exit\":0}\n",
        ];
        let (_dir, handover, bot) = place(Some(answer));
        let request = request();
        let HandedOver::Answered(answer) = handover.deliver(&request, PATIENCE).unwrap() else {
            panic!("answered")
        };
        assert_eq!(answer.exit, Some(0));
        assert_eq!(answer.accepted.flatten().map(TaskId::get), Some(7));
        assert_eq!(answer.talk, [Frame::Out("task 7\n".into())]);
        assert_eq!(bot.unwrap().join().unwrap(), request);
    }

    #[test]
    fn broken_before_accepted_it_goes_to_the_spool_under_the_same_id() {
        let answers: [Option<&'static [&'static str]>; 4] =
            [None, Some(&[]), Some(&["{\"out\":\"x\"}\n"]), Some(&["no frame\n"])];
        for answer in answers {
            let (dir, handover, bot) = place(answer);
            let request = request();
            let result = handover.deliver(&request, PATIENCE).unwrap();
            assert!(matches!(result, HandedOver::Spooled { request: id, .. } if id == request.id));
            assert!(dir.path().join(format!("spool/{}.json", request.id)).exists());
            bot.map(std::thread::JoinHandle::join);
        }
    }

    #[test]
    fn broken_after_accepted_it_is_done() {
        let (dir, handover, _bot) = place(Some(&[
            "{\"accepted\":{\"request\":\"r-0123456789abcdef\",\"task\":null}}\n",
        ]));
        let HandedOver::Answered(answer) = handover.deliver(&request(), PATIENCE).unwrap() else {
            panic!("answered")
        };
        assert_eq!((answer.accepted, answer.exit), (Some(None), None));
        assert_eq!(std::fs::read_dir(dir.path().join("spool")).unwrap().count(), 0);
    }

    #[test]
    fn a_bot_that_hangs_is_a_bot_that_is_away() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.paths.root = dir.path().to_owned();
        std::fs::create_dir_all(dir.path().join("run")).unwrap();
        std::fs::create_dir_all(dir.path().join("spool")).unwrap();
        let _listener = UnixListener::bind(settings.paths.socket()).unwrap();
        let result = Handover::new(&settings)
            .deliver(&request(), Patience::AtMost(Duration::from_millis(50)))
            .unwrap();
        assert!(matches!(result, HandedOver::Spooled { .. }), "{result:?}");
    }

    #[test]
    fn with_neither_it_is_said() {
        let (dir, handover, _bot) = place(None);
        std::fs::remove_dir(dir.path().join("spool")).unwrap();
        let error = handover.deliver(&request(), PATIENCE).unwrap_err().to_string();
        assert!(error.contains("bot.sock") && error.contains("spool"), "{error}");
    }
}
