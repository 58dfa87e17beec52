//! `pre-receive`: everything that can be refused is refused here, while what was pushed is in quarantine.
//!
//! The order matters. Names, judging and other people's hooks first, since they write nothing; the replay ledger last, so that nothing
//! is claimed for a push that is refused.

use std::io::Write;
use std::time::Instant;

use serde::Serialize;
use windlass_core::escape::{escaped, escaped_bytes};
use windlass_core::id::{ObjectId, TagName};
use windlass_core::push::{BuildRequest, PushOptions, TagPushed};
use windlass_core::refusal::Refusal;
use windlass_core::signing::{BuildAsked, Identity, Policy, Treatment, Verdict};

use super::chain::{self, ChainError};
use super::context::{Context, Place};
use super::input::{self, Update};
use super::refs::{self, Change};
use super::report::{self, Refused};
use super::{BROKEN, PASSED, REFUSED};
use crate::caller::USER_VARIABLE;
use crate::claims::{Claim, Ledger, Statement};
use crate::judge::{TagToJudge, judge_tag};
use crate::objects::RawStore;
use crate::record;
use crate::settings::{BuildPolicy, Mode};

/// Judges a push. Gives the exit code; anything but 0 refuses the whole push.
///
/// # Errors
/// Something on the server cannot be read or written; that refuses, too.
pub fn pre_receive(context: &Context, input: &[u8], err: &mut impl Write) -> anyhow::Result<u8> {
    let started = Instant::now();
    let updates = input::parse(input)?;
    let place = match &context.place {
        Ok(place) => place,
        Err(refusal) => {
            // Who may push is no matter of judging tags: also in `observe` he may not.
            let refused = [Refused::push(refusal.clone())];
            note(context, None, &updates, Outcome::Refused, &refused, started, err);
            report::write(&refused, "refused", err)?;
            return Ok(REFUSED);
        }
    };
    let mut refused = Vec::new();
    let claims = judge(context, place, &updates, &mut refused)?;
    let observed = context.settings.signing.mode == Mode::Observe;
    if refused.is_empty() || observed {
        let ledger = Ledger::new(context.settings.paths.claims());
        if let Err(error) = chain::run(&place.source.git_dir, super::Hook::PreReceive.name(), input) {
            return stopped_by_chain(context, place, &updates, &error, started, err);
        }
        claim(&ledger, claims, &mut refused)?;
    }
    if refused.is_empty() {
        note(context, Some(place), &updates, Outcome::Passed, &[], started, err);
        return Ok(PASSED);
    }
    if observed {
        note(
            context,
            Some(place),
            &updates,
            Outcome::Observed,
            &refused,
            started,
            err,
        );
        report::write(&refused, "would be refused", err)?;
        writeln!(
            err,
            "\nwindlass: only observing: the push passes; what would be refused is not built"
        )?;
        return Ok(PASSED);
    }
    note(context, Some(place), &updates, Outcome::Refused, &refused, started, err);
    report::write(&refused, "refused", err)?;
    if updates.len() > refused.len() && updates.len() > 1 {
        writeln!(
            err,
            "\nwindlass: nothing of this push was taken, neither what is refused above nor the rest"
        )?;
    }
    Ok(REFUSED)
}

/// Judges every ref; gives the claims of the tags that are good.
fn judge(
    context: &Context,
    place: &Place,
    updates: &[Update],
    refused: &mut Vec<Refused>,
) -> anyhow::Result<Vec<Claim>> {
    let settings = &context.settings;
    let most = settings.signing.max_refs;
    if updates.len() > most {
        let refusal = Refusal::new(
            "too_many_refs",
            format!("the push has {} refs, more than {most}", updates.len()),
        );
        refused.push(Refused::push(refusal.hint(
            "push them in several turns, as in: git push origin tag 1.0-alt1 tag 1.0-alt2",
        )));
        return Ok(Vec::new());
    }
    let options = match &context.options {
        Ok(options) => options,
        Err(reasons) => {
            refused.push(Refused {
                what: None,
                reasons: reasons.clone(),
            });
            return Ok(Vec::new());
        }
    };
    let judge = Judge {
        context,
        place,
        options,
        whole: settings.signing.policy(),
    };
    // Opened when the first tag is judged, since most pushes have none.
    let mut store = None;
    let mut claims = Vec::new();
    for update in updates {
        let outcome = match refs::check(update, &settings.push.namespaces) {
            Err(reasons) => Err(reasons),
            Ok(Change::Other) => Ok(None),
            Ok(Change::Tag { name, object }) => judge.tag(update, &name, &object, &mut store)?,
        };
        match outcome {
            Ok(claim) => claims.extend(claim),
            Err(reasons) => refused.push(Refused {
                what: Some(refs::shown(&update.name)),
                reasons,
            }),
        }
    }
    Ok(claims)
}

struct Judge<'a> {
    context: &'a Context,
    place: &'a Place,
    options: &'a PushOptions,
    /// The policy for tags that are to be built.
    whole: Policy,
}

