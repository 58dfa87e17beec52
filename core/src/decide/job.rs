//! `job …`: showing jobs, trying one once more, giving one up.

use super::draft::Scene;
use super::{Decision, read_only};
use crate::command::JobCommand;
use crate::event::Event;
use crate::id::{ImageId, JobId, PayloadName, RepositoryName, TaskId};
use crate::job::{Because, Canceller, Job, JobEvent, JobState, JobStateName, Product, Subject, Wanted, queue};
use crate::refusal::Refusal;
use crate::reply::job::{JobRow, JobView};
use crate::reply::{Body, Reply};

/// Which jobs are listed.
struct Filter<'a> {
    states: &'a [JobStateName],
    subject: Option<Subject>,
    task: Option<TaskId>,
}

impl Scene<'_> {
    pub(super) fn job(self, command: &JobCommand) -> Result<Decision, Refusal> {
        match command {
            JobCommand::Ls {
                state,
                image,
                payload,
                task,
                ..
            } => {
                let payload = payload.clone().map(Subject::Payload);
                Ok(read_only(self.jobs(&Filter {
                    states: state,
                    subject: image.clone().map(Subject::Image).or(payload),
                    task: *task,
                })))
            }
            JobCommand::Show { id, .. } => {
                let job = self.one_job(*id)?;
                let view = JobView::of(self.world, job, self.now);
                Ok(read_only(Reply {
                    body: Body::Job(Box::new(view)),
                    ..Reply::default()
                }))
            }
            JobCommand::Build { name, .. } => self.build_product(name),
            JobCommand::Retry { id, .. } => self.retry(*id),
            JobCommand::Cancel { id, .. } => self.cancel(*id),
        }
    }

    fn one_job(&self, id: JobId) -> Result<&Job, Refusal> {
        self.world
            .jobs()
            .get(id)
            .ok_or_else(|| Refusal::new("no_job", format!("there is no job {id}")).hint("see which there are: job ls"))
    }

    fn jobs(self, wanted: &Filter<'_>) -> Reply {
        let jobs = self.world.jobs();
        let is_wanted = |job: &&Job| {
            let state = jobs.state_name(job);
            let states = if wanted.states.is_empty() {
                // Who asks for one task's jobs, or one image's, asks for all of them.
                !job.state.is_end() || wanted.subject.is_some() || wanted.task.is_some()
            } else {
                wanted.states.contains(&state)
            };
            let subject = job.kind.subject();
            states
                && wanted.subject.as_ref().is_none_or(|wanted| *wanted == subject)
                && wanted.task.is_none_or(|task| job.tasks.contains(&task))
        };
        let rows: Vec<JobRow> = jobs
            .iter()
            .rev()
            .filter(is_wanted)
            .map(|job| JobRow::of(self.world, job, self.now))
            .collect();
        let notes = if rows.is_empty() {
            vec!["no jobs".to_owned()]
        } else {
            Vec::new()
        };
        Reply {
            body: Body::Jobs(rows),
            notes,
            ..Reply::default()
        }
    }

    /// That whoever asks owns a task that caused the job, or may do everything.
    fn may_rule(&self, job: &Job, what: &str) -> Result<(), Refusal> {
        let owns = |task: &TaskId| self.world.task(*task).is_some_and(|task| task.owner == self.actor.user);
        if self.actor.superuser || job.tasks.iter().any(owns) {
            return Ok(());
        }
        let owners: Vec<String> = job
            .tasks
            .iter()
            .filter_map(|task| self.world.task(*task))
            .map(|task| format!("{} (task {})", task.owner, task.id))
            .collect();
        let who = if owners.is_empty() {
            "no task caused it: administrators can".to_owned()
        } else {
            format!("{} can, and administrators", owners.join(", "))
        };
        Err(Refusal::new(
            "not_yours",
            format!("{} may not {what} job {}", self.actor.user, job.id),
        )
        .hint(who))
    }

    /// An image that nothing has touched yet, or whose Dockerfile was changed, is built because somebody says so; a payload in the same way.
    fn build_product(self, name: &ImageId) -> Result<Decision, Refusal> {
        let (product, repositories) = self.product(name)?;
        let subject = product.subject();
        if !self.actor.superuser {
            return Err(
                Refusal::new("not_yours", format!("{} may not have {subject} built", self.actor.user))
                    .hint("administrators can; a task that lands in its repositories has it built by itself"),
            );
        }
        if let Some(other) = self.world.jobs().queued(&subject) {
            let message = format!("job {} builds {subject} already: it waits for its turn", other.id);
            return Err(Refusal::new("queued", message).hint(format!("job show {}", other.id)));
        }
        let made = |name: &&RepositoryName| self.world.is_made(name);
        let Some((repository, record)) = repositories
            .iter()
            .find(made)
            .and_then(|name| Some((name, self.world.repository(name)?)))
        else {
            return Err(Refusal::new(
                "no_generation",
                format!("{subject} installs from a repository that is not made yet"),
            )
            .hint("windlass repo init"));
        };
        let asked = Because::Asked {
            by: self.actor.user.clone(),
        };
        let wanted = Wanted {
            kind: product.build(repository.clone(), record.generation, vec![asked], 0),
            after: Vec::new(),
        };
        let events = queue(self.world.jobs(), &[wanted], None);
        let Some(Event::Job { id, event }) = events.into_iter().next() else {
            return Err(Refusal::new("no_job", format!("{subject} cannot be queued")));
        };
        Ok(done(id, event, format!("job {id} builds {subject}")))
    }

    /// The configured image or payload of a name: no two have the same.
    fn product(&self, name: &ImageId) -> Result<(Product, &[RepositoryName]), Refusal> {
        if let Some(repositories) = self.facts.images.get(name) {
            return Ok((Product::Image(name.clone()), repositories));
        }
        let payload = self.facts.payloads.iter();
        let mut payload = payload.filter(|(payload, _)| payload.as_str() == name.as_str());
        if let Some((payload, repositories)) = payload.next() {
            return Ok((Product::Payload(payload.clone()), repositories));
        }
        let images = self.facts.images.keys().map(ImageId::as_str);
        let known: Vec<&str> = images
            .chain(self.facts.payloads.keys().map(PayloadName::as_str))
            .collect();
        let hint = if known.is_empty() {
            "an administrator names it in an [[image]] or a [[payload]] section of the configuration".to_owned()
        } else {
            format!("there are: {}", known.join(", "))
        };
        Err(Refusal::new("no_image", format!("no image and no payload '{name}' is configured")).hint(hint))
    }

    fn retry(self, id: JobId) -> Result<Decision, Refusal> {
        let job = self.one_job(id)?;
        self.may_rule(job, "retry")?;
        let waiting = self.world.jobs().waits_for(job);
        match &job.state {
            JobState::Leased { .. } => {
                return Err(Refusal::new("running", format!("job {id} runs already"))
                    .hint(format!("follow it: job show {id} --log; or stop it: job cancel {id}")));
            }
            JobState::Queued { .. } if !waiting.is_empty() => {
                let waiting: Vec<String> = waiting.iter().map(ToString::to_string).collect();
                return Err(
                    Refusal::new("waiting", format!("job {id} waits for job {}", waiting.join(", ")))
                        .hint(format!("see what keeps it: job show {id}")),
                );
            }
            JobState::Queued { trouble: None, .. } => {
                return Err(Refusal::new("queued", format!("job {id} waits for its turn already")));
            }
            JobState::Queued { .. } | JobState::Done { .. } | JobState::Failed { .. } | JobState::Cancelled { .. } => {}
        }
        if let Some(other) = self.world.jobs().queued(&job.kind.subject())
            && other.id != id
        {
            return Err(Refusal::new(
                "queued",
                format!("job {} does the same already: it waits for its turn", other.id),
            )
            .hint(format!("job show {}", other.id)));
        }
        let by = self.actor.user.clone();
        Ok(done(
            id,
            JobEvent::AskedAgain { by },
            format!("job {id} is tried once more"),
        ))
    }

    fn cancel(self, id: JobId) -> Result<Decision, Refusal> {
        let job = self.one_job(id)?;
        self.may_rule(job, "cancel")?;
        if job.state.is_end() {
            return Err(Refusal::new(
                "over",
                format!("job {id} is {}: there is nothing to cancel", job.state.name()),
            ));
        }
        let by = self.actor.user.clone();
        let cancelled = JobEvent::Cancelled {
            by: Canceller::Person { by },
        };
        Ok(done(id, cancelled, format!("job {id} is cancelled")))
    }
}

fn done(id: JobId, event: JobEvent, line: String) -> Decision {
    Decision {
        events: vec![Event::Job { id, event }],
        reply: Reply {
            body: Body::Done {
                task: None,
                done: vec![line],
            },
            ..Reply::default()
        },
    }
}
