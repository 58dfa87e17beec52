//! Chunks compressed once: what is in the cache, or was met a moment ago, is taken from there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use windlass_core::device::payload::Digest;
use windlass_core::device::payload::codec::{self, Encoded, Zstd};

use super::Cache;

/// How many small results are remembered while a payload is made, and how small they are: images have zeros in many places.
const REMEMBERED: usize = 1024;
const SMALL: usize = 16 << 10;

/// Compresses chunks.
pub(super) struct Encoder<'a> {
    zstd: Zstd,
    cache: Option<&'a Cache>,
    met: Mutex<HashMap<Digest, Encoded>>,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(zstd: Zstd, cache: Option<&'a Cache>) -> Self {
        Self {
            zstd,
            cache,
            met: Mutex::new(HashMap::new()),
        }
    }

    /// A chunk of whole blocks, compressed.
    pub(super) fn encode(&self, chunk: &[u8]) -> Encoded {
        let key = self.key(chunk);
        if let Some(met) = self.met().get(&key) {
            return met.clone();
        }
        let kept = self.cache.and_then(|cache| cache.get(&key));
        let encoded = kept.unwrap_or_else(|| {
            let encoded = codec::encode(chunk, self.zstd);
            if let Some(cache) = self.cache {
                cache.put(&key, &encoded);
            }
            encoded
        });
        let mut met = self.met();
        if encoded.data.len() <= SMALL && met.len() < REMEMBERED {
            met.insert(key, encoded.clone());
        }
        encoded
    }

    fn key(&self, chunk: &[u8]) -> Digest {
        let mut hash = Sha256::new();
        hash.update(codec::ENCODER);
        hash.update([0, u8::from(self.zstd == Zstd::Always)]);
        hash.update(chunk);
        Digest::from(<[u8; 32]>::from(hash.finalize()))
    }

    fn met(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Encoded>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
