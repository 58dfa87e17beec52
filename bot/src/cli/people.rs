//! `windlass people`: who is who.

use clap::Subcommand;
use serde_json::json;
use windlass_core::id::UserName;
use windlass_core::people::{Person, Role};
use windlass_core::refusal::Refusal;

use super::{Context, Run, keys};
use crate::exit::{Exit, Usage};
use crate::people::authorized_keys::{self, Written};
use crate::people::keys::{Key, of as keys_of, read_openpgp, read_ssh};
use crate::people::{self, People};

/// Arguments of `windlass people`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a person with addresses and keys
    Add(Add),
    /// Show a person with all keys
    #[command(after_help = "\
Examples:
  windlass people show alice
  windlass people show alice --json | jq -r .addresses[]")]
    Show {
        /// Who
        name: UserName,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// List everybody
    #[command(after_help = "\
Examples:
  windlass people ls
  windlass people ls --json | jq -r '.[] | select(.roles[] == \"superuser\") | .name'")]
    Ls {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a person; what the person signed stays in history
    #[command(after_help = "\
Examples:
  windlass people rm mallory --dry-run
  windlass people rm mallory")]
    Rm {
        /// Who
        name: UserName,
        /// Say what would be done and change nothing
        #[arg(long, short = 'n')]
        dry_run: bool,
    },
}

/// Arguments of `windlass people add`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A tag is taken from the person who pushes it (login key), whose address it names as the tagger, and
who signed it (OpenPGP certificate, or SSH key for signing): all three must be one person.

Examples:
  windlass people add alice --address alice@example.org --openpgp alice.asc --ssh id_ed25519.pub
  windlass people add carol --address carol@example.org --ssh login.pub --login
  windlass people add robot --address ci@example.org --ssh ci.pub --role bot --dry-run")]
struct Add {
    /// The short name: lower-case letters, digits, '_' and '-'
    name: UserName,
    /// The full name
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    full_name: String,
    /// An address in tags, as in `git config user.email`
    #[arg(long, value_name = "ADDRESS", required = true)]
    address: Vec<String>,
    /// The login at GitHub
    #[arg(long, value_name = "LOGIN")]
    github: Option<String>,
    /// What the person may do beside packaging: 'superuser' or 'bot'
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Vec<Role>,
    #[command(flatten)]
    keys: keys::Files,
    /// Say what would be done and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

fn role(word: &str) -> Result<Role, String> {
    match word {
        "superuser" => Ok(Role::Superuser),
        "bot" => Ok(Role::Bot),
        _ => Err("a role is 'superuser' or 'bot'".to_owned()),
    }
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Superuser => "superuser",
        Role::Bot => "bot",
    }
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        match self.action {
            Action::Add(add) => add.run(context),
            Action::Show { name, json } => show(context, &name, json),
            Action::Ls { json } => ls(context, json),
            Action::Rm { name, dry_run } => rm(context, &name, dry_run),
        }
    }
}

impl Add {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        if !self.full_name.chars().all(windlass_core::escape::is_plain) {
            return Err(Usage::new("the full name holds a control character").into());
        }
        let config = context.config()?;
        let mut person = Person::from_toml(self.name.clone(), "")?;
        person.full_name = self.full_name;
        person.addresses = self.address;
        person.addresses.dedup();
        person.github = self.github;
        person.roles = self.role;
        for file in &self.keys.openpgp {
            person
                .openpgp
                .extend(read_openpgp(file)?.into_iter().map(|outline| outline.armored));
        }
        let uses = self.keys.uses();
        for file in &self.keys.ssh {
            person.ssh.extend(read_ssh(file, &uses)?);
        }
        let mut people = People::lock(&config)?;
        if people.person(&self.name).is_ok() || people.file(&self.name).exists() {
            return Err(
                Refusal::new("name_taken", format!("there is already a person '{}'", self.name))
                    .hint(format!(
                        "`windlass people show {0}`; `windlass keys add {0} …` adds keys",
                        self.name
                    ))
                    .into(),
            );
        }
        people.check(&person)?;
        let file = people.file(&person.name);
        if self.dry_run {
            context.output.say(format!("Would write {}:", file.display()));
            context.output.data(people::render(&person)?)?;
            return Ok(Exit::Done);
        }
        people.write(&person)?;
        context.output.say(format!("Added {}: {}", person.name, file.display()));
        for line in lines(&person) {
            context.output.say(format!("  {line}"));
        }
        keys::warn(context, &config, &person.name);
        update_door(context, &config, &people);
        Ok(Exit::Done)
    }
}

/// Brings `authorized_keys` up to date after a change, and says so.
pub(super) fn update_door(context: &mut Context, config: &crate::config::Config, people: &People) {
    for problem in people.problems() {
        context.output.say(format!(
            "warning: '{}' is not read: {}",
            problem.path.display(),
            problem.why
        ));
    }
    let file = context.global.config.clone();
    match authorized_keys::update(config, &file, people.everybody()) {
        Ok(Written::Changed) => {
            let path = crate::layout::authorized_keys(&config.paths);
            context.output.say(format!("The ssh door knows it: {}", path.display()));
        }
        Ok(Written::Same) => {}
        Ok(Written::NotAllowed) => {
            context.output.say(
                "\nhint: only root or the git user may change the ssh door: `windlass keys authorized-keys --write`",
            );
        }
        // The person is added; that the door does not know it yet is said, and is no failure of that.
        Err(error) => context
            .output
            .say(format!("warning: the ssh door does not know it yet: {error:#}")),
    }
}

