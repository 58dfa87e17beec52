//! What one generation of a repository consists of.

use std::collections::BTreeMap;

use super::{Index, Plan};
use crate::id::{ArchName, Generation};

/// What one generation of a repository consists of. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Content {
    /// Which generation it is, or was made from.
    pub generation: Generation,
    /// The binary packages of each architecture; noarch ones stand in each.
    pub arches: BTreeMap<ArchName, Index>,
    /// The source packages.
    pub source: Index,
}

impl Content {
    /// What it would be with a plan; the generation stays the one that the plan assumes.
    #[must_use]
    pub fn with(&self, plan: &Plan) -> Self {
        let mut arches = self.arches.clone();
        for (arch, changes) in &plan.arches {
            let index = arches.entry(arch.clone()).or_default();
            *index = index.with(changes);
        }
        Self {
            generation: self.generation,
            arches,
            source: self.source.with(&plan.source),
        }
    }
}
