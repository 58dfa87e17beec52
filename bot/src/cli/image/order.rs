//! The closed list of options of `docker run` that `windlass image run` takes, and what they become.

use std::collections::BTreeMap;
use std::path::Path;

use crate::exit::Usage;
use crate::images::engine::RunOrder;

/// ENGINE-ARGS: options of `docker run` under their own names.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Engine options")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, as people know them from `docker run`"
)]
pub(super) struct EngineArgs {
    /// Mount SOURCE at TARGET: SOURCE:TARGET[:ro|rw|z|Z…]
    #[arg(short = 'v', long = "volume", value_name = "SOURCE:TARGET")]
    volumes: Vec<String>,
    /// The directory in which the command runs
    #[arg(short = 'w', long = "workdir", value_name = "DIR")]
    workdir: Option<String>,
    /// A variable, NAME=VALUE; NAME alone takes the value from here
    #[arg(short = 'e', long = "env", value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// The network: none, host, bridge, or one's name
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    network: Option<String>,
    /// The platform, as in linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// As whom: USER[:GROUP]
    #[arg(short = 'u', long, value_name = "USER", conflicts_with = "run_as_current_user")]
    user: Option<String>,
    /// One more group
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// The user namespace, as in host or keep-id
    #[arg(long, value_name = "MODE")]
    userns: Option<String>,
    /// The container's host name
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// The container's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// One more known host, NAME:ADDRESS
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<String>,
    /// A name server
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<String>,
    /// A capability more
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// A capability less
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// A security option, as in label=disable
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// A device of the host, HOST[:CONTAINER[:rwm]]
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// All of the host's rights
    #[arg(long)]
    privileged: bool,
    /// The image's files cannot be changed
    #[arg(long)]
    read_only: bool,
    /// A directory in memory, TARGET[:OPTIONS]
    #[arg(long, value_name = "TARGET")]
    tmpfs: Vec<String>,
    /// An init of the engine's reaps what the command leaves behind
    #[arg(long)]
    init: bool,
    /// The most memory, as in 512m or 2g
    #[arg(short = 'm', long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// The most processors, as in 1.5
    #[arg(long, value_name = "NUMBER", value_parser = nano)]
    cpus: Option<i64>,
    /// The most processes
    #[arg(long, value_name = "NUMBER")]
    pids_limit: Option<i64>,
    /// The size of /dev/shm, as in 64m
    #[arg(long, value_name = "SIZE", value_parser = size)]
    shm_size: Option<u64>,
    /// A limit, NAME=SOFT[:HARD]
    #[arg(long, value_name = "LIMIT")]
    ulimit: Vec<String>,
    /// In place of the image's entrypoint
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// A label, NAME[=VALUE]
    #[arg(short = 'l', long, value_name = "LABEL")]
    label: Vec<String>,
    /// Standard input goes to the command, whatever it is
    #[arg(short = 'i', long)]
    interactive: bool,
    /// The command gets a terminal
    #[arg(short = 't', long)]
    tty: bool,
    /// What is done anyhow
    #[arg(long, conflicts_with = "keep")]
    rm: bool,
}

impl EngineArgs {
    pub(super) fn interactive(&self) -> bool {
        self.interactive
    }

    pub(super) fn tty(&self) -> bool {
        self.tty
    }

    pub(super) fn platform(&self) -> Option<&str> {
        self.platform.as_deref()
    }

    /// The order without image, command and streams.
    pub(super) fn order(&self) -> Result<RunOrder, Usage> {
        let environment = self.env.iter().filter_map(|word| variable(word));
        let volumes = self.volumes.iter().map(|volume| absolute(volume));
        let labels = self.label.iter().map(|label| {
            let (name, value) = label.split_once('=').unwrap_or((label, ""));
            if windlass_core::image::label::is_ours(name) {
                return Err(Usage::new(format!("the label '{name}' is ours to set")));
            }
            Ok((name.to_owned(), value.to_owned()))
        });
        let tmpfs = self.tmpfs.iter().map(|mount| {
            let (target, options) = mount.split_once(':').unwrap_or((mount, ""));
            (target.to_owned(), options.to_owned())
        });
        let entrypoint = self.entrypoint.as_ref().map(|program| {
            if program.is_empty() {
                Vec::new()
            } else {
                vec![program.clone()]
            }
        });
        Ok(RunOrder {
            entrypoint,
            environment: environment.collect(),
            volumes: volumes.collect::<Result<_, _>>()?,
            tmpfs: tmpfs.collect(),
            working_dir: self.workdir.clone(),
            network: self.network.clone(),
            platform: self.platform.clone(),
            user: self.user.clone(),
            groups: self.group_add.clone(),
            user_namespace: self.userns.clone(),
            hostname: self.hostname.clone(),
            name: self.name.clone(),
            extra_hosts: self.add_host.clone(),
            dns: self.dns.clone(),
            cap_add: self.cap_add.clone(),
            cap_drop: self.cap_drop.clone(),
            security: self.security_opt.clone(),
            devices: self.device.clone(),
            privileged: self.privileged,
            read_only: self.read_only,
            init: self.init,
            memory: self.memory,
            nano_cpus: self.cpus,
            pids: self.pids_limit,
            shm_size: self.shm_size,
            ulimits: self.ulimit.clone(),
            labels: labels.collect::<Result<BTreeMap<_, _>, _>>()?,
            ..RunOrder::default()
        })
    }
}

