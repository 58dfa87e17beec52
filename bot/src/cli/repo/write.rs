//! What changes a repository: by the bot where one runs, else by this process.

use std::sync::Arc;

use windlass_core::id::{RequestId, UserName};
use windlass_hooks::settings::Settings;
use windlass_hooks::wire::random_request_id;

use super::failure;
use crate::cli::Context;
use crate::cli::hooks::as_bot;
use crate::cli::remote::{self, Caller};
use crate::commands::repo::{ContentWrite, Desk, Write};
use crate::config::Config;
use crate::exit::{Broken, Exit};
use crate::repository::Repositories;
use crate::runner::recover;
use crate::serve::StateLock;
use crate::writer::{Handle, Writer};

/// Does it, wherever it has to be done.
pub(super) fn carry_out(context: &mut Context, caller: &Caller, mut write: Write) -> anyhow::Result<Exit> {
    let config = context.config()?;
    let settings = context.settings(&config);
    if let Write::Content(ContentWrite::Import(args)) = &mut write {
        // The bot has another working directory.
        args.tree = std::path::absolute(&args.tree)?;
        args.updateinfo = args.updateinfo.take().map(std::path::absolute).transpose()?;
    }
    // What is not to be found by whoever typed it need not be asked for.
    if let Write::Content(ContentWrite::Import(args)) = &write
        && !args.tree.is_dir()
    {
        return Err(Broken::new(format!("{} is no directory", args.tree.display())).into());
    }
    if let Some(exit) = as_bot(context, &config)? {
        return Ok(exit);
    }
    let by = who(caller, &settings);
    if let Some(lock) = StateLock::try_take(&settings.paths.state())? {
        let done = here(context, &config, &settings, &write, &by);
        drop(lock);
        return done;
    }
    remote::tell_bot(context, &settings, request_id(&write)?, by, write.words())
}

/// The id under which the answer goes on record.
fn request_id(write: &Write) -> std::io::Result<RequestId> {
    write.flags().request_id.clone().map_or_else(random_request_id, Ok)
}

/// Who it was, for the record: the person of this machine, else the Unix user.
fn who(caller: &Caller, settings: &Settings) -> UserName {
    let own = || {
        let name = if rustix::process::geteuid().is_root() {
            "root"
        } else {
            &settings.users.bot
        };
        name.parse().ok()
    };
    caller
        .user
        .clone()
        .or_else(|| settings.users.local.clone())
        .or_else(own)
        .unwrap_or_else(|| "windlass".parse().expect("it is a well-formed name"))
}

fn here(
    context: &mut Context,
    config: &Config,
    settings: &Settings,
    write: &Write,
    by: &UserName,
) -> anyhow::Result<Exit> {
    // What is written is the bot's own; files that clients see say otherwise of themselves.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let writer = Writer::start(&settings.paths.journal())?;
    let done = with_writer(context, config, settings, write, by, &writer.handle());
    writer.finish();
    done
}

fn with_writer(
    context: &mut Context,
    config: &Config,
    settings: &Settings,
    write: &Write,
    by: &UserName,
    writer: &Handle,
) -> anyhow::Result<Exit> {
    // The way out of a damage must not need that what is damaged can be read.
    let opened = match write {
        Write::Content(ContentWrite::Rollback(args)) if args.take_over => Repositories::unread(config, &settings.paths),
        Write::Content(
            ContentWrite::Rollback(_) | ContentWrite::Init(_) | ContentWrite::Import(_) | ContentWrite::Gc(_),
        )
        | Write::Key(_) => Repositories::open(config, &settings.paths),
    };
    let repositories = Arc::new(opened.map_err(failure)?);
    recover(&repositories, writer, &settings.paths).map_err(failure)?;
    let id = request_id(write)?;
    let desk = Desk::new(repositories, config, writer.clone());
    let done = desk.carry_out(write, id, by, &mut |line| context.output.say(line));
    context.output.data(done.map_err(failure)?.out)?;
    Ok(Exit::Done)
}
