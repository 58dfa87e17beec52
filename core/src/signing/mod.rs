//! Judges a signed tag: bytes, keys and the time go in, a [`Verdict`] comes out.
//!
//! The way of a tag: [`Case::open`] takes the bytes apart and says what is wrong with their structure; whoever called fetches
//! the people whose keys the signature names ([`Case::hints`]) and to whom the tagger's address belongs, and hands them over as
//! [`Circumstances`]; [`Case::judge`] checks the signature, twice (as of its own time and as of now), compares pusher,
//! tagger and owner of the key, and gathers *every* reason to refuse. Nothing here reads a file or a clock.

mod judge;
pub mod keywords;
pub mod lint;
pub mod object_id;
pub mod openpgp;
pub mod policy;
mod reason;
pub mod ssh;
pub mod tag;
pub mod verdict;

pub use judge::{Case, Circumstances, Judgement, judge_bomb, judge_header};
pub use policy::{BuildAsked, Identity, Moment, OtherTags, Policy, TagPattern, Treatment};
pub use ssh::allowed_signers::AllowedSigners;
pub use tag::{Reading, SignedTag, Tagger};
pub use verdict::{ObjectHeader, ObjectKind, SignatureKind, Signer, TagFacts, Verdict};

/// What a signature names a key by: an OpenPGP fingerprint or key id in upper-case hexadecimal digits, or an SSH key's
/// fingerprint (`SHA256:…`). It proves nothing; it says where to look.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyHint(String);

impl KeyHint {
    /// The hint as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
