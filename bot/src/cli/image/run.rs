//! `windlass image run`: a command in an image, in a container that is gone afterwards.

use std::io::{self, Write};

use windlass_core::image::{ImageName, label};

use super::order::EngineArgs;
use super::terminal::{self, Raw};
use super::{Common, Credentials, failure};
use crate::cli::Context;
use crate::exit::{Broken, Exit};
use crate::images::engine::{Afterwards, Console, Ended, Engine, Environment, Kind, RunOrder};
use crate::images::{runtime, signals};
use crate::stop::Stopping;

/// Arguments of `windlass image run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The exit code is the command's own. Standard input reaches the command when it is a pipe or a
file, or with -i. SIGINT, SIGTERM and SIGHUP remove the container. An image that is not there is
pulled when its name has a registry.

Examples:
  windlass image run tools make check
  windlass image run -v .:/src -w /src --network none --run-as-current-user tools make
  echo 'print(1)' | windlass image run tools python3 -
  windlass image run -it tools sh")]
pub struct Args {
    /// Leave the container when the command has ended
    #[arg(long)]
    keep: bool,
    /// Run the command as the user who runs this
    #[arg(long, id = "run_as_current_user")]
    run_as_current_user: bool,
    /// Never pull the image
    #[arg(long)]
    no_pull: bool,
    #[command(flatten)]
    credentials: Credentials,
    #[command(flatten)]
    engine: EngineArgs,
    /// The image: one of ours by its name, any by its full name, or an id
    image: String,
    /// The command and its arguments; the image's own when left out
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(super) fn run(context: &mut Context, common: &Common, args: Args) -> anyhow::Result<Exit> {
    let mut order = args.engine.order()?;
    order.command = args.command;
    order.tty = args.engine.tty();
    order.stdin = args.engine.interactive() || terminal::is_fed();
    let wanted = Wanted {
        order,
        image: args.image,
        as_current_user: args.run_as_current_user,
        afterwards: if args.keep {
            Afterwards::Keep
        } else {
            Afterwards::Remove
        },
        pull: !args.no_pull,
        platform: args.engine.platform().map(str::to_owned),
    };
    in_foreground(context, common, &args.credentials, wanted)
}

/// A command that is wanted in an image; the engine is not known yet.
pub(super) struct Wanted {
    pub(super) order: RunOrder,
    pub(super) image: String,
    pub(super) as_current_user: bool,
    pub(super) afterwards: Afterwards,
    pub(super) pull: bool,
    pub(super) platform: Option<String>,
}

/// Runs it on our own streams, to the end or to a signal.
pub(super) fn in_foreground(
    context: &mut Context,
    common: &Common,
    credentials: &Credentials,
    mut wanted: Wanted,
) -> anyhow::Result<Exit> {
    let environment = Environment::process();
    runtime()?.block_on(async {
        let (mut stop, caught) = signals::listen()?;
        let exit_of = |ended: Ended| match ended {
            Ended::Exited(exited) => Exit::Command(u8::try_from(exited.code).unwrap_or(255)),
            Ended::Stopped => Exit::Command(caught.exit_code().unwrap_or(1)),
        };
        let found = tokio::select! {
            engine = common.find(&environment) => Some(engine?),
            () = stop.word() => None,
        };
        let Some(engine) = found else {
            return Ok(exit_of(Ended::Stopped));
        };
        let image = resolve(
            context,
            common,
            credentials,
            &environment,
            &engine,
            &wanted,
            &mut stop.clone(),
        )
        .await;
        let Some(image) = image? else {
            return Ok(exit_of(Ended::Stopped));
        };
        let mut order = std::mem::take(&mut wanted.order);
        order.image = image;
        if wanted.as_current_user {
            as_current_user(&engine, &environment, &mut order);
        }
        order.labels.insert(label::INSTANCE.into(), instance()?);
        order.labels.insert(label::OWNER.into(), environment.uid.to_string());
        if wanted.afterwards == Afterwards::Keep {
            order.labels.insert(label::KEEP.into(), "true".into());
        }
        let raw = if order.tty && order.stdin {
            Raw::of_stdin()?
        } else {
            None
        };
        let mut out: Box<dyn Write + Send> = if common.quiet {
            Box::new(io::sink())
        } else {
            Box::new(io::stdout())
        };
        let console = Console {
            out: &mut out,
            err: &mut io::stderr(),
            input: order.stdin.then(terminal::pieces),
            sizes: raw.is_some().then(terminal::sizes).transpose()?,
        };
        let ended = engine.run(&order, console, wanted.afterwards, &mut stop).await;
        drop(raw);
        match ended {
            Ok(ended) => {
                if let Ended::Exited(exited) = &ended {
                    if exited.out_of_memory {
                        context
                            .output
                            .say("windlass: the command took more memory than it may have");
                    } else if !exited.error.is_empty() {
                        context
                            .output
                            .say(format!("windlass: the engine says: {}", exited.error));
                    }
                }
                Ok(exit_of(ended))
            }
            Err(error) => Err(failure(error)),
        }
    })
}

/// The image's name or id for the engine, pulled if it has to be; nothing when we were told to stop.
async fn resolve(
    context: &mut Context,
    common: &Common,
    credentials: &Credentials,
    environment: &Environment,
    engine: &Engine,
    wanted: &Wanted,
    stop: &mut Stopping,
) -> anyhow::Result<Option<String>> {
    let typed = &wanted.image;
    let looked = tokio::select! {
        looked = known(engine, typed) => looked?,
        () = stop.word() => return Ok(None),
    };
    let name = match looked {
        Ok(name) => return Ok(Some(name)),
        Err(name) => name,
    };
    let absent = |hint: String| Err(Broken::new(format!("there is no image {name}")).hint(hint).into());
    if name.is_local() {
        return absent(format!(
            "`windlass image images` lists what is there; one from a registry is named in full, as in docker.io/library/{typed}"
        ));
    }
    if !wanted.pull {
        return absent(format!(
            "`windlass image run` without --no-pull gets it from {}",
            name.registry()
        ));
    }
    let logins = credentials.logins(environment)?;
    let quiet = common.quiet;
    let mut log = |line: &str| {
        if !quiet {
            context.output.say(line);
        }
    };
    let pulled = engine
        .pull(&name.to_string(), wanted.platform.as_deref(), &logins, &mut log, stop)
        .await;
    match pulled {
        Ok(_) => Ok(Some(name.to_string())),
        Err(error) if error.is_stopped() => Ok(None),
        Err(error) => Err(failure(error)),
    }
}

/// What is typed, as the engine knows it: one of our names, somebody else's, an id. Else the name that it would have.
async fn known(engine: &Engine, typed: &str) -> anyhow::Result<Result<String, ImageName>> {
    let ours = ImageName::local(typed);
    let foreign = ImageName::foreign(typed);
    for name in [&ours, &foreign].into_iter().flatten() {
        let name = name.to_string();
        if engine.inspect(&name).await.map_err(failure)?.is_some() {
            return Ok(Ok(name));
        }
    }
    let digits = typed.strip_prefix("sha256:").unwrap_or(typed);
    let is_id = (8..=64).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id && engine.inspect(typed).await.map_err(failure)?.is_some() {
        return Ok(Ok(typed.to_owned()));
    }
    Ok(Err(super::local_name(typed)?))
}

/// Rootless podman maps our own user into the container when told to; rootless docker maps us to root, which is us outside; an
/// engine with root's rights takes the numbers as they are.
fn as_current_user(engine: &Engine, environment: &Environment, order: &mut RunOrder) {
    let probed = engine.probed();
    let numbers = format!("{}:{}", environment.uid, environment.gid);
    match (probed.kind, probed.rootless) {
        (Kind::Podman, true) => {
            order.user_namespace = Some("keep-id".into());
            order.user = Some(numbers);
        }
        (Kind::Docker, true) => {}
        (Kind::Docker | Kind::Podman, false) => order.user = Some(numbers),
    }
}

/// A name for this run that no other has.
fn instance() -> io::Result<String> {
    let id = windlass_hooks::wire::random_request_id()?;
    Ok(id.to_string().trim_start_matches("r-").to_owned())
}
