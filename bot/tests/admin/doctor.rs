//! The doctor on set-ups that are really broken: each fault is found with its own code, mended by `--fix`, and gone after.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use serde_json::Value;

use crate::world::{Ran, World, fixture, mode, mode_of};

/// What is amiss with the machine that the tests run on, and not with the set-up.
const OF_THE_MACHINE: [&str; 5] = [
    "clock_alone",
    "no_build_program",
    "no_sandbox",
    "no_compiler",
    "limits_by_process",
];

/// A set-up in which all is well: alice with her keys, one repository with hooks, an ssh server that reads our keys.
pub(crate) struct Clinic {
    pub(crate) world: World,
    pub(crate) repository: PathBuf,
    pub(crate) etc: PathBuf,
}

impl Clinic {
    pub(crate) fn new() -> Self {
        let world = World::new();
        world.add_alice();
        let repository = world.repository("hello");
        world.done(["hooks", "install", "--all"]);
        let etc = world.path("etc");
        std::fs::create_dir_all(etc.join("ssh/sshd_config.d")).unwrap();
        let clinic = Self { world, repository, etc };
        clinic.sshd("");
        assert_eq!(clinic.codes(), ["bot_away"], "all is well, but that no bot runs");
        clinic
    }

    /// The ssh server's configuration: a host key, so that `sshd -T` takes it, our keys, and these lines.
    pub(crate) fn sshd(&self, lines: &str) {
        let key = self.etc.join("ssh/host_key");
        if !key.exists() {
            let made = std::process::Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(&key)
                .status();
            assert!(made.unwrap().success());
        }
        let keys = self.world.root("git/.ssh/authorized_keys");
        let text = format!(
            "HostKey {}\nAuthorizedKeysFile {}\n{lines}",
            key.display(),
            keys.display()
        );
        std::fs::write(self.etc.join("ssh/sshd_config"), text).unwrap();
    }

    pub(crate) fn doctor(&self, words: &[&str]) -> Ran {
        let etc = self.etc.to_str().unwrap();
        self.world.windlass(["doctor", "--etc", etc].iter().chain(words))
    }

    pub(crate) fn findings(&self) -> Vec<Value> {
        let ran = self.doctor(&["--json"]);
        let value: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.all()));
        value["findings"].as_array().unwrap().clone()
    }

    pub(crate) fn codes(&self) -> Vec<String> {
        // Whether the clock is kept by the network, and what can be built here, is the machine's affair.
        let codes = self
            .findings()
            .into_iter()
            .map(|finding| finding["code"].as_str().unwrap().to_owned());
        codes.filter(|code| !OF_THE_MACHINE.contains(&code.as_str())).collect()
    }

    /// The finding of this code is there, is an error or a warning as said, and says all that it must.
    pub(crate) fn finds(&self, code: &str, severity: &str) -> Value {
        let findings = self.findings();
        let found = findings.iter().find(|finding| finding["code"] == code);
        let found = found.unwrap_or_else(|| panic!("no {code} in {findings:#?}")).clone();
        assert_eq!(found["severity"], severity, "{found:#}");
        for part in ["message", "value", "mend"] {
            assert!(!found[part].as_str().unwrap().is_empty(), "{part} of {found:#}");
        }
        found
    }

    /// `--fix` mends it: the code is gone from what is left, and a second `--fix` has nothing to do.
    pub(crate) fn mends(&self, code: &str) {
        let fixed = self.doctor(&["--fix"]);
        assert!(
            fixed.stdout.contains(&format!("[{code}]\n         was: ")),
            "{}",
            fixed.all()
        );
        assert_eq!(self.codes(), ["bot_away"], "{}", fixed.all());
        let again = self.doctor(&["--fix"]);
        assert!(!again.stdout.contains("mended"), "{}", again.all());
        assert_eq!(again.code, 0);
    }

    pub(crate) fn hook(&self, name: &str) -> PathBuf {
        self.repository.join("hooks").join(name)
    }

    pub(crate) fn configure(&self, file: &Path, key: &str, value: &str) {
        self.world.git(["config", "--file", file.to_str().unwrap(), key, value]);
    }
}

