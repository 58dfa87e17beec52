//! `windlass doctor` on whether packages can be built.

use crate::doctor::Clinic;

/// Changes the configuration.
fn configured(clinic: &Clinic, from: &str, to: &str) {
    let file = clinic.world.root("windlass.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&file, text.replace(from, to)).unwrap();
}

#[test]
fn an_architecture_that_is_not_built_for_here() {
    let clinic = Clinic::new();
    let own = std::env::consts::ARCH;
    let other = if own == "aarch64" { "x86_64" } else { "aarch64" };
    configured(
        &clinic,
        &format!("architectures = [\"{own}\"]"),
        &format!("architectures = [\"{own}\", \"{other}\"]"),
    );
    let found = clinic.finds("foreign_architecture", "error");
    assert!(found["message"].as_str().unwrap().contains(other), "{found}");
    assert!(clinic.codes().contains(&"foreign_architecture".to_owned()));
}

#[test]
fn a_root_without_programs() {
    let clinic = Clinic::new();
    let empty = clinic.world.path("empty");
    std::fs::create_dir_all(empty.join("usr/bin")).unwrap();
    configured(
        &clinic,
        "\n[build]\n",
        &format!("\n[build]\nroot = \"{}\"\n", empty.display()),
    );
    let found = clinic.finds("no_build_program", "error");
    assert!(found["mend"].as_str().unwrap().contains("install"), "{found}");
}
