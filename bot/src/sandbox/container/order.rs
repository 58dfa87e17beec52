//! What containers of builds are made of: who runs in them, with which rights and limits, and what they see. All values, no talk.
//!
//! | | bubblewrap | container |
//! |---|---|---|
//! | network | none | none |
//! | the host's files | `/usr`, read-only | none; the image's own |
//! | builder | an id of its own in a user namespace; no rights | id 1000; no rights, none to be had: the bounding set is empty |
//! | root of the build root | ten rights over a user namespace | nine over the container: see [`FOR_ROOT`] |
//! | new rights (setuid, file capabilities) | none | none |
//! | what can be written | a file system in memory, and no more | the builder: file systems in memory, and no more |
//! | processes left behind | die with each command | die with each command |

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount, MountType,
    MountVolumeOptions,
};

use super::super::bubble::{BUILDER, HOST};
use super::super::wire::Role;
use crate::config::Build;

/// What installing packages needs a right to, in a container: what it needs in bubblewrap, but for `DAC_READ_SEARCH`, with which
/// whoever is root of no user namespace of its own can open any file of the engine's machine by its handle.
///
/// `CHOWN`, `FOWNER`, `FSETID`, `DAC_OVERRIDE`: files that belong to others. `SETFCAP`: files with capabilities. `SETUID`, `SETGID`,
/// `KILL`: scriptlets that run something as somebody else. `SYS_CHROOT`: rpm itself.
pub(super) const FOR_ROOT: [&str; 9] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETFCAP",
    "SETGID",
    "SETUID",
    "SYS_CHROOT",
];

/// Where the build's own file system is.
pub(super) const PLACE: &str = "/build";

/// Runs a command, as the first process of its container, which is told of all orphans. The end by a signal is told as 64 and more, so
/// that it is not taken for one that ended the container itself; see [`status`]. All is said by one stream, or it would come in another
/// order. The limit of core files is set here, because Podman forgets those of its configuration when it is asked for any. Where memory runs
/// out the kernel is to end the command and not this shell: that would look as if somebody had ended the container.
pub(super) const RUN: &str = "exec 2>&1; ulimit -c 0; (echo 1000 2>/dev/null >/proc/self/oom_score_adj; exec \"$@\"); n=$?; \
                              [ $n -le 128 ] || n=$((n - 64)); exit $n";

/// How a command ended whose container ended so.
pub(super) fn status(code: i64) -> i64 {
    if (65..=96).contains(&code) { code + 64 } else { code }
}

/// Runs rpm; the packages do not stay, and what it became is kept only if all went well.
pub(super) const INSTALL: &str = "exec 2>&1; ulimit -c 0; (echo 1000 2>/dev/null >/proc/self/oom_score_adj; exec \"$@\"); n=$?; rm -rf /run/packages; [ $n -le 128 ] || n=$((n - 64)); exit $n";

/// The same, and the loader learns of new libraries.
pub(super) const INSTALL_LIBRARIES: &str = "exec 2>&1; ulimit -c 0; (echo 1000 2>/dev/null >/proc/self/oom_score_adj; exec \"$@\") && ldconfig; n=$?; rm -rf /run/packages; [ $n -le 128 ] || n=$((n - 64)); exit $n";

/// What keeps a build's file system while no command runs.
const WAIT: &str = "while :; do sleep 3600; done";

/// What one container is for.
#[derive(Debug, Clone)]
pub(super) struct Order<'o> {
    /// The image.
    pub(super) image: &'o str,
    /// What it is known by to whoever clears up.
    pub(super) labels: &'o HashMap<String, String>,
    /// The volume with the build's file system, if it is there.
    pub(super) volume: Option<&'o str>,
    /// What builds may use.
    pub(super) settings: &'o Build,
}

