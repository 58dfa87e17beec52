//! How long a device may take to restart, learned from how long it took.

use std::time::Duration;

/// How long a device may take of which little is known.
pub const UNKNOWN: Duration = Duration::from_mins(5);

/// The least that is allowed: a device that is always quick may check its disk once.
pub const LEAST: Duration = Duration::from_mins(1);

/// The most that is allowed.
pub const MOST: Duration = Duration::from_mins(20);

/// So many restarts are needed to learn from.
const ENOUGH: usize = 3;

/// Twice the time within which 95 of 100 restarts were over, but not less than [`LEAST`] and not more than [`MOST`]; [`UNKNOWN`] where there
/// were fewer than three.
pub fn reboot_limit(history: &[Duration]) -> Duration {
    if history.len() < ENOUGH {
        return UNKNOWN;
    }
    let mut sorted = history.to_vec();
    sorted.sort_unstable();
    // The nearest rank, from 1 on.
    let rank = (sorted.len() * 95).div_ceil(100);
    let limit = sorted[rank.saturating_sub(1).min(sorted.len() - 1)];
    limit.saturating_mul(2).clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(history: &[u64]) -> Vec<Duration> {
        history.iter().copied().map(Duration::from_secs).collect()
    }

    #[test]
    fn a_limit_is_learned() {
        assert_eq!(reboot_limit(&[]), UNKNOWN);
        assert_eq!(reboot_limit(&seconds(&[70, 70])), UNKNOWN);
        assert_eq!(reboot_limit(&seconds(&[70, 80, 90])), Duration::from_mins(3));
        assert_eq!(reboot_limit(&seconds(&[5, 5, 5])), LEAST);
        assert_eq!(reboot_limit(&seconds(&[5, 5, 100_000])), MOST);
        // One that took long among many is forgotten.
        let mut history = vec![50; 39];
        history.push(900);
        assert_eq!(reboot_limit(&seconds(&history)), Duration::from_secs(100));
    }

    proptest! {
        #[test]
        fn at_least_19_of_20_restarts_of_the_past_would_be_waited_for(history in proptest::collection::vec(0_u64..590, 3..60)) {
            let limit = reboot_limit(&seconds(&history));
            let late = history.iter().filter(|took| Duration::from_secs(**took) > limit).count();
            prop_assert!(late * 20 <= history.len(), "{late}");
            prop_assert!((LEAST..=MOST).contains(&limit));
        }

        #[test]
        fn a_slower_device_is_never_given_less(history in proptest::collection::vec(0_u64..2000, 3..60), more in 0_u64..500) {
            let slower: Vec<u64> = history.iter().map(|took| took + more).collect();
            prop_assert!(reboot_limit(&seconds(&slower)) >= reboot_limit(&seconds(&history)));
        }
    }
}
