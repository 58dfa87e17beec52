//! Everything that is on record. The journal holds these, and the world is what they add up to.
//!
//! An event is a fact: whoever reads it later need not know the rules of the day on which it was decided. A kind or field
//! may be added; what is there is never given another meaning ([`EVENT_VERSION`] grows when an older reader would be misled).

use serde::{Deserialize, Serialize};

use crate::access::AccessChange;
use crate::device::lab::{DeviceEvent, NightlyEvent};
use crate::id::{DeviceName, JobId, NightlyName, RepositoryName, RequestId, TaskId, UserName};
use crate::job::JobEvent;
use crate::push::TagPushed;
use crate::refusal::Refusal;
use crate::repository::record::RepositoryEvent;
use crate::task::TaskEvent;

/// The version of the events' form.
pub const EVENT_VERSION: u32 = 1;

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A request was answered; asked again it gets the same answer and has no second effect.
    Answered(Answered),
    /// A signed tag came in, and what became of it.
    TagTaken {
        /// The tag.
        pushed: TagPushed,
        /// What became of it.
        #[serde(flatten)]
        taken: Taken,
    },
    /// Something happened to a task.
    Task {
        /// The task.
        id: TaskId,
        /// What.
        #[serde(flatten)]
        event: TaskEvent,
    },
    /// An access list changed.
    Access(AccessChange),
    /// Something happened to a repository.
    Repository {
        /// The repository.
        repository: RepositoryName,
        /// What.
        #[serde(flatten)]
        event: RepositoryEvent,
    },
    /// Something happened to a job.
    Job {
        /// The job.
        id: JobId,
        /// What.
        #[serde(flatten)]
        event: JobEvent,
    },
    /// Something happened to a lab device.
    Device {
        /// The device.
        name: DeviceName,
        /// What.
        #[serde(flatten)]
        event: DeviceEvent,
    },
    /// Something happened to a nightly run.
    Nightly {
        /// Which.
        name: NightlyName,
        /// What.
        #[serde(flatten)]
        event: NightlyEvent,
    },
}

/// A request with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Answered {
    /// The request.
    pub request: RequestId,
    /// Who asked.
    pub user: UserName,
    /// What was asked: the command's words, or those of a push.
    pub words: Vec<String>,
    /// The task that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// What went to stdout.
    pub out: String,
    /// What went to stderr.
    pub err: String,
    /// The exit code.
    pub exit: u8,
}

