//! The difference of two texts by lines, as people read it.

use std::fmt::Write as _;

/// How many unchanged lines are shown around a change.
const CONTEXT: usize = 2;

/// Lines of `old` that are not in `new` with `-`, lines of `new` that are not in `old` with `+`.
pub fn diff(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let lines = merged(&old, &new);
    let near = |at: usize| {
        let from = at.saturating_sub(CONTEXT);
        lines[from..lines.len().min(at + CONTEXT + 1)]
            .iter()
            .any(|(mark, _)| *mark != ' ')
    };
    let mut out = String::new();
    let mut skipped = false;
    for (at, (mark, line)) in lines.iter().enumerate() {
        if near(at) {
            if skipped && !out.is_empty() {
                out.push_str("  …\n");
            }
            skipped = false;
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{mark} {}", windlass_core::escape::escaped(line));
        } else {
            skipped = true;
        }
    }
    out
}

/// Both texts in one, by their longest common subsequence.
fn merged<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(char, &'t str)> {
    // `common[i][j]`: how many lines the rests from i and j have in common. Configuration files are short.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', old[i]));
            i += 1;
        } else {
            lines.push(('+', new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_shown_with_its_surroundings() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\n";
        let new = "a\nB\nc\nd\ne\nf\ng\nh\nh2\ni\n";
        insta::assert_snapshot!(diff(old, new), @r"
          a
        - b
        + B
          c
          d
          …
          g
          h
        + h2
          i
        ");
        assert_eq!(diff(old, old), "");
    }
}
