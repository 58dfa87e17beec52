//! What a repository is, and what it would be with a task: plan, versions, unmet dependencies, closures.
//!
//! A plan is a value: it is computed before anything is touched, names the generation that it assumes, and can be printed.

#[cfg(feature = "repository")]
mod brought;
#[cfg(feature = "repository")]
mod plan;
mod problem;
pub mod record;

#[cfg(feature = "repository")]
pub use self::brought::{ArchResult, Brought, BroughtBy};
#[cfg(feature = "repository")]
pub use self::plan::{ArchPlan, Change, Plan, PlanWarning};
pub use self::problem::Problem;
