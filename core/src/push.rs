//! A pushed tag as it is handed over: what was pushed, by whom, and what was asked for with `git push -o`.
//!
//! Push options are data: a closed set, parsed here and nowhere else, never joined into a string again.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::escape::escaped;
use crate::hex::hex;
use crate::id::{ObjectId, RepositoryName, RequestId, SourcePath, TagName, TaskId, UserName};
use crate::refusal::Refusal;

/// A tag that the hook judged and git has written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagPushed {
    /// The source repository that it was pushed to.
    pub source: SourcePath,
    /// The tag's name, without `refs/tags/`.
    pub tag: TagName,
    /// The tag object.
    pub object: ObjectId,
    /// What was asked for with `-o`.
    #[serde(default)]
    pub options: PushOptions,
    /// The person whom sshd let in.
    pub pusher: UserName,
}

/// What was asked for with `git push -o …`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushOptions {
    /// `-o build`, `-o build=REPOSITORY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildRequest>,
    /// `-o task=ID`: the tag is added to this task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// `-o test-only`: the task ends as tested and does not land.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test_only: bool,
}

/// Which repository a pushed tag is to be built for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildRequest {
    /// The configured default.
    Default,
    /// The one named.
    Named(RepositoryName),
}

impl TagPushed {
    /// The request's id: made from what was pushed and where to, so that a repeated push is a repeated request.
    #[expect(clippy::missing_panics_doc, reason = "it cannot: the id is well formed")]
    pub fn request_id(&self) -> RequestId {
        let mut hash = Sha256::new();
        for part in ["push", self.source.as_str(), &self.tag.reference()] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.update(self.object.as_str().as_bytes());
        let id = format!("r-{}", hex(&hash.finalize()[..16]));
        id.parse().expect("it is 'r-' and 32 hexadecimal digits")
    }
}

impl PushOptions {
    /// Reads push options as git hands them to a hook.
    ///
    /// # Errors
    /// An unknown option, a value that is not well formed, or an option given twice with two values: every one is named.
    pub fn parse<'a>(options: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<Refusal>> {
        let mut parsed = Self::default();
        let mut refusals = Vec::new();
        for option in options {
            let (key, value) = option
                .split_once('=')
                .map_or((option, None), |(key, value)| (key, Some(value)));
            let done = match (key, value) {
                ("build", None) => set(&mut parsed.build, BuildRequest::Default, option),
                ("build", Some(name)) => name
                    .parse()
                    .map_err(|error| bad_option(option, &format!("{error}")))
                    .and_then(|name| set(&mut parsed.build, BuildRequest::Named(name), option)),
                ("task", Some(id)) => id
                    .parse()
                    .map_err(|error| bad_option(option, &format!("{error}")))
                    .and_then(|id| set(&mut parsed.task, id, option)),
                ("test-only", None) => {
                    parsed.test_only = true;
                    Ok(())
                }
                _ => Err(bad_option(option, "there is no such option")),
            };
            refusals.extend(done.err());
        }
        if refusals.is_empty() { Ok(parsed) } else { Err(refusals) }
    }

    /// The options as `git push -o` takes them.
    pub fn words(&self) -> Vec<String> {
        let build = self.build.as_ref().map(|build| match build {
            BuildRequest::Default => "build".to_owned(),
            BuildRequest::Named(name) => format!("build={name}"),
        });
        let task = self.task.map(|id| format!("task={id}"));
        let test_only = self.test_only.then(|| "test-only".to_owned());
        build.into_iter().chain(task).chain(test_only).collect()
    }

    /// Whether any of them asks for a build.
    pub fn asks_for_build(&self) -> bool {
        self.build.is_some() || self.task.is_some() || self.test_only
    }
}

fn set<T: PartialEq>(slot: &mut Option<T>, value: T, option: &str) -> Result<(), Refusal> {
    match slot {
        Some(earlier) if *earlier != value => Err(bad_option(option, "it is given twice, with two values")),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

fn bad_option(option: &str, why: &str) -> Refusal {
    Refusal::new("bad_push_option", format!("push option '{}': {why}", escaped(option)))
        .hint("the push options are: -o build, -o build=REPOSITORY, -o task=ID, -o test-only")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[], true)]
    #[case(&["build"], true)]
    #[case(&["build=sisyphus", "test-only"], true)]
    #[case(&["task=7"], true)]
    #[case(&["build", "build"], true)]
    #[case(&["build", "build=x"], false)]
    #[case(&["task=7", "task=8"], false)]
    #[case(&["build="], false)]
    #[case(&["task=$(id)"], false)]
    #[case(&["test-only=yes"], false)]
    #[case(&["ci.skip"], false)]
    #[case(&[""], false)]
    fn options(#[case] given: &[&str], #[case] good: bool) {
        let parsed = PushOptions::parse(given.iter().copied());
        assert_eq!(parsed.is_ok(), good, "{parsed:?}");
        if let Ok(parsed) = parsed {
            let words = parsed.words();
            assert_eq!(PushOptions::parse(words.iter().map(String::as_str)), Ok(parsed));
        }
    }

    #[test]
    fn every_bad_option_is_named_and_escaped() {
        let refusals = PushOptions::parse(["x\u{1b}[2J", "task=0"]).unwrap_err();
        assert_eq!(refusals.len(), 2);
        assert_eq!(
            refusals[0].message,
            "push option 'x\\u{1b}[2J': there is no such option"
        );
    }
}
