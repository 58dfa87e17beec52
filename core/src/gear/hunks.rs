//! The hunks of a unified patch between two texts.

use std::io::{self, Write};
use std::ops::Range;

use imara_diff::sources::byte_lines;
use imara_diff::{Algorithm, Diff, InternedInput};

/// Unchanged lines around a change.
const CONTEXT: u32 = 3;

/// Writes the hunks that make `new` of `old`.
pub(super) fn write_hunks(old: &[u8], new: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let input = InternedInput::new(byte_lines(old), byte_lines(new));
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    let before_len = u32::try_from(input.before.len()).map_err(io::Error::other)?;
    let line = |index: u32, side: &[imara_diff::Token]| {
        let index = usize::try_from(index).expect("an index of a slice");
        input.interner[side[index]]
    };
    let changes: Vec<_> = diff.hunks().collect();
    let mut rest = &changes[..];
    while let Some(first) = rest.first() {
        // Changes whose context would touch are one hunk.
        let mut count = 1;
        while let Some(next) = rest.get(count)
            && next.before.start <= rest[count - 1].before.end.saturating_add(2 * CONTEXT)
        {
            count += 1;
        }
        let (group, after) = rest.split_at(count);
        rest = after;
        let last = &group[count - 1];
        let lead = CONTEXT.min(first.before.start);
        let tail = CONTEXT.min(before_len - last.before.end);
        let before = first.before.start - lead..last.before.end + tail;
        let after = first.after.start - lead..last.after.end + tail;
        writeln!(out, "@@ -{} +{} @@", range(&before), range(&after))?;
        let mut at = before.start;
        for change in group {
            for index in at..change.before.start {
                write_line(b' ', line(index, &input.before), out)?;
            }
            for index in change.before.clone() {
                write_line(b'-', line(index, &input.before), out)?;
            }
            for index in change.after.clone() {
                write_line(b'+', line(index, &input.after), out)?;
            }
            at = change.before.end;
        }
        for index in at..before.end {
            write_line(b' ', line(index, &input.before), out)?;
        }
    }
    Ok(())
}

/// Lines as a hunk's header counts them: from 1, and the line before where there are none.
fn range(lines: &Range<u32>) -> String {
    match lines.end - lines.start {
        0 => format!("{},0", lines.start),
        1 => format!("{}", lines.start + 1),
        count => format!("{},{count}", lines.start + 1),
    }
}

fn write_line(mark: u8, line: &[u8], out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&[mark])?;
    out.write_all(line)?;
    if !line.ends_with(b"\n") {
        out.write_all(b"\n\\ No newline at end of file\n")?;
    }
    Ok(())
}
