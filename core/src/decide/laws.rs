//! Laws over whole histories: arbitrary people give arbitrary commands and push arbitrary tags.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::town::{Town, eperm, task_id};
use super::*;
use crate::access::VoteKind;
use crate::command::strategies::command;
use crate::reply::{Body, Wait};
use crate::task::{Outcome, StateName};
use crate::world::World;

/// One thing that happens in a town.
#[derive(Debug, Clone)]
enum Happening {
    Asks(&'static str, Command),
    Pushes(&'static str, &'static str, Vec<&'static str>),
    Builds(u64, bool),
    Lands(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let people = || proptest::sample::select(vec!["alice", "bob", "carol", "root"]);
    let options = proptest::sample::subsequence(vec!["build", "task=1", "test-only"], 0..=2);
    prop_oneof![
        16 => (people(), command()).prop_map(|(user, command)| Happening::Asks(user, command)),
        2 => (people(), proptest::sample::select(vec!["hello", "tool"]), options)
            .prop_map(|(user, source, options)| Happening::Pushes(user, source, options)),
        2 => (1..5u64, any::<bool>()).prop_map(|(task, passed)| Happening::Builds(task, passed)),
        1 => (1..5u64).prop_map(Happening::Lands),
    ]
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    proptest::collection::vec(happening(), 0..40)
}

impl Town {
    /// A town in which something goes on already.
    fn lively() -> Self {
        let mut town = Self::new();
        for (user, line) in [
            ("alice", "task new"),
            ("alice", "task add repo hello 1.0-alt1"),
            ("alice", "task share"),
            ("bob", "build tool 1.0-alt1"),
        ] {
            town.does(user, line);
        }
        town
    }

    /// Lets it happen; the decision, where one was asked for.
    fn lives(&mut self, happening: &Happening) -> Option<Result<Decision, Refusal>> {
        match happening {
            Happening::Asks(user, command) => {
                let decision = self.decide(user, command);
                if let Ok(decision) = &decision {
                    let events = decision.events.clone();
                    self.record(&events);
                }
                Some(decision)
            }
            Happening::Pushes(user, source, options) => Some(Ok(self.push(user, source, "1.0-alt1", options))),
            Happening::Builds(task, passed) => {
                if self.world.task(task_id(*task)).is_some() {
                    self.builds(
                        *task,
                        if *passed {
                            Outcome::Passed
                        } else {
                            eperm(&[(1, "hello")])
                        },
                    );
                }
                None
            }
            Happening::Lands(task) => {
                if self.world.task(task_id(*task)).is_some() {
                    self.lands(*task);
                }
                None
            }
        }
    }
}

/// That what was answered is true in the world after it.
fn reply_is_true(town: &Town, user: &str, command: &Command, decision: &Decision) -> Result<(), TestCaseError> {
    let reply = &decision.reply;
    prop_assert!(!command.dry_run() || decision.events.is_empty());
    prop_assert!(!command.is_read() || decision.events.is_empty());
    prop_assert!(command.is_read() || reply.wait.is_none());
    if command.dry_run() {
        return Ok(());
    }
    match &reply.body {
        Body::Made { task } => {
            let task = town.world.task(*task);
            prop_assert!(task.is_some_and(|task| task.owner.as_str() == user));
            if let (Command::Build(build), Some(task)) = (command, task) {
                let tags: Vec<(SourcePath, TagName)> = task
                    .subtasks
                    .iter()
                    .filter_map(|subtask| match &subtask.action {
                        Action::Build { source, tag, .. } => Some((source.clone(), tag.clone())),
                        Action::Remove { .. } | Action::Rebuild { .. } | Action::Copy { .. } => None,
                    })
                    .collect();
                prop_assert_eq!(tags, build.resolved(&user.parse().unwrap()));
                prop_assert!(!matches!(town.world.state_name(task), StateName::New));
            }
        }
        Body::Task(view) => {
            let task = town.world.task(view.task).unwrap();
            prop_assert_eq!(view.state, town.world.state_name(task));
            prop_assert_eq!(&view.digest, &task.digest());
        }
        Body::Access(view) => {
            let Command::Acl(acl) = command else {
                return Err(TestCaseError::fail("a list is shown unasked"));
            };
            let list = town
                .world
                .access(&acl.repository)
                .and_then(|lists| lists.get(&acl.subject));
            let leader = list.map(|list| list.leader.to_string());
            prop_assert_eq!(&view.leader, &leader);
        }
        Body::Done { .. } if matches!(command, Command::Device(_)) => device_is_as_said(town, user, command)?,
        Body::Done { task, .. } => {
            let task = town.world.task(task.unwrap()).unwrap();
            let Command::Task(command) = command else {
                return Err(TestCaseError::fail("no task command"));
            };
            match command {
                TaskCommand::Rm { .. } => prop_assert_eq!(task.state.name(), StateName::Removed),
                TaskCommand::Abort { .. } => prop_assert_eq!(task.state.name(), StateName::Aborted),
                TaskCommand::Run { .. } => {
                    prop_assert!(matches!(task.state.name(), StateName::Awaiting | StateName::Pending));
                }
                TaskCommand::Share { switch, .. } => prop_assert_eq!(task.shared, *switch != Some(Switch::Off)),
                TaskCommand::Deps {
                    change: DepsChange::Clear,
                    ..
                } => prop_assert!(task.deps.is_empty()),
                TaskCommand::Delsub { number, .. } => prop_assert!(task.subtask(*number).is_none()),
                TaskCommand::Add { .. } => prop_assert!(!task.subtasks.is_empty()),
                TaskCommand::Approve { .. }
                | TaskCommand::Disapprove { .. }
                | TaskCommand::Deps { .. }
                | TaskCommand::New { .. }
                | TaskCommand::Show { .. }
                | TaskCommand::Ls { .. }
                | TaskCommand::Why { .. }
                | TaskCommand::Log { .. }
                | TaskCommand::Wait { .. } => {}
            }
            if !matches!(command, TaskCommand::Share { .. } | TaskCommand::Deps { .. }) {
                prop_assert!(!decision.events.is_empty());
            }
        }
        Body::Job(view) => {
            let job = town.world.jobs().get(view.id).unwrap();
            prop_assert_eq!(view.state, town.world.jobs().state_name(job));
        }
        Body::Nothing
        | Body::Plan { .. }
        | Body::Tasks(_)
        | Body::Why(_)
        | Body::Log(_)
        | Body::Deps { .. }
        | Body::Jobs(_)
        | Body::Device(_)
        | Body::Devices(_)
        | Body::DeviceWhy(_)
        | Body::Flashes(_)
        | Body::Nightlies(_) => {}
    }
    Ok(())
}

/// What was done with a device is so.
fn device_is_as_said(town: &Town, user: &str, command: &Command) -> Result<(), TestCaseError> {
    let Command::Device(command) = command else {
        return Ok(());
    };
    let device = |name: &DeviceName| town.world.devices().get(name);
    match command {
        DeviceCommand::Reserve { name, length, .. } => {
            let device = device(name);
            let held = device.reservation(town.now).unwrap();
            prop_assert_eq!(held.by.as_str(), user);
            prop_assert_eq!(held.until.duration_since(town.now), length.duration());
        }
        DeviceCommand::Release { name, .. } => prop_assert!(device(name).reservation(town.now).is_none()),
        DeviceCommand::Quarantine { name, .. } => {
            prop_assert_eq!(device(name).standing.health, crate::device::lab::Health::Bad);
        }
        DeviceCommand::Health { name, health, .. } => {
            prop_assert!(health.is_none_or(|health| device(name).standing.health == health));
        }
        DeviceCommand::Nightly(crate::command::NightlyCommand::Run { name, .. }) => {
            let ran = town.world.nightlies().get(name).and_then(|nightly| nightly.last.last());
            prop_assert!(ran.is_some_and(|(at, run)| *at == town.now && run.by.is_some()));
        }
        DeviceCommand::Ls { .. }
        | DeviceCommand::Show { .. }
        | DeviceCommand::History { .. }
        | DeviceCommand::Why { .. }
        | DeviceCommand::Nightly(crate::command::NightlyCommand::Ls { .. }) => {
            prop_assert!(false, "they show, and do nothing");
        }
    }
    Ok(())
}

/// The laws below say something only if arbitrary commands are often accepted, and of every kind.
#[test]
fn arbitrary_commands_are_accepted_and_refused() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut accepted = std::collections::BTreeMap::new();
    let mut refused = BTreeSet::new();
    for _ in 0..250 {
        let mut town = Town::lively();
        for happening in happenings().new_tree(&mut runner).unwrap().current() {
            let Happening::Asks(_, command) = &happening else {
                town.lives(&happening);
                continue;
            };
            let verb = command
                .words()
                .iter()
                .filter(|word| !word.starts_with('-'))
                .take(2)
                .cloned()
                .collect::<Vec<_>>();
            let verb = if verb[0] == "task" {
                verb.join(" ")
            } else {
                verb[0].clone()
            };
            match town.lives(&happening) {
                Some(Ok(_)) => *accepted.entry(verb).or_insert(0) += 1,
                Some(Err(refusal)) => {
                    refused.insert(refusal.code);
                }
                None => {}
            }
        }
    }
    for verb in [
        "build",
        "acl",
        "task new",
        "task add",
        "task delsub",
        "task show",
        "task ls",
        "task run",
        "task share",
        "task deps",
        "task approve",
        "task disapprove",
        "task abort",
        "task rm",
        "task why",
        "task log",
        "task wait",
        "device",
    ] {
        assert!(
            accepted.get(verb).is_some_and(|count| *count >= 4),
            "{verb} is hardly ever accepted: {accepted:?}"
        );
    }
    assert!(refused.len() > 25, "{refused:?}");
}

/// What holds in every world that decisions make.
fn world_is_sound(town: &Town) -> Result<(), TestCaseError> {
    let world = &town.world;
    for person in &town.facts.people {
        let open: Vec<_> = world
            .tasks()
            .filter(|task| task.owner == *person && !task.state.is_final())
            .collect();
        prop_assert_eq!(world.open_tasks_of(person).collect::<Vec<_>>(), open);
    }
    for task in world.tasks() {
        // Nobody waits in a circle.
        let mut seen = BTreeSet::new();
        let mut ahead: Vec<_> = task.deps.iter().copied().collect();
        while let Some(id) = ahead.pop() {
            prop_assert!(id != task.id, "task {} waits for itself", task.id);
            if seen.insert(id) {
                ahead.extend(world.task(id).into_iter().flat_map(|task| &task.deps));
            }
        }
        // No package twice, no tag twice, numbers grow.
        let packages: BTreeSet<_> = task.subtasks.iter().map(|subtask| subtask.action.package()).collect();
        prop_assert_eq!(packages.len(), task.subtasks.len());
        prop_assert!(task.subtasks.windows(2).all(|pair| pair[0].number < pair[1].number));
        // A tag is in a task by its signer alone, and others are in it only by sharing.
        for subtask in &task.subtasks {
            if let Action::Build { signer, .. } = &subtask.action {
                prop_assert_eq!(&signer.owner, &subtask.by);
            } else {
                prop_assert_eq!(&subtask.by, &task.owner);
            }
            for vote in task.votes_on(subtask) {
                prop_assert!(
                    vote.kind == VoteKind::Disapprove || vote.by != subtask.by,
                    "nobody approves his own"
                );
            }
        }
        // Postponed exactly while something has to land before.
        if task.state.name() == StateName::Awaiting {
            let waits = !world.waits_for(task).is_empty();
            prop_assert_eq!(world.state_name(task) == StateName::Postponed, waits);
        }
        // Everything that is there can be shown and explained.
        let view = crate::reply::task::TaskView::of(world, task, &town.facts, town.now);
        let why = crate::reply::why::WhyView::of(world, task, &town.facts, town.now);
        prop_assert!(view.text().lines().all(|line| line.trim_end() == line));
        prop_assert!(!why.because.is_empty() && !why.next.is_empty(), "{:?}", why);
        let ended =
            matches!(task.state.name().phase(), crate::task::Phase::Ret) && task.state.name() != StateName::Removed;
        prop_assert_eq!(view.result.is_some(), ended);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn what_is_answered_is_true_and_what_is_refused_changes_nothing(happenings in happenings()) {
        let mut town = Town::lively();
        for happening in &happenings {
            let before = town.world.clone();
            match town.lives(happening) {
                Some(Ok(decision)) => {
                    if let Happening::Asks(user, command) = happening {
                        reply_is_true(&town, user, command, &decision)?;
                    }
                    let rendered = decision.reply.render();
                    if decision.reply.json && !rendered.out.is_empty() {
                        prop_assert!(serde_json::from_str::<serde_json::Value>(&rendered.out).is_ok());
                    }
                }
                Some(Err(_)) => prop_assert_eq!(&town.world, &before),
                None => {}
            }
            world_is_sound(&town)?;
            for task in before.tasks().filter(|task| task.state.is_final()) {
                prop_assert_eq!(town.world.task(task.id), Some(task), "a landed or removed task never changes again");
            }
        }
    }

    #[test]
    fn the_world_is_the_replay_of_its_events(happenings in happenings()) {
        let mut town = Town::lively();
        for happening in &happenings {
            town.lives(happening);
        }
        let mut replayed = World::default();
        for (at, event) in &town.journal {
            replayed.apply(event, *at);
        }
        prop_assert_eq!(replayed, town.world);
    }

    #[test]
    fn a_stored_world_with_the_events_since_and_its_histories_recalled_is_the_world(
        happenings in happenings(),
        part in 0.0..=1.0f64,
    ) {
        let mut town = Town::lively();
        for happening in &happenings {
            town.lives(happening);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "any place will do")]
        let (before, after) = town.journal.split_at((part * town.journal.len() as f64) as usize);
        let mut world = World::default();
        for (at, event) in before {
            world.apply(event, *at);
        }
        let mut world: World = serde_json::from_str(&serde_json::to_string(&world).unwrap()).unwrap();
        for (at, event) in after {
            world.apply(event, *at);
        }
        for task in town.world.tasks() {
            let events = town.journal.iter().filter_map(|(at, event)| match event {
                Event::Task { id, event } if *id == task.id => Some((event.clone(), *at)),
                Event::Task { .. } | Event::Answered(_) | Event::TagTaken { .. } | Event::Access(_) | Event::Repository { .. } | Event::Job { .. } | Event::Device { .. } | Event::Nightly { .. } => None,
            });
            // What came since the world was stored is there without recalling it.
            let shown = log_after(&town.world, task.id, task.events, LogFilter::default());
            prop_assert_eq!(log_after(&world, task.id, task.events, LogFilter::default()), shown);
            world.recall(events, task.id);
        }
        let stored = |world: &World| serde_json::to_string(world).unwrap();
        prop_assert_eq!(stored(&world), stored(&town.world));
        prop_assert!(world.tasks().eq(town.world.tasks()));
    }

    #[test]
    fn who_asks_the_same_again_gets_no_second_effect_from_build_and_push(
        happenings in happenings(),
        user in proptest::sample::select(vec!["alice", "bob"]),
    ) {
        let mut town = Town::lively();
        for happening in &happenings {
            town.lives(happening);
        }
        if town.try_to(user, "build hello 1.0-alt1").is_ok() {
            let before = town.world.clone();
            town.does(user, "build hello 1.0-alt1");
            prop_assert_eq!(&town.world, &before);
        }
        town.push(user, "tool", "2.0-alt1", &["build"]);
        let before = town.world.clone();
        let again = town.push(user, "tool", "2.0-alt1", &["build"]);
        if again.reply.task.is_some() {
            prop_assert_eq!(&town.world, &before);
        }
    }

    #[test]
    fn whoever_waits_is_told_an_end(happenings in happenings(), id in 1..5u64) {
        let mut town = Town::lively();
        for happening in &happenings {
            town.lives(happening);
        }
        let Ok(decision) = town.try_to("alice", &format!("task wait {id}")) else { return Ok(()) };
        let ended = has_ended(town.task(id));
        prop_assert_eq!(decision.reply.wait.is_none(), ended);
        prop_assert!(ended || decision.reply.wait == Some(Wait::End(task_id(id))));
    }
}