/// A variable as the engine takes it; one without a value has the one that it has here, or is left out.
fn variable(word: &str) -> Option<String> {
    if word.contains('=') {
        return Some(word.to_owned());
    }
    Some(format!("{word}={}", std::env::var(word).ok()?))
}

/// A volume whose source, if it is a path, is an absolute one: the engine has another working directory.
fn absolute(volume: &str) -> Result<String, Usage> {
    let bad = |why: &str| Usage::new(format!("'{volume}' is no volume: {why}")).hint("-v /source:/target:ro");
    let Some((source, rest)) = volume.split_once(':') else {
        return Err(bad("there is no ':' between source and target"));
    };
    if rest.split(':').next().is_none_or(|target| !target.starts_with('/')) {
        return Err(bad("the target is no absolute path"));
    }
    if !source.starts_with('.') {
        return Ok(volume.to_owned());
    }
    let source = std::path::absolute(Path::new(source)).map_err(|error| bad(&error.to_string()))?;
    Ok(format!("{}:{rest}", source.display()))
}

/// A size as docker has it: `512m`, `2g`, bytes without a unit.
fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("'{text}' is no size such as 512m or 2g");
    let lower = text.to_ascii_lowercase();
    let lower = lower
        .strip_suffix("ib")
        .or_else(|| lower.strip_suffix('b'))
        .unwrap_or(&lower);
    let end = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let factor: u64 = match &lower[end..] {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return Err(bad()),
    };
    let number: u64 = lower[..end].parse().map_err(|_| bad())?;
    number.checked_mul(factor).ok_or_else(bad)
}

/// Processors in thousand-millionths.
fn nano(text: &str) -> Result<i64, String> {
    let bad = || format!("'{text}' is no number of processors such as 1.5");
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| bad())?
    };
    if part.is_empty() || part.len() > 9 || !part.bytes().all(|byte| byte.is_ascii_digit()) || whole < 0 {
        return Err(bad());
    }
    let part: i64 = format!("{part:0<9}").parse().map_err(|_| bad())?;
    let sum = whole
        .checked_mul(1_000_000_000)
        .and_then(|whole| whole.checked_add(part));
    sum.filter(|sum| *sum > 0).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_docker_has_them() {
        assert_eq!(size("512m"), Ok(512 << 20));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert_eq!(size("100"), Ok(100));
        assert!(size("x").is_err() && size("1q").is_err() && size("99999999999t").is_err());
        assert_eq!(nano("1.5"), Ok(1_500_000_000));
        assert_eq!(nano(".25"), Ok(250_000_000));
        assert_eq!(nano("2"), Ok(2_000_000_000));
        assert!(nano("0").is_err() && nano("-1").is_err() && nano("1.").is_err() && nano("a").is_err());
    }

    #[test]
    fn volumes_are_made_absolute() -> Result<(), Usage> {
        assert_eq!(absolute("/a:/b:ro")?, "/a:/b:ro");
        assert_eq!(absolute("named:/b")?, "named:/b");
        assert!(absolute("./a:/b")?.starts_with('/'));
        assert!(absolute("/a").is_err());
        assert!(absolute("/a:b").is_err());
        Ok(())
    }

    #[test]
    fn our_labels_cannot_be_set() {
        let args = EngineArgs {
            label: vec!["org.windlass.owner=0".into()],
            ..EngineArgs::default()
        };
        assert!(args.order().is_err());
    }
}
