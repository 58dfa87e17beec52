//! Building images: what makes one up to date or stale, told on both real engines and with none.
//!
//! `bot/src/images/BEHAVIOURS.md` names these stories beside the behaviours and faults of the script whose place `windlass image` took.

mod added;
mod cache;
mod interrupted;
mod kept;
mod site;
mod without;