#[test]
fn what_a_person_reads() {
    let clinic = Clinic::new();
    if clinic
        .findings()
        .iter()
        .any(|finding| OF_THE_MACHINE.iter().any(|code| finding["code"] == *code))
    {
        eprintln!("SKIPPED: doctor finds something amiss with this machine, which the text would say too");
        return;
    }
    mode(&clinic.hook("pre-receive"), 0o644);
    clinic.configure(&clinic.repository.join("config"), "receive.fsckObjects", "false");
    assert_snapshot!(clinic.doctor(&[]).all(), @r"
    error    people/alice/packages/hello.git: the hook pre-receive is not executable: every push passes unjudged [hook_not_executable]
             WORLD/home/windlass/git/people/alice/packages/hello.git/hooks/pre-receive, mode 0644
             mend: windlass hooks install people/alice/packages/hello.git
    warning  people/alice/packages/hello.git: receive.fsckObjects is to be true [git_setting]
             false, in WORLD/home/windlass/git/people/alice/packages/hello.git/config
             mend: windlass hooks install people/alice/packages/hello.git
    note     the bot does not answer: pushes and builds wait in the spool, all else is refused [bot_away]
             WORLD/home/windlass/run/bot.sock
             mend: systemctl start windlass, or `windlass serve`
    ---- stderr, exit code 1

    1 error, 1 warning, 1 note.

    hint: `windlass doctor --fix` mends 2 of them
    ");
    assert_snapshot!(clinic.doctor(&["--fix"]).all(), @r"
    mended   people/alice/packages/hello.git: the hook pre-receive is not executable: every push passes unjudged [hook_not_executable]
             was: WORLD/home/windlass/git/people/alice/packages/hello.git/hooks/pre-receive, mode 0644
    mended   people/alice/packages/hello.git: receive.fsckObjects is to be true [git_setting]
             was: false, in WORLD/home/windlass/git/people/alice/packages/hello.git/config

    note     the bot does not answer: pushes and builds wait in the spool, all else is refused [bot_away]
             WORLD/home/windlass/run/bot.sock
             mend: systemctl start windlass, or `windlass serve`
    ---- stderr, exit code 0

    0 errors, 0 warnings, 1 note.
    ");
}

#[test]
fn a_hook_that_may_not_be_run() {
    let clinic = Clinic::new();
    mode(&clinic.hook("pre-receive"), 0o644);
    assert_eq!(clinic.doctor(&[]).code, 1);
    clinic.finds("hook_not_executable", "error");
    clinic.mends("hook_not_executable");
    assert_eq!(mode_of(&clinic.hook("pre-receive")), 0o755);
}

#[test]
fn a_hook_that_is_not_there() {
    let clinic = Clinic::new();
    std::fs::remove_dir_all(clinic.repository.join("hooks")).unwrap();
    clinic.finds("hook_missing", "error");
    clinic.mends("hook_missing");
}

#[test]
fn a_hook_that_is_a_link_to_nowhere() {
    let clinic = Clinic::new();
    std::fs::remove_file(clinic.hook("pre-receive")).unwrap();
    symlink("/usr/lib/windlass/gone", clinic.hook("pre-receive")).unwrap();
    let found = clinic.finds("hook_dangling", "error");
    assert!(
        found["value"]
            .as_str()
            .unwrap()
            .ends_with("pre-receive -> /usr/lib/windlass/gone"),
        "{found}"
    );
    clinic.mends("hook_dangling");
}

#[test]
fn a_stub_that_was_edited_or_names_another_program() {
    let clinic = Clinic::new();
    let stub = std::fs::read_to_string(clinic.hook("pre-receive")).unwrap();
    for other in [
        stub.replace("exec ", "exit 0 # "),
        stub.replace("windlass-hook", "windlass-gone"),
    ] {
        std::fs::write(clinic.hook("pre-receive"), other).unwrap();
        clinic.finds("hook_outdated", "error");
        clinic.mends("hook_outdated");
    }
}

#[test]
fn somebody_elses_hook_is_kept_and_chained() {
    let clinic = Clinic::new();
    std::fs::write(clinic.hook("pre-receive"), "#!/bin/sh\nexit 0\n").unwrap();
    clinic.finds("hook_foreign", "error");
    clinic.mends("hook_foreign");
    let kept = clinic.hook("pre-receive.d").join("50-as-it-was");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "#!/bin/sh\nexit 0\n");
    mode(&kept, 0o644);
    let found = clinic.finds("chained_hook", "error");
    assert!(found["fix"].is_null(), "whether it is to be run is its owner's affair");
}

#[test]
fn hooks_elsewhere_by_the_repositorys_own_configuration() {
    let clinic = Clinic::new();
    clinic.configure(&clinic.repository.join("config"), "core.hooksPath", "/no/where");
    clinic.finds("hooks_path_repository", "error");
    clinic.mends("hooks_path_repository");
}

#[test]
fn hooks_elsewhere_by_the_accounts_or_the_machines_configuration() {
    let clinic = Clinic::new();
    for (code, file) in [
        ("hooks_path_global", clinic.world.root("git/.gitconfig")),
        ("hooks_path_global", clinic.world.root("git/.config/git/config")),
        ("hooks_path_system", clinic.etc.join("gitconfig")),
    ] {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        clinic.configure(&file, "core.hooksPath", "/usr/share/other-hooks");
        clinic.finds(code, "error");
        clinic.mends(code);
    }
    // Also where it comes by way of an included file: there it is taken out.
    let included = clinic.world.path("home/included");
    clinic.configure(&included, "core.hooksPath", "");
    clinic.configure(
        &clinic.world.root("git/.gitconfig"),
        "include.path",
        included.to_str().unwrap(),
    );
    let found = clinic.finds("hooks_path_global", "error");
    assert!(found["value"].as_str().unwrap().contains("home/included"), "{found}");
    clinic.mends("hooks_path_global");
}

#[test]
fn settings_of_git_that_let_bad_objects_in() {
    let clinic = Clinic::new();
    let config = clinic.repository.join("config");
    for (key, value) in [
        ("receive.fsckObjects", "false"),
        ("receive.fsck.missingTaggerEntry", "ignore"),
        ("receive.hideRefs", "refs/other"),
        ("receive.maxInputSize", "0"),
    ] {
        clinic.world.git([
            "config",
            "--file",
            config.to_str().unwrap(),
            "--replace-all",
            key,
            value,
        ]);
        clinic.finds("git_setting", "warning");
        clinic.mends("git_setting");
    }
    clinic.configure(&clinic.etc.join("gitconfig"), "transfer.fsckObjects", "no");
    clinic.finds("fsck_off", "warning");
    clinic.configure(&clinic.etc.join("gitconfig"), "receive.fsck.badTagName", "ignore");
    clinic.finds("fsck_ignored", "warning");
    clinic.mends("fsck_off");
}

#[test]
fn directories_that_are_open_or_gone() {
    let clinic = Clinic::new();
    for (below, wanted, broken) in [
        ("spool", 0o1730, 0o1777),
        ("spool", 0o1730, 0o730),
        ("people", 0o750, 0o770),
        ("git/.windlass/claims", 0o750, 0o777),
        ("state", 0o700, 0o755),
        ("run", 0o750, 0o700),
    ] {
        let path = clinic.world.root(below);
        mode(&path, broken);
        let found = clinic.finds("directory_permissions", "error");
        assert!(found["value"].as_str().unwrap().contains(below), "{found}");
        clinic.mends("directory_permissions");
        assert_eq!(mode_of(&path), wanted, "{below}");
    }
    std::fs::remove_dir(clinic.world.root("spool")).unwrap();
    clinic.finds("directory_missing", "error");
    clinic.mends("directory_missing");
}

#[test]
fn files_that_others_may_write() {
    let clinic = Clinic::new();
    for (code, path, broken) in [
        ("person_permissions", clinic.world.root("people/alice.toml"), 0o660),
        ("person_permissions", clinic.world.root("people/.index"), 0o666),
        ("config_permissions", clinic.world.root("windlass.toml"), 0o664),
        ("program_permissions", clinic.world.path("bin/windlass-hook"), 0o775),
        ("program_permissions", clinic.world.path("bin/windlass-shell"), 0o644),
        ("repository_writable", clinic.repository.clone(), 0o757),
        ("repository_writable", clinic.repository.join("config"), 0o646),
    ] {
        mode(&path, broken);
        clinic.finds(code, "error");
        clinic.mends(code);
    }
}

#[test]
fn a_program_that_is_gone() {
    let clinic = Clinic::new();
    std::fs::remove_file(clinic.world.path("bin/windlass-hook")).unwrap();
    let ran = clinic.doctor(&[]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("[program_missing]"), "{}", ran.all());
}

#[test]
fn a_repository_that_is_somebody_elses() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can give a repository away");
        return;
    }
    let clinic = Clinic::new();
    std::os::unix::fs::chown(&clinic.repository, Some(4711), None).unwrap();
    let found = clinic.finds("repository_owner", "error");
    assert!(found["message"].as_str().unwrap().contains("safe.directory"), "{found}");
    clinic.mends("repository_owner");
}

