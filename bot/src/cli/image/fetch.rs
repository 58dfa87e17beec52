//! `windlass image fetch`: an image from a registry, under its local name.

use windlass_core::image::ImageName;

use super::{Common, Credentials, failure, local_name};
use crate::cli::Context;
use crate::exit::{Exit, Usage};
use crate::images::engine::Environment;
use crate::images::{runtime, signals};

/// Arguments of `windlass image fetch`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints the image's id. Where the pull fails nothing is named, and the exit code says so.

Examples:
  windlass image fetch tools registry.example.org
  windlass image fetch team/tools:1.2 registry.example.org:5000 --credentials login.json")]
pub struct Args {
    /// The image's local name
    tag: String,
    /// The registry, and what stands before the name there
    registry: String,
    #[command(flatten)]
    credentials: Credentials,
    /// The platform, as in linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Say what would be pulled and named, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn fetch(context: &mut Context, common: &Common, args: &Args) -> anyhow::Result<Exit> {
    let local = local_name(&args.tag)?;
    let remote = remote_name(&local, &args.registry)?;
    if args.dry_run {
        context
            .output
            .line(format!("would pull {remote} and name it {local}"))?;
        return Ok(Exit::Done);
    }
    let environment = Environment::process();
    let logins = args.credentials.logins(&environment)?;
    runtime()?.block_on(async {
        let (mut stop, caught) = signals::listen()?;
        let engine = common.find(&environment).await?;
        let output = &mut context.output;
        let mut log = |line: &str| {
            if !common.quiet {
                output.say(line);
            }
        };
        let remote = remote.to_string();
        let pulled = engine
            .pull(&remote, args.platform.as_deref(), &logins, &mut log, &mut stop)
            .await;
        match pulled {
            Ok(facts) => {
                engine.tag(&facts.id, &local.to_string()).await.map_err(failure)?;
                if !common.quiet {
                    context.output.line(&facts.id)?;
                }
                Ok(Exit::Done)
            }
            Err(error) if error.is_stopped() => Ok(Exit::Command(caught.exit_code().unwrap_or(1))),
            Err(error) => Err(failure(error)),
        }
    })
}

/// The name that a local image has in a registry, which may have a path of its own.
fn remote_name(local: &ImageName, registry: &str) -> Result<ImageName, Usage> {
    let bad = |why: String| {
        Usage::new(why).hint("a registry is written as registry.example.org, or registry.example.org:5000/team")
    };
    let registry = registry.strip_suffix('/').unwrap_or(registry);
    let tag = local.tag().unwrap_or("latest");
    let text = format!("{registry}/{}:{tag}", local.repository());
    let name = ImageName::local(&text).map_err(|error| bad(error.to_string()))?;
    // Without a dot or a port the first word is no registry.
    if name.is_local() && registry.split('/').next() != Some("localhost") {
        return Err(bad(format!("'{registry}' is no registry")));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_stands_before_the_name() -> anyhow::Result<()> {
        let local = ImageName::local("team/x")?;
        assert_eq!(
            remote_name(&local, "r.example.org")?.to_string(),
            "r.example.org/team/x:latest"
        );
        assert_eq!(
            remote_name(&local, "127.0.0.1:5000/a/")?.to_string(),
            "127.0.0.1:5000/a/team/x:latest"
        );
        assert!(remote_name(&local, "nowhere").is_err());
        assert!(remote_name(&local, "https://r").is_err());
        Ok(())
    }
}
