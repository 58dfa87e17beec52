//! What has to be installed so that some requirements are met: the packages of a build root, or of an installation.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Index;
use super::solve::{Form, Pool, Wish, choose, why_not};
use crate::escape::escaped;
use crate::id::ArchName;
use crate::rpm::{Package, Requirement};

/// Why something cannot be installed, in the words of those who package.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
pub struct Unresolvable {
    /// What was wanted: a package as name-[epoch:]version-release.architecture, or requirements.
    pub wanted: String,
    /// Why not: who needs what, one step a line, the last one being what cannot be.
    pub reasons: Vec<String>,
}

impl fmt::Display for Unresolvable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be installed", escaped(&self.wanted))?;
        for reason in &self.reasons {
            write!(f, "\n  {reason}")?;
        }
        Ok(())
    }
}

/// The packages with which all that is wanted is met on a machine, by name; nothing that is not needed is among them.
///
/// A package of an earlier index shadows those of the same name in later ones. Preferred are earlier indexes, then packages that have the
/// name that is asked for, then the newest version. What conflicts, and what one obsoletes, is not installed together; recommendations
/// do not count. The same question always has the same answer.
///
/// # Errors
/// There are no such packages; the reason is told from what is wanted down to what cannot be.
pub fn closure(indexes: &[&Index], arch: &ArchName, wanted: &[Requirement]) -> Result<Vec<Arc<Package>>, Unresolvable> {
    let pool = Pool::of(indexes.to_vec(), arch);
    let forms: Vec<Form> = wanted.iter().map(|requirement| pool.form(requirement)).collect();
    if let Some(chosen) = choose(&pool, &[], &forms) {
        return Ok(chosen.into_iter().map(|id| Arc::clone(pool.package(id))).collect());
    }
    let texts: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let wishes: Vec<Wish> = texts
        .iter()
        .zip(forms)
        .map(|(text, form)| Wish {
            text: escaped(text),
            form,
        })
        .collect();
    Err(Unresolvable {
        wanted: texts.join(", "),
        reasons: why_not(&pool, &wishes),
    })
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
