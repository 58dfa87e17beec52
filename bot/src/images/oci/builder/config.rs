//! The instructions that change an image's configuration and nothing else.

use std::time::Duration;

use serde_json::json;
use windlass_core::escape::escaped;
use windlass_core::image::dockerfile::instruction::{CommandLine, Healthcheck, Kind};

use super::super::spec::{self, RunConfig};

/// The shell of Linux.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The most ports that one range may have.
const MOST_PORTS: u32 = 65_536;

/// What of a stage decides what ENTRYPOINT does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Command {
    /// The CMD, if there is one, is the base's.
    #[default]
    Inherited,
    /// This stage has a CMD.
    Own,
}

/// Applies an instruction. What has to do with files, and ARG, is not for here.
pub(super) fn apply(config: &mut RunConfig, command: &mut Command, kind: &Kind) -> Result<(), String> {
    let shell = config
        .shell
        .clone()
        .unwrap_or_else(|| SHELL.map(str::to_owned).to_vec());
    let words = |line: &CommandLine| Some(line.words(&shell)).filter(|words| !words.is_empty());
    match kind {
        Kind::Cmd(line) => {
            config.cmd = words(line);
            *command = Command::Own;
        }
        Kind::Entrypoint(line) => {
            config.entrypoint = words(line);
            if *command == Command::Inherited {
                config.cmd = None;
            }
        }
        Kind::Env(pairs) => {
            for pair in pairs {
                set_variable(&mut config.env, &pair.name, &pair.value);
            }
        }
        Kind::Label(pairs) => {
            for pair in pairs {
                config.labels.insert(pair.name.clone(), pair.value.clone());
            }
        }
        Kind::Expose(ports) => {
            for port in ports {
                for port in expand_ports(port)? {
                    config.exposed_ports.insert(port, json!({}));
                }
            }
        }
        Kind::Volume(volumes) => {
            for volume in volumes {
                if volume.trim().is_empty() {
                    return Err("a volume has no name".to_owned());
                }
                config.volumes.insert(volume.clone(), json!({}));
            }
        }
        Kind::Stopsignal(signal) => config.stop_signal = Some(signal.clone()),
        Kind::User(user) => config.user.clone_from(user),
        Kind::Shell(words) => config.shell = Some(words.clone()),
        Kind::Healthcheck(check) => config.healthcheck = Some(healthcheck(check)?),
        Kind::Onbuild(trigger) => config.on_build.push(trigger.text.clone()),
        Kind::Add(_) | Kind::Arg(_) | Kind::Copy(_) | Kind::Maintainer(_) | Kind::Run(_) | Kind::Workdir(_) => {}
    }
    Ok(())
}

/// Sets a variable where it stands, or as the last one.
pub(super) fn set_variable(variables: &mut Vec<String>, name: &str, value: &str) {
    let set = format!("{name}={value}");
    let is_it = |variable: &&mut String| variable.split_once('=').map_or(variable.as_str(), |(name, _)| name) == name;
    match variables.iter_mut().find(is_it) {
        Some(variable) => *variable = set,
        None => variables.push(set),
    }
}

fn healthcheck(check: &Healthcheck) -> Result<spec::Healthcheck, String> {
    let (command, interval, timeout, start_period, start_interval, retries) = match check {
        Healthcheck::None => {
            return Ok(spec::Healthcheck {
                test: vec!["NONE".to_owned()],
                ..spec::Healthcheck::default()
            });
        }
        Healthcheck::Command {
            command,
            interval,
            timeout,
            start_period,
            start_interval,
            retries,
        } => (command, interval, timeout, start_period, start_interval, retries),
    };
    // The configuration has a word for the shell form: the shell is looked up when the check runs.
    let test = match command {
        CommandLine::Exec(words) => [&["CMD".to_owned()], words.as_slice()].concat(),
        CommandLine::Shell(text) => vec!["CMD-SHELL".to_owned(), text.clone()],
    };
    let nanoseconds = |time: &Option<Duration>| {
        u64::try_from(time.unwrap_or_default().as_nanos()).map_err(|_| "a time is too long".to_owned())
    };
    Ok(spec::Healthcheck {
        test,
        interval: nanoseconds(interval)?,
        timeout: nanoseconds(timeout)?,
        start_period: nanoseconds(start_period)?,
        start_interval: nanoseconds(start_interval)?,
        retries: retries.unwrap_or(0).into(),
    })
}

/// `80`, `80/udp`, `8000-8010/tcp` as single ports with their protocol.
fn expand_ports(text: &str) -> Result<Vec<String>, String> {
    let bad = || format!("'{}' is no port: write 80, 80/udp or 8000-8010", escaped(text));
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(bad());
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let port = |text: &str| text.parse::<u16>().map_err(|_| bad());
    let (first, last) = (port(first)?, port(last)?);
    if first > last || u32::from(last - first) >= MOST_PORTS {
        return Err(bad());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_spread() {
        assert_eq!(expand_ports("80").unwrap(), ["80/tcp"]);
        assert_eq!(expand_ports("53/UDP").unwrap(), ["53/udp"]);
        assert_eq!(expand_ports("90-92/udp").unwrap(), ["90/udp", "91/udp", "92/udp"]);
        for bad in ["", "x", "70000", "9-8", "80/x", "1-2-3"] {
            assert!(expand_ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_entrypoint_takes_an_inherited_command_away() {
        let exec = |word: &str| CommandLine::Exec(vec![word.to_owned()]);
        let mut config = RunConfig {
            cmd: Some(vec!["base".to_owned()]),
            ..RunConfig::default()
        };
        let mut command = Command::default();
        apply(&mut config, &mut command, &Kind::Entrypoint(exec("e"))).unwrap();
        assert_eq!(config.cmd, None);
        apply(&mut config, &mut command, &Kind::Cmd(exec("c"))).unwrap();
        apply(&mut config, &mut command, &Kind::Entrypoint(exec("f"))).unwrap();
        assert_eq!(config.cmd, Some(vec!["c".to_owned()]));
        let shell = CommandLine::Shell("echo hi".to_owned());
        apply(&mut config, &mut command, &Kind::Cmd(shell)).unwrap();
        assert_eq!(config.cmd.unwrap(), ["/bin/sh", "-c", "echo hi"]);
    }

    #[test]
    fn a_variable_is_set_where_it_stands() {
        let mut variables = vec!["A=1".to_owned(), "B=2".to_owned()];
        set_variable(&mut variables, "A", "3=4");
        set_variable(&mut variables, "C", "");
        assert_eq!(variables, ["A=3=4", "B=2", "C="]);
    }
}
