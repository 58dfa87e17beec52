//! The doctor on the ssh door: what sshd lets through, by its own word, and the lines of `authorized_keys`.

use crate::doctor::Clinic;
use crate::world::{fixture, mode};

#[test]
fn an_ssh_server_that_takes_gits_configuration_from_clients() {
    let clinic = Clinic::new();
    for (line, left) in [
        ("AcceptEnv LANG GIT_*", "AcceptEnv LANG"),
        ("AcceptEnv *", "# off, by `windlass doctor`: AcceptEnv *"),
        (
            "AcceptEnv LC_* GIT_CONFIG_COUNT GIT_PROTOCOL",
            "AcceptEnv LC_* GIT_PROTOCOL",
        ),
    ] {
        clinic.sshd(&format!("{line}\n"));
        clinic.finds("accept_env", "error");
        clinic.mends("accept_env");
        let text = std::fs::read_to_string(clinic.etc.join("ssh/sshd_config")).unwrap();
        assert!(text.ends_with(&format!("{left}\n")), "{text}");
    }
    // In an included file, and only for others: that is nobody's affair here.
    std::fs::write(
        clinic.etc.join("ssh/sshd_config.d/x.conf"),
        "Match User somebody-else\nAcceptEnv *\n",
    )
    .unwrap();
    clinic.sshd(&format!("Include {}/ssh/sshd_config.d/*.conf\n", clinic.etc.display()));
    assert_eq!(clinic.codes(), ["bot_away"]);
    std::fs::write(clinic.etc.join("ssh/sshd_config.d/x.conf"), "AcceptEnv GIT_CONFIG_*\n").unwrap();
    let found = clinic.finds("accept_env", "error");
    assert!(found["value"].as_str().unwrap().contains("x.conf line 1"), "{found}");
    clinic.mends("accept_env");
}

#[test]
fn the_snippet_of_init_overrides_what_the_machine_accepts() {
    let clinic = Clinic::new();
    let user = String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let keys = clinic.world.root("git/.ssh/authorized_keys");
    let snippet = windlass_templates::sshd_snippet(&windlass_templates::SshdValues {
        git_user: user.trim().to_owned(),
        authorized_keys: keys.display().to_string(),
    });
    let (file, snippet) = (clinic.etc.join("ssh/sshd_config.d/50-windlass.conf"), snippet.unwrap());
    std::fs::write(&file, &snippet).unwrap();
    clinic.sshd(&format!(
        "AcceptEnv *\nInclude {}/ssh/sshd_config.d/*.conf\n",
        clinic.etc.display()
    ));
    assert_eq!(clinic.codes(), ["bot_away"]);
    // Opened by hand, it is closed again just so.
    std::fs::write(&file, snippet.replace("AcceptEnv GIT_PROTOCOL", "AcceptEnv GIT_*")).unwrap();
    clinic.finds("accept_env", "error");
    clinic.mends("accept_env");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), snippet);
}

#[test]
fn an_ssh_server_with_variables_of_its_own() {
    let clinic = Clinic::new();
    for (code, line) in [
        ("user_environment", "PermitUserEnvironment yes"),
        ("user_environment", "PermitUserEnvironment GIT_*,LANG"),
        ("set_env", "SetEnv GIT_CONFIG_COUNT=1"),
        ("force_command", "ForceCommand /bin/sh"),
    ] {
        clinic.sshd(&format!("{line}\n"));
        clinic.finds(code, "error");
        clinic.mends(code);
    }
}

#[test]
fn keys_from_elsewhere() {
    let clinic = Clinic::new();
    for line in [
        "AuthorizedKeysCommand /bin/true\nAuthorizedKeysCommandUser nobody",
        "TrustedUserCAKeys /etc/ssh/ca.pub",
    ] {
        clinic.sshd(&format!("{line}\n"));
        let found = clinic.finds("other_keys", "error");
        assert!(line.starts_with(found["value"].as_str().unwrap()), "{found}");
    }
}

#[test]
fn keys_that_open_more_than_the_door() {
    let clinic = Clinic::new();
    let path = clinic.world.root("git/.ssh/authorized_keys");
    let ours = std::fs::read_to_string(&path).unwrap();
    let key = std::fs::read_to_string(fixture("bob.pub")).unwrap();
    for (code, line) in [
        ("unforced_key", key.clone()),
        ("unforced_key", format!("restrict,pty {key}")),
        (
            "unrestricted_key",
            format!("command=\"/bin/windlass-shell a, b\" {key}"),
        ),
        (
            "key_environment",
            format!("restrict,command=\"windlass-shell x\",environment=\"GIT_CONFIG_COUNT=1\" {key}"),
        ),
    ] {
        std::fs::write(&path, format!("{ours}{line}")).unwrap();
        clinic.finds(code, "error");
        clinic.mends(code);
        assert!(
            std::fs::read_to_string(&path).unwrap().starts_with(&ours),
            "our lines stay"
        );
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("# off, by `windlass doctor`: restrict,command"), "{text}");
    // A second file that sshd reads opens the same door.
    std::fs::write(&path, &ours).unwrap();
    let second = clinic.world.root("git/.ssh/more_keys");
    std::fs::write(&second, &key).unwrap();
    clinic.sshd("");
    let config = clinic.etc.join("ssh/sshd_config");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("authorized_keys\n", &format!("authorized_keys {}\n", second.display())),
    )
    .unwrap();
    mode(&second, 0o600);
    let found = clinic.finds("unforced_key", "error");
    assert!(found["value"].as_str().unwrap().contains("more_keys line 1"), "{found}");
    clinic.mends("unforced_key");
}

#[test]
fn a_door_that_does_not_say_who_there_is() {
    let clinic = Clinic::new();
    let path = clinic.world.root("git/.ssh/authorized_keys");
    let ours = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, ours.replace(" alice\"", " bob\"")).unwrap();
    clinic.finds("door_outdated", "error");
    clinic.mends("door_outdated");
    mode(&path, 0o666);
    clinic.finds("door_permissions", "error");
    clinic.mends("door_permissions");
    std::fs::write(&path, ours.replace("# END windlass\n", "")).unwrap();
    clinic.finds("door_damaged", "error");
}
