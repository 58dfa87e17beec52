//! The ledger's promises, one by one and under concurrency.

use std::sync::Barrier;

use super::*;
use crate::wire::{BuildRequest, PushOptions};

fn claim(source: &str, tag: &str, statement: u8) -> Claim {
    let key: Fingerprint = "SHA256:+/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap();
    Claim {
        statement: Statement::new(&format!("{statement:02x}").repeat(32), &key),
        pushed: TagPushed {
            source: format!("people/alice/packages/{source}.git").parse().unwrap(),
            tag: tag.parse().unwrap(),
            object: format!("{statement:02x}").repeat(20).parse().unwrap(),
            options: PushOptions::default(),
            pusher: "alice".parse().unwrap(),
        },
        at: Timestamp::UNIX_EPOCH,
    }
}

fn ledger() -> (tempfile::TempDir, Ledger) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(dir.path().join("git/.windlass/claims"));
    (dir, ledger)
}

fn codes(result: Result<Result<(), Vec<(usize, Refusal)>>, LedgerError>) -> Vec<usize> {
    result
        .unwrap()
        .err()
        .unwrap_or_default()
        .into_iter()
        .map(|(place, _)| place)
        .collect()
}

#[test]
fn a_statement_is_taken_once() {
    let (_dir, ledger) = ledger();
    let first = claim("hello", "1.0-1", 1);
    assert_eq!(ledger.lookup(&first.statement).unwrap(), None);
    ledger.claim(std::slice::from_ref(&first)).unwrap().unwrap();
    assert_eq!(ledger.lookup(&first.statement).unwrap(), Some(first.clone()));
    for other in [claim("other", "1.0-1", 1), claim("hello", "1.0-2", 1)] {
        assert_eq!(codes(ledger.claim(&[other])), [0]);
    }
}

#[test]
fn a_push_that_failed_may_be_repeated_and_one_that_landed_not() {
    let (_dir, ledger) = ledger();
    let mut push = claim("hello", "1.0-1", 1);
    ledger.claim(std::slice::from_ref(&push)).unwrap().unwrap();
    push.pushed.options.build = Some(BuildRequest::Default);
    ledger.claim(std::slice::from_ref(&push)).unwrap().unwrap();
    let id = push.pushed.request_id();
    assert_eq!(
        ledger.open_claim(&id).unwrap(),
        Some(push.clone()),
        "the later options count"
    );
    assert_eq!(ledger.open_claims().unwrap().claims, vec![push.clone()]);
    ledger.close(&id).unwrap();
    ledger.close(&id).unwrap();
    ledger.sync().unwrap();
    assert_eq!(ledger.open_claims().unwrap().claims, vec![]);
    assert_eq!(codes(ledger.claim(&[push])), [0]);
}

#[test]
fn a_push_claims_all_or_nothing() {
    let (_dir, ledger) = ledger();
    ledger.claim(&[claim("other", "1.0-1", 2)]).unwrap().unwrap();
    let push = [
        claim("hello", "1.0-1", 1),
        claim("hello", "1.0-2", 2),
        claim("hello", "1.0-3", 1),
    ];
    assert_eq!(codes(ledger.claim(&push)), [1, 2], "replayed, and twice in one push");
    assert_eq!(ledger.lookup(&push[0].statement).unwrap(), None);
    ledger.claim(&[claim("third", "1.0-1", 1)]).unwrap().unwrap();
}

#[test]
fn what_a_killed_process_left_is_no_hindrance() {
    let (_dir, ledger) = ledger();
    let push = claim("hello", "1.0-1", 1);
    ledger.claim(&[claim("x", "1-1", 9)]).unwrap().unwrap();
    std::fs::write(ledger.dir.join(".new"), "{ half").unwrap();
    std::fs::write(ledger.open_dir().join(push.pushed.request_id().as_str()), "").unwrap();
    ledger.claim(std::slice::from_ref(&push)).unwrap().unwrap();
    assert_eq!(ledger.open_claim(&push.pushed.request_id()).unwrap(), Some(push));
}

#[test]
fn of_many_at_once_one_wins() {
    let (_dir, ledger) = ledger();
    let barrier = Barrier::new(16);
    let won = std::thread::scope(|scope| {
        let push = |n: u8| {
            let (ledger, barrier) = (&ledger, &barrier);
            scope.spawn(move || {
                let push = claim(&format!("p{n}"), "1.0-1", 1);
                barrier.wait();
                ledger.claim(&[push]).unwrap().is_ok()
            })
        };
        let pushes: Vec<_> = (0..16).map(push).collect();
        pushes
            .into_iter()
            .map(|push| push.join().unwrap())
            .filter(|won| *won)
            .count()
    });
    assert_eq!(won, 1);
}

#[test]
fn damage_is_told_and_never_taken_for_absence() {
    let (_dir, ledger) = ledger();
    let push = claim("hello", "1.0-1", 1);
    ledger.claim(std::slice::from_ref(&push)).unwrap().unwrap();
    for damage in ["", "{}", "no json"] {
        std::fs::write(ledger.dir.join(push.statement.as_str()), damage).unwrap();
        assert!(
            matches!(
                ledger.claim(std::slice::from_ref(&push)),
                Err(LedgerError::Damaged { .. })
            ),
            "{damage:?}"
        );
    }
}

#[test]
fn a_damaged_open_claim_hides_no_other() {
    let (_dir, ledger) = ledger();
    let (torn, whole) = (claim("hello", "1.0-1", 1), claim("hello", "1.0-2", 2));
    ledger.claim(&[torn.clone(), whole.clone()]).unwrap().unwrap();
    let path = ledger.open_dir().join(torn.pushed.request_id().as_str());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "{").unwrap();
    let open = ledger.open_claims().unwrap();
    assert_eq!(open.claims, [whole]);
    assert!(matches!(open.unreadable.as_slice(), [LedgerError::Damaged { .. }]));
}
