//! What this machine lacks to build packages, found by trying.

use windlass_core::id::ArchName;

use super::macros::{Target, Values};
use super::need::Command;
use super::session::Bubblewrap;
use super::wire::Role;
use super::{Builder, etc};
use crate::stages::StopFlag;

/// Programs that builds cannot do without, and Debian's package of each.
const PROGRAMS: [(&str, &str); 4] = [
    ("bwrap", "bubblewrap"),
    ("rpmbuild", "rpm"),
    ("setarch", "util-linux"),
    ("gcc", "gcc"),
];

/// A program that can be linked and run only where its architecture's libraries are.
const PROGRAM: &str = "echo 'int main(void) { return 0; }' > /tmp/x.c && gcc -o /tmp/x /tmp/x.c && /tmp/x";

/// Something that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// A program, and Debian's package of it.
    Program(&'static str, &'static str),
    /// This machine does not build for the architecture.
    Architecture(ArchName),
    /// No sandbox can be made; why.
    Sandbox(String),
    /// A C program cannot be compiled for the architecture.
    Compiler(ArchName),
    /// Memory and processes are not counted for a whole build, but limited for each process.
    Counting,
}

impl Builder {
    /// What is missing to build for these architectures.
    pub fn lacks(&self, arches: &[ArchName]) -> Vec<Lack> {
        let usr = self.usr();
        let missing = PROGRAMS.iter().filter(|(program, _)| {
            // The sandbox itself is the machine's own, all else that of the tree.
            let places = if *program == "bwrap" {
                "/usr".into()
            } else {
                usr.clone()
            };
            !["bin", "sbin"]
                .iter()
                .any(|place| places.join(place).join(program).is_file())
        });
        let mut lacks: Vec<Lack> = missing
            .map(|(program, package)| Lack::Program(program, package))
            .collect();
        let essential = lacks.iter().any(|lack| !matches!(lack, Lack::Program("gcc", _)));
        let mut counted = true;
        for arch in arches {
            let Some(target) = Target::of(arch) else {
                lacks.push(Lack::Architecture(arch.clone()));
                continue;
            };
            if essential {
                continue;
            }
            match self.compiles(&target, &mut counted) {
                Ok(true) => {}
                Ok(false) => lacks.push(Lack::Compiler(arch.clone())),
                Err(why) => {
                    lacks.push(Lack::Sandbox(why));
                    return lacks;
                }
            }
        }
        if !counted {
            lacks.push(Lack::Counting);
        }
        lacks
    }

    fn compiles(&self, target: &Target, counted: &mut bool) -> Result<bool, String> {
        let broken = |error: &dyn std::fmt::Display| error.to_string();
        let macros = target.macros(&self.settings, &Values::default());
        let furnishing = etc::furnishing(&self.tree(), target, &macros, Vec::new());
        let stop = StopFlag::new().map_err(|error| broken(&error))?;
        let mut sandbox = Bubblewrap::start(self, furnishing, &stop).map_err(|error| broken(&error))?;
        *counted &= sandbox.counts();
        let command = Command {
            role: Role::Builder,
            argv: target.command(&["sh", "-c", PROGRAM]),
            env: target.environment(&self.settings, 0),
            log: 64 << 10,
        };
        let log = tempfile::tempfile().map_err(|error| broken(&error))?;
        let ended = sandbox
            .run(command, std::os::fd::AsFd::as_fd(&log))
            .map_err(|error| broken(&error))?;
        match ended.code {
            Some(0) => Ok(true),
            _ if ended.said == 0 => Err("nothing runs in it".to_owned()),
            _ => {
                let mut said = Vec::new();
                let mut log = log;
                let read =
                    std::io::Seek::rewind(&mut log).and_then(|()| std::io::Read::read_to_end(&mut log, &mut said));
                let said = String::from_utf8_lossy(&said);
                match said.lines().find(|line| line.starts_with("bwrap: ")) {
                    Some(line) if read.is_ok() => Err(windlass_core::escape::escaped(line)),
                    Some(_) | None => Ok(false),
                }
            }
        }
    }
}
