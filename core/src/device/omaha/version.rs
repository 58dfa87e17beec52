//! Versions, as far as the protocol compares them.

/// The version that a device gives which wants an update whatever it has.
pub const FORCED: &str = "ForcedUpdate";

/// Whether a version begins with a `targetversionprefix`, by whole components: `13505.` and `13505` mean `13505.63.0`, not `135050.1`.
/// An empty prefix means every version.
pub fn prefix_allows(prefix: &str, version: &str) -> bool {
    let prefix = prefix.trim();
    let prefix = prefix.strip_suffix('*').unwrap_or(prefix);
    let prefix = prefix.strip_suffix('.').unwrap_or(prefix);
    let mut parts = version.split('.');
    prefix.is_empty() || prefix.split('.').all(|wanted| parts.next() == Some(wanted))
}
