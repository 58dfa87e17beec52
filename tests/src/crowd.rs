//! A thousand people with a real certificate each, as a large distribution has them.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::gpg::{Agent, GpgHome};
use crate::keystore;

/// How many there are.
pub const CROWD: usize = 1000;

/// Writes the files of this many strangers into a folder of people; `windlass keys index` has to run after it.
pub fn write_people(people: &Path, count: usize) -> anyhow::Result<()> {
    let crowd = keystore::stored("crowd", make)?;
    for number in 0..count.min(CROWD) {
        let certificate = std::fs::read_to_string(crowd.join(format!("p{number}.asc")))?;
        let text = format!("addresses = [\"p{number}@example.net\"]\nopenpgp = [\"\"\"\n{certificate}\"\"\"]\n");
        std::fs::write(people.join(format!("p{number}.toml")), text)?;
    }
    Ok(())
}

fn make(dir: &Path) -> anyhow::Result<()> {
    let gpg = GpgHome::at(dir.join("g"))?;
    let _agent = Agent::of(&gpg);
    let mut batch = String::new();
    for number in 0..CROWD {
        // Writing to a String cannot fail.
        let _ = write!(
            batch,
            "%no-protection\nKey-Type: eddsa\nKey-Curve: ed25519\nKey-Usage: sign\nName-Real: Person {number}\n\
             Name-Email: p{number}@example.net\nExpire-Date: 0\n%commit\n"
        );
    }
    let limit = Duration::from_mins(5);
    let made = gpg
        .gpg()
        .args(["--faked-system-time", "20200101T000000!", "--generate-key"]);
    made.stdin(batch).limit(limit).run()?.ok()?;
    for number in 0..CROWD {
        let certificate = gpg.export(&format!("<p{number}@example.net>"))?;
        std::fs::write(dir.join(format!("p{number}.asc")), certificate)?;
    }
    std::fs::remove_dir_all(dir.join("g"))?;
    Ok(())
}
