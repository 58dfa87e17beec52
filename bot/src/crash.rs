//! Named places at which the bot can be made to die, for the stories that prove what a kill leaves behind.
//!
//! `WINDLASS_CRASH_AT=NAME` in the bot's environment kills the process there with SIGKILL: no destructor runs, nothing is
//! written any more, as when the power goes. Without the variable a point costs one comparison. Nobody outside can reach it:
//! whoever sets the bot's environment can kill it anyway.

use std::sync::OnceLock;

use rustix::process::{Signal, getpid, kill_process};

/// Dies here, if that was asked for.
pub fn point(name: &str) {
    static AT: OnceLock<Option<String>> = OnceLock::new();
    let at = AT.get_or_init(|| std::env::var("WINDLASS_CRASH_AT").ok());
    if at.as_deref() == Some(name) {
        tracing::warn!(point = name, "dies at {name}, as told by WINDLASS_CRASH_AT");
        let _ = kill_process(getpid(), Signal::KILL);
        // The signal takes a moment to arrive: nothing more is done until then.
        loop {
            std::thread::park();
        }
    }
}
