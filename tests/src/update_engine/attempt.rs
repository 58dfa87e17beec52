//! One attempt to update, from the question to the slot that is tried next; every step can be seen in the status.

use std::fmt;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use super::http::{Download, Url};
use super::install::Payload;
use super::omaha::{Asker, Event, Offer};
use super::status::{self, Operation, Status};
use super::{Code, Failure, slotctl};

const LOG: &str = "/var/log/update_engine.log";
/// Where a system says who it is.
const RELEASE: &str = "/etc/lsb-release";

/// Writes a line to the updater's log. What cannot be written is lost: an update does not fail for that.
pub(super) fn log(line: fmt::Arguments<'_>) {
    let _ = std::fs::create_dir_all("/var/log");
    if let Ok(mut file) = std::fs::File::options().create(true).append(true).open(LOG) {
        let _ = writeln!(file, "[{}:INFO] {line}", seconds());
    }
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A value of `/etc/lsb-release`.
fn release(name: &str) -> Result<String, Failure> {
    let text = std::fs::read_to_string(RELEASE)?;
    let value = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .find_map(|(key, value)| (key.trim() == name).then(|| value.trim().to_owned()));
    value.ok_or_else(|| Code::Error.because(format!("{RELEASE} has no {name}")))
}

/// The kernel's name for this boot.
fn boot_id() -> Result<String, Failure> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?)
}

/// Makes an attempt, with the lock as standard input; whether there was one to make is told by nothing but the status.
pub(super) fn run(url: &str, app_version: &str) {
    let attempted = attempt(url, app_version);
    if let Err(failure) = attempted {
        log(format_args!("failed: {} ({})", failure.what, failure.code.name()));
    }
}

fn attempt(url: &str, app_version: &str) -> Result<(), Failure> {
    let mut status = Status {
        operation: Operation::CheckingForUpdate,
        last_checked: seconds(),
        ..Status::default()
    };
    status.write()?;
    status::forget("last-error")?;
    let running = release("CHROMEOS_RELEASE_VERSION")?;
    let asker = Url::parse(url)
        .map_err(|what| Code::OmahaRequest.because(what))
        .and_then(|url| {
            Ok(Asker {
                url,
                board: release("CHROMEOS_RELEASE_BOARD")?,
                track: release("CHROMEOS_RELEASE_TRACK")?,
                version: if app_version.is_empty() {
                    running.clone()
                } else {
                    app_version.to_owned()
                },
            })
        });
    let done = match &asker {
        Ok(asker) => update(asker, &running, &mut status),
        Err(failure) => Err(failure.code.because(&failure.what)),
    };
    if let Err(failure) = &done {
        status::remember(
            "last-error",
            &format!("{}={}", failure.code as u32, failure.code.name()),
        )?;
        if failure.code != Code::NoUpdate
            && let Ok(asker) = &asker
        {
            status.operation = Operation::ReportingErrorEvent;
            status.write()?;
            asker.tell(Event::failed(failure.code));
        }
        // What there would have been does not matter any more.
        status = Status {
            last_checked: status.last_checked,
            ..Status::default()
        };
    } else {
        status.operation = Operation::UpdatedNeedReboot;
    }
    status.write()?;
    done
}

fn update(asker: &Asker, running: &str, status: &mut Status) -> Result<(), Failure> {
    let pending = what_became_of_the_last(running)?;
    let offer = asker.check(pending.as_ref().map(|(event, previous)| (*event, previous.as_str())))?;
    status::forget("pending")?;
    log(format_args!("an update of {} bytes: {}", offer.size, offer.url));
    status.operation = Operation::UpdateAvailable;
    status.new_size = offer.size;
    if !offer.version.is_empty() {
        status.new_version.clone_from(&offer.version);
    }
    status.write()?;

    let slot = slotctl(&["other"])?;
    slotctl(&["disable", &slot])?;
    status.operation = Operation::Downloading;
    status.write()?;
    asker.tell(Event::DOWNLOAD_STARTED);
    let url = Url::parse(&offer.url).map_err(|what| Code::OmahaResponseInvalid.because(what))?;
    let mut told = 0.0;
    let mut progress = |share: f64| {
        if share - told >= 0.01 || share >= 1.0 {
            told = share;
            status.progress = share;
            status.write()?;
        }
        Ok(())
    };
    let written = Payload::new(Download::new(url, offer.size), offer.size, &mut progress).write(&slot)?;
    if !is_as_promised(&offer, &written.digest) {
        return Err(Code::PayloadHashMismatch.because("the payload is not the one that the server told of"));
    }
    asker.tell(Event::DOWNLOAD_FINISHED);

    status.operation = Operation::Verifying;
    status.write()?;
    written.verify()?;
    status.operation = Operation::Finalizing;
    status.write()?;
    // What is asked at the next check: whether this came up.
    status::remember("pending", &format!("{}\n{running}\n{slot}\n", boot_id()?.trim()))?;
    status::remember("previous-version", running)?;
    slotctl(&["try", &slot])?;
    asker.tell(Event::COMPLETE);
    log(format_args!("slot {slot} is tried next"));
    Ok(())
}

/// Whether the payload's digest is among what the server said, in whichever form.
fn is_as_promised(offer: &Offer, digest: &windlass_core::device::payload::Digest) -> bool {
    offer.hashes.iter().any(|hash| {
        hash.eq_ignore_ascii_case(&digest.hex())
            || *hash == digest.base64()
            // SHA-1, the only thing that protocol 2.0 has. The operations' own digests were checked.
            || hash.len() == 28
    })
}

/// After an update and a restart: whether the new system runs, or the old one again; with the version before.
fn what_became_of_the_last(running: &str) -> Result<Option<(Event, String)>, Failure> {
    let Some(pending) = status::remembered("pending")? else {
        return Ok(None);
    };
    let mut lines = pending.lines();
    let (Some(boot), Some(previous), Some(slot)) = (lines.next(), lines.next(), lines.next()) else {
        return Ok(None);
    };
    if boot == boot_id()?.trim() {
        return Ok(None);
    }
    let event = if slot == slotctl(&["active"])? {
        Event::REBOOTED
    } else {
        Event::ROLLED_BACK
    };
    log(format_args!(
        "{running} runs in another boot than the last update's, which was to slot {slot}"
    ));
    Ok(Some((event, previous.to_owned())))
}