impl Order<'_> {
    /// A container that runs a command.
    pub(super) fn command(&self, role: Role, argv: &[String], env: &[(String, String)]) -> ContainerCreateBody {
        let words = ["sh", "-c", RUN, "sh"]
            .into_iter()
            .map(str::to_owned)
            .chain(argv.iter().cloned());
        let mut body = self.body(role, words.collect(), env);
        body.attach_stdout = Some(true);
        body.attach_stderr = Some(true);
        body
    }

    /// A container that runs a script as root, with words as its arguments.
    pub(super) fn script(&self, script: &str, words: &[String], env: &[(String, String)]) -> ContainerCreateBody {
        let all = ["sh", "-c", script, "sh"]
            .into_iter()
            .map(str::to_owned)
            .chain(words.iter().cloned());
        let mut body = self.body(Role::Root, all.collect(), env);
        body.attach_stdout = Some(true);
        body.attach_stderr = Some(true);
        body
    }

    /// The container that keeps the build's file system; nothing of a package's runs in it.
    pub(super) fn keeper(&self) -> ContainerCreateBody {
        let words = ["sh", "-c", WAIT].map(str::to_owned).into();
        let path = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        let mut body = self.body(Role::Builder, words, &path);
        if let Some(host) = &mut body.host_config {
            host.pids_limit = Some(16);
            host.tmpfs = None;
        }
        body
    }

    fn body(&self, role: Role, words: Vec<String>, env: &[(String, String)]) -> ContainerCreateBody {
        // By way of `env`, so that neither the engine's nor the image's variables are there.
        let mut cmd = vec!["-i".to_owned()];
        cmd.extend(env.iter().map(|(name, value)| format!("{name}={value}")));
        cmd.extend(words);
        let user = match role {
            Role::Root => 0,
            Role::Builder => BUILDER,
        };
        ContainerCreateBody {
            image: Some(self.image.to_owned()),
            hostname: Some(HOST.to_owned()),
            user: Some(format!("{user}:{user}")),
            working_dir: Some(if role == Role::Root { "/" } else { PLACE }.to_owned()),
            entrypoint: Some(vec!["/usr/bin/env".to_owned()]),
            cmd: Some(cmd),
            network_disabled: Some(true),
            labels: Some(self.labels.clone()),
            host_config: Some(self.host(role)),
            ..ContainerCreateBody::default()
        }
    }

    fn host(&self, role: Role) -> HostConfig {
        let (memory, disk) = (self.settings.memory.bytes(), self.settings.disk.bytes());
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        // What lies in memory is counted with it.
        let all = signed(memory.saturating_add(disk));
        let temporary = format!("size={disk},mode=1777,exec,nosuid,nodev");
        let builder = role == Role::Builder;
        HostConfig {
            network_mode: Some("none".to_owned()),
            ipc_mode: Some("private".to_owned()),
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
            privileged: Some(false),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(if builder {
                Vec::new()
            } else {
                FOR_ROOT.map(str::to_owned).to_vec()
            }),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            readonly_rootfs: Some(builder),
            memory: Some(all),
            memory_swap: Some(all),
            pids_limit: Some(i64::from(self.settings.processes)),
            nano_cpus: (self.settings.jobs > 0).then(|| i64::from(self.settings.jobs) * 1_000_000_000),
            shm_size: Some(signed(disk)),
            tmpfs: builder.then(|| {
                ["/tmp", "/var/tmp"]
                    .map(|place| (place.to_owned(), temporary.clone()))
                    .into()
            }),
            mounts: self.volume.map(|volume| {
                vec![Mount {
                    target: Some(PLACE.to_owned()),
                    source: Some(volume.to_owned()),
                    typ: Some(MountType::VOLUME),
                    volume_options: Some(MountVolumeOptions {
                        no_copy: Some(true),
                        ..MountVolumeOptions::default()
                    }),
                    ..Mount::default()
                }]
            }),
            // It is read as it is said, and not kept by the engine, which has no limit for it.
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".to_owned()),
                config: None,
            }),
            ..HostConfig::default()
        }
    }
}
