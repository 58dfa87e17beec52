//! What makes an image up to date or stale, and building it.
//!
//! [`request`] says what is asked for; [`family`] reads the Dockerfiles of it and of every base of ours; [`inputs`] lists what counts for each,
//! from [`context`] and what lies below that; [`plan`] compares the list with the one on the image that is there; [`make`] builds what
//! differs. Nothing is built that is up to date, and nothing counts as built that does not carry our labels.

pub mod binfmt;
pub mod context;
pub mod digests;
pub mod elf;
pub mod error;
pub mod executable;
pub mod family;
pub mod filelock;
pub mod folder;
pub mod ignored;
pub mod inputs;
pub mod layer;
pub mod lockfile;
pub mod make;
pub mod plan;
pub mod pre;
pub mod record;
pub mod remote;
pub mod request;
pub mod rewrite;
pub mod session;
pub mod sources;
pub mod stock;
pub mod taglock;
pub mod tree;
pub mod update;
pub mod user;

use futures_util::future::join_all;
use serde::Serialize;
use windlass_core::image::label;

pub use error::BuildError;
pub use family::Family;
pub use plan::{ImagePlan, Plan};
pub use request::BuildRequest;
pub use session::Session;
pub use stock::{Layouts, Stock};

use family::{Ground, Member};
use inputs::BaseNow;
use make::{Given, Made};
use plan::Now;
use remote::Found;
use request::Cache;
use stock::{Have, Survey};
use taglock::TagLock;

/// What came of building an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Built {
    /// Nothing was done.
    UpToDate {
        /// The image's digest.
        id: String,
    },
    /// It was built.
    Built {
        /// The image's digest.
        id: String,
        /// The digest of its inputs.
        checksum: String,
        /// Why.
        reasons: Vec<String>,
    },
    /// The registry had just this one.
    Fetched {
        /// The image's digest.
        id: String,
        /// Its name there.
        from: String,
    },
    /// It cannot be built here, says its `.pre` or that of one below it.
    Skipped {
        /// Which image.
        image: String,
        /// Why.
        why: String,
    },
}

impl Built {
    /// The image's digest, where there is one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::UpToDate { id } | Self::Built { id, .. } | Self::Fetched { id, .. } => Some(id),
            Self::Skipped { .. } => None,
        }
    }
}

/// Says what would be done; changes nothing and runs nothing.
///
/// # Errors
/// Something cannot be read; the engine's.
pub async fn plan(session: &Session, request: &BuildRequest) -> Result<Plan, BuildError> {
    let family = Family::of(request, &session.native())?;
    session.unless_stopped(plan::plan(session, &family)).await
}

/// Builds an image, and before it everything of ours that it stands on and that is not up to date.
///
/// # Errors
/// Whatever goes wrong first; images below that were finished stay.
pub async fn build(session: &Session, request: &BuildRequest) -> Result<Built, BuildError> {
    let family = Family::of(request, &session.native())?;
    let mut now = Now::new();
    let mut last = None;
    for level in family.levels() {
        let each = level.iter().map(|member| one(session, member, &now));
        // Everybody is let finish: what is half done is nobody's.
        let done = join_all(each).await;
        for (member, built) in level.iter().zip(done) {
            let built = built?;
            let Some(id) = built.id() else {
                return Ok(built);
            };
            now.insert(member.request.tag.clone(), BaseNow::Image(id.to_owned()));
            if member.request.tag == request.tag {
                last = Some(built);
            }
        }
    }
    last.ok_or(BuildError::Stopped)
}

/// Builds one image whose bases of ours are there.
async fn one(session: &Session, member: &Member, now: &Now) -> Result<Built, BuildError> {
    let tag = &member.request.tag;
    let subject = format!("{} {tag}", session.stock.place());
    let lock = TagLock::take(&session.locks, &subject, |pid| {
        let who = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
        session.say(&format!("{tag} is being built by somebody else{who}: waiting"));
    });
    let _lock = session.unless_stopped(lock).await?;
    let mut survey = Survey::default();
    let assessed = plan::assess(session, member, now, &mut survey).await?;
    if let (Some(have), true) = (&assessed.have, assessed.reasons.is_empty()) {
        session.say(&format!("{tag} is up to date"));
        if let Some(dir) = &session.records {
            // Known by its labels alone so far, perhaps: the next check is told how it was built. It is a convenience.
            let _ = record::keep(dir, tag, &member.request.dockerfile, &member.request.what);
        }
        return Ok(Built::UpToDate { id: have.id.clone() });
    }
    for reason in &assessed.reasons {
        session.say(&format!("{tag}: {reason}"));
    }
    let bases = present(session, member, now, &mut survey).await?;
    let mut cache_from = Vec::new();
    if let (Some(registry), Cache::Take) = (&member.request.registry, member.request.cache) {
        match remote::look(session, member, &bases, registry).await? {
            Found::Same { id, from } => return Ok(Built::Fetched { id, from }),
            Found::Other { from } => cache_from.push(from),
            Found::Nothing => {}
        }
    }
    let given = Given {
        bases: &bases,
        have: assessed.have.as_ref(),
        cache_from,
    };
    Ok(match make::make(session, member, given).await? {
        Made::UpToDate(have) => {
            session.say(&format!("{tag} is up to date: its .pre made what it made before"));
            Built::UpToDate { id: have.id }
        }
        Made::Image(Have { id, mut labels, .. }) => Built::Built {
            id,
            checksum: labels.remove(label::CHECKSUM).unwrap_or_default(),
            reasons: assessed.reasons,
        },
        Made::Skipped(why) => Built::Skipped {
            image: tag.to_string(),
            why,
        },
    })
}

/// The bases of an image, with those pulled that are not here.
async fn present(
    session: &Session,
    member: &Member,
    now: &Now,
    survey: &mut Survey,
) -> Result<Vec<(Ground, BaseNow)>, BuildError> {
    let bases = session.bases(member, now, survey).await?;
    let mut missing = false;
    for (ground, state) in &bases {
        let newer = member.request.pull && !ground.own && !ground.name.is_local() && matches!(state, BaseNow::Image(_));
        if matches!(state, BaseNow::Absent) || newer {
            remote::pull(session, member, ground).await?;
            survey.forget(&ground.name);
            missing = true;
        }
    }
    if missing {
        session.bases(member, now, survey).await
    } else {
        Ok(bases)
    }
}
