//! What clients need: their configuration, and the public keys.

use serde_json::json;

use super::{failure, open};
use crate::cli::Context;
use crate::commands::repo::Which;
use crate::exit::{Broken, Exit};
use crate::repository::Keys;

/// Arguments of `windlass repo client-config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A client of the mirrorlist sees one generation throughout, whatever lands meanwhile.

Examples:
  windlass repo client-config > /etc/yum.repos.d/sisyphus.repo
  windlass repo client-config --zypper > /etc/zypp/repos.d/sisyphus.repo
  windlass repo client-config --plain    # a baseurl, for a web server of your own without mirrorlists")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// For zypper, not for dnf
    #[arg(long)]
    zypper: bool,
    /// With a plain baseurl instead of the mirrorlist
    #[arg(long)]
    plain: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `windlass repo key show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windlass repo key show > sisyphus.asc && rpm --import sisyphus.asc
  windlass repo key show --json | jq -r '.[0].fingerprint'")]
pub struct KeyShowArgs {
    #[command(flatten)]
    which: Which,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn config(context: &mut Context, args: &Args) -> anyhow::Result<Exit> {
    let config = context.config()?;
    let repository = open(context, &args.which)?;
    let name = repository.name();
    let Some(url) = config.url_of(name) else {
        return Err(
            Broken::new(format!("it is not configured where clients find repository {name}"))
                .hint("set [http] listen or [http] url in windlass.toml, or url under its [[repository]]")
                .into(),
        );
    };
    // dnf's word for the machine is that of the directory; on i686 machines it is i386.
    let arch = "$basearch";
    let (key, place) = if args.plain {
        ("baseurl", format!("{url}/current/{arch}/"))
    } else {
        ("mirrorlist", format!("{url}/mirrorlist?arch={arch}"))
    };
    let mut pairs = vec![
        ("name", format!("{name} (Windlass)")),
        (key, place),
        ("enabled", "1".to_owned()),
        ("gpgcheck", "1".to_owned()),
        ("repo_gpgcheck", "1".to_owned()),
        ("gpgkey", format!("{url}/key.asc")),
    ];
    if args.zypper {
        pairs.insert(3, ("autorefresh", "1".to_owned()));
        pairs.insert(4, ("type", "rpm-md".to_owned()));
    } else {
        pairs.push(("metadata_expire", "300".to_owned()));
    }
    if args.json {
        let map: serde_json::Map<String, serde_json::Value> = pairs
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect();
        context.output.json(&json!({"id": name, "options": map}))?;
        return Ok(Exit::Done);
    }
    context.output.line(format!("[{name}]"))?;
    for (key, value) in pairs {
        context.output.line(format!("{key}={value}"))?;
    }
    Ok(Exit::Done)
}

pub(super) fn show_keys(context: &mut Context, args: &KeyShowArgs) -> anyhow::Result<Exit> {
    let repository = open(context, &args.which)?;
    let path = repository.dirs().key_file();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(failure(crate::repository::RepositoryError::NotMade(
                repository.name().clone(),
            )));
        }
        Err(error) => return Err(Broken::new(format!("{}: {error}", path.display())).into()),
    };
    if args.json {
        let keys = Keys::described(&text).map_err(failure)?;
        context.output.json(&keys)?;
    } else {
        context.output.data(text)?;
    }
    Ok(Exit::Done)
}
