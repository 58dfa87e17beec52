//! `windlass image cc`: a compiler that lives in an image, over the files that are here.

use std::path::PathBuf;

use super::run::{Wanted, in_foreground};
use super::{Common, Credentials};
use crate::cli::Context;
use crate::exit::{Exit, Usage};
use crate::images::engine::{Afterwards, RunOrder};

/// Arguments of `windlass image cc`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The compiler runs as the current user, in the current directory, without a terminal. The exit
code is its own.

Examples:
  windlass image cc -i cross -- -c hello.c -o hello.o
  windlass image cc -i cross --cc aarch64-linux-gnu-gcc -s /usr/src/linux -s ../include -- -c x.c")]
pub struct Args {
    /// The image in which the compiler is
    #[arg(short = 'i', long, value_name = "IMAGE")]
    image: String,
    /// The compiler
    #[arg(long, value_name = "PROGRAM", default_value = "cc")]
    cc: String,
    /// More paths that it may read, under their own names
    #[arg(short = 's', long = "source-path", value_name = "PATH", num_args = 0..)]
    source_paths: Vec<PathBuf>,
    #[command(flatten)]
    credentials: Credentials,
    /// The compiler's arguments, after --
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

pub(super) fn cc(context: &mut Context, common: &Common, args: Args) -> anyhow::Result<Exit> {
    let here = std::env::current_dir()?;
    let here = mountable(here)?;
    let mut volumes = vec![format!("{here}:{here}:rw")];
    for path in args.source_paths {
        let path = mountable(std::path::absolute(path)?)?;
        volumes.push(format!("{path}:{path}:ro,z"));
    }
    let mut command = vec![args.cc];
    command.extend(args.arguments);
    let order = RunOrder {
        command,
        volumes,
        working_dir: Some(here),
        // The image's own would stand between us and the compiler.
        stdin: super::terminal::is_fed(),
        ..RunOrder::default()
    };
    let wanted = Wanted {
        order,
        image: args.image,
        as_current_user: true,
        afterwards: Afterwards::Remove,
        pull: true,
        platform: None,
    };
    in_foreground(context, common, &args.credentials, wanted)
}

/// A path that can stand in a volume, and is there: an engine would make an empty directory of one that is not.
fn mountable(path: PathBuf) -> Result<String, Usage> {
    if !path.exists() {
        return Err(Usage::new(format!("there is no '{}'", path.display())));
    }
    let text = path.into_os_string().into_string();
    let text = text.map_err(|path| Usage::new(format!("the path {} is no UTF-8", path.display())))?;
    if text.contains(':') {
        return Err(
            Usage::new(format!("engines cannot mount '{text}': there is a ':' in it"))
                .hint("rename it, or link to it from another"),
        );
    }
    Ok(text)
}