fn rm(context: &mut Context, name: &UserName, dry_run: bool) -> anyhow::Result<Exit> {
    let config = context.config()?;
    let mut people = People::lock(&config)?;
    let file = people.file(name);
    if !file.exists() {
        people.person(name)?;
    }
    if dry_run {
        context.output.say(format!("Would remove {}", file.display()));
        return Ok(Exit::Done);
    }
    people.remove(name)?;
    context.output.say(format!("Removed {name}: {}", file.display()));
    let own = config.paths.git().join("people").join(name.as_str());
    if own.exists() {
        context
            .output
            .say(format!("The source repositories stay: {}", own.display()));
    }
    update_door(context, &config, &people);
    Ok(Exit::Done)
}

fn show(context: &mut Context, name: &UserName, as_json: bool) -> anyhow::Result<Exit> {
    let config = context.config()?;
    let (people, problems) = people::everybody(&config.paths.people())?;
    complain(context, &problems, name.as_str());
    let person = people::find(&people, name)?;
    if as_json {
        context.output.json(&as_value(person))?;
        return Ok(Exit::Done);
    }
    context.output.line(title(person))?;
    for line in lines(person) {
        context.output.line(format!("  {line}"))?;
    }
    Ok(Exit::Done)
}

fn complain(context: &mut Context, problems: &[windlass_hooks::keyring::Problem], name: &str) {
    for problem in problems {
        let stem = problem.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        if name.is_empty() || stem.as_deref() == Some(name) {
            context.output.say(format!(
                "warning: '{}' is not read: {}",
                problem.path.display(),
                problem.why
            ));
        }
    }
}

fn ls(context: &mut Context, as_json: bool) -> anyhow::Result<Exit> {
    let config = context.config()?;
    let (people, problems) = people::everybody(&config.paths.people())?;
    complain(context, &problems, "");
    if as_json {
        let all: Vec<_> = people.iter().map(as_value).collect();
        context.output.json(&all)?;
        return Ok(Exit::Done);
    }
    if people.is_empty() && problems.is_empty() {
        context
            .output
            .say("There is nobody yet.\n\nhint: windlass people add NAME --address … --openpgp FILE --ssh FILE");
    }
    let width = |of: &dyn Fn(&Person) -> usize| people.iter().map(of).max().unwrap_or(0);
    let names = width(&|person| person.name.as_str().len());
    let addresses = width(&|person| first_address(person).chars().count());
    for person in &people {
        let line = format!(
            "{:<names$}  {:<addresses$}  {}",
            person.name,
            first_address(person),
            summary(person)
        );
        context.output.line(line.trim_end())?;
    }
    Ok(Exit::Done)
}

fn first_address(person: &Person) -> String {
    match person.addresses.as_slice() {
        [] => "no address".to_owned(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} (+{})", rest.len()),
    }
}

fn summary(person: &Person) -> String {
    let count = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        more => Some(format!("{more} {what}")),
    };
    let uses = |wanted| person.ssh.iter().filter(|key| key.uses.contains(&wanted)).count();
    let mut parts: Vec<String> = [
        count(person.openpgp.len(), "OpenPGP"),
        count(uses(windlass_core::people::SshUse::Login), "login"),
        count(uses(windlass_core::people::SshUse::Sign), "ssh-sign"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        parts.push("no key".to_owned());
    }
    parts.extend(person.roles.iter().map(|role| role_word(*role).to_owned()));
    parts.join(", ")
}

fn title(person: &Person) -> String {
    if person.full_name.is_empty() {
        person.name.to_string()
    } else {
        format!(
            "{} ({})",
            person.name,
            windlass_core::escape::escaped(&person.full_name)
        )
    }
}

/// What is known of a person, one fact a line.
fn lines(person: &Person) -> Vec<String> {
    let mut lines: Vec<String> = person
        .addresses
        .iter()
        .map(|address| format!("address  {address}"))
        .collect();
    lines.extend(person.github.iter().map(|login| format!("github   {login}")));
    lines.extend(person.roles.iter().map(|role| format!("role     {}", role_word(*role))));
    let (keys, broken) = keys_of(person);
    lines.extend(keys.iter().map(keys::line));
    lines.extend(broken.iter().map(|why| format!("broken   {why}")));
    lines
}

fn as_value(person: &Person) -> serde_json::Value {
    let (keys, broken) = keys_of(person);
    json!({
        "name": person.name,
        "full_name": person.full_name,
        "addresses": person.addresses,
        "github": person.github,
        "roles": person.roles,
        "keys": keys.iter().map(Key::as_value).collect::<Vec<_>>(),
        "broken": broken,
    })
}
