//! A file's bytes on their way to a device: each piece waits for its turn in the budget, and what was sent is told at the end.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::budget::Budget;
use super::parcel::Parcel;
use crate::http::Pieces;

/// Is told at the end, however it comes, how many bytes were sent.
pub(super) type Tell = Box<dyn FnOnce(u64) + Send>;

/// Pieces of a file within a budget. Nothing is held in memory while one waits for its turn.
pub(super) struct Metered {
    pieces: Pieces,
    parcel: Arc<Parcel>,
    budget: Budget,
    turn: Turn,
    sent: u64,
    tell: Option<Tell>,
}

/// Whether the next piece may go.
enum Turn {
    /// It was not asked for.
    Unasked,
    /// Not yet.
    Waits(Pin<Box<Sleep>>),
    /// Yes.
    Given,
}

impl Metered {
    pub(super) fn new(parcel: Arc<Parcel>, range: Range<u64>, budget: Budget, tell: Tell) -> Self {
        let mut pieces = Pieces::of(parcel.file(), range);
        if let Some(piece) = budget.piece() {
            pieces = pieces.in_pieces_of(piece);
        }
        Self {
            pieces,
            parcel,
            budget,
            turn: Turn::Unasked,
            sent: 0,
            tell: Some(tell),
        }
    }

    /// Waits for the turn of the next piece.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.turn {
                Turn::Given => return Poll::Ready(()),
                Turn::Unasked => {
                    let now = Instant::now();
                    let from = self.budget.draw(now, self.pieces.next_length());
                    self.turn = if from <= now {
                        Turn::Given
                    } else {
                        Turn::Waits(Box::pin(sleep_until(from)))
                    };
                }
                Turn::Waits(until) => match until.as_mut().poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => self.turn = Turn::Given,
                },
            }
        }
    }
}

impl Body for Metered {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.pieces.is_end_stream() {
            return Poll::Ready(None);
        }
        if self.poll_turn(context).is_pending() {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.pieces).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.turn = Turn::Unasked;
            let sent = frame.data_ref().map_or(0, |data| data.len() as u64);
            self.sent += sent;
            self.parcel.add_sent(sent);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.pieces.size_hint()
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        if let Some(tell) = self.tell.take() {
            tell(self.sent);
        }
    }
}
