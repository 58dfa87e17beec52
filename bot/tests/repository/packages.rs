//! The packages that are taken in: built once by the real rpmbuild, and kept for all tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

/// What is built: directory, name, version, target, and how many bytes of chance are in it.
const SET: [(&str, &str, &str, &str, u32); 6] = [
    ("one", "bread", "1.0", "noarch", 0),
    ("one", "cheese", "1.0", "x86_64", 0),
    ("one", "cheese", "1.0", "i586", 0),
    ("two", "cheese", "1.1", "x86_64", 0),
    ("two", "wine", "1.0", "noarch", 0),
    ("large", "wheel", "1.0", "noarch", 2 << 20),
];

/// The directory with `one`, `two` and `large`; nothing, and a word about it, where there is no rpmbuild.
pub(crate) fn packages() -> Option<PathBuf> {
    if !there("rpmbuild") {
        assert!(std::env::var_os("CI").is_none(), "CI has to have rpmbuild");
        eprintln!("SKIPPED: there is no rpmbuild");
        return None;
    }
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("repository-packages-1");
    std::fs::create_dir_all(&root).unwrap();
    // Tests run side by side, each in a process of its own.
    let lock = std::fs::File::create(root.join("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let done = root.join("done");
    if !done.exists() {
        for one in SET {
            build(&root, one);
        }
        std::fs::write(done, "").unwrap();
    }
    Some(root)
}

/// Whether a program is installed.
pub(crate) fn there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn build(root: &Path, (directory, name, version, target, chance): (&str, &str, &str, &str, u32)) {
    let top = root.join("top");
    std::fs::create_dir_all(&top).unwrap();
    let spec = top.join("package.spec");
    let noarch = if target == "noarch" { "BuildArch: noarch" } else { "" };
    let text = format!(
        "%global debug_package %nil\nName: {name}\nVersion: {version}\nRelease: 1\nSummary: Food\nLicense: MIT\n{noarch}\n\
         %description\nFood.\n%install\nmkdir -p %buildroot/usr/share/{name}\necho {version} > %buildroot/usr/share/{name}/version\n\
         head -c {chance} /dev/urandom > %buildroot/usr/share/{name}/chance\n%files\n/usr/share/{name}\n\
         %changelog\n* Mon Jan 05 2026 Alice <alice@example.org> {version}-1\n- made\n"
    );
    std::fs::write(&spec, text).unwrap();
    let out = root.join(directory);
    let define = |name: &str, path: &Path| format!("{name} {}", path.display());
    let output = Command::new("rpmbuild")
        .args(["-ba", "--quiet", "--target", target])
        .args([
            "--define",
            &define("_topdir", &top),
            "--define",
            &define("_rpmdir", &out),
        ])
        .args(["--define", &define("_srcrpmdir", &out.join("SRPMS"))])
        .arg(&spec)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
