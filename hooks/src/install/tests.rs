//! On real repositories: what is there is kept, every way to fail open is seen, a second run does nothing.

use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;

use super::*;

struct Place {
    _dir: tempfile::TempDir,
    git_dir: PathBuf,
    installation: Installation,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let git_dir = dir.path().join("x.git");
        process::git()
            .args(["init", "--quiet", "--bare", "--template=", "--"])
            .arg(&git_dir)
            .ok()
            .unwrap();
        std::fs::create_dir(git_dir.join("hooks")).unwrap();
        let installation = Installation {
            program: "/usr/lib/it's/windlass-hook".into(),
            config: "/etc/windlass/windlass.toml".into(),
            max_input_size: Size::from_bytes(1 << 20),
        };
        Self {
            _dir: dir,
            git_dir,
            installation,
        }
    }

    fn install(&self) -> Vec<Step> {
        let steps = self.installation.plan(&self.git_dir).unwrap();
        self.installation.apply(&self.git_dir, &steps).unwrap();
        steps
    }

    fn status(&self) -> Status {
        self.installation.status(&self.git_dir).unwrap()
    }

    fn state(&self) -> HookState {
        self.status().hooks[0].1
    }

    fn hook(&self, text: &str, mode: u32) -> PathBuf {
        let path = self.git_dir.join("hooks/pre-receive");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

#[test]
fn a_fresh_repository_is_made_safe_and_stays_so() {
    let place = Place::new();
    assert_eq!(place.state(), HookState::Missing);
    assert!(!place.installation.judges(&place.git_dir).unwrap());
    assert_eq!(place.install().len(), 9);
    assert!(place.status().is_good(), "{:?}", place.status());
    assert!(place.installation.judges(&place.git_dir).unwrap());
    assert_eq!(place.install(), []);
}

#[test]
fn an_existing_hook_is_kept_and_put_back() {
    let place = Place::new();
    let theirs = "#!/bin/sh\nexit 0\n";
    let path = place.hook(theirs, 0o755);
    assert_eq!(place.state(), HookState::Foreign);
    place.install();
    assert!(place.status().is_good());
    let kept = place.git_dir.join("hooks/pre-receive.d").join(KEPT);
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), theirs);
    let steps = place.installation.plan_removal(&place.git_dir);
    place.installation.apply(&place.git_dir, &steps).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), theirs);
    assert!(!kept.exists() && !place.git_dir.join("hooks/post-receive").exists());
}

#[test]
fn a_kept_link_leads_where_it_led() {
    let place = Place::new();
    let target = place.git_dir.join("their-hook");
    std::fs::write(&target, "#!/bin/sh\nexit 0\n").unwrap();
    std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../their-hook", place.git_dir.join("hooks/pre-receive")).unwrap();
    place.install();
    assert_eq!(
        crate::receive::programs(&place.git_dir, "pre-receive").unwrap().len(),
        1
    );
}

#[test]
fn every_way_to_fail_open_is_seen_and_mended() {
    let place = Place::new();
    place.install();
    let good = std::fs::read_to_string(place.git_dir.join("hooks/pre-receive")).unwrap();
    place.hook(&good, 0o644);
    assert_eq!(place.state(), HookState::NotExecutable);
    place.install();
    assert!(place.status().is_good());
    place.hook(&good.replace("/etc/", "/elsewhere/"), 0o755);
    assert_eq!(place.state(), HookState::Outdated);
    place.install();
    assert!(place.status().is_good());
    assert!(
        !place.git_dir.join("hooks/pre-receive.d").exists(),
        "our own stub is not chained"
    );
    let path = place.git_dir.join("hooks/pre-receive");
    std::fs::remove_file(&path).unwrap();
    symlink("/no/such/hook", &path).unwrap();
    assert_eq!(place.state(), HookState::Dangling);
    place.install();
    assert!(place.status().is_good());
    for (key, value) in [
        ("core.hooksPath", "/no/where"),
        ("receive.fsckObjects", "false"),
        ("receive.fsck.badTagName", "ignore"),
    ] {
        process::git()
            .args(["config", "--file"])
            .arg(place.git_dir.join("config"))
            .args([key, value])
            .ok()
            .unwrap();
        assert!(!place.status().is_good(), "{key}");
        place.install();
        assert!(place.status().is_good(), "{key}");
    }
    std::fs::create_dir(place.git_dir.join("hooks/pre-receive.d")).unwrap();
    std::fs::write(place.git_dir.join("hooks/pre-receive.d/x"), "").unwrap();
    assert!(place.status().broken_chain.is_some());
}

#[test]
fn hidden_refs_are_added_to() {
    let place = Place::new();
    let config = place.git_dir.join("config");
    process::git()
        .args(["config", "--file"])
        .arg(&config)
        .args(["receive.hideRefs", "refs/secret"])
        .ok()
        .unwrap();
    place.install();
    assert_eq!(
        own_settings(&place.git_dir).unwrap()["receive.hiderefs"],
        ["refs/secret", "refs/replace"]
    );
}

#[test]
fn a_repository_is_made_whole_or_not_at_all() {
    let place = Place::new();
    let root = place.git_dir.parent().unwrap().join("git");
    std::fs::create_dir(&root).unwrap();
    let path = "people/alice/packages/hello.git".parse().unwrap();
    let source = init_repository(&root, &path, &place.installation).unwrap();
    assert!(place.installation.status(&source.git_dir).unwrap().is_good());
    assert!(matches!(
        init_repository(&root, &path, &place.installation),
        Err(InitError::Refused(_))
    ));
    let no_program = Installation {
        config: std::ffi::OsString::from_vec(b"/\xff".to_vec()).into(),
        ..place.installation
    };
    let other = "people/alice/packages/other.git".parse().unwrap();
    assert!(init_repository(&root, &other, &no_program).is_err());
    assert_eq!(
        std::fs::read_dir(root.join("people/alice/packages")).unwrap().count(),
        1
    );
}
