//! Signals that end a command in the foreground: each becomes the word to stop, so that what was begun is cleared away.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::stop::{self, Stopping};

/// Which signal came, if one did.
#[derive(Debug, Clone, Default)]
pub struct Caught(Arc<AtomicU8>);

impl Caught {
    /// The exit code that a shell gives to what a signal ended: 128 and its number.
    pub fn exit_code(&self) -> Option<u8> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            number => Some(128 + number),
        }
    }
}

/// From now on SIGINT, SIGTERM and SIGHUP give the word to stop and do nothing else. Within a runtime.
///
/// # Errors
/// The system gives no descriptors.
pub fn listen() -> io::Result<(Stopping, Caught)> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (stop, stopping) = stop::channel();
    let caught = Caught::default();
    let told = caught.clone();
    tokio::spawn(async move {
        let number = tokio::select! {
            () = came(&mut hangup) => 1,
            () = came(&mut interrupt) => 2,
            () = came(&mut terminate) => 15,
        };
        told.0.store(number, Ordering::SeqCst);
        stop.now();
    });
    Ok((stopping, caught))
}

async fn came(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}
