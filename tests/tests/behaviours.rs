//! The tables of behaviours are true: every test that they name exists.

use std::path::Path;

use rstest::rstest;
use windlass_tests::programs::workspace;

#[rstest]
#[case("images", 30)]
#[case("devices", 20)]
fn every_test_that_a_table_of_behaviours_names_exists(#[case] part: &str, #[case] least: usize) -> anyhow::Result<()> {
    let root = workspace()?;
    let table = std::fs::read_to_string(root.join("bot/src").join(part).join("BEHAVIOURS.md"))?;
    let mut sources = String::new();
    for folder in ["tests/tests", "bot/src", "bot/tests", "core/src"] {
        gather(&root.join(folder), &mut sources)?;
    }
    let mut named = 0;
    for line in table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
    {
        let tests: Vec<&str> = line
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| word.matches('_').count() > 2 && !word.contains(' '))
            .collect();
        for test in tests {
            named += 1;
            assert!(sources.contains(&format!("fn {test}(")), "there is no test {test}");
        }
    }
    assert!(named > least, "{named}");
    Ok(())
}

fn gather(folder: &Path, sources: &mut String) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, sources)?;
        } else if path.extension().is_some_and(|suffix| suffix == "rs") {
            sources.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}
