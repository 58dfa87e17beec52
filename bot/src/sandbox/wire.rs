//! What the bot and the keeper of a sandbox say to one another: frames of JSON over a socket pair, each with at most one file.
//!
//! A frame is its length in four bytes, which carry the file where there is one, and the JSON. The keeper runs nothing that a
//! package brings, but it looks after such things: the bot bounds what it takes from it.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The longest frame.
const LONGEST: usize = 16 << 20;

/// What the bot wants. Each is answered by one [`Answer`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Order {
    /// Make the namespaces.
    Begin(Limits),
    /// The ids are mapped.
    Mapped,
    /// Make the file systems.
    Furnish(Furniture),
    /// Write the file that comes with this into the tree.
    Place {
        /// Where, relative to the root; the directory is there.
        path: String,
    },
    /// Unpack the archive that comes with this into the sources' directory.
    Unpack,
    /// Keep the package that comes with this for the next installation.
    Take {
        /// What its file is called.
        name: String,
    },
    /// Make these directories below `/usr`, and those above them, ones that packages can be installed into.
    Open {
        /// Absolute paths below `/usr`.
        directories: Vec<String>,
    },
    /// Run a command in the sandbox; what it says goes to the file that comes with this.
    Run(Job),
    /// Name the files of a directory.
    List {
        /// Where, relative to the root.
        directory: String,
        /// How many at most.
        most: usize,
    },
    /// Open a file to read; no link is followed on the way.
    Read {
        /// Where, relative to the root.
        path: String,
    },
}

/// What the keeper says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Answer {
    /// It is done.
    Done,
    /// The user namespace is there and waits for its ids.
    Unshared,
    /// The archive is unpacked.
    Unpacked {
        /// The newest time in it, in seconds since 1970.
        newest: u64,
    },
    /// The command has ended.
    Ended(Ended),
    /// The files of a directory.
    Names(Vec<String>),
    /// The file comes with this.
    Opened,
    /// It is not done, and that is what the package wants.
    Bad(String),
    /// It is not done, and nobody's package is to blame.
    Broken(String),
}

/// What one build may use, as far as the kernel counts it by process and user.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Limits {
    /// Whether the bot maps a range of ids; otherwise its own id becomes the namespace's only one.
    pub(super) range: bool,
    /// How many processes and threads there may be.
    pub(super) processes: u64,
    /// How much memory one process may have, where nothing better counts it.
    pub(super) data: Option<u64>,
    /// The largest file.
    pub(super) file: u64,
}

/// What the file systems of a sandbox are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Furniture {
    /// The directory that becomes `/usr`.
    pub(super) usr: String,
    /// How much all of it may take, in bytes.
    pub(super) disk: u64,
    /// Files to write, by their paths relative to the root.
    pub(super) files: Vec<(String, Vec<u8>)>,
    /// Links to make: path and target.
    pub(super) links: Vec<(String, String)>,
}

/// A command to be run in the sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Job {
    /// As whom.
    pub(super) role: Role,
    /// The command.
    pub(super) argv: Vec<String>,
    /// Its environment.
    pub(super) env: Vec<(String, String)>,
    /// How much it may say, in bytes.
    pub(super) log: u64,
}

/// As whom a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    /// As the sandbox's own root, who installs packages.
    Root,
    /// As the one who builds, who can write to the directories of the build only.
    Builder,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// Its exit status, if it was one.
    pub(crate) code: Option<i32>,
    /// The signal that killed it.
    pub(crate) signal: Option<i32>,
    /// How much it said.
    pub(crate) said: u64,
    /// Whether it said too much and was killed for it.
    pub(crate) too_much: bool,
    /// Whether the file system was full at some time.
    pub(crate) disk_full: bool,
    /// Whether the log could not be written.
    pub(crate) log_failed: bool,
}

/// Sends one frame.
pub(super) fn send(socket: &UnixStream, what: &impl Serialize, file: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let body = serde_json::to_vec(what)?;
    let length = u32::try_from(body.len()).map_err(|_| io::Error::other("a frame is too long"))?;
    let head = length.to_be_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files: Vec<BorrowedFd<'_>> = file.into_iter().collect();
    if !files.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&files));
    }
    let sent = sendmsg(
        socket.as_fd(),
        &[IoSlice::new(&head)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    if sent != head.len() {
        return Err(io::Error::other("a frame's head was cut"));
    }
    let mut socket = socket;
    socket.write_all(&body)
}

/// Takes one frame; nothing where the other side is gone.
pub(super) fn receive<T: DeserializeOwned>(socket: &UnixStream) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut head = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(
        socket.as_fd(),
        &mut [IoSliceMut::new(&mut head)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL,
    )?;
    let mut file = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut files) = message {
            file = files.next();
        }
    }
    if got.bytes == 0 {
        return Ok(None);
    }
    let length = u32::from_be_bytes(head) as usize;
    if got.bytes != head.len() || length > LONGEST {
        return Err(io::Error::other("a frame makes no sense"));
    }
    let mut body = vec![0; length];
    let mut socket = socket;
    socket.read_exact(&mut body)?;
    Ok(Some((serde_json::from_slice(&body)?, file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_carries_its_file() {
        let (one, two) = UnixStream::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"hello", 0).unwrap();
        send(&one, &Order::Unpack, Some(file.as_fd())).unwrap();
        send(&one, &Order::Mapped, None).unwrap();
        let (order, got) = receive::<Order>(&two).unwrap().unwrap();
        assert!(matches!(order, Order::Unpack));
        let mut text = String::new();
        std::fs::File::from(got.unwrap()).read_to_string(&mut text).unwrap();
        // The place in the file is shared with whoever wrote it.
        assert_eq!(text, "hello");
        let (order, got) = receive::<Order>(&two).unwrap().unwrap();
        assert!(matches!(order, Order::Mapped) && got.is_none());
        drop(one);
        assert!(receive::<Order>(&two).unwrap().is_none());
    }
}
