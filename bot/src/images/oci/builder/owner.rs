//! `--chown`: numbers, or names that the image's own /etc/passwd and /etc/group know.

use super::super::error::OciError;
use super::super::store::Store;
use super::super::tree::{Kind, Owner, Tree};

/// The largest /etc/passwd that is read.
const LARGEST: u64 = 4 << 20;

/// Finds out whom `user[:group]` means. Without a group it is the user's own; with a number alone, the group of the same number.
pub(super) fn of(text: &str, tree: &Tree, store: &mut Store) -> Result<Result<Owner, String>, OciError> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let mut owner = Owner::default();
    if !user.is_empty() {
        match number(user) {
            Some(number) => {
                owner = Owner {
                    user: number,
                    group: number,
                }
            }
            None => match lookup(tree, store, b"etc/passwd", user)? {
                Ok(fields) => match (field(&fields, 2), field(&fields, 3)) {
                    (Some(user), Some(group)) => owner = Owner { user, group },
                    _ => return Ok(Err(format!("the image's /etc/passwd has no numbers for '{user}'"))),
                },
                Err(why) => return Ok(Err(why)),
            },
        }
    }
    if let Some(group) = group {
        owner.group = match number(group) {
            Some(number) => number,
            None => match lookup(tree, store, b"etc/group", group)? {
                Ok(fields) => match field(&fields, 2) {
                    Some(number) => number,
                    None => return Ok(Err(format!("the image's /etc/group has no number for '{group}'"))),
                },
                Err(why) => return Ok(Err(why)),
            },
        };
    }
    Ok(Ok(owner))
}

fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

fn field(fields: &[String], at: usize) -> Option<u32> {
    fields.get(at).and_then(|field| number(field))
}

fn lookup(tree: &Tree, store: &mut Store, file: &[u8], name: &str) -> Result<Result<Vec<String>, String>, OciError> {
    let shown = String::from_utf8_lossy(file);
    let unknown = || {
        format!(
            "the image's /{shown} knows no '{name}'\n\nhint: write the number, or have the base bring the name along"
        )
    };
    let Ok(place) = tree.resolve(file) else {
        return Ok(Err(unknown()));
    };
    let Some(Kind::File(content)) = tree.look(&place).map(|node| node.kind.clone()) else {
        return Ok(Err(unknown()));
    };
    let Some(bytes) = store.read(&content, LARGEST)? else {
        return Ok(Err(format!("the image's /{shown} has more than {LARGEST} bytes")));
    };
    let found = String::from_utf8_lossy(&bytes)
        .lines()
        .map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>())
        .find(|fields| fields.first().map(String::as_str) == Some(name));
    Ok(found.ok_or_else(unknown))
}
