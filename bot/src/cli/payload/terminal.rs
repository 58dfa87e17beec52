//! What a person sees while something long is done, and how it is interrupted.

use std::cell::{Cell, RefCell};
use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::runtime::{Builder, Runtime};

use super::failure;
use crate::devices::payload::{PayloadError, Work};
use crate::exit::Exit;
use crate::images::signals::{Caught, listen};
use crate::output::Output;
use crate::stop::Stopping;

/// What takes less says nothing.
const QUICK: Duration = Duration::from_secs(1);
/// Where there is no terminal, one line after such a time.
const LINE: Duration = Duration::from_secs(10);

/// How something long is done at the command line.
pub(in crate::cli) struct Session {
    stopping: Stopping,
    caught: Caught,
    jobs: Option<NonZeroUsize>,
    /// Hears the signals.
    runtime: Runtime,
}

impl Session {
    /// From now on signals are heard.
    pub(in crate::cli) fn begin(jobs: Option<NonZeroUsize>) -> anyhow::Result<Self> {
        // One thread of its own: this one is busy.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (stopping, caught) = runtime.block_on(async { listen() })?;
        Ok(Self {
            stopping,
            caught,
            jobs,
            runtime,
        })
    }

    /// What it runs in.
    pub(in crate::cli) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Hears the word to stop.
    pub(in crate::cli) fn stopping(&self) -> Stopping {
        self.stopping.clone()
    }

    /// The exit code of an interruption.
    pub(in crate::cli) fn interrupted(&self) -> Exit {
        self.caught.exit_code().map_or(Exit::Failed, Exit::Command)
    }

    /// Does it; an interruption becomes its exit code.
    pub(in crate::cli) fn does<Done>(
        &self,
        what: &str,
        out: &mut Output,
        does: impl FnOnce(&Work<'_>) -> Result<Done, PayloadError>,
    ) -> anyhow::Result<Result<Done, Exit>> {
        let shown = Shown::new(what, out);
        let mut work = Work {
            progress: &|done, total| shown.step(done, total),
            stopped: &|| self.stopping.is_given(),
            ..Work::default()
        };
        work.jobs = self.jobs.unwrap_or(work.jobs);
        let done = does(&work);
        shown.bar.finish_and_clear();
        match done {
            Ok(done) => Ok(Ok(done)),
            Err(PayloadError::Stopped) => Ok(Err(self.interrupted())),
            Err(error) => Err(failure(error)),
        }
    }
}

/// A bar on a terminal, a line from time to time elsewhere.
struct Shown<'a> {
    what: &'a str,
    bar: ProgressBar,
    begun: Instant,
    told: Cell<Instant>,
    out: RefCell<&'a mut Output>,
}

impl<'a> Shown<'a> {
    fn new(what: &'a str, out: &'a mut Output) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{msg} [{bar:40}] {bytes}/{total_bytes} {eta}");
        bar.set_style(
            style
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> "),
        );
        bar.set_message(what.to_owned());
        Self {
            what,
            bar,
            begun: Instant::now(),
            told: Cell::new(Instant::now()),
            out: RefCell::new(out),
        }
    }

    fn step(&self, done: u64, total: u64) {
        if total == 0 || self.begun.elapsed() < QUICK {
            return;
        }
        if std::io::stderr().is_terminal() {
            if self.bar.is_hidden() {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            self.bar.set_length(total);
            self.bar.set_position(done);
        } else if self.told.get().elapsed() >= LINE {
            self.told.set(Instant::now());
            let percent = done.saturating_mul(100) / total;
            self.out.borrow_mut().say(format!("{}: {percent} %", self.what));
        }
    }
}
