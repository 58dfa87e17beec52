//! `windlass payload inspect`, `verify` and `properties`: what a payload says, and whether it is so.

use std::path::PathBuf;

use super::failure;
use super::terminal::Session;
use super::words::TrustArgs;
use crate::cli::Context;
use crate::devices::payload::{Inspection, PartitionShown, inspect, properties, verify};
use crate::exit::Exit;
use crate::output::Output;

/// Arguments of `windlass payload inspect`.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// The payload
    #[arg(value_name = "PAYLOAD")]
    payload: PathBuf,
    /// Every operation, too
    #[arg(long)]
    operations: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `windlass payload verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --pubkey or --properties, whatever is changed is found. Without either, what no digest in the
payload is over may be changed and nobody sees it.

Exit codes: 0 all is in order, 1 not (and what), 2 usage, 3 the file cannot be read.")]
pub struct VerifyArgs {
    /// The payload
    #[arg(value_name = "PAYLOAD")]
    payload: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `windlass payload properties`.
#[derive(Debug, clap::Args)]
pub struct PropertiesArgs {
    /// The payload
    #[arg(value_name = "PAYLOAD")]
    payload: PathBuf,
    /// Answer in JSON, with the SHA-1 that the oldest updaters ask for
    #[arg(long)]
    json: bool,
}

impl InspectArgs {
    pub(super) fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let shown = inspect(&self.payload, self.operations).map_err(failure)?;
        let out = &mut context.output;
        if self.json {
            out.json(&shown)?;
        } else {
            tell(&shown, out)?;
        }
        Ok(Exit::Done)
    }
}

fn tell(shown: &Inspection, out: &mut Output) -> std::io::Result<()> {
    let kind = if shown.full {
        "full payload".to_owned()
    } else {
        format!("delta payload, minor version {}", shown.minor_version)
    };
    let signed = if shown.signed { "signed" } else { "not signed" };
    out.line(format!("{kind}, {} bytes, {signed}", shown.size))?;
    if let Some(time) = shown.max_timestamp {
        out.line(format!("newest build: {time}"))?;
    }
    for partition in &shown.partitions {
        tell_partition(partition, out)?;
    }
    for problem in &shown.problems {
        out.line(format!("not in order: {problem}"))?;
    }
    Ok(())
}

fn tell_partition(shown: &PartitionShown, out: &mut Output) -> std::io::Result<()> {
    out.line(format!("partition {}", shown.name))?;
    for (when, content) in [("from", &shown.old), ("to", &shown.new)] {
        if let Some((size, hash)) = content {
            out.line(format!("  {when} {size} bytes, SHA-256 {hash}"))?;
        }
    }
    for (kind, (count, blocks, bytes)) in &shown.kinds {
        out.line(format!("  {kind}: {count} operations, {blocks} blocks, {bytes} bytes"))?;
    }
    for (index, operation) in shown.operations.iter().enumerate() {
        let reads = if operation.reads.is_empty() {
            String::new()
        } else {
            format!(" from {}", extents(&operation.reads))
        };
        let length = operation.data_length.unwrap_or(0);
        out.line(format!(
            "  {index}: {} to {}{reads}, {length} bytes",
            operation.kind,
            extents(&operation.writes)
        ))?;
    }
    Ok(())
}

/// First and last block of each.
fn extents(runs: &[(u64, u64)]) -> String {
    let shown: Vec<String> = runs
        .iter()
        .map(|(start, count)| format!("{start}-{}", start.saturating_add(count.saturating_sub(1))))
        .collect();
    shown.join(",")
}

impl VerifyArgs {
    pub(super) fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let trust = self.trust.trust()?;
        let session = Session::begin(None)?;
        let out = &mut context.output;
        let verified = match session.does("verify", out, |work| verify(&self.payload, &trust, work))? {
            Ok(verified) => verified,
            Err(exit) => return Ok(exit),
        };
        let good = verified.problems.is_empty();
        if self.json {
            out.json(&verified)?;
        } else if good {
            let signatures = match (verified.signed, verified.signatures_verified) {
                (_, true) => "its signatures are by this key",
                (true, false) => "its signatures were not verified: no --pubkey",
                (false, false) => "it is not signed",
            };
            out.line(format!("{} is in order; {signatures}", self.payload.display()))?;
        } else {
            out.line(format!("{} is not in order:", self.payload.display()))?;
            for problem in &verified.problems {
                out.line(format!("  {problem}"))?;
            }
        }
        Ok(if good { Exit::Done } else { Exit::Failed })
    }
}

impl PropertiesArgs {
    pub(super) fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let properties = properties(&self.payload).map_err(failure)?;
        if self.json {
            context.output.json(&properties)?;
        } else {
            context.output.data(properties.to_string())?;
        }
        Ok(Exit::Done)
    }
}
