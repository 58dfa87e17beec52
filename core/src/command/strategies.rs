//! Arbitrary commands, for laws.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::access::{Subject, Who};
use crate::id::{ArchName, SubtaskNumber, TaskId};
use crate::task::{Stage, StateName};

/// A value that parses from one of these texts.
fn one_of<T: std::str::FromStr + Clone + std::fmt::Debug + 'static>(texts: &'static [&'static str]) -> BoxedStrategy<T>
where
    T::Err: std::fmt::Debug,
{
    let values: Vec<T> = texts.iter().map(|text| text.parse().unwrap()).collect();
    proptest::sample::select(values).boxed()
}

fn reason() -> BoxedStrategy<Reason> {
    one_of(&["unused", "--dry-run", "it's 'quoted' \\ here", "-m", "é"])
}

fn source() -> BoxedStrategy<SourceArg> {
    prop_oneof![
        3 => one_of(&["hello", "hello.git", "tool", "libfoo", "other"]),
        1 => one_of(&["bob/hello", "shared/libfoo", "/people/carol/packages/tool.git"]),
    ]
    .boxed()
}

fn tag() -> BoxedStrategy<TagName> {
    one_of(&["1.0-alt1", "1.1-alt1", "2.0~rc1-alt1"])
}

fn package() -> BoxedStrategy<PackageName> {
    one_of(&["hello", "libfoo", "tool", "show", "2048"])
}

fn repository() -> BoxedStrategy<RepositoryName> {
    one_of(&["sisyphus", "sisyphus", "p11", "nowhere"])
}

fn user() -> BoxedStrategy<UserName> {
    one_of(&["alice", "bob", "carol", "root", "stranger"])
}

fn who() -> BoxedStrategy<Who> {
    one_of(&["alice", "bob", "@everybody", "@nobody", "@maint", "@tester", "@none"])
}

fn task() -> BoxedStrategy<TaskId> {
    one_of(&["1", "1", "2", "2", "3", "4", "9999999"])
}

fn subtask() -> BoxedStrategy<SubtaskNumber> {
    one_of(&["1", "2", "3"])
}

fn task_ref() -> BoxedStrategy<TaskRef> {
    prop_oneof![
        4 => task().prop_map(TaskRef::Id),
        1 => one_of(&["r-0123456789abcdef"]).prop_map(TaskRef::Request)
    ]
    .boxed()
}

fn read() -> BoxedStrategy<ReadFlags> {
    any::<bool>().prop_map(|json| ReadFlags { json }).boxed()
}

fn write() -> BoxedStrategy<WriteFlags> {
    (
        prop::bool::weighted(0.1),
        any::<bool>(),
        option::weighted(0.1, one_of(&["r-0123456789abcdef"])),
    )
        .prop_map(|(dry_run, json, request_id)| WriteFlags {
            dry_run,
            request_id,
            json,
        })
        .boxed()
}

fn which() -> BoxedStrategy<Which> {
    prop_oneof![subtask().prop_map(Which::One), Just(Which::All)].boxed()
}

fn addition() -> BoxedStrategy<Addition> {
    prop_oneof![
        3 => (source(), tag()).prop_map(|(source, tag)| Addition::Repo { source, tag }),
        1 => vec(package(), 1..3).prop_map(|packages| Addition::Del { packages }),
        1 => vec(package(), 1..3).prop_map(|packages| Addition::Rebuild { packages }),
        1 => (vec(package(), 1..3), repository()).prop_map(|(packages, from)| Addition::Copy { packages, from }),
    ]
    .boxed()
}

fn deps_change() -> BoxedStrategy<DepsChange> {
    prop_oneof![
        Just(DepsChange::Show),
        vec(task(), 1..3).prop_map(|tasks| DepsChange::Add { tasks }),
        vec(task(), 1..3).prop_map(|tasks| DepsChange::Del { tasks }),
        vec(task(), 1..3).prop_map(|tasks| DepsChange::Set { tasks }),
        Just(DepsChange::Clear),
    ]
    .boxed()
}

fn task_command() -> BoxedStrategy<TaskCommand> {
    let id = || option::of(task());
    let id_ref = || option::of(task_ref());
    let switch = prop_oneof![Just(Switch::On), Just(Switch::Off)];
    let state = proptest::sample::select(StateName::ALL);
    let digest = one_of::<task::DigestPrefix>(&["0123456789abcdef"]);
    let vote_reason = || prop_oneof![reason().prop_map(Some), Just(None)];
    prop_oneof![
        (option::of(repository()), write()).prop_map(|(repository, flags)| TaskCommand::New { repository, flags }),
        (id(), addition(), write()).prop_map(|(id, what, flags)| TaskCommand::Add { id, what, flags }),
        (id(), subtask(), write()).prop_map(|(id, number, flags)| TaskCommand::Delsub { id, number, flags }),
        (id_ref(), read()).prop_map(|(id, flags)| TaskCommand::Show { id, flags }),
        (vec(state, 0..3), option::of(user()), option::of(repository()), read()).prop_map(
            |(state, user, repository, flags)| TaskCommand::Ls {
                state,
                user,
                repository,
                flags
            }
        ),
        (id(), option::of(reason()), 0..3, 0..3, write()).prop_map(|(id, reason, mode, failure, flags)| {
            TaskCommand::Run {
                id,
                reason,
                test_only: mode == 1,
                commit: mode == 2,
                fail_early: failure == 1,
                fail_late: failure == 2,
                flags,
            }
        }),
        (id(), option::of(switch), write()).prop_map(|(id, switch, flags)| TaskCommand::Share { id, switch, flags }),
        (id(), deps_change(), write()).prop_map(|(id, change, flags)| TaskCommand::Deps { id, change, flags }),
        (task(), which(), vote_reason(), option::weighted(0.1, digest), write()).prop_map(
            |(id, which, reason, digest, flags)| TaskCommand::Approve {
                id,
                which,
                revoke: reason.is_none(),
                reason,
                digest,
                flags
            }
        ),
        (task(), which(), vote_reason(), write()).prop_map(|(id, which, reason, flags)| TaskCommand::Disapprove {
            id,
            which,
            revoke: reason.is_none(),
            reason,
            flags
        }),
        (task(), write()).prop_map(|(id, flags)| TaskCommand::Abort { id, flags }),
        (task(), write()).prop_map(|(id, flags)| TaskCommand::Rm { id, flags }),
        (id_ref(), read()).prop_map(|(id, flags)| TaskCommand::Why { id, flags }),
        (
            id_ref(),
            any::<bool>(),
            option::of(proptest::sample::select(Stage::ALL)),
            option::of(one_of::<ArchName>(&["x86_64"])),
            read()
        )
            .prop_map(|(id, follow, stage, arch, flags)| TaskCommand::Log {
                id,
                follow,
                stage,
                arch,
                flags
            }),
        (id_ref(), read()).prop_map(|(id, flags)| TaskCommand::Wait { id, flags }),
    ]
    .boxed()
}

fn job_command() -> BoxedStrategy<JobCommand> {
    let id = || one_of::<crate::id::JobId>(&["1", "1", "2", "3"]);
    let state = proptest::sample::select(crate::job::JobStateName::ALL);
    prop_oneof![
        (
            vec(state, 0..3),
            option::of(one_of(&["web", "base"])),
            option::of(one_of(&["kiosk"])),
            option::of(task()),
            read()
        )
            .prop_map(|(state, image, payload, task, flags)| JobCommand::Ls {
                state,
                payload: payload.filter(|_| image.is_none()),
                image,
                task,
                flags
            }),
        (id(), any::<bool>(), read()).prop_map(|(id, log, flags)| JobCommand::Show {
            id,
            log: log && !flags.json,
            flags
        }),
        (one_of(&["web", "base"]), write()).prop_map(|(name, flags)| JobCommand::Build { name, flags }),
        (id(), write()).prop_map(|(id, flags)| JobCommand::Retry { id, flags }),
        (id(), write()).prop_map(|(id, flags)| JobCommand::Cancel { id, flags }),
    ]
    .boxed()
}

fn device_command() -> BoxedStrategy<DeviceCommand> {
    let name = || one_of::<crate::id::DeviceName>(&["kiosk-1", "kiosk-1", "kiosk-2", "gone"]);
    let health = || proptest::sample::select(crate::device::lab::Health::ALL);
    let span = (1..1_000_000_i64).prop_map(|seconds| Span::from(jiff::SignedDuration::from_secs(seconds)));
    let tag = proptest::sample::select(vec!["canary".to_owned(), "arm".to_owned()]);
    prop_oneof![
        (
            vec(tag, 0..2),
            option::of(Just("kiosk".to_owned())),
            vec(health(), 0..2),
            read()
        )
            .prop_map(|(tag, board, health, flags)| DeviceCommand::Ls {
                tag,
                board,
                health,
                flags
            }),
        (name(), read()).prop_map(|(name, flags)| DeviceCommand::Show { name, flags }),
        (name(), 0..50_u32, read()).prop_map(|(name, limit, flags)| DeviceCommand::History { name, limit, flags }),
        (option::of(name()), read()).prop_map(|(name, flags)| DeviceCommand::Why { name, flags }),
        (name(), span, reason(), write()).prop_map(|(name, length, reason, flags)| DeviceCommand::Reserve {
            name,
            length,
            reason,
            flags
        }),
        (name(), write()).prop_map(|(name, flags)| DeviceCommand::Release { name, flags }),
        (name(), reason(), write()).prop_map(|(name, reason, flags)| DeviceCommand::Quarantine { name, reason, flags }),
        read().prop_map(|flags| DeviceCommand::Nightly(NightlyCommand::Ls { flags })),
        (one_of(&["all", "none"]), write())
            .prop_map(|(name, flags)| DeviceCommand::Nightly(NightlyCommand::Run { name, flags })),
        (name(), option::of((health(), reason())), write()).prop_map(|(name, said, flags)| {
            let (health, reason) = said.unzip();
            DeviceCommand::Health {
                name,
                health,
                reason,
                flags,
            }
        }),
    ]
    .boxed()
}

fn acl() -> BoxedStrategy<AclArgs> {
    let subject = one_of::<Subject>(&["hello", "libfoo", "show", "@maint", "@tester"]);
    let change = prop_oneof![
        Just(AclChange::Show),
        vec(who(), 1..3).prop_map(AclChange::Add),
        vec(who(), 1..3).prop_map(AclChange::Del),
        who().prop_map(AclChange::Leader),
        vec(who(), 1..4).prop_map(AclChange::Replace),
    ];
    (repository(), subject, change, write())
        .prop_map(|(repository, subject, change, flags)| AclArgs {
            repository,
            subject,
            change,
            flags,
        })
        .boxed()
}

fn build() -> BoxedStrategy<BuildArgs> {
    let items = vec(
        (source(), tag()).prop_map(|(source, tag)| BuildItem { source, tag }),
        1..4,
    )
    .prop_map(BuildItems);
    (
        option::of(repository()),
        option::of(reason()),
        any::<bool>(),
        items,
        write(),
    )
        .prop_map(|(repository, reason, test_only, items, flags)| BuildArgs {
            repository,
            reason,
            test_only,
            items,
            flags,
        })
        .boxed()
}

/// Any command that the grammar can say.
pub(crate) fn command() -> BoxedStrategy<Command> {
    let pushers = prop_oneof![
        Just(PushersChange::Show),
        vec(user(), 1..3).prop_map(PushersChange::Add),
        vec(user(), 1..3).prop_map(PushersChange::Del),
    ];
    prop_oneof![
        12 => task_command().prop_map(Command::Task),
        3 => build().prop_map(Command::Build),
        3 => job_command().prop_map(Command::Job),
        3 => device_command().prop_map(Command::Device),
        3 => acl().prop_map(Command::Acl),
        1 => (source(), tag(), read()).prop_map(|(source, tag, flags)| Command::Check(CheckArgs { source, tag, flags })),
        1 => (package(), write()).prop_map(|(name, flags)| Command::InitRepo(InitRepoArgs { name, flags })),
        1 => (source(), pushers, write())
            .prop_map(|(source, change, flags)| Command::Pushers(PushersArgs { source, change, flags })),
    ]
    .boxed()
}
