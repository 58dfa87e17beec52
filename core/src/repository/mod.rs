//! What a repository is, and what it would be with a task: plan, versions, unmet dependencies, closures.
//!
//! A plan is a value: it is computed before anything is touched, names the generation that it assumes, and can be printed.

mod agree;
#[cfg(test)]
mod bringing;
mod brought;
mod closure;
mod content;
mod explain;
mod index;
mod installable;
mod meeting;
mod plan;
mod problem;
pub mod record;
mod solve;
#[cfg(test)]
mod tests;
mod universe;
mod unmets;
mod vercheck;

pub use self::agree::{Agreement, agree};
pub use self::brought::{ArchResult, Brought, BroughtBy};
pub use self::closure::{Unresolvable, closure};
pub use self::content::Content;
pub use self::explain::unmet_problems;
pub use self::index::Index;
pub use self::installable::{uninstallable, uninstallable_with};
pub use self::plan::{ArchPlan, ArchView, Change, ChangeView, How, Plan, PlanView, PlanWarning, plan};
pub use self::problem::Problem;
pub use self::universe::{Universe, runs_on};
pub use self::unmets::{Missing, Unmet, Why, new_unmets, unmets};
pub use self::vercheck::vercheck;
