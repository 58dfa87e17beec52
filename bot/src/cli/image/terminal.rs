//! The caller's side of a command's streams: standard input in pieces, a terminal in raw mode and its size.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// A terminal that hands keys on as they are pressed, until this goes.
pub(super) struct Raw(Termios);

impl Raw {
    /// Puts standard input into raw mode; nothing where it is no terminal.
    pub(super) fn of_stdin() -> io::Result<Option<Self>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(stdin.as_fd())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin.as_fd(), OptionalActions::Now, &raw)?;
        Ok(Some(Self(before)))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nothing else to be done about it.
        let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &self.0);
    }
}

/// Whether somebody feeds standard input: a pipe, a file, a socket; not a terminal, and not `/dev/null`.
pub(super) fn is_fed() -> bool {
    let Ok(copy) = io::stdin().as_fd().try_clone_to_owned() else {
        return false;
    };
    File::from(copy)
        .metadata()
        .is_ok_and(|facts| facts.is_file() || facts.file_type().is_fifo() || facts.file_type().is_socket())
}

/// Standard input in pieces. The thread that reads it ends with the process.
pub(super) fn pieces() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut buffer = vec![0; 32 << 10];
        loop {
            match stdin.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    if sender.blocking_send(buffer[..read].to_vec()).is_err() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    });
    receiver
}

/// The terminal's size now and whenever it changes. Within a runtime.
pub(super) fn sizes() -> io::Result<mpsc::Receiver<(u16, u16)>> {
    let (sender, receiver) = mpsc::channel(4);
    let mut changes = signal(SignalKind::window_change())?;
    tokio::spawn(async move {
        loop {
            let size = tcgetwinsize(io::stdin().as_fd()).map(|size| (size.ws_row, size.ws_col));
            if let Ok(size) = size
                && sender.send(size).await.is_err()
            {
                break;
            }
            if changes.recv().await.is_none() {
                break;
            }
        }
    });
    Ok(receiver)
}
