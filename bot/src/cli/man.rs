//! `windlass man`: manual pages, from the whole grammar.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Context, Run, grammar};
use crate::exit::Exit;

/// Arguments of `windlass man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windlass man | man -l -
  windlass man /usr/share/man/man1      # one page a command")]
pub struct Args {
    /// Where the pages are written, one a command; without it the page of `windlass` is printed
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let mut root = grammar();
        root.build();
        let Some(directory) = self.directory else {
            context.output.data(page(root)?)?;
            return Ok(Exit::Done);
        };
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make the directory '{}'", directory.display()))?;
        let count = write_pages(root, &directory)?;
        context
            .output
            .say(format!("{count} pages written to {}", directory.display()));
        Ok(Exit::Done)
    }
}

fn page(command: clap::Command) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command)
        .manual("Windlass")
        .source(concat!("windlass ", env!("CARGO_PKG_VERSION")))
        .render(&mut text)?;
    Ok(text)
}

/// Writes the page of a command and of all below it; how many.
fn write_pages(command: clap::Command, directory: &Path) -> anyhow::Result<usize> {
    let mut count = 1;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        count += write_pages(inner.clone(), directory)?;
    }
    // A built grammar knows each command's whole name, as in `windlass-task-new`.
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned();
    let file = directory.join(format!("{name}.1"));
    std::fs::write(&file, page(command)?).with_context(|| format!("cannot write '{}'", file.display()))?;
    Ok(count)
}
