//! A git object's id, computed again, with a look for crafted collisions.

use sha1_checked::{Digest as _, Sha1};
use sha2::Digest as _;

use super::reason;
use super::verdict::ObjectKind;
use crate::hex::hex;
use crate::id::ObjectId;
use crate::refusal::Refusal;

/// Checks that content has the id under which it is stored, and that it is no half of a SHA-1 collision.
///
/// # Errors
/// `id_mismatch` or `sha1_collision`.
pub fn check_id(object: &ObjectId, kind: ObjectKind, content: &[u8]) -> Result<(), Refusal> {
    let header = format!("{} {}\0", kind.as_str(), content.len());
    match sha1(&[header.as_bytes(), content]) {
        Err(Collides) => Err(reason::collision(object)),
        Ok(real) if real == object.as_str() => Ok(()),
        Ok(real) => Err(reason::id_mismatch(object, &real)),
    }
}

/// The bytes were made so that others have the same hash.
struct Collides;

fn sha1(parts: &[&[u8]]) -> Result<String, Collides> {
    let mut hasher = Sha1::new();
    for part in parts {
        hasher.update(part);
    }
    let result = hasher.try_finalize();
    if result.has_collision() {
        Err(Collides)
    } else {
        Ok(hex(result.hash()))
    }
}

/// SHA-256 of the signed bytes, in lower-case hexadecimal digits.
pub fn payload_digest(payload: &[u8]) -> String {
    hex(&sha2::Sha256::digest(payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_gits() {
        // git hash-object -t tag --literally --stdin < /dev/null; the empty blob is known to everybody.
        let empty: ObjectId = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391".parse().unwrap();
        assert_eq!(check_id(&empty, ObjectKind::Blob, b""), Ok(()));
        assert_eq!(
            check_id(&empty, ObjectKind::Blob, b"x").unwrap_err().code,
            "id_mismatch"
        );
    }

    /// Half of the collision of "SHA-1 is a Shambles" (Leurent and Peyrin, 2020). Its blocks only collide at the beginning of
    /// what is hashed: none is known behind git's header.
    #[test]
    fn a_crafted_collision_is_noticed() {
        let half = include_bytes!("object_id/sha-mbles-1.bin");
        assert!(sha1(&[half]).is_err());
        assert!(sha1(&[&half[..64]]).is_ok());
    }

    #[test]
    fn digests_are_sha_256() {
        assert_eq!(
            payload_digest(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