#[test]
fn people_and_their_keys() {
    let clinic = Clinic::new();
    clinic.world.done([
        "people",
        "add",
        "carol",
        "--address",
        "c@example.org",
        "--openpgp",
        &fixture("carol-expired.asc"),
    ]);
    clinic.finds("expired_key", "error");
    clinic
        .world
        .done(["keys", "add", "carol", &fixture("carol-renewed.asc")]);
    assert_eq!(clinic.codes(), ["bot_away"]);
    std::fs::write(clinic.world.root("people/dan.toml"), "addresses = 1\n").unwrap();
    mode(&clinic.world.root("people/dan.toml"), 0o640);
    let codes = clinic.codes();
    assert!(
        codes.contains(&"bad_file".to_owned()) && codes.contains(&"index_stale".to_owned()),
        "{codes:?}"
    );
    std::fs::remove_file(clinic.world.root("people/dan.toml")).unwrap();
    std::fs::remove_file(clinic.world.root("people/.index")).unwrap();
    clinic.finds("index_stale", "warning");
    clinic.mends("index_stale");
}

#[test]
fn a_socket_that_is_open_to_all_and_requests_that_wait() {
    let clinic = Clinic::new();
    let socket = clinic.world.root("run/bot.sock");
    // A name of its own: paths of sockets are short.
    let short = tempfile::tempdir().unwrap();
    symlink(clinic.world.root("run"), short.path().join("run")).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(short.path().join("run/bot.sock")).unwrap();
    mode(&socket, 0o666);
    let ran = clinic.doctor(&["--fix"]);
    assert!(
        ran.stdout.contains("[socket_permissions]\n         was: "),
        "{}",
        ran.all()
    );
    assert_eq!(mode_of(&socket), 0o660);
    let request = clinic.world.root("spool/r-00000000000000000000000000000001.json");
    std::fs::write(&request, "{}").unwrap();
    clinic.finds("spool_waiting", "note");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&request, Some(4711), None).unwrap();
        clinic.finds("spool_foreign", "error");
    }
}

#[test]
fn a_full_disk() {
    let clinic = Clinic::new();
    let state = clinic.world.root("state");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs"])
        .arg(&state)
        .output();
    if !mounted.is_ok_and(|done| done.status.success()) {
        eprintln!("SKIPPED: a small file system cannot be mounted here");
        return;
    }
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| clinic.finds("disk_full", "error")));
    let unmounted = std::process::Command::new("umount").arg(&state).status().unwrap();
    assert!(unmounted.success());
    found.unwrap();
}

#[test]
fn a_clock_behind_what_has_happened() {
    let clinic = Clinic::new();
    let program = std::fs::File::options()
        .append(true)
        .open(clinic.world.path("bin/windlass-hook"))
        .unwrap();
    let ahead = std::time::SystemTime::now() + std::time::Duration::from_hours(2);
    program.set_modified(ahead).unwrap();
    clinic.finds("clock_behind", "error");
}

#[test]
fn a_journal_that_somebody_changed() {
    let clinic = Clinic::new();
    let path = clinic.world.root("state/journal.sqlite");
    std::fs::write(
        &path,
        "this is no database, and is longer than the header of one would be: that is all",
    )
    .unwrap();
    clinic.finds("journal_damaged", "error");
}
