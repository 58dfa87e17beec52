//! `update_engine_client`: what the flags ask for, with the real tool's words and exit codes.

use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use super::flags::{Flags, HELP};
use super::status::{self, Lock, Operation, Status};
use super::{Failure, attempt, slotctl};

/// How often those who follow look.
const LOOK: Duration = Duration::from_millis(100);

/// Runs the client with these arguments.
pub fn run(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let flags = match Flags::parse(arguments) {
        Ok(flags) => flags,
        Err(what) => {
            say("ERROR", &what);
            return ExitCode::FAILURE;
        }
    };
    match carry_out(&flags) {
        Ok(code) => code,
        Err(failure) => {
            say("ERROR", &failure.what);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the real tool's talk goes there, in this form")]
fn say(level: &str, words: &str) {
    eprintln!("[{level}:update_engine_client.cc] {words}");
}

#[expect(clippy::print_stdout, reason = "this is the tool's data")]
fn show(data: impl std::fmt::Display) {
    println!("{data}");
}

fn carry_out(flags: &Flags) -> Result<ExitCode, Failure> {
    if flags.help {
        show(HELP);
        return Ok(ExitCode::SUCCESS);
    }
    if flags.attempt {
        attempt::run(&flags.omaha_url, &flags.app_version);
        return Ok(ExitCode::SUCCESS);
    }
    if flags.status {
        say("INFO", "Querying Update Engine status...");
        show(Status::now()?);
        return Ok(ExitCode::SUCCESS);
    }
    if flags.reset_status {
        return reset();
    }
    if flags.last_attempt_error {
        let last = status::remembered("last-error")?.unwrap_or_else(|| "0=kSuccess".to_owned());
        let (number, name) = last.split_once('=').unwrap_or((last.as_str(), ""));
        show(format_args!("ERROR_CODE={number}\nERROR_MESSAGE=ErrorCode::{name}"));
        return Ok(ExitCode::SUCCESS);
    }
    if flags.prev_version {
        show(status::remembered("previous-version")?.unwrap_or_default());
        return Ok(ExitCode::SUCCESS);
    }
    if flags.is_reboot_needed {
        let needed = Status::now()?.operation == Operation::UpdatedNeedReboot;
        return Ok(ExitCode::from(if needed { 0 } else { 2 }));
    }
    if flags.reboot {
        if Status::now()?.operation != Operation::UpdatedNeedReboot {
            say("ERROR", "No reboot is needed.");
            return Ok(ExitCode::FAILURE);
        }
        return Ok(if Command::new("reboot").status()?.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    if (flags.update || flags.check_for_update)
        && let Some(code) = begin(flags)?
    {
        return Ok(code);
    }
    if flags.watch_for_updates {
        return watch();
    }
    if flags.update || flags.follow {
        say("INFO", "Waiting for update to complete.");
        return follow();
    }
    if flags.check_for_update {
        return Ok(ExitCode::SUCCESS);
    }
    say("ERROR", "No command was given.");
    Ok(ExitCode::FAILURE)
}

/// Begins an attempt; a code if there is none to wait for.
fn begin(flags: &Flags) -> Result<Option<ExitCode>, Failure> {
    let mut app_version = flags.app_version.clone();
    if flags.update && app_version.is_empty() {
        say("INFO", "Forcing an update by setting app_version to ForcedUpdate.");
        "ForcedUpdate".clone_into(&mut app_version);
    }
    say("INFO", "Initiating update check.");
    match Status::now()?.operation {
        Operation::Idle => {}
        // It is what an update comes to.
        Operation::UpdatedNeedReboot => return Ok(None),
        Operation::CheckingForUpdate
        | Operation::UpdateAvailable
        | Operation::Downloading
        | Operation::Verifying
        | Operation::Finalizing
        | Operation::ReportingErrorEvent => {
            say("ERROR", "Error checking for update.");
            return Ok(Some(ExitCode::FAILURE));
        }
    }
    let Some(lock) = Lock::take_soon()? else {
        say("ERROR", "Error checking for update.");
        return Ok(Some(ExitCode::FAILURE));
    };
    // It shows in the status before anybody waits for its end.
    Status {
        operation: Operation::CheckingForUpdate,
        ..Status::default()
    }
    .write()?;
    Command::new("setsid")
        .arg(std::env::current_exe()?)
        .arg("--attempt_in_this_process")
        .arg(format!("--omaha_url={}", flags.omaha_url))
        .arg(format!("--app_version={app_version}"))
        // At no moment is the lock free: nobody takes the attempt for one that was killed.
        .stdin(lock.hand_on())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(None)
}

fn follow() -> Result<ExitCode, Failure> {
    loop {
        let status = Status::now()?;
        match status.operation {
            Operation::UpdatedNeedReboot => {
                say("INFO", "Update succeeded -- reboot needed.");
                return Ok(ExitCode::SUCCESS);
            }
            Operation::Idle => {
                let last = status::remembered("last-error")?.unwrap_or_else(|| "1=kError".to_owned());
                let (number, name) = last.split_once('=').unwrap_or((last.as_str(), ""));
                say(
                    "ERROR",
                    &format!(
                        "Update failed, current operation is {}, last error code is ErrorCode::{name}({number})",
                        status.operation.name()
                    ),
                );
                return Ok(ExitCode::FAILURE);
            }
            Operation::CheckingForUpdate
            | Operation::UpdateAvailable
            | Operation::Downloading
            | Operation::Verifying
            | Operation::Finalizing
            | Operation::ReportingErrorEvent => std::thread::sleep(LOOK),
        }
    }
}

fn watch() -> Result<ExitCode, Failure> {
    let mut last = None;
    loop {
        let status = Status::now()?;
        if last.as_ref() != Some(&status) {
            say("INFO", &format!("Got status update:\n{status}"));
            last = Some(status);
        }
        std::thread::sleep(LOOK);
    }
}

/// Back to idle: an update that waits for a restart is given up.
fn reset() -> Result<ExitCode, Failure> {
    say("INFO", "Setting Update Engine status to idle ...");
    let Some(_lock) = Lock::take_soon()? else {
        say("ERROR", "ResetStatus failed.");
        return Ok(ExitCode::FAILURE);
    };
    let status = Status::written()?;
    if status.operation == Operation::UpdatedNeedReboot {
        slotctl(&["disable", &slotctl(&["other"])?])?;
        status::forget("pending")?;
    }
    Status {
        last_checked: status.last_checked,
        ..Status::default()
    }
    .write()?;
    say(
        "INFO",
        "ResetStatus succeeded; to undo partition table changes run:\n\
         (D=$(rootdev -d) P=$(rootdev -s); cgpt p -i$(($(echo ${P#$D} | sed 's/^[^0-9]*//')-1)) $D;)",
    );
    Ok(ExitCode::SUCCESS)
}
