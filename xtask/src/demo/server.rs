//! The first steps: a server, people with keys, source repositories; and the last look at what went on record.

use windlass_tests::settings;

use super::image;
use super::place::Place;
use super::show::Keep;

/// The server.
pub(super) fn set_up(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "A server: one repository of packages, for two architectures",
        "Windlass makes everything below one folder here, with one Unix user in all parts. The repository is \
         empty at first; its key signs packages and metadata. The daemon then waits for work and serves packages over HTTP.",
    );
    place.ok(
        "admin",
        "windlass init --yes --one-user admin --dir \"$PWD/srv\" --repository main --architecture x86_64 --architecture i586",
        Keep::With(&["Done"]),
    )?;
    let listen = format!("\"127.0.0.1:{}\"", place.port);
    settings::set(&place.config(), "http", "listen", &listen)?;
    image::configure(place)?;
    place.ok("admin", "windlass repo init", Keep::All)?;
    place.start_bot()?;
    place.start_sshd()
}

/// The people.
pub(super) fn people(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "People: whoever the server is told about, by keys",
        "Alice makes a key to sign with and one to log in with, and the administrator says who she is. \
         Bob does the same. Carol signs with her ssh key: one key does for both.",
    );
    for (name, user_id) in [
        ("alice", "Alice Archer <alice@example.org>"),
        ("bob", "Bob Baker <bob@example.org>"),
    ] {
        let keep = if name == "alice" { Keep::Nothing } else { Keep::Unseen };
        place.ok(
            name,
            &format!("gpg --quiet --batch --passphrase '' --quick-generate-key '{user_id}' ed25519 sign 1y"),
            keep,
        )?;
        place.ok(
            name,
            &format!("gpg --armor --export {name}@example.org > certificate.asc"),
            keep,
        )?;
    }
    for name in ["alice", "bob", "carol"] {
        let keep = if name == "alice" { Keep::Nothing } else { Keep::Unseen };
        place.ok(
            name,
            &format!("ssh-keygen -q -t ed25519 -N '' -C {name} -f .ssh/id_ed25519"),
            keep,
        )?;
        let openpgp = if name == "carol" {
            place.ok(
                name,
                "git config --global gpg.format ssh && git config --global user.signingKey ~/.ssh/id_ed25519.pub",
                Keep::Unseen,
            )?;
            String::new()
        } else {
            format!(" --openpgp {name}/certificate.asc")
        };
        let keep = if name == "alice" { Keep::All } else { Keep::Unseen };
        place.ok(
            "admin",
            &format!(
                "windlass people add {name} --address {name}@example.org --ssh {name}/.ssh/id_ed25519.pub{openpgp}"
            ),
            keep,
        )?;
    }
    Ok(())
}

/// What is on record.
pub(super) fn record(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "What is on record",
        "Each landing is a generation of the repository, and any of them can be had again. Every decision is a row \
         of the journal, sealed by the row after it; the repository is checked against it, file by file.",
    );
    place.ok("admin", "windlass repo log", Keep::All)?;
    place.ok("admin", "windlass repo verify --all", Keep::All)?;
    place.ok("admin", "windlass journal verify", Keep::All)?;
    Ok(())
}
