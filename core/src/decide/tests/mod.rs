//! Commands and pushes in small stories.

use rstest::rstest;

use super::town::{Town, eperm, object, signed_by, task_id};
use super::*;
use crate::event::Taken;
use crate::reply::Wait;
use crate::task::{Failure, Fault, Outcome, Stage, State, StateName, TaskEvent};

mod content;
mod devices;
mod early;
mod jobs;
mod progress;
mod push;
mod read;
mod run;
mod votes;
