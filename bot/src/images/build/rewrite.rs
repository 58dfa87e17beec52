//! A Dockerfile's text with other names in the place of its bases: own images by their full name, foreign ones by their digest.
//!
//! Nothing else of the text changes, so that an error of the engine names the line that its author knows.

use windlass_core::image::dockerfile::{Base, By, Problem};

/// A base and the name that is to stand there.
#[derive(Debug, Clone)]
pub struct Edit<'a> {
    /// Which base.
    pub base: &'a Base,
    /// What is to stand there.
    pub name: String,
}

/// The text with all of these.
///
/// # Errors
/// Where a name cannot be found on its lines, as when a line break parts it.
pub fn rewritten(text: &str, edits: &[Edit<'_>]) -> Result<String, Problem> {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for edit in edits {
        let Base {
            lines: at, by, written, ..
        } = edit.base;
        let first = usize::try_from(at.first).unwrap_or(usize::MAX).saturating_sub(1);
        let last = usize::try_from(at.last).unwrap_or(usize::MAX).min(lines.len());
        let lines = lines.get_mut(first..last).unwrap_or_default();
        // One instruction may name the same base twice: those that were replaced already are passed over.
        let found = lines.iter_mut().any(|line| match placed(line, *by, written) {
            Some(place) => {
                line.replace_range(place..place + written.len(), &edit.name);
                true
            }
            None => false,
        });
        if !found {
            let problem = Problem::new(*at, format!("'{written}' is not on these lines as one word"));
            return Err(problem.hint("write the name of a base on one line"));
        }
    }
    Ok(lines.concat())
}

/// Where on a line the name stands.
fn placed(line: &str, by: By, name: &str) -> Option<usize> {
    let ends = |rest: &str| {
        rest.chars()
            .next()
            .is_none_or(|c| c.is_whitespace() || (c == ',' && by == By::MountFrom))
    };
    let flag = match by {
        By::From => "",
        By::CopyFrom => "--from=",
        By::MountFrom => "from=",
    };
    let starts = |before: &str| {
        let before = before.strip_suffix(flag)?;
        let last = before.chars().next_back();
        let free = last.is_none_or(|c| c.is_whitespace() || (by == By::MountFrom && matches!(c, ',' | '=')));
        // `FROM from` has two of them: the keyword is never the base.
        let keyword = by == By::From && before.trim().is_empty() && name.eq_ignore_ascii_case("from");
        (free && !keyword).then_some(())
    };
    line.match_indices(name)
        .find(|(at, _)| starts(&line[..*at]).is_some() && ends(&line[at + name.len()..]))
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use windlass_core::image::Dockerfile;
    use windlass_core::image::dockerfile::{Arguments, Platform};

    use super::*;

    /// Every image gets an `X` before its name.
    fn with_x(text: &str) -> Result<String, Problem> {
        let bases = Dockerfile::parse(text).unwrap();
        let bases = bases.bases(&Arguments::native(&Platform::linux("x86_64"))).unwrap();
        let edits = bases.iter().filter(|base| base.image().is_some());
        let edits: Vec<Edit<'_>> = edits
            .map(|base| Edit {
                base,
                name: format!("X{}", base.written),
            })
            .collect();
        rewritten(text, &edits)
    }

    #[rstest]
    #[case("FROM a\n", "FROM Xa\n")]
    #[case("from a as a", "from Xa as a")]
    #[case("FROM from\n", "FROM Xfrom\n")]
    #[case("FROM --platform=linux/amd64 a:1 AS b\n", "FROM --platform=linux/amd64 Xa:1 AS b\n")]
    #[case("FROM \\\n# c\n  a\nRUN a\n", "FROM \\\n# c\n  Xa\nRUN a\n")]
    #[case("ARG B=a\nFROM $B\n", "ARG B=a\nFROM X$B\n")]
    #[case(
        "FROM a AS s\nFROM scratch\nCOPY --from=s a a\n",
        "FROM Xa AS s\nFROM scratch\nCOPY --from=s a a\n"
    )]
    #[case("FROM scratch\nCOPY --from=a a a\n", "FROM scratch\nCOPY --from=Xa a a\n")]
    #[case(
        "FROM a\nRUN --mount=from=b,target=/b --mount=target=/c,from=b x\n",
        "FROM Xa\nRUN --mount=from=Xb,target=/b --mount=target=/c,from=Xb x\n"
    )]
    fn bases_get_other_names_and_nothing_else_does(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(with_x(text).unwrap(), expected);
    }

    #[test]
    fn a_name_that_is_parted_is_told() {
        let problem = with_x("FROM a\\\nb\n").unwrap_err();
        assert!(
            problem.to_string().contains("is not on these lines as one word"),
            "{problem}"
        );
    }
}
