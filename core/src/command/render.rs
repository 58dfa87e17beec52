//! A command as the words that parse to it.

use std::fmt::Display;

use super::{
    AclChange, Addition, Command, DepsChange, DeviceCommand, JobCommand, NightlyCommand, PushersChange, ReadFlags,
    Switch, TaskCommand, WriteFlags,
};

/// Collects words.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn word(&mut self, word: impl Display) {
        self.0.push(word.to_string());
    }

    fn all<T: Display>(&mut self, words: impl IntoIterator<Item = T>) {
        self.0.extend(words.into_iter().map(|word| word.to_string()));
    }

    /// `--name=value`, so that a value may begin with a dash.
    fn option(&mut self, name: &str, value: Option<&impl Display>) {
        if let Some(value) = value {
            self.word(format!("--{name}={value}"));
        }
    }

    fn flag(&mut self, name: &str, set: bool) {
        if set {
            self.word(format!("--{name}"));
        }
    }

    fn read(&mut self, flags: ReadFlags) {
        self.flag("json", flags.json);
    }

    fn write(&mut self, flags: &WriteFlags) {
        self.flag("dry-run", flags.dry_run);
        self.flag("json", flags.json);
        self.option("request-id", flags.request_id.as_ref());
    }
}

impl Command {
    /// The words that [`parse`](Command::parse) makes this command of.
    pub fn words(&self) -> Vec<String> {
        let mut words = Words::default();
        match self {
            Self::Task(task) => {
                words.word("task");
                task.words(&mut words);
            }
            Self::Job(job) => {
                words.word("job");
                job.words(&mut words);
            }
            Self::Device(device) => {
                words.word("device");
                device.words(&mut words);
            }
            Self::Build(build) => {
                words.word("build");
                words.option("branch", build.repository.as_ref());
                words.option("reason", build.reason.as_ref());
                words.flag("test-only", build.test_only);
                words.write(&build.flags);
                for item in &build.items.0 {
                    words.word(&item.source);
                    words.word(&item.tag);
                }
            }
            Self::Acl(acl) => {
                words.word("acl");
                words.write(&acl.flags);
                words.word(&acl.repository);
                words.word(&acl.subject);
                match &acl.change {
                    AclChange::Show => words.word("show"),
                    AclChange::Add(who) => {
                        words.word("add");
                        words.all(who);
                    }
                    AclChange::Del(who) => {
                        words.word("del");
                        words.all(who);
                    }
                    AclChange::Leader(who) => {
                        words.word("leader");
                        words.word(who);
                    }
                    AclChange::Replace(who) => {
                        words.word("replace");
                        words.all(who);
                    }
                }
            }
            Self::Check(check) => {
                words.word("check");
                words.read(check.flags);
                words.word(&check.source);
                words.word(&check.tag);
            }
            Self::InitRepo(init) => {
                words.word("init-repo");
                words.write(&init.flags);
                words.word(&init.name);
            }
            Self::Pushers(pushers) => {
                words.word("pushers");
                words.write(&pushers.flags);
                words.word(&pushers.source);
                match &pushers.change {
                    PushersChange::Show => words.word("show"),
                    PushersChange::Add(who) => {
                        words.word("add");
                        words.all(who);
                    }
                    PushersChange::Del(who) => {
                        words.word("del");
                        words.all(who);
                    }
                }
            }
        }
        words.0
    }
}

impl JobCommand {
    fn words(&self, words: &mut Words) {
        match self {
            Self::Ls {
                state,
                image,
                payload,
                task,
                flags,
            } => {
                words.word("ls");
                words.read(*flags);
                for state in state {
                    words.option("state", Some(state));
                }
                words.option("image", image.as_ref());
                words.option("payload", payload.as_ref());
                words.option("task", task.as_ref());
            }
            Self::Show { id, log, flags } => {
                words.word("show");
                words.flag("log", *log);
                words.read(*flags);
                words.word(id);
            }
            Self::Build { name, flags } => {
                words.word("build");
                words.write(flags);
                words.word(name);
            }
            Self::Retry { id, flags } => {
                words.word("retry");
                words.write(flags);
                words.word(id);
            }
            Self::Cancel { id, flags } => {
                words.word("cancel");
                words.write(flags);
                words.word(id);
            }
        }
    }
}

