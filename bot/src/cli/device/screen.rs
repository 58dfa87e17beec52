//! What a person sees of a flash: a bar on a terminal, lines otherwise.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use windlass_core::device::flash::FlashStep;
use windlass_core::id::DeviceName;

use crate::devices::flash::{Progress, Watch};
use crate::output::Output;

/// Where there is no terminal, one line of progress after such a time.
const LINE: Duration = Duration::from_secs(10);

/// Where a flash is shown.
pub(super) struct Screen<'a> {
    device: DeviceName,
    bar: ProgressBar,
    shown: Mutex<Shown<'a>>,
}

struct Shown<'a> {
    out: &'a mut Output,
    told: Instant,
}

impl<'a> Screen<'a> {
    pub(super) fn new(device: DeviceName, out: &'a mut Output) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(1000), target);
        let style = ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {percent} % {elapsed}");
        bar.set_style(
            style
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> "),
        );
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self {
            device,
            bar,
            shown: Mutex::new(Shown {
                out,
                told: Instant::now(),
            }),
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, line: &str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.told = Instant::now();
        self.bar.suspend(|| shown.out.say(line));
    }
}

impl Watch for Screen<'_> {
    fn step(&self, step: FlashStep) {
        self.bar.set_position(0);
        self.bar.set_message(format!("{}: {}", self.device, step.words()));
        if self.bar.is_hidden() {
            self.line(&format!("{}: {}", self.device, step.words()));
        }
    }

    fn progress(&self, progress: Progress) {
        let sent = progress.sent.saturating_mul(1000) / progress.total.max(1);
        // The device is the one who knows.
        let at = progress.device.unwrap_or(sent).min(1000);
        self.bar.set_position(at);
        let due = {
            let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            self.bar.is_hidden() && shown.told.elapsed() >= LINE
        };
        if due {
            let (sent, total) = (progress.sent >> 10, progress.total >> 10);
            self.line(&format!("{}: {} %, {sent} of {total} KiB sent", self.device, at / 10));
        }
    }

    fn say(&self, line: &str) {
        self.line(&format!("{}: {line}", self.device));
    }
}
