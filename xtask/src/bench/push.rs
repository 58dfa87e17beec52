//! One tag and three hundred, against the peer, alternating; a keyring of three certificates against one of a thousand.

use super::figure::{Figures, Goal, ms};
use super::place::Place;

/// How often our hook has to be faster than the peer, by the tags of a push.
fn goal(tags: usize) -> f64 {
    if tags == 1 { 10.0 } else { 40.0 }
}

/// Both over the same pushes, in turn.
pub(super) fn against_the_peer(
    place: &mut Place,
    tags: usize,
    runs: usize,
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
    figures.goal(Goal::AtLeast(goal(tags)));
    Ok(())
}

/// A keyring of three people against one of a thousand certificates, in turn.
pub(super) fn keyrings(place: &mut Place, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
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

/// Our hook with its ledger on a disk, which it waits for.
pub(super) fn on_disk(place: &mut Place, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    let config = place.world.config();
    for (tags, runs) in [(1, runs), (300, (runs / 8).max(3))] {
        let mut times = Vec::new();
        for _ in 0..runs {
            let push = place.push(tags)?;
            times.push(ms(place.ours(&push, &config)?));
        }
        figures.add(&format!("push of {tags}, with its ledger durable on disk"), "ms", times);
    }
    Ok(())
}
