//! Packages as rpm knows them: versions and their order, dependencies and their matching, what a header says.
//!
//! Ground floor: it knows nothing of repositories or tasks. All names in here come from builds and foreign repositories and
//! are not trusted: they are bounded when read, and escaped when shown.

mod dependency;
mod evr;
pub mod header;
mod package;
pub mod rich;
mod vercmp;

pub use self::dependency::{BadDependency, Comparison, Dependency};
pub use self::evr::{BadEvr, Evr};
pub use self::header::{About, BadPackage, Header};
pub use self::package::{Artifact, File, FileKind, Package};
pub use self::rich::{Requirement, Rich};
pub use self::vercmp::vercmp;
