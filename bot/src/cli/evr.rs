//! `windlass evr`: says which of two versions is newer, by rpm's order.

use std::cmp::Ordering;

use windlass_core::rpm::Evr;

use super::{Context, Run};
use crate::exit::{Exit, Usage};

/// Arguments of `windlass evr`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints '<', '=' or '>': how the first stands to the second. The epoch counts first, then the version,
then the release. '~' is older than anything, even than the end (1.0~rc1 < 1.0); '^' is newer than the
end, and older than anything else (1.0 < 1.0^git1 < 1.0.1). Without a release is older than with one.
Exit code 0 whichever is newer; 2 if one is no version.

Examples:
  windlass evr 1.0-alt1 1.0-alt2            # <
  windlass evr 1:0.9-alt1 1.0-alt1          # >
  windlass evr 1.0~rc1-alt1 1.0-alt1        # <
  windlass evr 1.01 1.1                     # =")]
pub struct Args {
    /// A version, as [epoch:]version[-release]
    a: String,
    /// Another one
    b: String,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let order = match read(&self.a)?.compare(&read(&self.b)?) {
            Ordering::Less => "<",
            Ordering::Equal => "=",
            Ordering::Greater => ">",
        };
        context.output.line(order)?;
        Ok(Exit::Done)
    }
}

fn read(text: &str) -> Result<Evr, Usage> {
    text.parse().map_err(|bad: windlass_core::rpm::BadEvr| {
        Usage::new(bad.to_string()).hint("windlass evr 1:2.0~rc1-alt1 1:2.0-alt1")
    })
}
