//! The table of behaviours is true: every test that it names exists.

use std::path::Path;

use windlass_tests::programs::workspace;

#[test]
fn every_test_that_the_table_of_behaviours_names_exists() -> anyhow::Result<()> {
    let root = workspace()?;
    let table = std::fs::read_to_string(root.join("bot/src/images/BEHAVIOURS.md"))?;
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
    assert!(named > 30, "{named}");
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
