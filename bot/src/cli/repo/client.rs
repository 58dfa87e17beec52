//! What clients need: their configuration, and the public keys.

use serde_json::json;
use windlass_core::id::ArchName;

use super::read::checked_arch;
use super::{failure, unread};
use crate::cli::Context;
use crate::commands::repo::Which;
use crate::exit::{Broken, Exit};
use crate::repository::{ClientConfig, Keys, Program, RepositoryError, Way};

/// Arguments of `windlass repo client-config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A client of the mirrorlist sees one generation throughout, whatever lands meanwhile.

Examples:
  windlass repo client-config > /etc/yum.repos.d/sisyphus.repo
  windlass repo client-config --zypper > /etc/zypp/repos.d/sisyphus.repo
  windlass repo client-config --plain    # a baseurl, for a web server of your own without mirrorlists
  windlass repo client-config --plain --arch i586    # where clients call the architecture by another name

The daemon serves the same to dnf at .../repos/NAME/NAME.repo")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// For zypper, not for dnf
    #[arg(long)]
    zypper: bool,
    /// With a plain baseurl instead of the mirrorlist
    #[arg(long)]
    plain: bool,
    /// For this architecture, or 'source'; for the client's own when left out
    #[arg(long, value_name = "ARCH")]
    arch: Option<ArchName>,
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
    let repository = unread(context, &args.which)?;
    let name = repository.name();
    let Some(url) = config.url_of(name) else {
        return Err(
            Broken::new(format!("it is not configured where clients find repository {name}"))
                .hint(
                    "set [http] url in windlass.toml to the name of this server, as in \"http://packages.example.org\"",
                )
                .into(),
        );
    };
    if let Some(arch) = &args.arch {
        checked_arch(&repository, arch)?;
    }
    let client = ClientConfig {
        repository: name.clone(),
        url,
        program: if args.zypper { Program::Zypper } else { Program::Dnf },
        way: if args.plain { Way::Baseurl } else { Way::Mirrorlist },
        arch: args.arch.clone(),
    };
    if args.json {
        let pairs = client.options().into_iter();
        let map: serde_json::Map<String, serde_json::Value> =
            pairs.map(|(key, value)| (key.to_owned(), value.into())).collect();
        context.output.json(&json!({"id": client.id(), "options": map}))?;
    } else {
        context.output.data(client.to_string())?;
    }
    Ok(Exit::Done)
}

pub(super) fn show_keys(context: &mut Context, args: &KeyShowArgs) -> anyhow::Result<Exit> {
    let repository = unread(context, &args.which)?;
    let path = repository.dirs().key_file();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(failure(RepositoryError::NotMade(repository.name().clone())));
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
