//! How the cost grows with the references of a push.

use super::figure::{Figures, ms};
use super::place::Place;

/// Measures, and adds the rows.
pub(super) fn measure(place: &mut Place, figures: &mut Figures) -> anyhow::Result<()> {
    let config = place.world.config();
    for tags in [1, 10, 100, 300, 512] {
        let mut times = Vec::new();
        for _ in 0..3 {
            let push = place.push(tags)?;
            times.push(ms(place.ours(&push, &config)?));
        }
        let median = figures.add(&format!("a push of {tags} tags"), "ms", times);
        let each = median / f64::from(u32::try_from(tags)?);
        figures.one(&format!("a push of {tags} tags, for each"), "ms", each);
    }
    Ok(())
}
