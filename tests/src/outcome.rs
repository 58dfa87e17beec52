//! What came of a push or a command, and the ledger of refusals that nobody has looked at.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;

use crate::process::Ran;

/// Failures that a story has not looked at yet; a world that is dropped with one fails.
#[derive(Debug, Default, Clone)]
pub struct Ledger(Arc<Mutex<Vec<(u64, String)>>>);

impl Ledger {
    fn note(&self, what: &Ran) -> u64 {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = list.last().map_or(0, |(number, _)| number + 1);
        list.push((number, what.to_string()));
        number
    }

    fn strike(&self, number: u64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(known, _)| *known != number);
    }

    /// What nobody has looked at.
    pub fn unread(&self) -> Vec<String> {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.iter().map(|(_, text)| text.clone()).collect()
    }
}

/// What came of a push or a command over ssh. Failures have to be looked at.
#[derive(Debug)]
#[must_use = "look at what came of it"]
pub struct Pushed {
    ran: Ran,
    unread: Option<(Ledger, u64)>,
}

impl Pushed {
    /// Takes in what has run.
    pub fn new(ran: Ran, ledger: &Ledger) -> Self {
        let unread = (ran.code() != 0).then(|| (ledger.clone(), ledger.note(&ran)));
        Self { ran, unread }
    }

    /// Stops a story unless it went well.
    pub fn ok(self) -> anyhow::Result<Ran> {
        let ran = self.read();
        if ran.code() != 0 {
            bail!("expected it to pass: {ran}");
        }
        Ok(ran)
    }

    /// Stops a story unless it was refused with exactly these codes, readably, and with a way out.
    pub fn refused(self, codes: &[&str]) -> anyhow::Result<Ran> {
        let ran = self.read();
        let found = refusals(&ran);
        let expected: BTreeSet<String> = codes.iter().map(|code| (*code).to_owned()).collect();
        if ran.code() == 0 || found != expected {
            bail!("expected a refusal with {expected:?}, found {found:?}: {ran}");
        }
        if !ran.err().contains("hint: ") {
            bail!("a refusal without a hint: {ran}");
        }
        let strange = |c: char| c.is_control() && !"\n\r\t\u{1b}".contains(c) || ('\u{202a}'..='\u{202e}').contains(&c);
        if ran.err().contains(strange) {
            bail!("control characters reach the terminal: {:?}", ran.err());
        }
        Ok(ran)
    }

    /// Stops a story unless the exit code is this.
    pub fn exits(self, code: i32) -> anyhow::Result<Ran> {
        let ran = self.read();
        ran.exits(code)
    }

    /// Whatever came of it.
    pub fn read(mut self) -> Ran {
        if let Some((ledger, number)) = self.unread.take() {
            ledger.strike(number);
        }
        self.ran.clone()
    }
}

impl Deref for Pushed {
    type Target = Ran;
    fn deref(&self) -> &Ran {
        &self.ran
    }
}

/// The codes in lines such as `remote: windlass: refused: MESSAGE [code]`.
pub fn refusals(ran: &Ran) -> BTreeSet<String> {
    ran.err()
        .lines()
        .filter(|line| line.contains("refused: "))
        .filter_map(|line| {
            let line = line
                .trim_end()
                .trim_end_matches("\u{1b}[K")
                .trim_end()
                .strip_suffix(']')?;
            Some(line.rsplit_once('[')?.1.to_owned())
        })
        .collect()
}
