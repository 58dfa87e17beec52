//! What a registry has: an image that is just the one that is wanted, one whose layers are of use, a base that is not here.
//!
//! A registry that does not answer, or has nothing of use, is told and costs nothing but the cache of this one image. What comes from it keeps
//! the labels with which it came: it counts as the wanted image only if these say so.

use windlass_core::image::label;

use super::error::BuildError;
use super::family::{Ground, Member};
use super::inputs::{self, BaseNow};
use super::session::Session;
use super::stock::Stock;
use crate::images::engine::EngineError;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Just the image that is wanted; it has our name now.
    Same {
        /// Its digest.
        id: String,
        /// Its name there.
        from: String,
    },
    /// Another one of this name, whose layers may be of use.
    Other {
        /// Its name there.
        from: String,
    },
    /// Nothing.
    Nothing,
}

/// Looks for an image in a registry.
///
/// # Errors
/// The registry's name is none, or we were stopped; a registry that fails is told, and is no error.
pub async fn look(
    session: &Session,
    member: &Member,
    bases: &[(Ground, BaseNow)],
    registry: &str,
) -> Result<Found, BuildError> {
    let tag = &member.request.tag;
    let there = tag.in_registry(registry).map_err(|bad| BuildError::NoBase {
        name: tag.to_string(),
        why: format!("'{registry}' is no registry: {}", bad.rule),
        hint: bad.hint.to_owned(),
    })?;
    let Stock::Engine(engine) = &session.stock else {
        session.say("-r needs an engine to take images from a registry: everything is built here");
        return Ok(Found::Nothing);
    };
    let name = there.to_string();
    let platform = member.request.what.platform.as_deref();
    let mut log = |_: &str| ();
    let pulled = engine
        .pull(&name, platform, &session.logins, &mut log, &mut session.stop.clone())
        .await;
    let facts = match pulled {
        Ok(facts) => facts,
        Err(error) if error.is_stopped() => return Err(BuildError::Stopped),
        Err(error) if is_nothing(&error) => {
            session.say(&format!("{registry} has no {tag}: it is built here"));
            return Ok(Found::Nothing);
        }
        Err(error) => {
            session.say(&format!(
                "{tag} is built here without the cache of {registry}: {}",
                error.message()
            ));
            return Ok(Found::Nothing);
        }
    };
    let counted = inputs::count(session, member, bases, None, &facts.labels)?;
    let wanted = counted.checksum();
    if wanted.is_none() || wanted.as_ref() != facts.labels.get(label::CHECKSUM) {
        session.say(&format!(
            "{name} was made from something else: only its layers are taken, where they fit"
        ));
        return Ok(Found::Other { from: name });
    }
    engine.tag(&facts.id, &tag.to_string()).await?;
    session.say(&format!("{tag} is taken from {registry}: it was made from the same"));
    Ok(Found::Same {
        id: facts.id,
        from: name,
    })
}

/// Gets a base that is not here.
///
/// # Errors
/// It is nowhere; the engine's.
pub async fn pull(session: &Session, member: &Member, ground: &Ground) -> Result<(), BuildError> {
    let name = &ground.name;
    let nowhere = |why: &str, hint: String| {
        Err(BuildError::NoBase {
            name: name.to_string(),
            why: why.to_owned(),
            hint,
        })
    };
    if name.is_local() {
        let short = name.repository();
        let hint = format!(
            "its Dockerfile would be {short}.docker or {short}/Dockerfile beside '{}'",
            member.request.dockerfile.display()
        );
        return nowhere("it is a name of this machine, and its Dockerfile is not there", hint);
    }
    let Stock::Engine(engine) = &session.stock else {
        return nowhere(
            "foreign images need an engine",
            "--engine docker or --engine podman builds on it".to_owned(),
        );
    };
    session.say(&format!("pulling {name}"));
    let platform = ground
        .base
        .platform
        .as_deref()
        .or(member.request.what.platform.as_deref());
    let mut log = |_: &str| ();
    engine
        .pull(
            &name.to_string(),
            platform,
            &session.logins,
            &mut log,
            &mut session.stop.clone(),
        )
        .await?;
    Ok(())
}

/// Whether a registry says that it has no such image.
fn is_nothing(error: &EngineError) -> bool {
    let said = error.message().to_ascii_lowercase();
    error.is_absent()
        || ["manifest unknown", "name unknown", "not found"]
            .iter()
            .any(|words| said.contains(words))
}
