//! One tag and three hundred, against the peer, alternating; a keyring of three certificates against one of a thousand.

use super::figure::{Figures, Goal, ms};
use super::place::Place;

/// Measures, and adds the rows.
pub(super) fn measure(place: &mut Place, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    against_the_peer(place, 1, runs, 10.0, figures)?;
    against_the_peer(place, 300, (runs / 8).max(3), 40.0, figures)?;
    keyrings(place, runs, figures)
}

fn against_the_peer(
    place: &mut Place,
    tags: usize,
    runs: usize,
    goal: f64,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let config = place.world.config();
    let (mut ours, mut peers, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        let push = place.push(tags)?;
        // Who goes first alternates.
        let (own, peer) = if run % 2 == 0 {
            let own = place.ours(&push, &config)?;
            (own, place.peers(&push)?)
        } else {
            let peer = place.peers(&push)?;
            (place.ours(&push, &config)?, peer)
        };
        ours.push(ms(own));
        peers.push(ms(peer));
        ratios.push(ms(peer) / ms(own));
    }
    let what = if tags == 1 {
        "1 tag".to_owned()
    } else {
        format!("{tags} tags")
    };
    figures.add(&format!("{what}: windlass-hook pre-receive"), "ms", ours);
    figures.add(&format!("{what}: bash and git verify-tag"), "ms", peers);
    figures.add(&format!("{what}: how many times faster"), "x", ratios);
    figures.goal(Goal::AtLeast(goal));
    Ok(())
}

fn keyrings(place: &mut Place, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    let (small, large) = (place.world.config(), place.crowded()?);
    let (mut few, mut many, mut more) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs {
        let (one, other) = (place.push(1)?, place.push(1)?);
        let (a, b) = if run % 2 == 0 {
            let a = place.ours(&one, &small)?;
            (a, place.ours(&other, &large)?)
        } else {
            let b = place.ours(&other, &large)?;
            (place.ours(&one, &small)?, b)
        };
        few.push(ms(a));
        many.push(ms(b));
        more.push(ms(b) - ms(a));
    }
    figures.add("1 tag, keyring of 3 people", "ms", few);
    figures.add("1 tag, keyring of 1,000 certificates", "ms", many);
    figures.add("what the larger keyring costs", "ms", more);
    figures.goal(Goal::AtMost(2.0));
    Ok(())
}
