//! The one place that prints: data on stdout, talk on stderr.

use std::fmt::Display;
use std::io::Write as _;

/// A line of data.
pub(crate) fn data(line: impl Display) {
    // A reader who went away is no reason to stop a test run.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A line of talk.
pub(crate) fn talk(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
