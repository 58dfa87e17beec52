//! Takes up pushes whose hook was killed between git's writing of the ref and the handing over.
//!
//! `pre-receive` leaves a claim with all that `post-receive` would have said; it is open until somebody answered for the
//! push. An open claim whose ref stands there is carried out here under the very request id of the hook, so that a hook
//! that is only slow makes no second task.

use windlass_core::id::RequestId;
use windlass_hooks::claims::{Claim, Ledger, LedgerError};
use windlass_hooks::wire::{Body, Request};

use crate::commands::frames::Frames;
use crate::commands::{Commands, Refusals, push_is_on_record, refs};

/// What one round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Round {
    /// Pushes that are on record now and were not before.
    pub taken_up: usize,
    /// Claims whose push never ended: nothing was written, or something else since.
    pub without_ref: usize,
    /// Pushes that could not be decided; the next round tries again.
    pub left: usize,
}

/// Goes through the open claims once.
///
/// # Errors
/// The ledger cannot be read.
pub async fn reconcile(ledger: &Ledger, commands: &Commands) -> Result<Round, LedgerError> {
    let mut round = Round::default();
    let open = {
        let ledger = ledger.clone();
        match tokio::task::spawn_blocking(move || ledger.open_claims()).await {
            Ok(open) => open?,
            // The runtime is going down.
            Err(_) => return Ok(round),
        }
    };
    for error in open.unreadable {
        tracing::warn!(%error, "a claim cannot be read, and the push that it tells of not be taken up: {error}");
        round.left += 1;
    }
    for claim in open.claims {
        if commands.is_stopping() {
            break;
        }
        let id = claim.pushed.request_id();
        match is_answered(commands, &claim).await {
            Some(true) => {
                close(ledger, &id);
                continue;
            }
            Some(false) => {}
            None => {
                round.left += 1;
                continue;
            }
        }
        if !stands(commands, &claim) {
            round.without_ref += 1;
            continue;
        }
        let pushed = claim.pushed;
        tracing::info!(request.id = %id, user = %pushed.pusher, source = %pushed.source, tag = %pushed.tag,
            "tag {} of {} was pushed and never handed over: it is taken up", pushed.tag, pushed.source);
        let request = Request::new(id.clone(), claim.at, pushed.pusher.clone(), Body::TagPushed(pushed));
        let (frames, mut answers) = Frames::channel();
        let listen = async { while answers.recv().await.is_some() {} };
        let carry_out = async {
            let frames = frames;
            commands.carry_out(request, Refusals::Recorded, &frames).await
        };
        match tokio::join!(carry_out, listen) {
            (true, ()) => {
                round.taken_up += 1;
                close(ledger, &id);
            }
            (false, ()) => round.left += 1,
        }
    }
    Ok(round)
}

/// Whether a push is on record; nothing when the journal cannot say.
async fn is_answered(commands: &Commands, claim: &Claim) -> Option<bool> {
    let pushed = claim.pushed.clone();
    commands
        .writer()
        .call(move |state| push_is_on_record(state, &pushed))
        .await
        .ok()
}

/// Whether the ref that was pushed names the object that was pushed.
fn stands(commands: &Commands, claim: &Claim) -> bool {
    let git_dir = commands.paths().git().join(claim.pushed.source.as_str());
    match refs::tag(&git_dir, &claim.pushed.tag) {
        Ok(found) => found.as_ref() == Some(&claim.pushed.object),
        Err(error) => {
            tracing::warn!(source = %claim.pushed.source, %error, "the tags of {} cannot be read: {error}", claim.pushed.source);
            false
        }
    }
}

/// Says in the ledger that the push was answered for. The ledger is git's: where the bot is another user it cannot, and
/// need not, since the id alone keeps the push from having a second effect.
fn close(ledger: &Ledger, id: &RequestId) {
    if let Err(error) = ledger.close(id) {
        tracing::debug!(request.id = %id, %error, "a claim stays open: {error}");
    }
}
