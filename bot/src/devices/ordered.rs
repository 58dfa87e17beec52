//! Work on several processors whose results are wanted in order: chunks read, compressed, written.
//!
//! The caller's thread reads and writes. Of what was read and not yet written there is never more than two for each
//! thread, so that memory does not grow with what there is to do.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Has `work` done on what `next` gives, on so many threads, and hands the results to `take` in the order of `next`.
///
/// # Errors
/// The first one, of whichever of the three.
pub(crate) fn in_order<Item: Send, Done: Send, Error: Send>(
    threads: NonZeroUsize,
    mut next: impl FnMut() -> Result<Option<Item>, Error>,
    work: impl Fn(Item) -> Result<Done, Error> + Sync,
    mut take: impl FnMut(Done) -> Result<(), Error>,
) -> Result<(), Error> {
    let (orders, ordered) = sync_channel::<(Item, SyncSender<Result<Done, Error>>)>(threads.get());
    let ordered = Mutex::new(ordered);
    std::thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(|| serve(&ordered, &work));
        }
        // Dropped on every way out: then the threads end.
        let orders = orders;
        let mut pending: VecDeque<Receiver<Result<Done, Error>>> = VecDeque::new();
        loop {
            while pending.len() < 2 * threads.get()
                && let Some(item) = next()?
            {
                let (answer, answered) = sync_channel(1);
                // Nobody takes it only after a panic, which the scope hands on.
                if orders.send((item, answer)).is_ok() {
                    pending.push_back(answered);
                }
            }
            match pending.pop_front().map(|answered| answered.recv()) {
                Some(Ok(done)) => take(done?)?,
                Some(Err(_)) => {}
                None => return Ok(()),
            }
        }
    })
}

fn serve<Item, Done>(orders: &Mutex<Receiver<(Item, SyncSender<Done>)>>, work: impl Fn(Item) -> Done) {
    loop {
        // Whoever panicked with the lock held has ended; the channel is as good as before.
        let order = orders.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((item, answer)) = order else { return };
        // If nobody waits for it any more, something else went wrong and is told.
        let _ = answer.send(work(item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(number: usize) -> NonZeroUsize {
        NonZeroUsize::new(number).unwrap()
    }

    #[test]
    fn results_come_in_order() {
        for number in [1, 2, 7] {
            let mut numbers = 0..1000_u64;
            let mut seen = Vec::new();
            // Early ones take longer.
            let work = |number: u64| Ok((0..1000 - number).fold(number, |sum, step| sum ^ step ^ (step << 1)));
            let expected: Vec<u64> = (0..1000).map(|number| work(number).unwrap()).collect();
            in_order::<_, _, String>(
                threads(number),
                || Ok(numbers.next()),
                work,
                |done| {
                    seen.push(done);
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        for (at_reading, at_working, at_writing) in [(5, 99, 99), (99, 5, 99), (99, 99, 5)] {
            let mut number = 0;
            let failed = in_order(
                threads(3),
                || {
                    number += 1;
                    if number == at_reading {
                        Err("reading")
                    } else {
                        Ok(Some(number))
                    }
                },
                |number| {
                    if number == at_working {
                        Err("working")
                    } else {
                        Ok(number)
                    }
                },
                |number| if number == at_writing { Err("writing") } else { Ok(()) },
            );
            assert!(failed.is_err());
        }
    }
}
