//! Which source packages a plan brings and takes away, as the record of a generation has it.

use std::collections::BTreeMap;

use windlass_core::repository::Plan;
use windlass_core::repository::record::Shipped;

/// The source packages that come, with all that was built from them, and those that go.
pub(super) fn shipped(plan: &Plan) -> (Vec<Shipped>, Vec<String>) {
    let mut came: BTreeMap<String, Shipped> = BTreeMap::new();
    for source in &plan.source.added {
        let change = plan
            .changes
            .iter()
            .find(|change| change.package.as_str() == source.name);
        let shipped = Shipped {
            name: source.name.clone(),
            evr: source.evr.to_string(),
            tag: change.and_then(|change| change.tag.clone()),
            binaries: BTreeMap::new(),
        };
        came.insert(source.file_name(), shipped);
    }
    for binary in plan.arches.values().flat_map(|arch| &arch.added) {
        let Some(source) = &binary.source_rpm else { continue };
        let evr = binary.evr.to_string();
        // Binary packages may come without their source, from elsewhere.
        let shipped = came.entry(source.clone()).or_insert_with(|| {
            let (name, version) = split_source(source);
            Shipped {
                name,
                evr: version,
                tag: None,
                binaries: BTreeMap::new(),
            }
        });
        let differs = (evr != shipped.evr).then_some(evr);
        shipped.binaries.insert(binary.name.clone(), differs);
    }
    let went = plan
        .source
        .removed
        .iter()
        .map(|source| format!("{}-{}", source.name, source.evr));
    (came.into_values().collect(), went.collect())
}

/// Name and version-release of a source package's file name.
fn split_source(file: &str) -> (String, String) {
    let stem = file
        .strip_suffix(".src.rpm")
        .or_else(|| file.strip_suffix(".nosrc.rpm"))
        .unwrap_or(file);
    let mut parts = stem.rsplitn(3, '-');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(release), Some(version), Some(name)) => (name.to_owned(), format!("{version}-{release}")),
        _ => (stem.to_owned(), String::new()),
    }
}
