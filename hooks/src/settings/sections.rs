//! How tags are judged, what may be pushed, how much the ssh door lets one user have.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use windlass_core::id::UserName;
pub use windlass_core::signing::OtherTags;
use windlass_core::signing::{Policy, TagPattern};

use super::{Duration, Size};

/// `[signing]`: how a signed tag is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signing {
    /// Whether a refusal refuses.
    pub mode: Mode,
    /// Which tags are versions to be built: they are always judged.
    pub build_tags: TagPattern,
    /// What becomes of the other tags. They are never built.
    pub other_tags: OtherTags,
    /// How far a signature may lie in the future.
    pub future_tolerance: Duration,
    /// Whether certificates are taken whose self-signatures use SHA-1. Signatures of tags over SHA-1 never are.
    pub allow_sha1_self_signatures: bool,
    /// The largest tag object that is read.
    pub max_tag_size: Size,
    /// The largest signature in it.
    pub max_signature_size: Size,
    /// How many refs one push may have.
    pub max_refs: usize,
    /// How long before a key expires its owner is warned.
    pub warn_before_expiry: Duration,
    /// A file as git's `gpg.ssh.allowedSignersFile`, in addition to the people's own keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_signers: Option<PathBuf>,
    /// People of role `bot` whose tags others may push, and who may push others' tags.
    pub bots: Vec<UserName>,
}

impl Default for Signing {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            build_tags: TagPattern::default(),
            other_tags: OtherTags::Allow,
            future_tolerance: Duration::from_secs(300),
            allow_sha1_self_signatures: false,
            max_tag_size: Size::from_bytes(64 << 10),
            max_signature_size: Size::from_bytes(16 << 10),
            max_refs: 512,
            warn_before_expiry: Duration::from_secs(30 * 86_400),
            allowed_signers: None,
            bots: Vec::new(),
        }
    }
}

impl Signing {
    /// The rules as the judge takes them: everybody's identity compared, keys good now.
    pub fn policy(&self) -> Policy {
        Policy {
            build_tags: self.build_tags.clone(),
            other_tags: self.other_tags,
            future_tolerance: self.future_tolerance.std(),
            allow_sha1_self_signatures: self.allow_sha1_self_signatures,
            max_tag_size: self.max_tag_size.bytes(),
            max_signature_size: self.max_signature_size.bytes(),
            bots: self.bots.clone(),
            ..Policy::default()
        }
    }
}

/// Whether a refusal refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It is logged and told, and the push passes. What is refused is still never built.
    Observe,
}

/// `[push]`: what may be pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Push {
    /// Which pushed tags become tasks.
    pub build: BuildPolicy,
    /// The namespaces in which refs may be made, each with its `/` at the end.
    pub namespaces: Vec<String>,
    /// `receive.maxInputSize` of new repositories.
    pub max_input_size: Size,
    /// How long a hook waits for the bot's answer before the request goes to the spool.
    pub answer_timeout: Duration,
}

impl Default for Push {
    fn default() -> Self {
        Self {
            build: BuildPolicy::OnRequest,
            namespaces: vec!["refs/heads/".to_owned(), "refs/tags/".to_owned()],
            max_input_size: Size::from_bytes(512 << 20),
            answer_timeout: Duration::from_secs(10),
        }
    }
}

/// Which pushed tags become tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildPolicy {
    /// Those pushed with `-o build`.
    #[default]
    OnRequest,
    /// Every tag that `build_tags` matches.
    Always,
}

/// `[ssh]`: how much the ssh door lets one user have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ssh {
    /// The memory of one git process that receives a push.
    pub memory_limit: Size,
    /// How long one command may take.
    pub time_limit: Duration,
    /// The largest file that a push may write.
    pub file_size_limit: Size,
    /// How many commands one user may give in a minute.
    pub commands_per_minute: u32,
    /// How many pushes one user may make in an hour.
    pub pushes_per_hour: u32,
    /// How many repositories one user may make.
    pub repositories_per_user: u32,
}

impl Default for Ssh {
    fn default() -> Self {
        Self {
            memory_limit: Size::from_bytes(1 << 30),
            time_limit: Duration::from_secs(600),
            file_size_limit: Size::from_bytes(2 << 30),
            commands_per_minute: 120,
            pushes_per_hour: 600,
            repositories_per_user: 10_000,
        }
    }
}
