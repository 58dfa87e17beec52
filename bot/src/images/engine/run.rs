//! Running a command in a container of its own: made, attached, started, its streams moved, its exit code looked up, removed.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{ContainerCreateBody, DeviceMapping, HostConfig, ResourcesUlimits};
use bollard::query_parameters::CreateContainerOptionsBuilder;

use super::Engine;
use super::containers::Container;
use super::error::EngineError;
use super::request::checked;

/// A command and the container that it is to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, as people know them from `docker run`"
)]
pub struct RunOrder {
    /// The image, by its full name or id.
    pub image: String,
    /// The command; the image's own where it is empty.
    pub command: Vec<String>,
    /// In place of the image's entrypoint; empty words mean none at all.
    pub entrypoint: Option<Vec<String>>,
    /// `-e`: `NAME=value`.
    pub environment: Vec<String>,
    /// `-v`: `source:target[:options]`.
    pub volumes: Vec<String>,
    /// `--tmpfs`: where, and with which options.
    pub tmpfs: BTreeMap<String, String>,
    /// `-w`
    pub working_dir: Option<String>,
    /// `--network`
    pub network: Option<String>,
    /// `--platform`
    pub platform: Option<String>,
    /// `-u`: `user[:group]`.
    pub user: Option<String>,
    /// `--group-add`
    pub groups: Vec<String>,
    /// `--userns`
    pub user_namespace: Option<String>,
    /// `-h`
    pub hostname: Option<String>,
    /// `--name`
    pub name: Option<String>,
    /// `--add-host`
    pub extra_hosts: Vec<String>,
    /// `--dns`
    pub dns: Vec<String>,
    /// `--cap-add`
    pub cap_add: Vec<String>,
    /// `--cap-drop`
    pub cap_drop: Vec<String>,
    /// `--security-opt`
    pub security: Vec<String>,
    /// `--device`: `host[:container[:permissions]]`.
    pub devices: Vec<String>,
    /// `--privileged`
    pub privileged: bool,
    /// `--read-only`
    pub read_only: bool,
    /// `--init`
    pub init: bool,
    /// `--memory`, in bytes.
    pub memory: Option<u64>,
    /// `--cpus`, in thousand-millionths of one.
    pub nano_cpus: Option<i64>,
    /// `--pids-limit`
    pub pids: Option<i64>,
    /// `--shm-size`, in bytes.
    pub shm_size: Option<u64>,
    /// `--ulimit`: `name=soft[:hard]`.
    pub ulimits: Vec<String>,
    /// Labels; ours are put there by whoever orders.
    pub labels: BTreeMap<String, String>,
    /// Whether it reads standard input.
    pub stdin: bool,
    /// Whether it has a terminal.
    pub tty: bool,
}

impl RunOrder {
    /// A command in an image, and nothing else said.
    pub fn new(image: impl Into<String>, command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            image: image.into(),
            command: command.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    fn body(&self, doing: &str) -> Result<ContainerCreateBody, EngineError> {
        let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
        let bytes = |bytes: Option<u64>| bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        let senseless = |why: String| EngineError::senseless(doing, why);
        let devices = self.devices.iter().map(|device| mapping(device)).collect::<Vec<_>>();
        let ulimits = self
            .ulimits
            .iter()
            .map(|limit| ulimit(limit))
            .collect::<Result<Vec<_>, _>>();
        let ulimits = ulimits.map_err(senseless)?;
        let tmpfs: HashMap<String, String> = self.tmpfs.clone().into_iter().collect();
        let host = HostConfig {
            binds: list(&self.volumes),
            tmpfs: (!tmpfs.is_empty()).then_some(tmpfs),
            network_mode: self.network.clone(),
            group_add: list(&self.groups),
            userns_mode: self.user_namespace.clone(),
            extra_hosts: list(&self.extra_hosts),
            dns: list(&self.dns),
            cap_add: list(&self.cap_add),
            cap_drop: list(&self.cap_drop),
            security_opt: list(&self.security),
            devices: (!devices.is_empty()).then_some(devices),
            privileged: self.privileged.then_some(true),
            readonly_rootfs: self.read_only.then_some(true),
            init: self.init.then_some(true),
            memory: bytes(self.memory),
            nano_cpus: self.nano_cpus,
            pids_limit: self.pids,
            shm_size: bytes(self.shm_size),
            ulimits: (!ulimits.is_empty()).then_some(ulimits),
            // Removed by us, after its exit code was looked up.
            auto_remove: Some(false),
            ..HostConfig::default()
        };
        Ok(ContainerCreateBody {
            image: Some(self.image.clone()),
            cmd: list(&self.command),
            entrypoint: self.entrypoint.clone(),
            env: list(&self.environment),
            working_dir: self.working_dir.clone(),
            user: self.user.clone(),
            hostname: self.hostname.clone(),
            labels: Some(self.labels.clone().into_iter().collect()),
            tty: Some(self.tty),
            open_stdin: Some(self.stdin),
            stdin_once: Some(self.stdin),
            attach_stdin: Some(self.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        })
    }
}

fn mapping(device: &str) -> DeviceMapping {
    let mut words = device.splitn(3, ':').map(str::to_owned);
    let host = words.next();
    DeviceMapping {
        path_in_container: words.next().or_else(|| host.clone()),
        path_on_host: host,
        cgroup_permissions: Some(words.next().unwrap_or_else(|| "rwm".into())),
    }
}

fn ulimit(text: &str) -> Result<ResourcesUlimits, String> {
    let bad = || format!("'{text}' is no limit such as nofile=1024:2048");
    let (name, numbers) = text.split_once('=').ok_or_else(bad)?;
    let (soft, hard) = numbers.split_once(':').unwrap_or((numbers, numbers));
    Ok(ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(soft.parse().map_err(|_| bad())?),
        hard: Some(hard.parse().map_err(|_| bad())?),
    })
}

impl Engine {
    /// Makes a container for an order; it is not started.
    ///
    /// # Errors
    /// The engine's, as that there is no such image.
    pub async fn create(&self, order: &RunOrder) -> Result<Container, EngineError> {
        let doing = format!("make a container of {}", order.image);
        checked(&doing, &order.image)?;
        let mut options = CreateContainerOptionsBuilder::default();
        if let Some(name) = &order.name {
            options = options.name(name);
        }
        if let Some(platform) = &order.platform {
            options = options.platform(platform);
        }
        let body = order.body(&doing)?;
        let made = self
            .ask(&doing, self.0.docker.create_container(Some(options.build()), body))
            .await
            .map_err(|error| {
                if error.is_absent() {
                    error.hint(format!(
                        "`windlass image images` lists what is there; `windlass image fetch` gets {} from a registry",
                        order.image
                    ))
                } else {
                    error
                }
            })?;
        for warning in &made.warnings {
            tracing::debug!(warning, "the engine warns");
        }
        Ok(self.container(made.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_devices_are_read() {
        assert_eq!(ulimit("nofile=10:20").map(|limit| limit.hard), Ok(Some(20)));
        assert_eq!(ulimit("nofile=10").map(|limit| limit.hard), Ok(Some(10)));
        assert!(ulimit("nofile").is_err());
        assert_eq!(mapping("/dev/kvm").path_in_container.as_deref(), Some("/dev/kvm"));
        assert_eq!(mapping("/dev/a:/dev/b:r").cgroup_permissions.as_deref(), Some("r"));
    }
}
