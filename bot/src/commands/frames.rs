//! What goes back to a caller: a recorded answer, a refusal, a piece of text, as frames.

use tokio::sync::mpsc;
use windlass_core::event::Answered;
use windlass_core::refusal::Refusal;
use windlass_core::reply::{Rendered, refused};
use windlass_hooks::wire::Frame;

use crate::exit::Exit;

/// How many frames may wait for a slow reader before the sender waits for him.
const WAITING: usize = 64;

/// The largest piece of text in one frame, in bytes: with JSON's escapes a line stays below the protocol's limit.
const PIECE: usize = 128 * 1024;

/// The way back to one caller. He may be gone: what was decided stays decided.
#[derive(Debug, Clone)]
pub struct Frames(mpsc::Sender<Frame>);

impl Frames {
    /// A way, and its end.
    pub fn channel() -> (Self, mpsc::Receiver<Frame>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    async fn send(&self, frame: Frame) {
        // The caller hung up: nobody is left to tell.
        let _ = self.0.send(frame).await;
    }

    /// Waits until the caller is gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }

    /// Data.
    pub async fn out(&self, text: &str) {
        for piece in pieces(text) {
            self.send(Frame::Out(piece.to_owned())).await;
        }
    }

    /// Talk.
    pub async fn err(&self, text: &str) {
        for piece in pieces(text) {
            self.send(Frame::Err(piece.to_owned())).await;
        }
    }

    /// The end.
    pub async fn exit(&self, code: u8) {
        self.send(Frame::Exit(code)).await;
    }

    /// What a command that reads answers.
    pub async fn rendered(&self, rendered: &Rendered) {
        self.out(&rendered.out).await;
        self.err(&rendered.err).await;
        self.exit(rendered.exit).await;
    }

    /// An answer that is on record.
    pub async fn answered(&self, answered: &Answered) {
        self.send(Frame::Accepted {
            request: answered.request.clone(),
            task: answered.task,
        })
        .await;
        self.out(&answered.out).await;
        self.err(&answered.err).await;
        self.exit(answered.exit).await;
    }

    /// A refusal.
    pub async fn refused(&self, refusal: &Refusal, json: bool) {
        self.rendered(&refused(refusal, json)).await;
    }

    /// The bot cannot do what it should: nothing was recorded, and the same may be asked again.
    pub async fn broken(&self, what: &str) {
        self.err(&format!(
            "windlass: {what}\n\nhint: nothing was changed; try again, and tell an administrator if it stays so\n"
        ))
        .await;
        self.exit(Exit::Environment.code()).await;
    }
}

/// A text cut at character boundaries into pieces that fit a frame.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_fit_frames_whatever_they_hold() {
        // A control character takes six bytes in JSON.
        for text in ["\u{1}".repeat(400_000), "é".repeat(300_001), String::new()] {
            let cut: Vec<&str> = pieces(&text).collect();
            assert_eq!(cut.concat(), text);
            for piece in cut {
                assert!(Frame::Out(piece.to_owned()).to_line().is_ok());
            }
        }
    }
}