impl Judge<'_> {
    fn tag(
        &self,
        update: &Update,
        name: &TagName,
        object: &ObjectId,
        store: &mut Option<RawStore>,
    ) -> anyhow::Result<Result<Option<Claim>, Vec<Refusal>>> {
        let asked = if self.options.asks_for_build() {
            BuildAsked::Yes
        } else {
            BuildAsked::No
        };
        let treatment = self.whole.treatment(name, asked);
        let signature_only;
        let (policy, by) = match treatment {
            Treatment::Judge => (&self.whole, Some(&self.place.caller.name)),
            Treatment::JudgeSignature => {
                signature_only = Policy {
                    identity: Identity::Ignored,
                    ..self.whole.clone()
                };
                (&signature_only, None)
            }
            Treatment::Pass => return Ok(Ok(None)),
            Treatment::Refuse => {
                let refusal = Refusal::new("other_tag", "only tags of versions to be built are taken here");
                return Ok(Err(vec![
                    refusal.hint(format!("their names are like '{}'", self.whole.build_tags)),
                ]));
            }
        };
        let store = match store {
            Some(store) => store,
            None => store.insert(RawStore::from_quarantine_env()?),
        };
        let source = &self.place.source.path;
        let tag = TagToJudge {
            object,
            reference: Some(&update.name),
            source: Some(source),
            pusher: by,
        };
        let judgement = judge_tag(store, &self.context.keyring, policy, &tag, self.context.now)?;
        let signer = match judgement.verdict {
            Verdict::Good(signer) => signer,
            Verdict::Refused(reasons) => return Ok(Err(reasons)),
        };
        if treatment == Treatment::JudgeSignature {
            return Ok(Ok(None));
        }
        let facts = judgement.facts.ok_or_else(|| anyhow::anyhow!("a good tag has facts"))?;
        let pushed = TagPushed {
            source: source.clone(),
            tag: name.clone(),
            object: object.clone(),
            options: self.effective(name),
            pusher: self.place.caller.name.clone(),
        };
        let statement = Statement::new(&facts.payload_digest, &signer.fingerprint);
        Ok(Ok(Some(Claim {
            statement,
            pushed,
            at: self.context.now,
        })))
    }

    /// What is asked for, the server's own policy included: from here on the options alone say whether the tag is built.
    fn effective(&self, name: &TagName) -> PushOptions {
        let mut options = self.options.clone();
        let always = match self.context.settings.push.build {
            BuildPolicy::Always => self.whole.build_tags.matches(name.as_str()),
            BuildPolicy::OnRequest => false,
        };
        if (always || options.asks_for_build()) && options.task.is_none() {
            options.build.get_or_insert(BuildRequest::Default);
        }
        options
    }
}

/// Claims what is good. In `observe` a replay does not keep the others from being claimed.
fn claim(ledger: &Ledger, mut claims: Vec<Claim>, refused: &mut Vec<Refused>) -> anyhow::Result<()> {
    while let Err(replays) = ledger.claim(&claims)? {
        for (place, reason) in replays.into_iter().rev() {
            let claim = claims.remove(place);
            refused.push(Refused {
                what: Some(refs::shown(claim.pushed.tag.reference().as_bytes())),
                reasons: vec![reason],
            });
        }
    }
    Ok(())
}

fn stopped_by_chain(
    context: &Context,
    place: &Place,
    updates: &[Update],
    error: &ChainError,
    started: Instant,
    err: &mut impl Write,
) -> anyhow::Result<u8> {
    let refusal = Refusal::new("chained_hook", error.to_string());
    let (refusal, code) = match error {
        // It has said why itself.
        ChainError::Refused { .. } => (refusal, REFUSED),
        ChainError::NotExecutable { path } => (
            refusal.hint(format!("the administrator mends it: chmod +x '{}'", path.display())),
            BROKEN,
        ),
        ChainError::Io { .. } => (refusal, BROKEN),
    };
    let refused = [Refused::push(refusal)];
    note(context, Some(place), updates, Outcome::Refused, &refused, started, err);
    report::write(&refused, "refused", err)?;
    Ok(code)
}

/// How a push ended, for the record.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Passed,
    Observed,
    Refused,
}

/// Who says that he pushes, when that is nobody who may.
fn said_user() -> String {
    let said = std::env::var_os(USER_VARIABLE).unwrap_or_default();
    escaped_bytes(said.as_encoded_bytes())
}

/// Puts the push on record. What cannot be written there must not stop the push; it is told.
fn note(
    context: &Context,
    place: Option<&Place>,
    updates: &[Update],
    outcome: Outcome,
    refused: &[Refused],
    started: Instant,
    err: &mut impl Write,
) {
    let reasons = refused.iter().flat_map(|one| {
        one.reasons
            .iter()
            .map(|reason| serde_json::json!({"ref": one.what, "code": reason.code, "message": reason.message}))
    });
    let line = serde_json::json!({
        "at": context.now,
        "hook": "pre-receive",
        "source": place.map_or_else(|| escaped(&context.git_dir.to_string_lossy()), |place| place.source.path.to_string()),
        "user": place.map_or_else(said_user, |place| place.caller.name.to_string()),
        "outcome": outcome,
        "refs": updates.len(),
        "reasons": reasons.collect::<Vec<_>>(),
        "duration_ms": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    let path = context.settings.paths.hook_log();
    if let Err(error) = record::append(&path, &line) {
        let _ = writeln!(
            err,
            "windlass: this push could not be put on record in {}: {error}",
            path.display()
        );
    }
}
