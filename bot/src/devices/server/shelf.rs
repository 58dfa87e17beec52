//! What is on offer, and for whom.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use windlass_core::device::omaha::{Metadata, Offer, Package};

use super::parcel::Parcel;
use super::place::{Label, Target};

/// The name of a payload, as the first server had it.
pub const PAYLOAD: &str = "update.gz";

/// The name of the stateful partition's archive, as the first server had it.
pub const STATEFUL: &str = "stateful.image.gz";

/// What is known of a payload beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The version that it brings.
    pub version: String,
    /// The app it is for; whichever asks first where it is not said.
    pub app: Option<String>,
    /// What is known of its metadata.
    pub metadata: Option<Metadata>,
    /// Whether it needs the version before.
    pub is_delta: bool,
}

/// Everything that is on offer for one target.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    offer: Option<Offer>,
    files: BTreeMap<String, Arc<Parcel>>,
}

impl Shelf {
    /// With a payload that Omaha tells of. Its name is [`PAYLOAD`].
    #[must_use]
    pub fn with_payload(mut self, update: Update, payload: Arc<Parcel>) -> Self {
        self.offer = Some(Offer {
            version: update.version,
            app: update.app,
            package: Package {
                name: PAYLOAD.to_owned(),
                size: payload.size(),
                sha1: payload.sha1(),
                sha256: payload.sha256(),
            },
            metadata: update.metadata,
            is_delta: update.is_delta,
        });
        self.files.insert(PAYLOAD.to_owned(), payload);
        self
    }

    /// With the stateful partition's archive. Its name is [`STATEFUL`].
    #[must_use]
    pub fn with_stateful(mut self, archive: Arc<Parcel>) -> Self {
        self.files.insert(STATEFUL.to_owned(), archive);
        self
    }

    /// With another file, such as a bundle of another updater.
    #[must_use]
    pub fn with_file(mut self, name: Label, file: Arc<Parcel>) -> Self {
        self.files.insert(name.into(), file);
        self
    }

    pub(super) fn offer(&self) -> Option<&Offer> {
        self.offer.as_ref()
    }

    fn file(&self, name: &Label) -> Option<&Arc<Parcel>> {
        self.files.get(name.as_str())
    }
}

/// What is on offer, for each target; shared by all its clones. It may change while it is served from.
#[derive(Debug, Clone, Default)]
pub struct Offers(Arc<RwLock<HashMap<Target, Arc<Shelf>>>>);

impl Offers {
    /// Puts something up for a target, in place of what was there. Downloads that are under way go on with what they began with.
    pub fn put(&self, target: Target, stock: Shelf) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(target, Arc::new(stock));
    }

    /// Takes away what there is for a target; whether there was something.
    pub fn withdraw(&self, target: &Target) -> bool {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(target).is_some()
    }

    /// What there is for a target itself.
    pub fn get(&self, target: &Target) -> Option<Arc<Shelf>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(target).cloned()
    }

    /// What there is for who asks at an address and says which board it has: what is its own, its board's, everybody's. With it comes
    /// the target it is up for, below whose address the files are.
    pub(super) fn for_device(&self, asked: &Target, board: Option<&str>) -> Option<(Target, Arc<Shelf>)> {
        let board = || board.and_then(|board| board.parse().ok()).map(Target::Board);
        let candidates = match asked {
            Target::Device(_) => [Some(asked.clone()), board(), Some(Target::Anybody)],
            Target::Board(_) => [Some(asked.clone()), None, None],
            Target::Anybody => [board(), Some(Target::Anybody), None],
        };
        let mut candidates = candidates.into_iter().flatten();
        candidates.find_map(|target| Some((target.clone(), self.get(&target)?)))
    }

    /// A file at an address. A device that has nothing of its own gets what everybody gets.
    pub(super) fn file(&self, target: &Target, name: &Label) -> Option<Arc<Parcel>> {
        let stock = match target {
            Target::Device(_) => self.get(target).or_else(|| self.get(&Target::Anybody)),
            Target::Board(_) | Target::Anybody => self.get(target),
        };
        stock?.file(name).cloned()
    }
}
