//! Which image stands on which: the order of builds, what may be built side by side, what is stale because of what.
//!
//! Nodes are the images of the configuration, edges their bases (FROM, `COPY --from`, `RUN --mount=from=`). Bases that are
//! no nodes are foreign: they are looked up, never built. A tag's digest does not matter here: `localhost/a@sha256:…` stands
//! on the node `localhost/a`.
//!
//! A stale image makes stale what stands on it, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::name::ImageName;

/// Images and their bases, without a cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    nodes: Vec<Node>,
    index: BTreeMap<ImageName, usize>,
    /// The numbers of the nodes, bases before those that stand on them.
    order: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    name: ImageName,
    bases: Vec<usize>,
    foreign: Vec<ImageName>,
    above: Vec<usize>,
    level: usize,
}

/// Images that stand on each other in a circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// The way round: the first one stands on the second one, and so on; the last one is the first one again.
    pub images: Vec<ImageName>,
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("images stand on each other in a circle: ")?;
        for (place, image) in self.images.iter().enumerate() {
            let arrow = if place == 0 { "" } else { " → " };
            write!(f, "{arrow}{image}")?;
        }
        f.write_str("\n\nhint: one of them must name another base in FROM, COPY --from or RUN --mount=from")
    }
}

impl std::error::Error for Cycle {}

/// Why an image is stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because<'g, R> {
    /// Something of its own changed.
    Itself(R),
    /// What it stands on is stale: the way down to the image of which something changed, that one last.
    Bases(Vec<&'g ImageName>),
}

impl Graph {
    /// Builds the graph of these images, each with its bases in any order; their digests are not looked at.
    ///
    /// # Errors
    /// Where images stand on each other in a circle.
    pub fn new(images: impl IntoIterator<Item = (ImageName, Vec<ImageName>)>) -> Result<Self, Cycle> {
        let images: BTreeMap<ImageName, Vec<ImageName>> = images
            .into_iter()
            .map(|(name, bases)| (name.without_digest(), bases))
            .collect();
        let index: BTreeMap<ImageName, usize> = images.keys().cloned().zip(0..).collect();
        let mut nodes = Vec::with_capacity(images.len());
        for (name, bases) in images {
            let mut node = Node {
                name,
                bases: Vec::new(),
                foreign: Vec::new(),
                above: Vec::new(),
                level: 0,
            };
            for base in bases {
                match index.get(&base.without_digest()) {
                    Some(below) if !node.bases.contains(below) => node.bases.push(*below),
                    None if !node.foreign.contains(&base) => node.foreign.push(base),
                    Some(_) | None => {}
                }
            }
            nodes.push(node);
        }
        for at in 0..nodes.len() {
            for below in nodes[at].bases.clone() {
                nodes[below].above.push(at);
            }
        }
        let mut graph = Self {
            nodes,
            index,
            order: Vec::new(),
        };
        graph.sort()?;
        Ok(graph)
    }

    /// Finds order and levels.
    fn sort(&mut self) -> Result<(), Cycle> {
        let mut open: Vec<usize> = self.nodes.iter().map(|node| node.bases.len()).collect();
        let mut ready: BTreeSet<(usize, usize)> = BTreeSet::new();
        ready.extend(
            open.iter()
                .enumerate()
                .filter(|(_, open)| **open == 0)
                .map(|(at, _)| (0, at)),
        );
        while let Some((level, at)) = ready.pop_first() {
            self.order.push(at);
            self.nodes[at].level = level;
            for above in self.nodes[at].above.clone() {
                open[above] -= 1;
                if open[above] == 0 {
                    // Levels come in order, so that this base is the highest one.
                    ready.insert((level + 1, above));
                }
            }
        }
        if self.order.len() == self.nodes.len() {
            return Ok(());
        }
        Err(self.cycle(&open))
    }

