//! Flags that commands have in common.

use clap::Args;

use super::{AclChange, Command, DepsChange, DeviceCommand, JobCommand, NightlyCommand, PushersChange, TaskCommand};
use crate::id::RequestId;

/// Flags of every command that reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args)]
pub struct ReadFlags {
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of every command that writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct WriteFlags {
    /// Say what would be done, change nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Names the request, so that repeating it has no second effect: r- and 16 to 64 hexadecimal digits
    #[arg(long, global = true, value_name = "ID")]
    pub request_id: Option<RequestId>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub json: bool,
}

impl Command {
    pub(super) fn read_flags(&self) -> Option<ReadFlags> {
        match self {
            Self::Check(check) => Some(check.flags),
            Self::Task(task) => match task {
                TaskCommand::Show { flags, .. }
                | TaskCommand::Ls { flags, .. }
                | TaskCommand::Why { flags, .. }
                | TaskCommand::Log { flags, .. }
                | TaskCommand::Wait { flags, .. } => Some(*flags),
                TaskCommand::New { .. }
                | TaskCommand::Add { .. }
                | TaskCommand::Delsub { .. }
                | TaskCommand::Run { .. }
                | TaskCommand::Share { .. }
                | TaskCommand::Deps { .. }
                | TaskCommand::Approve { .. }
                | TaskCommand::Disapprove { .. }
                | TaskCommand::Abort { .. }
                | TaskCommand::Rm { .. } => None,
            },
            Self::Job(job) => match job {
                JobCommand::Ls { flags, .. } | JobCommand::Show { flags, .. } => Some(*flags),
                JobCommand::Build { .. } | JobCommand::Retry { .. } | JobCommand::Cancel { .. } => None,
            },
            Self::Device(device) => match device {
                DeviceCommand::Ls { flags, .. }
                | DeviceCommand::Show { flags, .. }
                | DeviceCommand::History { flags, .. }
                | DeviceCommand::Why { flags, .. }
                | DeviceCommand::Nightly(NightlyCommand::Ls { flags }) => Some(*flags),
                DeviceCommand::Reserve { .. }
                | DeviceCommand::Release { .. }
                | DeviceCommand::Quarantine { .. }
                | DeviceCommand::Health { .. }
                | DeviceCommand::Nightly(NightlyCommand::Run { .. }) => None,
            },
            Self::Build(_) | Self::Acl(_) | Self::InitRepo(_) | Self::Pushers(_) => None,
        }
    }

    /// The flags of a command that has those of writing, also where it only shows.
    pub(super) fn any_write_flags(&self) -> Option<&WriteFlags> {
        match self {
            Self::Build(build) => Some(&build.flags),
            Self::Acl(acl) => Some(&acl.flags),
            Self::InitRepo(init) => Some(&init.flags),
            Self::Pushers(pushers) => Some(&pushers.flags),
            Self::Check(_) => None,
            Self::Job(job) => match job {
                JobCommand::Build { flags, .. }
                | JobCommand::Retry { flags, .. }
                | JobCommand::Cancel { flags, .. } => Some(flags),
                JobCommand::Ls { .. } | JobCommand::Show { .. } => None,
            },
            Self::Device(device) => match device {
                DeviceCommand::Reserve { flags, .. }
                | DeviceCommand::Release { flags, .. }
                | DeviceCommand::Quarantine { flags, .. }
                | DeviceCommand::Health { flags, .. }
                | DeviceCommand::Nightly(NightlyCommand::Run { flags, .. }) => Some(flags),
                DeviceCommand::Ls { .. }
                | DeviceCommand::Show { .. }
                | DeviceCommand::History { .. }
                | DeviceCommand::Why { .. }
                | DeviceCommand::Nightly(NightlyCommand::Ls { .. }) => None,
            },
            Self::Task(task) => match task {
                TaskCommand::New { flags, .. }
                | TaskCommand::Add { flags, .. }
                | TaskCommand::Delsub { flags, .. }
                | TaskCommand::Run { flags, .. }
                | TaskCommand::Share { flags, .. }
                | TaskCommand::Deps { flags, .. }
                | TaskCommand::Approve { flags, .. }
                | TaskCommand::Disapprove { flags, .. }
                | TaskCommand::Abort { flags, .. }
                | TaskCommand::Rm { flags, .. } => Some(flags),
                TaskCommand::Show { .. }
                | TaskCommand::Ls { .. }
                | TaskCommand::Why { .. }
                | TaskCommand::Log { .. }
                | TaskCommand::Wait { .. } => None,
            },
        }
    }

    /// The flags of a command that writes.
    pub(super) fn write_flags(&self) -> Option<&WriteFlags> {
        let shows = match self {
            Self::Acl(acl) => acl.change == AclChange::Show,
            Self::Pushers(pushers) => pushers.change == PushersChange::Show,
            Self::Task(TaskCommand::Deps { change, .. }) => matches!(change, DepsChange::Show),
            Self::Device(DeviceCommand::Health { health, .. }) => health.is_none(),
            Self::Task(_) | Self::Job(_) | Self::Device(_) | Self::Build(_) | Self::Check(_) | Self::InitRepo(_) => {
                false
            }
        };
        if shows { None } else { self.any_write_flags() }
    }
}
