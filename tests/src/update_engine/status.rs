//! Where an attempt tells how far it is, and everybody reads it: files below `/run`, which a restart empties, and below `/var/lib`, which it does not.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::Failure;

const RUN: &str = "/run/update_engine";
const KEPT: &str = "/var/lib/update_engine";

/// What is done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Operation {
    #[default]
    Idle,
    CheckingForUpdate,
    UpdateAvailable,
    Downloading,
    Verifying,
    Finalizing,
    UpdatedNeedReboot,
    ReportingErrorEvent,
}

impl Operation {
    const ALL: [Self; 8] = [
        Self::Idle,
        Self::CheckingForUpdate,
        Self::UpdateAvailable,
        Self::Downloading,
        Self::Verifying,
        Self::Finalizing,
        Self::UpdatedNeedReboot,
        Self::ReportingErrorEvent,
    ];

    /// The real tool's word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Idle => "UPDATE_STATUS_IDLE",
            Self::CheckingForUpdate => "UPDATE_STATUS_CHECKING_FOR_UPDATE",
            Self::UpdateAvailable => "UPDATE_STATUS_UPDATE_AVAILABLE",
            Self::Downloading => "UPDATE_STATUS_DOWNLOADING",
            Self::Verifying => "UPDATE_STATUS_VERIFYING",
            Self::Finalizing => "UPDATE_STATUS_FINALIZING",
            Self::UpdatedNeedReboot => "UPDATE_STATUS_UPDATED_NEED_REBOOT",
            Self::ReportingErrorEvent => "UPDATE_STATUS_REPORTING_ERROR_EVENT",
        }
    }

    /// Whether only a process that lives can be at it.
    fn is_under_way(self) -> bool {
        !matches!(self, Self::Idle | Self::UpdatedNeedReboot)
    }
}

/// What `--status` shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Status {
    /// Seconds since 1970, or 0.
    pub(super) last_checked: u64,
    /// Between 0 and 1.
    pub(super) progress: f64,
    pub(super) operation: Operation,
    pub(super) new_version: String,
    pub(super) new_size: u64,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            last_checked: 0,
            progress: 0.0,
            operation: Operation::Idle,
            new_version: "0.0.0.0".to_owned(),
            new_size: 0,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "LAST_CHECKED_TIME={}\nPROGRESS={:.6}\nCURRENT_OP={}\nNEW_VERSION={}\nNEW_SIZE={}",
            self.last_checked,
            self.progress,
            self.operation.name(),
            self.new_version,
            self.new_size
        )
    }
}

impl Status {
    /// What is so now. An attempt that was killed is none.
    pub(super) fn now() -> Result<Self, Failure> {
        let mut status = Self::written()?;
        if status.operation.is_under_way()
            && let Some(_free) = Lock::take()?
        {
            // It may have come to its end in between.
            status = Self::written()?;
            if status.operation.is_under_way() {
                status.operation = Operation::Idle;
                status.write()?;
            }
        }
        Ok(status)
    }

    /// What is written, whoever wrote it.
    pub(super) fn written() -> Result<Self, Failure> {
        let text = read_if_there(&Path::new(RUN).join("status"))?.unwrap_or_default();
        let mut status = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match name {
                "LAST_CHECKED_TIME" => status.last_checked = value.parse().unwrap_or_default(),
                "PROGRESS" => status.progress = value.parse().unwrap_or_default(),
                "CURRENT_OP" => {
                    let known = Operation::ALL.into_iter().find(|operation| operation.name() == value);
                    status.operation = known.unwrap_or_default();
                }
                "NEW_VERSION" => value.clone_into(&mut status.new_version),
                "NEW_SIZE" => status.new_size = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
        Ok(status)
    }

    /// Puts it where everybody sees it, at once or not at all.
    pub(super) fn write(&self) -> Result<(), Failure> {
        replace(&Path::new(RUN).join("status"), &self.to_string())
    }
}

/// The right to attempt an update; it goes with the last process that has the file open.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Nothing if somebody else has it.
    pub(super) fn take() -> Result<Option<Self>, Failure> {
        fs::create_dir_all(RUN)?;
        let file = File::create(Path::new(RUN).join("lock"))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => Ok(None),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// The same, where somebody may have it for a moment to look at the status.
    pub(super) fn take_soon() -> Result<Option<Self>, Failure> {
        for _ in 0..100 {
            if let Some(lock) = Self::take()? {
                return Ok(Some(lock));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(None)
    }

    /// Hands it on to a process that has it as its standard input.
    pub(super) fn hand_on(self) -> Stdio {
        self.0.into()
    }
}

/// Something small that a restart does not take.
pub(super) fn remember(name: &str, value: &str) -> Result<(), Failure> {
    replace(&Path::new(KEPT).join(name), value)
}

/// What was remembered under a name.
pub(super) fn remembered(name: &str) -> Result<Option<String>, Failure> {
    read_if_there(&Path::new(KEPT).join(name))
}

/// Forgets what was remembered under a name.
pub(super) fn forget(name: &str) -> Result<(), Failure> {
    match fs::remove_file(Path::new(KEPT).join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn read_if_there(file: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = file.with_extension(format!("new{}", std::process::id()));
    fs::write(&new, text)?;
    File::open(&new)?.sync_all()?;
    fs::rename(&new, file)?;
    Ok(())
}
