//! The demonstration's packages: each folder holds the version that it is named after, on top of those before it.

use rstest::rstest;
use windlass_tests::demo;
use windlass_tests::process::Cmd;

#[rstest]
#[case("libwind")]
#[case("windgauge")]
#[case("windvane")]
#[case("windsock")]
fn each_version_is_what_its_folder_says(#[case] package: &str) -> anyhow::Result<()> {
    let readme = include_str!("../../templates/demo/README.md");
    let versions = demo::versions(package)?;
    assert!(versions.len() >= 2, "{versions:?}");
    for version in &versions {
        assert!(
            readme.contains(&format!("| {version} |")),
            "the table lacks {package} {version}"
        );
        let dir = tempfile::tempdir()?;
        demo::lay_out(package, version, dir.path())?;
        let spec = dir.path().join(format!("{package}.spec"));
        if Cmd::new("rpmspec").arg("--version").run().is_err() {
            windlass_tests::skipped("there is no rpmspec");
            return Ok(());
        }
        let said = Cmd::new("rpmspec")
            .args(["-q", "--srpm", "--qf", "%{name} %{version}-%{release}"])
            .args(["--define", "dist %nil"])
            .arg(&spec)
            .run()?
            .ok()?;
        assert_eq!(said.line(), format!("{package} {version}"));
        let text = std::fs::read_to_string(&spec)?;
        let newest = text.lines().find(|line| line.starts_with("* ")).unwrap_or_default();
        assert!(newest.ends_with(&format!("> {version}")), "{newest}");
    }
    Ok(())
}

#[test]
fn a_version_that_is_not_there_is_told_with_those_that_are() {
    let dir = tempfile::tempdir().unwrap();
    let told = demo::lay_out("libwind", "9.0-alt1", dir.path())
        .unwrap_err()
        .to_string();
    assert!(told.contains("1.0-alt1"), "{told}");
}
