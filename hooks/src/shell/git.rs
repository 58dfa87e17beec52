//! git's three services, on one repository, with nothing of the client's environment and within limits.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, setrlimit};
use windlass_core::escape::escaped;
use windlass_core::id::{SourcePath, UserName};
use windlass_core::refusal::Refusal;

use crate::caller::USER_VARIABLE;
use crate::process::{Run, RunError};
use crate::settings::{Settings, Ssh};
use crate::sources::Source;

/// What git's client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// `git fetch`, `git clone`.
    UploadPack,
    /// `git push`.
    ReceivePack,
    /// `git archive --remote`.
    UploadArchive,
}

impl Service {
    const ALL: [Self; 3] = [Self::UploadPack, Self::ReceivePack, Self::UploadArchive];

    fn word(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
            Self::UploadArchive => "upload-archive",
        }
    }
}

/// A service that is asked for, or none: then it is a command of ours.
///
/// # Errors
/// It is a service, and asked for in a way that git's client does not.
pub(super) fn asked(words: &[String], caller: &UserName) -> Option<Result<(Service, SourcePath), Refusal>> {
    let (service, rest) = match words {
        [first, rest @ ..] if first.starts_with("git-") => (first.strip_prefix("git-")?, rest),
        [git, service, rest @ ..] if git == "git" => (service.as_str(), rest),
        _ => return None,
    };
    let Some(service) = Service::ALL.into_iter().find(|known| known.word() == service) else {
        let refusal = Refusal::new(
            "no_such_command",
            format!("'{}' is no service of git's that is given here", escaped(service)),
        );
        return Some(Err(
            refusal.hint("what is given: git fetch, git push, git archive --remote")
        ));
    };
    let [path] = rest else {
        return Some(Err(Refusal::new(
            "bad_command",
            format!("{} takes one repository", service.word()),
        )));
    };
    let source = SourcePath::resolve(path, caller).map_err(|error| {
        Refusal::new("bad_name", error.to_string())
            .hint("as in: git clone git@HOST:hello, git clone git@HOST:bob/hello")
    });
    Some(source.map(|source| (service, source)))
}

/// One service, about to be run.
pub(super) struct Session<'a> {
    /// The limits.
    pub settings: &'a Settings,
    /// The repository, whose hooks were looked at.
    pub source: &'a Source,
    /// Who asks.
    pub caller: &'a UserName,
    /// What the client said in `GIT_PROTOCOL`.
    pub protocol: Option<String>,
}

/// How a service ended.
#[derive(Debug)]
pub(super) enum End {
    /// With this exit code.
    Exit(u8),
    /// It was stopped, or fell over one of its limits: what to tell.
    Stopped(Refusal),
}

impl Session<'_> {
    /// Runs it on our own standard input and output. The limits become this process' own and are inherited.
    pub(super) fn run(self, service: Service) -> Result<End, RunError> {
        let ssh = &self.settings.ssh;
        if service == Service::ReceivePack {
            limit(ssh).map_err(|error| RunError::Start {
                argv: "setrlimit".to_owned(),
                error: error.into(),
            })?;
        }
        let hooks: PathBuf = self.source.git_dir.join("hooks");
        let mut run = Run::new("git")
            .clear_env()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.settings.paths.git())
            .env("LANG", "C.UTF-8")
            .env(USER_VARIABLE, self.caller.as_str())
            // Whatever the machine's or the account's configuration says: these hooks, which were looked at.
            .args(["-c", &format!("core.hooksPath={}", hooks.display())])
            .timeout(ssh.time_limit.std());
        if let Some(protocol) = &self.protocol {
            run = run.env("GIT_PROTOCOL", protocol);
        }
        let run = run.arg(service.word()).arg(absolute(&self.source.git_dir));
        let stopped = |what: &str| Ok(End::Stopped(over_limits(ssh, what)));
        match run.attached() {
            // receive-pack itself ends well when what it started to unpack the push did not.
            Ok((_, said)) if service == Service::ReceivePack && fell_over(&said) => {
                stopped("git could not take this push")
            }
            Ok((status, _)) => match status.code() {
                Some(code) => Ok(End::Exit(u8::try_from(code).unwrap_or(1))),
                None => stopped(&format!("git was stopped ({status})")),
            },
            Err(RunError::TimedOut { .. }) => stopped(&format!("git was stopped after {}", ssh.time_limit)),
            Err(error) => Err(error),
        }
    }
}

