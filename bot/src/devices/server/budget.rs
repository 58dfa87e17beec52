//! One budget of bandwidth for all transfers: a bucket of tokens that fills at a rate and is drawn from piece by piece.
//!
//! Whoever wants to send a piece is told from when on it may. A transfer asks for its next piece only when the one before is out,
//! and all pieces are of one size: the turns go round, so that transfers share evenly, and one whose device takes slowly leaves
//! its turns to the others.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How much may go out at once after a pause, in time at the full rate.
const BURST: Duration = Duration::from_millis(100);

/// How many pieces the rate is cut into in a second, for one that is small enough.
const PIECES_A_SECOND: u64 = 50;

/// The least a piece has.
const LEAST_PIECE: u64 = 4 << 10;

/// How many bytes may go out in a second; shared by all its clones. Without a limit at first.
#[derive(Debug, Clone, Default)]
pub struct Budget(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    rate: Option<u64>,
    bucket: Bucket<Option<Instant>>,
}

/// When the bucket has paid for all that was drawn.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket<T>(T);

impl Budget {
    /// So many bytes a second; one at least.
    pub fn of(bytes_a_second: u64) -> Self {
        let budget = Self::default();
        budget.set(Some(bytes_a_second));
        budget
    }

    /// Sets another rate, or takes the limit away. Pieces that are promised already are not touched.
    pub fn set(&self, bytes_a_second: Option<u64>) {
        self.state().rate = bytes_a_second.map(|rate| rate.max(1));
    }

    /// The largest piece that is drawn at once; nothing where there is no limit.
    pub(super) fn piece(&self) -> Option<u64> {
        let rate = self.state().rate?;
        Some((rate / PIECES_A_SECOND).max(LEAST_PIECE))
    }

    /// Draws so many bytes; from when on they may be sent, which may lie in the past.
    pub(in crate::devices) fn draw(&self, now: Instant, bytes: u64) -> Instant {
        let mut state = self.state();
        let Some(rate) = state.rate else { return now };
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let from = state.bucket.0.map_or(earliest, |paid| paid.max(earliest));
        state.bucket.0 = Some(from + cost(bytes, rate));
        from
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // What is in there is two numbers, good at any moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long so many bytes take at a rate; a day at most.
fn cost(bytes: u64, rate: u64) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
    let day = Duration::from_hours(24);
    u64::try_from(nanos).map_or(day, Duration::from_nanos).min(day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sends pieces for so many seconds, each transfer asking anew when its piece is out; how many bytes each has got.
    fn shares(rate: u64, transfers: usize, lags: &[Duration], seconds: u64) -> Vec<u64> {
        let budget = Budget::of(rate);
        let piece = budget.piece().unwrap();
        let start = Instant::now();
        let end = start + Duration::from_secs(seconds);
        let mut asks: Vec<Instant> = vec![start; transfers];
        let mut sent = vec![0; transfers];
        loop {
            let (who, at) = asks.iter().copied().enumerate().min_by_key(|(_, at)| *at).unwrap();
            let from = budget.draw(at, piece).max(at);
            if from >= end {
                return sent;
            }
            sent[who] += piece;
            asks[who] = from + lags[who % lags.len()];
        }
    }

    proptest! {
        #[test]
        fn no_more_goes_out_than_the_rate_and_a_burst(rate in 100_000_u64..50_000_000, transfers in 1_usize..12) {
            let sent: u64 = shares(rate, transfers, &[Duration::from_micros(10)], 5).iter().sum();
            let piece = Budget::of(rate).piece().unwrap();
            prop_assert!(sent <= rate * 5 + rate / 10 + 2 * piece, "{sent}");
            prop_assert!(sent + 2 * piece >= rate * 5, "{sent}");
        }

        #[test]
        fn transfers_share_evenly(rate in 1_000_000_u64..50_000_000, transfers in 2_usize..12) {
            let sent = shares(rate, transfers, &[Duration::from_micros(10)], 5);
            let piece = Budget::of(rate).piece().unwrap();
            let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
            prop_assert!(most - least <= 6 * piece, "{sent:?}");
        }
    }

    #[test]
    fn a_slow_device_leaves_its_turns_to_the_others() {
        let sent = shares(10_000_000, 2, &[Duration::from_secs(2), Duration::from_micros(10)], 10);
        assert!(sent[0] < 2_000_000 && sent[1] > 95_000_000, "{sent:?}");
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let (budget, now) = (Budget::default(), Instant::now());
        assert_eq!(budget.piece(), None);
        assert_eq!(budget.draw(now, u64::MAX), now);
        budget.set(Some(0));
        budget.draw(now, u64::MAX);
        assert!(budget.draw(now, 1) > now + Duration::from_hours(23));
    }
}
