//! Certificates that were parsed: a push of many tags by one person parses his certificate once.
//!
//! What is kept belongs to the very [`Person`] value it was parsed from: when that person is read again, from whatever
//! changed, it is another value and finds nothing here. Sequoia remembers in a certificate which of its self-signatures it
//! has verified, so that this work is done once, too.

use std::sync::{Arc, Mutex, PoisonError};

use sequoia_openpgp::{Cert, KeyHandle};

use super::certificate_with;
use crate::people::Person;

/// So many are kept; a push signed by more people than this parses some of them again.
const MOST: usize = 16;

/// Certificates that were parsed, each with the person that it was found in.
#[derive(Debug, Default)]
pub struct Certificates {
    parsed: Mutex<Vec<(Arc<Person>, Arc<Cert>)>>,
}

impl Certificates {
    /// The person's certificate that has one of the keys.
    pub(super) fn of(&self, person: &Arc<Person>, wanted: &[KeyHandle]) -> Result<Option<Arc<Cert>>, String> {
        let has_one = |cert: &Cert| {
            cert.keys().any(|part| {
                let handle = KeyHandle::from(part.key().fingerprint());
                wanted.iter().any(|issuer| issuer.aliases(&handle))
            })
        };
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = parsed
            .iter()
            .find(|(of, cert)| Arc::ptr_eq(of, person) && has_one(cert));
        if let Some((_, cert)) = known {
            return Ok(Some(Arc::clone(cert)));
        }
        let Some(cert) = certificate_with(&person.openpgp, wanted)? else {
            return Ok(None);
        };
        let cert = Arc::new(cert);
        if parsed.len() >= MOST {
            parsed.remove(0);
        }
        parsed.push((Arc::clone(person), Arc::clone(&cert)));
        Ok(Some(cert))
    }
}
