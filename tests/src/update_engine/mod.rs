//! A stand-in for `ChromeOS`'s `update_engine` and its client, for machines of the lab: the real tool's flags, states and output, and what they
//! stand for: it asks an Omaha server, downloads with ranges, verifies the payload, applies it to the slot that does not run, and has that slot tried next.
//!
//! Flow: [`client`] reads the flags and starts an attempt as a process of its own, as the real daemon is one, so that a cut connection does not
//! end it; [`attempt`] goes through [`omaha`], [`http`] and [`install`]; [`status`] is where the two meet. It runs on the machine as root and is
//! started by nobody else.

mod attempt;
pub mod client;
mod flags;
mod http;
mod install;
mod omaha;
mod status;

use std::process::Command;

/// Why an attempt failed: the real tool's number for it, and what happened.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    what: String,
}

/// The numbers of `update_engine`'s `ErrorCode` that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Error = 1,
    OmahaRequest = 2,
    Postinstall = 5,
    InstallDeviceOpen = 7,
    DownloadTransfer = 9,
    PayloadHashMismatch = 10,
    PayloadSizeMismatch = 11,
    DownloadWrite = 14,
    NewRootfsVerification = 15,
    PayloadSignature = 18,
    MetadataMagic = 21,
    ManifestParse = 23,
    MetadataSignatureMismatch = 26,
    OperationExecution = 28,
    OperationHashMismatch = 29,
    OmahaXmlParse = 31,
    OmahaResponseInvalid = 34,
    OmahaHttp = 37,
    NoUpdate = 53,
    NotEnoughSpace = 60,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "kError",
            Self::OmahaRequest => "kOmahaRequestError",
            Self::Postinstall => "kPostinstallRunnerError",
            Self::InstallDeviceOpen => "kInstallDeviceOpenError",
            Self::DownloadTransfer => "kDownloadTransferError",
            Self::PayloadHashMismatch => "kPayloadHashMismatchError",
            Self::PayloadSizeMismatch => "kPayloadSizeMismatchError",
            Self::DownloadWrite => "kDownloadWriteError",
            Self::NewRootfsVerification => "kNewRootfsVerificationError",
            Self::PayloadSignature => "kDownloadPayloadPubKeyVerificationError",
            Self::MetadataMagic => "kDownloadInvalidMetadataMagicString",
            Self::ManifestParse => "kDownloadManifestParseError",
            Self::MetadataSignatureMismatch => "kDownloadMetadataSignatureMismatch",
            Self::OperationExecution => "kDownloadOperationExecutionError",
            Self::OperationHashMismatch => "kDownloadOperationHashMismatch",
            Self::OmahaXmlParse => "kOmahaRequestXMLParseError",
            Self::OmahaResponseInvalid => "kOmahaResponseInvalid",
            Self::OmahaHttp => "kOmahaErrorInHTTPResponse",
            Self::NoUpdate => "kNoUpdate",
            Self::NotEnoughSpace => "kNotEnoughSpace",
        }
    }

    fn because(self, what: impl std::fmt::Display) -> Failure {
        Failure {
            code: self,
            what: what.to_string(),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Code::Error.because(error)
    }
}

/// Asks `slotctl`.
fn slotctl(words: &[&str]) -> Result<String, Failure> {
    let output = Command::new("slotctl").args(words).output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Code::Postinstall.because(format!("slotctl {}: {}", words.join(" "), said.trim())))
    }
}