impl DeviceCommand {
    fn words(&self, words: &mut Words) {
        match self {
            Self::Ls {
                tag,
                board,
                health,
                flags,
            } => {
                words.word("ls");
                words.read(*flags);
                for tag in tag {
                    words.option("tag", Some(tag));
                }
                words.option("board", board.as_ref());
                for health in health {
                    words.option("health", Some(health));
                }
            }
            Self::Show { name, flags } => {
                words.word("show");
                words.read(*flags);
                words.word(name);
            }
            Self::History { name, limit, flags } => {
                words.word("history");
                words.read(*flags);
                words.option("limit", Some(limit));
                words.word(name);
            }
            Self::Why { name, flags } => {
                words.word("why");
                words.read(*flags);
                words.all(name);
            }
            Self::Reserve {
                name,
                length,
                reason,
                flags,
            } => {
                words.word("reserve");
                words.option("for", Some(length));
                words.option("reason", Some(&reason.as_str()));
                words.write(flags);
                words.word(name);
            }
            Self::Release { name, flags } => {
                words.word("release");
                words.write(flags);
                words.word(name);
            }
            Self::Quarantine { name, reason, flags } => {
                words.word("quarantine");
                words.option("reason", Some(&reason.as_str()));
                words.write(flags);
                words.word(name);
            }
            Self::Health {
                name,
                health,
                reason,
                flags,
            } => {
                words.word("health");
                words.option("reason", reason.as_ref().map(crate::reason::Reason::as_str).as_ref());
                words.write(flags);
                words.word(name);
                words.all(health);
            }
            Self::Nightly(NightlyCommand::Ls { flags }) => {
                words.word("nightly");
                words.word("ls");
                words.read(*flags);
            }
            Self::Nightly(NightlyCommand::Run { name, flags }) => {
                words.word("nightly");
                words.word("run");
                words.write(flags);
                words.word(name);
            }
        }
    }
}

impl TaskCommand {
    fn words(&self, words: &mut Words) {
        match self {
            Self::New { repository, flags } => {
                words.word("new");
                words.write(flags);
                words.all(repository);
            }
            Self::Add { id, what, flags } => {
                words.word("add");
                words.write(flags);
                words.all(id);
                match what {
                    Addition::Repo { source, tag } => {
                        words.word("repo");
                        words.word(source);
                        words.word(tag);
                    }
                    Addition::Del { packages } => {
                        words.word("del");
                        words.all(packages);
                    }
                    Addition::Rebuild { packages } => {
                        words.word("rebuild");
                        words.all(packages);
                    }
                    Addition::Copy { packages, from } => {
                        words.word("copy");
                        words.all(packages);
                        words.word(from);
                    }
                }
            }
            Self::Delsub { id, number, flags } => {
                words.word("delsub");
                words.write(flags);
                words.all(id);
                words.word(number);
            }
            Self::Show { id, flags } => {
                words.word("show");
                words.read(*flags);
                words.all(id);
            }
            Self::Ls {
                state,
                user,
                repository,
                flags,
            } => {
                words.word("ls");
                words.read(*flags);
                for state in state {
                    words.option("state", Some(state));
                }
                words.option("user", user.as_ref());
                words.option("repository", repository.as_ref());
            }
            Self::Run {
                id,
                reason,
                test_only,
                commit,
                fail_early,
                fail_late,
                flags,
            } => {
                words.word("run");
                words.option("reason", reason.as_ref());
                words.flag("test-only", *test_only);
                words.flag("commit", *commit);
                words.flag("fail-early", *fail_early);
                words.flag("fail-late", *fail_late);
                words.write(flags);
                words.all(id);
            }
            Self::Share { id, switch, flags } => {
                words.word("share");
                words.write(flags);
                words.all(id);
                match switch {
                    None => {}
                    Some(Switch::On) => words.word("on"),
                    Some(Switch::Off) => words.word("off"),
                }
            }
            Self::Deps { id, change, flags } => {
                words.word("deps");
                words.write(flags);
                words.all(id);
                match change {
                    DepsChange::Show => words.word("show"),
                    DepsChange::Add { tasks } => {
                        words.word("add");
                        words.all(tasks);
                    }
                    DepsChange::Del { tasks } => {
                        words.word("del");
                        words.all(tasks);
                    }
                    DepsChange::Set { tasks } => {
                        words.word("set");
                        words.all(tasks);
                    }
                    DepsChange::Clear => words.word("clear"),
                }
            }
            Self::Approve {
                id,
                which,
                reason,
                revoke,
                digest,
                flags,
            } => {
                words.word("approve");
                words.option("reason", reason.as_ref());
                words.flag("revoke", *revoke);
                words.option("digest", digest.as_ref());
                words.write(flags);
                words.word(id);
                words.word(which);
            }
            Self::Disapprove {
                id,
                which,
                reason,
                revoke,
                flags,
            } => {
                words.word("disapprove");
                words.option("reason", reason.as_ref());
                words.flag("revoke", *revoke);
                words.write(flags);
                words.word(id);
                words.word(which);
            }
            Self::Abort { id, flags } => {
                words.word("abort");
                words.write(flags);
                words.word(id);
            }
            Self::Rm { id, flags } => {
                words.word("rm");
                words.write(flags);
                words.word(id);
            }
            Self::Why { id, flags } => {
                words.word("why");
                words.read(*flags);
                words.all(id);
            }
            Self::Log {
                id,
                follow,
                stage,
                arch,
                flags,
            } => {
                words.word("log");
                words.flag("follow", *follow);
                words.option("stage", stage.as_ref());
                words.option("arch", arch.as_ref());
                words.read(*flags);
                words.all(id);
            }
            Self::Wait { id, flags } => {
                words.word("wait");
                words.read(*flags);
                words.all(id);
            }
        }
    }
}
