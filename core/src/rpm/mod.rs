//! Packages as rpm knows them: versions and their order, dependencies and their matching, what a header says.
//!
//! Ground floor: it knows nothing of repositories or tasks. All names in here come from builds and foreign repositories and
//! are not trusted: they are bounded when read, and escaped when shown.

mod dependency;
mod evr;
mod package;

pub use self::dependency::{Comparison, Dependency, Requirement, Rich};
pub use self::evr::Evr;
pub use self::package::{Artifact, File, FileKind, Package};
