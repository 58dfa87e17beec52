//! Who may touch a package: lists, groups, votes, and the order in which they decide.
//!
//! [`who`] names people and groups, [`list`] is one access list, [`lists`] all of a repository with the changes that are
//! allowed to them, [`ruling`] the decision itself. Which votes exist is the task's knowledge and comes in as an argument.

pub mod list;
pub mod lists;
pub mod ruling;
pub mod who;

pub use list::List;
pub use lists::{AccessChange, AccessLists, ListChange};
pub use ruling::{Case, Ground, Ruling, Touch, Vote, VoteKind};
pub use who::{Subject, Who};

#[cfg(test)]
mod tests;
