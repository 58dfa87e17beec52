//! `windlass payload stateful`: the archive that goes beside a payload.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::failure;
use super::terminal::Session;
use crate::cli::Context;
use crate::devices::{gpt, stateful};
use crate::exit::Exit;

/// Arguments of `windlass payload stateful`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Any gunzip reads it.

Example:
  windlass payload stateful --image chromiumos_image.bin -o stateful.image.gz")]
pub struct Args {
    /// The disk image, with a GPT
    #[arg(long, value_name = "IMAGE")]
    image: PathBuf,
    /// The number of the partition
    #[arg(long, value_name = "N", default_value_t = stateful::PARTITION)]
    number: u32,
    /// The archive
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// How many threads compress; as many as there are processors
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Say what would be archived; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let out = &mut context.output;
        let partition = gpt::partition(&self.image, self.number).map_err(failure)?;
        if self.dry_run {
            if self.json {
                out.json(&serde_json::json!({ "output": self.output, "content": partition.size() }))?;
            } else {
                out.line(format!(
                    "would write {} from {} bytes",
                    self.output.display(),
                    partition.size()
                ))?;
            }
            return Ok(Exit::Done);
        }
        let session = Session::begin(self.jobs)?;
        let archived = session.does("stateful archive", out, |work| {
            stateful::archive(&partition, work, &self.output)
        })?;
        let archived = match archived {
            Ok(archived) => archived,
            Err(exit) => return Ok(exit),
        };
        if self.json {
            out.json(&archived)?;
        } else {
            out.line(format!(
                "{}: {} bytes for {} of content, SHA-256 {}",
                self.output.display(),
                archived.size,
                archived.content,
                archived.hash.hex()
            ))?;
        }
        Ok(Exit::Done)
    }
}
