//! The Unix socket: one request a connection, answered by frames.
//!
//! Who may connect is the socket's mode's affair; who may speak for whom is decided by the peer's credentials. A request
//! counts from its line feed on: what ends before it was never said, and what follows it is carried out whether or not the
//! client is still there.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use windlass_core::refusal::Refusal;
use windlass_core::reply::refused;
use windlass_hooks::wire::{Body, Frame, MAX_LINE, Request, WireError};

use crate::commands::frames::Frames;
use crate::commands::{Commands, Refusals, is_of_repositories};
use crate::exit::Exit;
use crate::stop::Stopping;

/// How long a client that does not read may hold up its answer.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// How often a client to whom nothing is said is looked after.
const PULSE: Duration = Duration::from_secs(5);

/// How long answers may take to get out when the bot stops.
const FAREWELL: Duration = Duration::from_secs(20);

/// How many bytes of a client that said too much are thrown away, so that it hears why before it is cut off.
const THROWN_AWAY: u64 = 16 << 20;

/// What the socket needs to know.
#[derive(Debug, Clone)]
pub struct Door {
    /// The user ids that may speak for everybody.
    pub trusted: Vec<u32>,
    /// Those of them that may change repositories as a whole: root's and the bot's.
    pub admins: Vec<u32>,
    /// How many clients at once.
    pub most: usize,
    /// How long a client may take to say what it wants.
    pub patience: Duration,
}

