//! Ctrl-C: what was started is ended, and nothing stays behind.
//!
//! Commands, daemon and ssh server run in process groups of their own, which a terminal's Ctrl-C does not reach. They are killed
//! here; the command that runs at that moment fails, and the demonstration goes its way out as after any failure.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};

static TOLD: AtomicBool = AtomicBool::new(false);

/// Whether it was told to stop.
pub(super) fn told() -> bool {
    TOLD.load(Ordering::SeqCst)
}

/// Looks out for it from now on.
pub(super) fn watch() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.context("nobody can look out for Ctrl-C")?;
    let mut signals = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = signals.0.recv() => {}
                _ = signals.1.recv() => {}
            }
        });
        TOLD.store(true, Ordering::SeqCst);
        for child in children() {
            // It may have ended by itself.
            let _ = kill_process_group(child, Signal::KILL);
        }
    });
    Ok(())
}

/// The processes that this one started, each the first of its group.
fn children() -> Vec<Pid> {
    let mut found = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let list = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        found.extend(
            list.split_whitespace()
                .filter_map(|pid| Pid::from_raw(pid.parse().ok()?)),
        );
    }
    found
}
