//! `RUN --mount=`: a line of comma-separated values.

use super::instruction::{Mount, MountKind};
use crate::refusal::nearest;

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "env",
];
const KINDS: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];

/// What is wrong with a mount, and the way out.
pub(super) type Wrong = (String, String);

/// Reads one; what contains variables is not looked at closer.
pub(super) fn read(text: &str) -> Result<Mount, Wrong> {
    let mut mount = Mount {
        kind: MountKind::Bind,
        from: None,
        source: None,
        target: None,
        options: Vec::new(),
    };
    for field in fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_ascii_lowercase(), Some(value)),
            None => (field.to_ascii_lowercase(), None),
        };
        if !KEYS.contains(&key.as_str()) {
            let hint = match nearest(&key, &KEYS) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("it takes {}", KEYS.join(", ")),
            };
            return Err((format!("--mount has no '{key}'"), hint));
        }
        let alone = matches!(key.as_str(), "readonly" | "ro" | "readwrite" | "rw" | "required");
        let Some(value) = value else {
            if !alone {
                return Err((format!("'{key}' in --mount has no value"), format!("write {key}=VALUE")));
            }
            mount.options.push((key, None));
            continue;
        };
        match key.as_str() {
            "type" => mount.kind = kind(value)?,
            "from" if value.contains('$') => {
                return Err((
                    format!("from={value} in --mount: no variables are filled in there"),
                    "name a stage with FROM … AS name, and take from it".to_owned(),
                ));
            }
            "from" => mount.from = Some(value.to_owned()),
            "source" | "src" => mount.source = Some(value.to_owned()),
            "target" | "dst" | "destination" => mount.target = Some(value.to_owned()),
            _ => mount.options.push((key, Some(value.to_owned()))),
        }
    }
    fits(&mount)?;
    Ok(mount)
}

fn kind(text: &str) -> Result<MountKind, Wrong> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "bind" => MountKind::Bind,
        "cache" => MountKind::Cache,
        "tmpfs" => MountKind::Tmpfs,
        "secret" => MountKind::Secret,
        "ssh" => MountKind::Ssh,
        open if open.contains('$') => MountKind::Open,
        other => {
            let hint = match nearest(other, &KINDS) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("it is {}", KINDS.join(", ")),
            };
            return Err((format!("'{text}' is no type of mount"), hint));
        }
    })
}

/// Whether its parts go together.
fn fits(mount: &Mount) -> Result<(), Wrong> {
    let has = |key: &str| mount.options.iter().any(|(other, _)| other == key);
    let wrong = |what: &str, hint: &str| Err((what.to_owned(), hint.to_owned()));
    match mount.kind {
        MountKind::Open => return Ok(()),
        MountKind::Secret => {
            if mount.from.is_some() {
                return wrong("a secret mount has no from", "the secret is given to the build");
            }
            if mount.source.is_none() && mount.target.is_none() && !has("id") {
                return wrong("a secret mount names no secret", "give its id=");
            }
        }
        MountKind::Bind | MountKind::Tmpfs => {
            if ["mode", "uid", "gid"].into_iter().any(has) {
                return wrong(
                    "mode, uid and gid are for cache, secret and ssh mounts",
                    "take them away",
                );
            }
            if mount.kind == MountKind::Tmpfs && mount.from.is_some() {
                return wrong("a tmpfs mount has no from", "take it away, or make it type=bind");
            }
        }
        MountKind::Cache | MountKind::Ssh => {}
    }
    if mount.target.is_none() && matches!(mount.kind, MountKind::Bind | MountKind::Cache | MountKind::Tmpfs) {
        return wrong("the mount has no target", "give its target=/directory");
    }
    if has("sharing") && mount.kind != MountKind::Cache {
        return wrong("sharing is for cache mounts", "take it away");
    }
    Ok(())
}

/// Comma-separated fields, of which those in `"` may contain commas.
fn fields(text: &str) -> Result<Vec<String>, Wrong> {
    let open = || {
        (
            format!("--mount={text}: a quote is not closed"),
            "a field with a comma stands in quotes".to_owned(),
        )
    };
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, behind) = if let Some(quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            let mut from = quoted;
            loop {
                let (part, behind) = from.split_once('"').ok_or_else(open)?;
                field.push_str(part);
                match behind.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        from = more;
                    }
                    None => break (field, behind),
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        fields.push(field);
        match behind.strip_prefix(',') {
            Some(more) => rest = more,
            None if behind.is_empty() => return Ok(fields),
            None => return Err(open()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("type=bind,from=a,source=/x,target=/y,ro", "")]
    #[case("target=/y", "")]
    #[case("type=cache,target=/c,sharing=locked,id=x,uid=1", "")]
    #[case("type=tmpfs,dst=/t,size=1", "")]
    #[case("type=secret,id=x", "")]
    #[case("type=ssh", "")]
    #[case("TYPE=Cache,target=/c", "")]
    #[case("type=$t,target=/c", "")]
    #[case("type=bind,\"source=a,b\",target=/y", "")]
    #[case("type=bnid,target=/y", "'bnid' is no type of mount")]
    #[case("type=bind,frm=a,target=/y", "--mount has no 'frm'")]
    #[case("type=bind,from,target=/y", "'from' in --mount has no value")]
    #[case("type=bind,from=$a,target=/y", "from=$a in --mount")]
    #[case("type=bind", "the mount has no target")]
    #[case("type=bind,target=/y,uid=1", "mode, uid and gid")]
    #[case("type=secret", "a secret mount names no secret")]
    #[case("type=bind,target=/y,sharing=locked", "sharing is for cache mounts")]
    #[case("\"type=bind", "--mount=")]
    #[case("\"type=bind\"x", "--mount=")]
    #[case("", "--mount has no ''")]
    fn mounts(#[case] text: &str, #[case] expected: &str) {
        let found = read(text).err().map(|(what, _)| what).unwrap_or_default();
        assert!(
            if expected.is_empty() {
                found.is_empty()
            } else {
                found.starts_with(expected)
            },
            "{text}: {found}"
        );
    }
}