/// What became of a pushed tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "taken", rename_all = "kebab-case")]
pub enum Taken {
    /// No build was asked for.
    Noted,
    /// It is a subtask of this task.
    Task {
        /// The task.
        task: TaskId,
    },
    /// It makes no subtask.
    Refused {
        /// Why: all reasons.
        refusals: Vec<Refusal>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What journals hold since version 1. A line here is never changed: were one to read differently, history would.
    const WRITTEN: &[&str] = &[
        r#"{"kind":"task","id":7,"what":"created","repository":"sisyphus","owner":"alice"}"#,
        r#"{"kind":"task","id":7,"what":"subtask-added","number":1,"by":"alice","action":"build","source":"people/alice/packages/hello.git","tag":"1.0-alt1","object":"1111111111111111111111111111111111111111","commit":"2222222222222222222222222222222222222222","signer":{"owner":"alice","fingerprint":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},"package":"hello"}"#,
        r#"{"kind":"task","id":7,"what":"subtask-added","number":2,"by":"alice","action":"remove","package":"libold"}"#,
        r#"{"kind":"task","id":7,"what":"subtask-added","number":3,"by":"alice","action":"rebuild","package":"libfoo"}"#,
        r#"{"kind":"task","id":7,"what":"subtask-added","number":4,"by":"alice","action":"copy","package":"bar","from":"p11"}"#,
        r#"{"kind":"task","id":7,"what":"subtask-removed","number":2,"by":"alice"}"#,
        r#"{"kind":"task","id":7,"what":"shared","on":true,"by":"alice"}"#,
        r#"{"kind":"task","id":7,"what":"deps-changed","deps":[5,6],"by":"alice"}"#,
        r#"{"kind":"task","id":7,"what":"voted","vote":"approve","subtask":1,"of":"00","by":"bob","reason":"fine"}"#,
        r#"{"kind":"task","id":7,"what":"vote-revoked","vote":"approve","subtask":1,"by":"bob"}"#,
        r#"{"kind":"task","id":7,"what":"run-asked","run":{"try":1,"by":"alice","at":"2026-11-21T10:00:00Z","mode":"commit","on_failure":"early","reason":"unused"}}"#,
        r#"{"kind":"task","id":7,"what":"permitted"}"#,
        r#"{"kind":"task","id":7,"what":"aborted","by":"alice"}"#,
        r#"{"kind":"task","id":7,"what":"removed","by":"alice"}"#,
        r#"{"kind":"task","id":7,"what":"build-started","try":1,"iteration":2,"base":41}"#,
        r#"{"kind":"task","id":7,"what":"stage-started","try":1,"stage":"build","arch":"x86_64"}"#,
        r#"{"kind":"task","id":7,"what":"stage-finished","try":1,"stage":"repo-plan"}"#,
        r#"{"kind":"task","id":7,"what":"run-ended","try":1,"outcome":"passed"}"#,
        r#"{"kind":"task","id":7,"what":"run-ended","try":1,"outcome":"failed","stage":"build","subtask":1,"arch":"x86_64","fault":"infrastructure","message":"no space left","log":"logs/7/1","not_before":"2026-11-21T10:05:00Z"}"#,
        r#"{"kind":"task","id":7,"what":"run-ended","try":1,"outcome":"eperm","denied":[{"subtask":1,"package":"hello","touch":"build"}]}"#,
        r#"{"kind":"task","id":7,"what":"commit-started","try":1,"generation":42}"#,
        r#"{"kind":"task","id":7,"what":"commit-failed","try":1,"message":"disk full"}"#,
        r#"{"kind":"task","id":7,"what":"landed","try":1,"generation":42}"#,
        r#"{"kind":"task","id":7,"what":"stage-finished","try":1,"stage":"build","arch":"x86_64","ms":1200}"#,
        r#"{"kind":"task","id":7,"what":"archived","try":1,"subtask":1,"sha256":"00","package":"hello","evr":"1.0-alt1"}"#,
        r#"{"kind":"task","id":7,"what":"archived","try":1,"subtask":1,"sha256":"00"}"#,
        r#"{"kind":"task","id":7,"what":"built","try":1,"subtask":1,"arch":"x86_64","result":"built","key":"00","reused":false,"packages":["hello-1.0-alt1.src","hello-1.0-alt1.x86_64"],"log":"7/1.1/1/x86_64/log","ms":900}"#,
        r#"{"kind":"task","id":7,"what":"built","try":1,"subtask":1,"arch":"i586","result":"excluded","why":"ExclusiveArch: x86_64"}"#,
        r#"{"kind":"task","id":7,"what":"built","try":1,"subtask":4,"arch":"i586","result":"copied","packages":["bar-1-1.src"]}"#,
        r#"{"kind":"task","id":7,"what":"planned","try":1,"changes":[{"subtask":1,"package":"hello","before":"0.9-alt1","after":"1.0-alt1"},{"subtask":2,"package":"libold","before":"1:1-alt1"}],"counts":{"source":{"added":1,"removed":2},"x86_64":{"added":1,"removed":1}},"warnings":["it takes libfoo over"]}"#,
        r#"{"kind":"task","id":7,"what":"noted","try":1,"stage":"build","subtask":1,"arch":"x86_64","text":"look here"}"#,
        r#"{"kind":"task","id":7,"what":"subtask-failed","try":1,"stage":"build","subtask":1,"arch":"x86_64","fault":"package","message":"it does not build","log":"7/1.1/1/x86_64/log","code":"build_failed","hint":"read the log"}"#,
        r#"{"kind":"task","id":7,"what":"overtaken","try":1,"stage":"repo-unmets","fault":"package","message":"unmet","log":"7/1.1/repo-unmets.log"}"#,
        r#"{"kind":"task","id":7,"what":"commit-failed","try":1,"message":"disk full","not_before":"2026-11-21T10:05:00Z"}"#,
        r#"{"kind":"access","repository":"sisyphus","subject":"hello","by":"alice","change":"added","who":["bob","@perl"]}"#,
        r#"{"kind":"access","repository":"sisyphus","subject":"@perl","by":"alice","change":"removed","who":["@everybody"]}"#,
        r#"{"kind":"access","repository":"sisyphus","subject":"hello","by":"alice","change":"led","leader":"@nobody"}"#,
        r#"{"kind":"access","repository":"sisyphus","subject":"hello","by":"root","change":"replaced","list":{"leader":"alice","members":["bob"]}}"#,
        r#"{"kind":"access","repository":"sisyphus","subject":"hello","by":"alice","change":"landed","leader":"alice"}"#,
        r#"{"kind":"repository","repository":"sisyphus","what":"change-started","generation":42,"cause":{"cause":"task","task":7}}"#,
        r#"{"kind":"repository","repository":"sisyphus","what":"moved","generation":42,"cause":{"cause":"task","task":7},"seal":"00","came":[{"name":"hello","evr":"1.0-alt1","tag":"1111111111111111111111111111111111111111","binaries":{"hello":null,"libhello":"1:1.0-alt1"}}],"went":["hello-0.9-alt1"]}"#,
        r#"{"kind":"repository","repository":"sisyphus","what":"moved","generation":1,"cause":{"cause":"init","by":"alice"},"seal":"00"}"#,
        r#"{"kind":"repository","repository":"sisyphus","what":"moved","generation":2,"cause":{"cause":"import","by":"alice"},"seal":"00"}"#,
        r#"{"kind":"repository","repository":"sisyphus","what":"moved","generation":3,"cause":{"cause":"rollback","by":"alice","to":1},"seal":"00"}"#,
        r#"{"kind":"repository","repository":"sisyphus","what":"moved","generation":4,"cause":{"cause":"resign","by":"alice"},"seal":"00"}"#,
        r#"{"kind":"repository","repository":"sisyphus","what":"change-failed","generation":42,"message":"no space left"}"#,
        r#"{"kind":"repository","repository":"sisyphus","what":"collected","generations":[1,2]}"#,
        r#"{"kind":"job","id":3,"what":"queued","job":"image-build","image":"web","repository":"sisyphus","generation":42,"because":[{"because":"package","package":"hello","before":"1.0-alt1","after":"1.1-alt1"},{"because":"base","image":"base"}],"more":2,"after":[2],"task":7}"#,
        r#"{"kind":"job","id":3,"what":"updated","job":"image-build","image":"web","repository":"sisyphus","generation":43,"because":[]}"#,
        r#"{"kind":"job","id":3,"what":"leased","attempt":1,"until":"2026-11-21T10:05:00Z"}"#,
        r#"{"kind":"job","id":3,"what":"renewed","attempt":1,"until":"2026-11-21T10:06:00Z"}"#,
        r#"{"kind":"job","id":3,"what":"failed","attempt":1,"message":"the registry is away","transient":true,"retry_at":"2026-11-21T10:07:00Z"}"#,
        r#"{"kind":"job","id":3,"what":"failed","attempt":2,"message":"step 3 failed","transient":false}"#,
        r#"{"kind":"job","id":3,"what":"lost","attempt":2,"retry_at":"2026-11-21T10:07:00Z"}"#,
        r#"{"kind":"job","id":3,"what":"succeeded","attempt":3,"result":"image","name":"registry.example.org/web:latest","digest":"sha256:00","pushed":true,"reused":false,"generations":{"sisyphus":43},"packages":["hello-1.1-alt1.x86_64"],"provenance":"sha256:01","sbom":"sha256:02"}"#,
        r#"{"kind":"job","id":3,"what":"succeeded","attempt":3,"result":"skipped","why":"nothing to do"}"#,
        r#"{"kind":"job","id":3,"what":"cancelled","by":"alice"}"#,
        r#"{"kind":"job","id":3,"what":"asked-again","by":"alice"}"#,
        r#"{"kind":"device","name":"kiosk-1","what":"flashed","flash":"f-20261121T100000Z-0a1b2c3d","job":3,"from":"1.0.1","to":"1.0.2","ending":"succeeded","told":"succeeded"}"#,
        r#"{"kind":"device","name":"kiosk-1","what":"flashed","flash":"f-20261121T100000Z-0a1b2c3d","ending":"silent","told":"no route"}"#,
        r#"{"kind":"device","name":"kiosk-1","what":"left-alone","until":"2026-11-21T10:07:00Z"}"#,
        r#"{"kind":"device","name":"kiosk-1","what":"reserved","by":"alice","until":"2026-11-21T12:00:00Z","reason":"it flickers"}"#,
        r#"{"kind":"device","name":"kiosk-1","what":"released","by":"alice"}"#,
        r#"{"kind":"device","name":"kiosk-1","what":"judged","health":"bad","why":"3 flashes in a row failed"}"#,
        r#"{"kind":"device","name":"kiosk-1","what":"judged","health":"maintenance","why":"on the bench","by":"root"}"#,
        r#"{"kind":"nightly","name":"all","what":"planned","calendar":"30 2 * * * (UTC)"}"#,
        r#"{"kind":"nightly","name":"all","what":"ran","run":1,"due":"2026-11-22T02:30:00Z","jobs":[3,4],"left_out":[{"device":"kiosk-2","why":"reserved"}]}"#,
        r#"{"kind":"nightly","name":"all","what":"ran","run":2,"by":"root","nothing":"no version of payload kiosk was made yet"}"#,
        r#"{"kind":"job","id":3,"what":"queued","job":"flash","device":"kiosk-1","payload":"kiosk","version":"1.0.2","because":{"because":"made","by_job":2},"canary":true}"#,
        r#"{"kind":"job","id":3,"what":"queued","job":"flash","device":"kiosk-1","payload":"kiosk","version":"1.0.2","because":{"because":"nightly","nightly":"all","run":1},"retries":2,"stop_at":30,"after":[2]}"#,
        r#"{"kind":"job","id":3,"what":"succeeded","attempt":1,"result":"flashed","flash":"f-20261121T100000Z-0a1b2c3d","device":"kiosk-1","from":"1.0.1","to":"1.0.2","slot":"A","seconds":42}"#,
        r#"{"kind":"job","id":3,"what":"cancelled","why":"canary kiosk-1 failed (job 3): refused"}"#,
        r#"{"kind":"answered","request":"r-0123456789abcdef","user":"alice","words":["task","new"],"task":7,"out":"7\n","err":"","exit":0}"#,
        r#"{"kind":"tag-taken","pushed":{"source":"shared/gcc.git","tag":"1.0-alt1","object":"1111111111111111111111111111111111111111","options":{"build":{"named":"p11"},"task":7,"test_only":true},"pusher":"alice"},"taken":"noted"}"#,
        r#"{"kind":"tag-taken","pushed":{"source":"shared/gcc.git","tag":"1.0-alt1","object":"1111111111111111111111111111111111111111","options":{"build":"default"},"pusher":"alice"},"taken":"task","task":7}"#,
        r#"{"kind":"tag-taken","pushed":{"source":"shared/gcc.git","tag":"1.0-alt1","object":"1111111111111111111111111111111111111111","options":{},"pusher":"alice"},"taken":"refused","refusals":[{"code":"not_yours","message":"it is bob's","hint":null}]}"#,
    ];

    #[test]
    fn what_was_written_is_read_and_written_the_same() {
        for line in WRITTEN {
            let event: Event = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(serde_json::to_string(&event).unwrap(), *line);
        }
    }
}
