//! The word to stop, and how to hear it.

use tokio::sync::watch;

/// Gives the word.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

/// Hears it.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

/// A word that is not given yet.
pub fn channel() -> (Stop, Stopping) {
    let (sender, receiver) = watch::channel(false);
    (Stop(sender), Stopping(receiver))
}

impl Stop {
    /// Everybody is to stop. Whoever could give the word and is gone has given it.
    pub fn now(self) {
        // Nobody listening is fine.
        let _ = self.0.send(true);
    }
}

impl Stopping {
    /// Whether the word was given.
    pub fn is_given(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the word.
    pub async fn word(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