    /// A way round among the nodes that have open bases.
    fn cycle(&self, open: &[usize]) -> Cycle {
        let mut at = open.iter().position(|open| *open > 0).unwrap_or_default();
        let mut way: Vec<usize> = Vec::new();
        // Each of them stands on another one of them: sooner or later one comes back.
        while !way.contains(&at) {
            way.push(at);
            let next = self.nodes[at].bases.iter().find(|below| open[**below] > 0);
            at = next.copied().unwrap_or(at);
        }
        let begin = way.iter().position(|node| *node == at).unwrap_or_default();
        let round = way[begin..].iter().chain([&at]);
        Cycle {
            images: round.map(|node| self.nodes[*node].name.clone()).collect(),
        }
    }

    fn at(&self, name: &ImageName) -> Option<&Node> {
        let at = match name.digest() {
            None => self.index.get(name),
            Some(_) => self.index.get(&name.without_digest()),
        };
        Some(&self.nodes[*at?])
    }

    fn names<'g>(&'g self, nodes: &'g [usize]) -> impl Iterator<Item = &'g ImageName> {
        nodes.iter().map(|at| &self.nodes[*at].name)
    }

    /// Whether an image is one of the graph's, and no foreign one.
    pub fn contains(&self, name: &ImageName) -> bool {
        self.at(name).is_some()
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All images, bases before those that stand on them.
    pub fn order(&self) -> impl Iterator<Item = &ImageName> {
        self.names(&self.order)
    }

    /// The images in groups: those of one group stand on earlier groups alone, and may be built side by side.
    pub fn levels(&self) -> Vec<Vec<&ImageName>> {
        let mut levels: Vec<Vec<&ImageName>> = Vec::new();
        for node in self.order.iter().map(|at| &self.nodes[*at]) {
            if levels.len() == node.level {
                levels.push(Vec::new());
            }
            levels[node.level].push(&node.name);
        }
        levels
    }

    /// The graph's images on which one stands itself, in the order in which it names them.
    pub fn bases<'g>(&'g self, name: &ImageName) -> impl Iterator<Item = &'g ImageName> {
        let bases = self.at(name).map(|node| node.bases.as_slice());
        self.names(bases.unwrap_or_default())
    }

    /// The foreign bases of one image.
    pub fn foreign_of(&self, name: &ImageName) -> &[ImageName] {
        self.at(name).map(|node| node.foreign.as_slice()).unwrap_or_default()
    }

    /// The foreign bases of all images, each once.
    pub fn foreign(&self) -> BTreeSet<&ImageName> {
        self.nodes.iter().flat_map(|node| &node.foreign).collect()
    }

    /// Everything that stands on an image, near and far, bases first; not itself.
    pub fn descendants(&self, name: &ImageName) -> Vec<&ImageName> {
        let Some(node) = self.at(name) else { return Vec::new() };
        let mut found = vec![false; self.nodes.len()];
        let mut open = node.above.clone();
        while let Some(at) = open.pop() {
            if !found[at] {
                found[at] = true;
                open.extend(&self.nodes[at].above);
            }
        }
        let found = self.order.iter().filter(|at| found[**at]);
        found.map(|at| &self.nodes[*at].name).collect()
    }

    /// Those of the wanted images that can be built now: none of their bases is wanted and not yet done.
    pub fn ready<'g>(&'g self, wanted: &BTreeSet<ImageName>, done: &BTreeSet<ImageName>) -> Vec<&'g ImageName> {
        let waits = |node: &Node| {
            self.names(&node.bases)
                .any(|base| wanted.contains(base) && !done.contains(base))
        };
        // What stands between two wanted images and is not wanted itself does not part them.
        let is_ready = |node: &&Node| wanted.contains(&node.name) && !done.contains(&node.name) && !waits(node);
        let in_order = self.order.iter().map(|at| &self.nodes[*at]);
        in_order.filter(is_ready).map(|node| &node.name).collect()
    }

    /// Everything that is stale, bases first, where something of these images themselves changed.
    ///
    /// An image of which something changed is stale because of that, also where its bases are stale, too.
    pub fn stale<R>(&self, mut changed: BTreeMap<ImageName, R>) -> Vec<(&ImageName, Because<'_, R>)> {
        // The way down from each stale node: the next base, if it is not stale by itself.
        let mut below: BTreeMap<usize, Option<usize>> = BTreeMap::new();
        let mut stale = Vec::new();
        for &at in &self.order {
            let node = &self.nodes[at];
            if let Some(reason) = changed.remove(&node.name) {
                below.insert(at, None);
                stale.push((&node.name, Because::Itself(reason)));
                continue;
            }
            let Some(first) = node.bases.iter().find(|base| below.contains_key(base)) else {
                continue;
            };
            below.insert(at, Some(*first));
            let mut way = Vec::new();
            let mut next = Some(*first);
            while let Some(at) = next {
                way.push(&self.nodes[at].name);
                next = below[&at];
            }
            stale.push((&node.name, Because::Bases(way)));
        }
        stale
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> ImageName {
        text.parse().unwrap()
    }

    fn graph(text: &str) -> Result<Graph, Cycle> {
        Graph::new(text.split("; ").map(|image| {
            let (image, bases) = image.split_once(": ").unwrap_or((image, ""));
            (name(image), bases.split_whitespace().map(name).collect())
        }))
    }

    fn told<'a>(names: impl IntoIterator<Item = &'a ImageName>) -> String {
        let short = |name: &ImageName| name.repository().to_owned();
        names.into_iter().map(short).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn bases_come_first_and_independent_ones_side_by_side() {
        let graph = graph("tool: lib base; lib: base; other: base; base: x.org/debian; alone").unwrap();
        assert_eq!(told(graph.order()), "alone base lib other tool");
        let levels: Vec<String> = graph.levels().into_iter().map(told).collect();
        assert_eq!(levels, ["alone base", "lib other", "tool"]);
        assert_eq!(told(graph.descendants(&name("base"))), "lib other tool");
        assert_eq!(told(graph.descendants(&name("tool"))), "");
        assert_eq!(told(graph.bases(&name("tool"))), "lib base");
        assert_eq!(told(graph.foreign()), "debian");
        assert_eq!(graph.foreign_of(&name("base")), [name("x.org/debian")]);
    }

    #[test]
    fn a_pinned_name_is_the_same_node() {
        let digest = crate::image::Digest::of(b"x");
        let on = name("base").with_digest(digest.clone());
        let graph = Graph::new([(name("base"), vec![]), (name("tool"), vec![on.clone()])]).unwrap();
        assert_eq!(told(graph.descendants(&on)), "tool");
        assert!(graph.contains(&on));
    }

    #[test]
    fn a_circle_is_shown_whole() {
        let cycle = graph("z: a; a: b; b: c; c: a; d").unwrap_err();
        assert_eq!(
            cycle.to_string(),
            "images stand on each other in a circle: localhost/a:latest → localhost/b:latest → localhost/c:latest → \
             localhost/a:latest\n\nhint: one of them must name another base in FROM, COPY --from or RUN --mount=from"
        );
        assert_eq!(told(&graph("a: a").unwrap_err().images), "a a");
    }

    #[test]
    fn what_is_stale_says_because_of_what() {
        let graph = graph("tool: lib; lib: base; other: base; base; alone").unwrap();
        let stale = graph.stale(BTreeMap::from([(name("base"), "moved")]));
        let told: Vec<String> = stale
            .iter()
            .map(|(image, because)| match because {
                Because::Itself(why) => format!("{} {why}", told([*image])),
                Because::Bases(way) => format!("{} <- {}", told([*image]), told(way.iter().copied())),
            })
            .collect();
        assert_eq!(told, ["base moved", "lib <- base", "other <- base", "tool <- lib base"]);
        assert!(graph.stale(BTreeMap::from([(name("unknown"), "moved")])).is_empty());
    }

    #[test]
    fn what_can_be_built_now() {
        let graph = graph("tool: lib; lib: base; other: base; base").unwrap();
        let set = |text: &str| text.split_whitespace().map(name).collect::<BTreeSet<_>>();
        let ready = |wanted: &str, done: &str| told(graph.ready(&set(wanted), &set(done)));
        assert_eq!(ready("base lib other tool", ""), "base");
        assert_eq!(ready("base lib other tool", "base"), "lib other");
        assert_eq!(ready("lib tool", ""), "lib");
        assert_eq!(ready("other", ""), "other");
        assert_eq!(ready("lib tool", "lib tool"), "");
    }

    /// Images whose bases have smaller numbers, and some that are changed.
    fn town() -> impl Strategy<Value = (Vec<Vec<usize>>, BTreeSet<usize>)> {
        (1..25_usize).prop_flat_map(|count| {
            let bases = (0..count).map(|at| prop::collection::vec(0..at.max(1), 0..3));
            let bases = bases.collect::<Vec<_>>();
            (bases, prop::collection::btree_set(0..count, 0..4))
        })
    }

    fn of(bases: &[Vec<usize>]) -> Graph {
        let image = |at: usize| name(&format!("i{at:02}"));
        let images = bases.iter().enumerate().map(|(at, bases)| {
            let below = bases.iter().filter(|base| **base < at);
            (image(at), below.map(|base| image(*base)).collect())
        });
        Graph::new(images).unwrap()
    }

    proptest! {
        #[test]
        fn a_rebuilt_base_makes_its_descendants_stale_and_nothing_else((bases, changed) in town()) {
            let graph = of(&bases);
            let names: Vec<ImageName> = (0..bases.len()).map(|at| name(&format!("i{at:02}"))).collect();
            let own: BTreeMap<ImageName, usize> = changed.iter().map(|at| (names[*at].clone(), *at)).collect();
            let stale: BTreeSet<ImageName> = graph.stale(own.clone()).into_iter().map(|(name, _)| name.clone()).collect();
            let mut expected: BTreeSet<ImageName> = own.keys().cloned().collect();
            for base in own.keys() {
                expected.extend(graph.descendants(base).into_iter().cloned());
            }
            prop_assert_eq!(stale, expected);
        }

        #[test]
        fn every_way_ends_at_something_that_changed((bases, changed) in town()) {
            let graph = of(&bases);
            let own: BTreeMap<ImageName, usize> = changed.iter().map(|at| (name(&format!("i{at:02}")), *at)).collect();
            for (image, because) in graph.stale(own.clone()) {
                match because {
                    Because::Itself(_) => prop_assert!(own.contains_key(image)),
                    Because::Bases(way) => {
                        prop_assert!(own.contains_key(*way.last().unwrap()));
                        let mut above = image;
                        for below in way {
                            prop_assert!(graph.bases(above).any(|base| base == below));
                            above = below;
                        }
                    }
                }
            }
        }

        #[test]
        fn orders_and_levels_agree((bases, _) in town()) {
            let graph = of(&bases);
            let order: Vec<&ImageName> = graph.order().collect();
            let place = |name: &ImageName| order.iter().position(|other| *other == name).unwrap();
            prop_assert_eq!(order.len(), bases.len());
            for image in &order {
                for base in graph.bases(image) {
                    prop_assert!(place(base) < place(image));
                }
            }
            let flat: Vec<&ImageName> = graph.levels().into_iter().flatten().collect();
            prop_assert_eq!(flat, order);
        }

        #[test]
        fn building_what_is_ready_builds_everything_once((bases, _) in town()) {
            let graph = of(&bases);
            let wanted: BTreeSet<ImageName> = graph.order().cloned().collect();
            let mut done = BTreeSet::new();
            for _ in 0..bases.len() {
                let ready = graph.ready(&wanted, &done);
                done.extend(ready.into_iter().cloned());
            }
            prop_assert_eq!(done, wanted);
        }

        #[test]
        fn a_circle_is_a_way_round(bases in prop::collection::vec(prop::collection::vec(0..8_usize, 1..3), 8)) {
            let image = |at: usize| name(&format!("i{at}"));
            let images = bases.iter().enumerate().map(|(at, bases)| (image(at), bases.iter().copied().map(image).collect()));
            // Everybody stands on somebody: there is always a circle.
            let cycle = Graph::new(images).unwrap_err();
            prop_assert!(cycle.images.len() > 1);
            prop_assert_eq!(cycle.images.first(), cycle.images.last());
            for pair in cycle.images.windows(2) {
                let at: usize = pair[0].repository()[1..].parse().unwrap();
                prop_assert!(bases[at].iter().any(|base| image(*base) == pair[1]));
            }
        }
    }
}
