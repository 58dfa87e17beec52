//! Stage check-acl: may the people answerable for the subtasks touch what the plan touches? It comes last, because the names
//! of the packages are known only now.

use windlass_core::access::Ruling;
use windlass_core::decide::{Facts, ruling};
use windlass_core::repository::Plan;
use windlass_core::task::{Denied, Task};
use windlass_core::world::World;

/// What may not be touched, as lists, groups and votes are now.
pub fn run(world: &World, facts: &Facts, task: &Task, plan: &Plan) -> Vec<Denied> {
    let mut denied = Vec::new();
    for (number, package, touch) in plan.touches() {
        let allowed = task
            .subtask(number)
            .is_some_and(|subtask| matches!(ruling(world, facts, task, subtask, &package, touch), Ruling::Allowed(_)));
        if !allowed {
            denied.push(Denied {
                subtask: number,
                package,
                touch,
            });
        }
    }
    denied
}
