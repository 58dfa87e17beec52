//! What judging says: good, and by whom; or refused, with every reason.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{Fingerprint, ObjectId, TagName, UserName};
use crate::refusal::Refusal;

/// The judgement on one tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything that the policy asks for holds.
    Good(Signer),
    /// At least one thing does not hold; all of them are here, in the order in which they were looked at.
    Refused(Vec<Refusal>),
}

impl Verdict {
    /// Who signed, if the tag is good.
    pub fn signer(&self) -> Option<&Signer> {
        match self {
            Self::Good(signer) => Some(signer),
            Self::Refused(_) => None,
        }
    }

    /// The reasons to refuse; none if the tag is good.
    pub fn reasons(&self) -> &[Refusal] {
        match self {
            Self::Good(_) => &[],
            Self::Refused(reasons) => reasons,
        }
    }
}

/// Who made a good signature, and with which key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signer {
    /// The person to whom the key belongs. Always there when identity was judged; a key from an `allowed_signers` file
    /// whose principals are nobody's address has none.
    pub owner: Option<UserName>,
    /// The certificate's fingerprint, or the SSH key's (for an SSH certificate: the certified key's).
    pub fingerprint: Fingerprint,
    /// The fingerprint of the subkey that signed, where it is not the certificate's own.
    pub subkey: Option<Fingerprint>,
    /// When the signature says that it was made; SSH signatures do not say.
    pub signed_at: Option<Timestamp>,
}

/// What is read from a tag whose structure is good, whether the signature is or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagFacts {
    /// The tag object's id.
    pub object: ObjectId,
    /// The commit that it points at.
    pub commit: ObjectId,
    /// The name in the object.
    pub tag: TagName,
    /// The tagger's name, escaped.
    pub tagger_name: String,
    /// The tagger's address, escaped.
    pub tagger_address: String,
    /// The tagger's date, if it is one.
    pub tagged_at: Option<Timestamp>,
    /// The first line of the message, escaped.
    pub subject: String,
    /// SHA-256 of the signed bytes, in lower-case hexadecimal digits: with the signer, what a signed statement *is* (the
    /// object's id also depends on bytes that nobody signed).
    pub payload_digest: String,
    /// Which kind of signature it carries.
    pub signature: SignatureKind,
}

/// The two kinds of signature that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureKind {
    /// `-----BEGIN PGP SIGNATURE-----`
    OpenPgp,
    /// `-----BEGIN SSH SIGNATURE-----`
    Ssh,
}

/// The four kinds of git objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// A commit.
    Commit,
    /// An annotated tag.
    Tag,
    /// A directory.
    Tree,
    /// A file's content.
    Blob,
}

impl ObjectKind {
    /// The word that git has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tag => "tag",
            Self::Tree => "tree",
            Self::Blob => "blob",
        }
    }
}

/// What an object's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectHeader {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its size in bytes.
    pub size: u64,
}