/// The bound socket. Dropped, it is gone from the directory.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Socket {
    /// Binds the socket with the right mode from its first moment on; one that nobody answers at is replaced.
    ///
    /// # Errors
    /// The directory does not take it, or somebody answers there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("another bot answers at {}", path.display()),
            ));
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let temporary = PathBuf::from(name);
        remove(&temporary)?;
        let listener = UnixListener::bind(&temporary)?;
        // Who may write to it may connect: the bot's user and the directory's group, which git's user is in.
        let group = path
            .parent()
            .map(std::fs::metadata)
            .transpose()?
            .map(|directory| directory.gid());
        let meta = std::fs::metadata(&temporary)?;
        if let Some(group) = group.filter(|group| *group != meta.gid()) {
            std::os::unix::fs::chown(&temporary, None, Some(group))?;
        }
        std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o660))?;
        std::fs::rename(&temporary, path)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            inode: meta.ino(),
        })
    }

    /// Takes clients until `stopping` says so; then waits for those whose requests are being carried out.
    pub async fn serve(self, door: Door, commands: Commands, mut stopping: Stopping) {
        let door = Arc::new(door);
        let places = Arc::new(Semaphore::new(door.most));
        let (busy, mut idle) = mpsc::channel::<()>(1);
        loop {
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place,
                () = stopping.word() => break,
            };
            let stream = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Too many open files, most likely: those who are served now will make room.
                        tracing::error!(%error, "a client cannot be let in: {error}");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                () = stopping.word() => break,
            };
            let (door, commands, busy) = (Arc::clone(&door), commands.clone(), busy.clone());
            let stopping = stopping.clone();
            tokio::spawn(async move {
                client(stream, &door, commands, busy, stopping).await;
                drop(place);
            });
        }
        drop(self);
        drop(busy);
        // Nothing is ever sent: this ends when the last request's guard is dropped.
        if tokio::time::timeout(FAREWELL, idle.recv()).await.is_err() {
            tracing::warn!("clients that do not read their answers are left behind");
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Somebody else's socket under the same name stays.
        if std::fs::metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What a client said.
enum Said {
    Request(Box<Request>),
    /// Nothing that ends in a line feed.
    Nothing,
    Nonsense(WireError),
    TooSlow,
}

async fn client(stream: UnixStream, door: &Door, commands: Commands, busy: mpsc::Sender<()>, mut stopping: Stopping) {
    let peer = match stream.peer_cred() {
        Ok(peer) => peer.uid(),
        Err(error) => {
            tracing::warn!(%error, "a client has no credentials: {error}");
            return;
        }
    };
    let (read, mut write) = stream.into_split();
    let mut reader = BufReader::new(read);
    let said = tokio::select! {
        said = tokio::time::timeout(door.patience, listen(&mut reader)) => said.unwrap_or(Ok(Said::TooSlow)),
        () = stopping.word() => return,
    };
    match said {
        Ok(Said::Request(request)) => {
            answer(*request, peer, door, commands, busy, write).await;
        }
        Ok(Said::Nothing) => tracing::debug!(peer.uid = peer, "a client left before it said what it wants"),
        Ok(Said::TooSlow) => {
            let text = format!("windlass: nothing was asked for within {} s\n", door.patience.as_secs());
            say(&mut write, &text, Exit::Environment).await;
        }
        Ok(Said::Nonsense(error)) => {
            tracing::warn!(peer.uid = peer, %error, "user id {peer} said nonsense: {error}");
            say(&mut write, &format!("windlass: {error}\n"), Exit::Usage).await;
            // Read on a little: closed with something unread, the socket would swallow the answer.
            let (mut rest, mut nowhere) = (reader.take(THROWN_AWAY), tokio::io::sink());
            let thrown_away = tokio::io::copy(&mut rest, &mut nowhere);
            let _ = tokio::time::timeout(Duration::from_secs(1), thrown_away).await;
        }
        Err(error) => tracing::debug!(peer.uid = peer, %error, "a client is gone: {error}"),
    }
}

async fn listen(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Said> {
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    reader.take(limit).read_until(b'\n', &mut line).await?;
    if line.last() != Some(&b'\n') {
        return Ok(if line.len() == MAX_LINE {
            Said::Nonsense(WireError::TooLong)
        } else {
            Said::Nothing
        });
    }
    Ok(match Request::parse(&line) {
        Ok(request) => Said::Request(Box::new(request)),
        Err(error) => Said::Nonsense(error),
    })
}

async fn answer(
    request: Request,
    peer: u32,
    door: &Door,
    commands: Commands,
    busy: mpsc::Sender<()>,
    mut write: OwnedWriteHalf,
) {
    if !door.trusted.contains(&peer) {
        let refusal = Refusal::new(
            "not_trusted",
            format!("Unix user id {peer} may not speak for '{}'", request.user),
        )
        .hint("ask over ssh, or run it as root or as the daemon's user");
        tracing::warn!(peer.uid = peer, user = %request.user, "user id {peer} may not speak for {}", request.user);
        say(&mut write, &refused(&refusal, false).err, Exit::Failed).await;
        return;
    }
    if let Body::Command { argv } = &request.body
        && is_of_repositories(argv)
        && !door.admins.contains(&peer)
    {
        let refusal = Refusal::new(
            "not_trusted",
            format!("Unix user id {peer} may not change repositories"),
        )
        .hint("on this machine, as root or as the daemon's user: windlass repo …");
        tracing::warn!(peer.uid = peer, user = %request.user, "user id {peer} may not change repositories");
        say(&mut write, &refused(&refusal, false).err, Exit::Failed).await;
        return;
    }
    let (frames, answers) = Frames::channel();
    let still_busy = busy.clone();
    // On a task of its own: a client that goes away does not stop what it asked for.
    tokio::spawn(async move {
        commands.carry_out(request, Refusals::Told, &frames).await;
        drop(still_busy);
    });
    pass_on(answers, write).await;
    drop(busy);
}

/// Passes frames on until the last one, or until the client is gone.
async fn pass_on(mut answers: mpsc::Receiver<Frame>, mut write: OwnedWriteHalf) {
    loop {
        match tokio::time::timeout(PULSE, answers.recv()).await {
            Ok(Some(frame)) => {
                let last = matches!(frame, Frame::Exit(_));
                if send(&mut write, &frame).await.is_err() || last {
                    break;
                }
            }
            Ok(None) => break,
            Err(_) if is_gone(&write).await => break,
            Err(_) => {}
        }
    }
    let _ = write.shutdown().await;
}

/// Whether the client has hung up; one that only said all it has to say has not.
async fn is_gone(write: &OwnedWriteHalf) -> bool {
    let ready = tokio::time::timeout(Duration::from_millis(100), write.ready(Interest::WRITABLE)).await;
    matches!(ready, Ok(Ok(ready)) if ready.is_write_closed())
}

async fn send(write: &mut OwnedWriteHalf, frame: &Frame) -> io::Result<()> {
    let line = frame.to_line().map_err(io::Error::other)?;
    tokio::time::timeout(WRITE_LIMIT, write.write_all(&line))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn say(write: &mut OwnedWriteHalf, text: &str, exit: Exit) {
    for frame in [Frame::Err(text.to_owned()), Frame::Exit(exit.code())] {
        if send(write, &frame).await.is_err() {
            return;
        }
    }
    let _ = write.shutdown().await;
}
