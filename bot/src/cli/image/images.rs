//! `windlass image images`: what the engine has.

use windlass_core::image::label;

use super::{Common, failure, local_name};
use crate::cli::Context;
use crate::exit::Exit;
use crate::images::engine::{Environment, ImageLine};
use crate::images::runtime;

/// Arguments of `windlass image images`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windlass image images
  windlass image images --ours --json
  windlass image images localhost/tools")]
pub struct Args {
    /// Only images of this name, whatever their tag when the name has none
    name: Option<String>,
    /// Only images that we built
    #[arg(long)]
    ours: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn images(context: &mut Context, common: &Common, args: &Args) -> anyhow::Result<Exit> {
    let wanted = args.name.as_deref().map(wanted).transpose()?;
    let filter = if args.ours {
        vec![label::CHECKSUM.to_owned()]
    } else {
        Vec::new()
    };
    let environment = Environment::process();
    let mut found: Vec<ImageLine> = runtime()?.block_on(async {
        let engine = common.find(&environment).await?;
        engine.images(&filter).await.map_err(failure)
    })?;
    if let Some(wanted) = wanted {
        found.retain(|image| image.names.iter().any(|name| matches(name, &wanted)));
    }
    found.sort_by(|one, other| other.created.cmp(&one.created).then_with(|| one.id.cmp(&other.id)));
    if args.json {
        context.output.json(&found)?;
        return Ok(Exit::Done);
    }
    if common.quiet {
        return Ok(Exit::Done);
    }
    for image in &found {
        let made = jiff::Timestamp::from_second(image.created).map_or_else(|_| "?".into(), |time| time.to_string());
        let names = if image.names.is_empty() {
            "<none>".to_owned()
        } else {
            image.names.join(" ")
        };
        let names = windlass_core::escape::escaped(&names);
        let id = short(&image.id);
        context
            .output
            .line(format!("{id}  {made}  {:>10}  {names}", megabytes(image.size)))?;
    }
    Ok(Exit::Done)
}

/// The beginning of an id, as people see it.
pub(super) fn short(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.get(..12).unwrap_or(digits)
}

/// A size for people.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

/// A full name; without its tag where none was typed.
fn wanted(typed: &str) -> anyhow::Result<String> {
    let name = local_name(typed)?.to_string();
    let tagged = typed
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains(':') || last.contains('@'));
    Ok(if tagged {
        name
    } else {
        name.strip_suffix(":latest").unwrap_or(&name).to_owned()
    })
}

fn matches(name: &str, wanted: &str) -> bool {
    name == wanted || name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_tag_means_all_of_them() -> anyhow::Result<()> {
        assert!(matches("localhost/x:1", &wanted("x")?));
        assert!(!matches("localhost/xy:1", &wanted("x")?));
        assert!(!matches("localhost/x:2", &wanted("x:1")?));
        assert!(matches("127.0.0.1:5000/x:2", &wanted("127.0.0.1:5000/x")?));
        assert_eq!(megabytes(1_950_000), "1.9 MB");
        Ok(())
    }
}
