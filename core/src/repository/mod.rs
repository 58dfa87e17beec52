//! What a repository is, and what it would be with a task: plan, versions, unmet dependencies, closures.
//!
//! A plan is a value: it is computed before anything is touched, names the generation that it assumes, and can be printed.

#[cfg(feature = "repository")]
mod agree;
#[cfg(all(test, feature = "repository"))]
mod bringing;
#[cfg(feature = "repository")]
mod brought;
#[cfg(feature = "repository")]
mod closure;
#[cfg(feature = "repository")]
mod content;
#[cfg(feature = "repository")]
mod explain;
#[cfg(feature = "repository")]
mod index;
#[cfg(feature = "repository")]
mod installable;
#[cfg(feature = "repository")]
mod meeting;
#[cfg(feature = "repository")]
mod plan;
mod problem;
pub mod record;
#[cfg(feature = "repository")]
mod solve;
#[cfg(all(test, feature = "repository"))]
mod tests;
#[cfg(feature = "repository")]
mod universe;
#[cfg(feature = "repository")]
mod unmets;
#[cfg(feature = "repository")]
mod vercheck;

#[cfg(feature = "repository")]
pub use self::agree::{Agreement, agree};
#[cfg(feature = "repository")]
pub use self::brought::{ArchResult, Brought, BroughtBy};
#[cfg(feature = "repository")]
pub use self::closure::{Unresolvable, closure};
#[cfg(feature = "repository")]
pub use self::content::Content;
#[cfg(feature = "repository")]
pub use self::explain::unmet_problems;
#[cfg(feature = "repository")]
pub use self::index::Index;
pub use self::installable::{uninstallable, uninstallable_with};
#[cfg(feature = "repository")]
pub use self::plan::{ArchPlan, ArchView, Change, ChangeView, How, Plan, PlanView, PlanWarning, plan};
pub use self::problem::Problem;
#[cfg(feature = "repository")]
pub use self::universe::{Universe, runs_on};
#[cfg(feature = "repository")]
pub use self::unmets::{Missing, Unmet, Why, new_unmets, unmets};
#[cfg(feature = "repository")]
pub use self::vercheck::vercheck;