/// Whether one of git's processes died of a signal or found no memory, as receive-pack reports it. Which limit that was it does not know.
fn fell_over(said: &str) -> bool {
    ["died of signal", "Out of memory", "out of memory", "File too large"]
        .iter()
        .any(|sign| said.contains(sign))
}

/// It begins with a slash, so that git cannot take it for an option.
fn absolute(git_dir: &Path) -> &Path {
    debug_assert!(git_dir.is_absolute());
    git_dir
}

fn over_limits(ssh: &Ssh, what: &str) -> Refusal {
    Refusal::new("over_limit", what.to_owned()).hint(format!(
        "a push may take {} of memory, {} of time, files of {}; push less at once, or ask the administrator",
        ssh.memory_limit, ssh.time_limit, ssh.file_size_limit
    ))
}

/// Memory: what is written to (`RLIMIT_DATA`); packs that are only mapped for reading do not count.
fn limit(ssh: &Ssh) -> rustix::io::Result<()> {
    let at_most = |value: u64| Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    setrlimit(Resource::Data, at_most(ssh.memory_limit.bytes()))?;
    setrlimit(Resource::Fsize, at_most(ssh.file_size_limit.bytes()))?;
    setrlimit(Resource::Core, at_most(0))?;
    setrlimit(Resource::Cpu, at_most(ssh.time_limit.as_secs().max(1)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["git-upload-pack", "hello.git"], Some(Ok("people/alice/packages/hello.git")))]
    #[case(&["git-receive-pack", "/bob/hello"], Some(Ok("people/bob/packages/hello.git")))]
    #[case(&["git", "receive-pack", "shared/gcc"], Some(Ok("shared/gcc.git")))]
    #[case(&["git-upload-archive", "hello"], Some(Ok("people/alice/packages/hello.git")))]
    #[case(&["git-upload-pack", "../../../etc"], Some(Err("bad_name")))]
    #[case(&["git-upload-pack", "--upload-pack=touch"], Some(Err("bad_name")))]
    #[case(&["git-upload-pack", "-x"], Some(Err("bad_name")))]
    #[case(&["git-upload-pack", "hello", "--strict"], Some(Err("bad_command")))]
    #[case(&["git-upload-pack"], Some(Err("bad_command")))]
    #[case(&["git-shell", "x"], Some(Err("no_such_command")))]
    #[case(&["git", "gc", "x"], Some(Err("no_such_command")))]
    #[case(&["git", "-c", "x"], Some(Err("no_such_command")))]
    #[case(&["git"], None)]
    #[case(&["task", "ls"], None)]
    #[case(&[], None)]
    fn services(#[case] words: &[&str], #[case] expected: Option<Result<&str, &str>>) {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let found = asked(&words, &"alice".parse().unwrap());
        let found = found.map(|found| {
            found
                .map(|(_, path)| path.to_string())
                .map_err(|refusal| refusal.code.into_owned())
        });
        assert_eq!(
            found,
            expected.map(|found| found.map(str::to_owned).map_err(str::to_owned))
        );
    }

    #[test]
    fn any_line_leads_below_the_root_or_nowhere() {
        let alice: UserName = "alice".parse().unwrap();
        bolero::check!()
            .with_type::<(u8, String)>()
            .for_each(|(service, rest)| {
                let service =
                    ["git-upload-pack", "git receive-pack", "git-upload-archive", ""][usize::from(*service) % 4];
                let Ok(words) = windlass_core::command::split::split(format!("{service} {rest}").as_bytes()) else {
                    return;
                };
                if let Some(Ok((_, path))) = asked(&words, &alice) {
                    let path = path.as_str();
                    assert!(path.starts_with("people/") || path.starts_with("shared/"), "{path}");
                    assert!(
                        !path.contains("..") && !path.contains("/-") && !path.contains("//"),
                        "{path}"
                    );
                }
            });
    }
}
