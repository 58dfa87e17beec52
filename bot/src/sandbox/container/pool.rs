//! The engines of `[[builder]]`: which one gets a build, and which are let alone because they failed.
//!
//! Of those that build for an architecture and have a free slot, the one takes it that has the least to do; among equals the one that
//! has waited longest. One that fails is put aside for `[build] engine_rest`, twice as long each time; what ran on it is built again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use windlass_core::id::ArchName;

use super::super::host::Host;
use super::engine::{Fault, Link};
use super::label;
use crate::config::{Build, BuildHost};
use crate::images::engine::Kind;
use crate::stages::StopFlag;

/// How long a failing engine is let alone at most.
const LONGEST_REST: Duration = Duration::from_hours(1);

/// How often whoever waits for a slot looks whether it is to end.
const LOOK: Duration = Duration::from_millis(200);

/// All engines that builds can run on.
#[derive(Debug)]
pub(crate) struct Pool {
    seats: Vec<Seat>,
    state: Mutex<State>,
    freed: Condvar,
    answer: Duration,
    rest: Duration,
    /// What is ours on engines that several bots use.
    pub(super) instance: String,
}

/// One engine.
#[derive(Debug)]
struct Seat {
    host: BuildHost,
    arches: Vec<ArchName>,
    /// The way to it, once it was found good.
    ready: Mutex<Option<Ready>>,
    /// Whether what killed bots left is removed from it when it is reached.
    sweeps: bool,
    /// What runs on it, by label, and the images that were prepared on it.
    ours: Mutex<BTreeSet<String>>,
    /// Held while an image is prepared on it.
    preparing: Mutex<()>,
}

/// An engine that answers and has the image.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    /// The way to it.
    pub(crate) link: Link,
    /// The image's id, 64 hexadecimal digits.
    pub(crate) image: String,
    /// The machine's architecture, in rpm's words.
    pub(crate) machine: String,
    /// Which engine it is, in a few words.
    pub(crate) engine: String,
    /// Whether the root of its containers is somebody else on its machine.
    pub(crate) maps_ids: bool,
    /// Whether its filter of system calls lets containers make user namespaces.
    pub(crate) nests: bool,
}

#[derive(Debug, Default)]
struct State {
    seats: Vec<Use>,
    turn: u64,
    /// What each image's name means since the start, and on which machine.
    images: BTreeMap<String, (String, String)>,
    /// What images stand for, by architecture and digest.
    hosts: BTreeMap<(ArchName, String), Arc<Host>>,
}

#[derive(Debug, Clone, Default)]
struct Use {
    running: u32,
    last: u64,
    failures: u32,
    aside: Option<(Instant, String)>,
}

/// Why no engine was had.
#[derive(Debug)]
pub(crate) enum NoEngine {
    /// The build is to end.
    Stopped,
    /// None builds for the architecture, or all that do have failed.
    None {
        /// Why.
        message: String,
        /// When it is worth another try.
        again: Option<Duration>,
    },
}

impl Pool {
    /// Of these engines. `sweeps`: whether this is the bot itself, whose leavings nobody else uses.
    pub(crate) fn new(hosts: &[BuildHost], settings: &Build, instance: String, sweeps: bool) -> Self {
        let seats: Vec<Seat> = hosts
            .iter()
            .map(|host| Seat {
                host: host.clone(),
                arches: host.architectures(),
                ready: Mutex::default(),
                sweeps,
                ours: Mutex::default(),
                preparing: Mutex::default(),
            })
            .collect();
        Self {
            state: Mutex::new(State {
                seats: vec![Use::default(); seats.len()],
                ..State::default()
            }),
            seats,
            freed: Condvar::new(),
            answer: settings.engine_timeout.std(),
            rest: settings.engine_rest.std(),
            instance,
        }
    }

    /// Reaches every engine once, so that what a killed bot left on it goes. It returns at once.
    pub(crate) fn wake(self: &Arc<Self>) {
        for seat in 0..self.seats.len() {
            let pool = Arc::clone(self);
            let name = format!("builder {}", self.seats[seat].host.name);
            let woken = std::thread::Builder::new().name(name).spawn(move || {
                if let Err(fault) = pool.ready(seat) {
                    pool.put_aside(seat, fault.message());
                }
            });
            if let Err(error) = woken {
                tracing::warn!(%error, "no thread to look after a builder: {error}");
            }
        }
    }

    /// An engine for a build, as soon as there is a free one.
    pub(crate) fn take(self: &Arc<Self>, arch: &ArchName, stop: &StopFlag) -> Result<Lease, NoEngine> {
        loop {
            if stop.is_set() {
                return Err(NoEngine::Stopped);
            }
            let mut state = self.state();
            let seat = match self.choose(&mut state, arch) {
                Choice::Seat(seat) => seat,
                Choice::Busy => {
                    drop(
                        self.freed
                            .wait_timeout(state, LOOK)
                            .unwrap_or_else(PoisonError::into_inner),
                    );
                    continue;
                }
                Choice::None(none) => return Err(none),
            };
            drop(state);
            let lease = |ready| Lease {
                pool: Arc::clone(self),
                seat,
                ready,
            };
            match self.ready(seat) {
                Ok(ready) => return Ok(lease(ready)),
                Err(fault) => {
                    self.put_aside(seat, fault.message());
                    self.free(seat);
                }
            }
        }
    }

    fn choose(&self, state: &mut State, arch: &ArchName) -> Choice {
        let now = Instant::now();
        let able: Vec<usize> = (0..self.seats.len())
            .filter(|seat| self.seats[*seat].arches.contains(arch))
            .collect();
        if able.is_empty() {
            return Choice::None(NoEngine::None {
                message: format!("no [[builder]] builds for '{arch}'"),
                again: None,
            });
        }
        let up = |state: &State, seat: usize| state.seats[seat].aside.as_ref().is_none_or(|(until, _)| *until <= now);
        let best = able
            .iter()
            .copied()
            .filter(|seat| up(state, *seat) && state.seats[*seat].running < self.seats[*seat].host.slots)
            .min_by(|one, other| {
                // As parts of what each can do: a / b < c / d.
                let load = |seat: usize, by: usize| {
                    u64::from(state.seats[seat].running) * u64::from(self.seats[by].host.slots)
                };
                load(*one, *other)
                    .cmp(&load(*other, *one))
                    .then(state.seats[*one].last.cmp(&state.seats[*other].last))
            });
        if let Some(seat) = best {
            state.turn += 1;
            state.seats[seat].last = state.turn;
            state.seats[seat].running += 1;
            return Choice::Seat(seat);
        }
        if able.iter().any(|seat| up(state, *seat)) {
            return Choice::Busy;
        }
        let reasons: Vec<String> = able
            .iter()
            .filter_map(|seat| {
                let (until, why) = state.seats[*seat].aside.as_ref()?;
                let rest = until.saturating_duration_since(now).as_secs();
                Some(format!(
                    "\n  {}: {why} (let alone for {rest} s more)",
                    self.seats[*seat].host.name
                ))
            })
            .collect();
        let first = able
            .iter()
            .filter_map(|seat| state.seats[*seat].aside.as_ref())
            .map(|(until, _)| *until)
            .min();
        Choice::None(NoEngine::None {
            message: format!(
                "no engine for '{arch}' can be used:{}\n\nhint: `windlass doctor` looks at all of them",
                reasons.concat()
            ),
            again: first.map(|first| first.saturating_duration_since(now) + Duration::from_secs(1)),
        })
    }

    /// The way to an engine; it is looked at when it was not, or had failed.
    fn ready(&self, seat: usize) -> Result<Ready, Fault> {
        let place = &self.seats[seat];
        let mut known = place.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = &*known {
            return Ok(ready.clone());
        }
        let ready = examine(&place.host, self.answer)?;
        {
            let mut state = self.state();
            let first = state
                .images
                .entry(place.host.image.clone())
                .or_insert_with(|| (ready.image.clone(), ready.machine.clone()));
            if first.0 != ready.image {
                return Err(Fault::Refused(format!(
                    "its image '{}' is {}, and {} elsewhere\n\nhint: give all builders of an architecture the same image, or name it by its digest",
                    place.host.image,
                    short(&ready.image),
                    short(&first.0)
                )));
            }
        }
        if place.sweeps {
            let ours = place.ours.lock().unwrap_or_else(PoisonError::into_inner);
            let swept = label::sweep(&ready.link, &self.instance, &ours)?;
            if swept > 0 {
                tracing::info!(builder = %place.host.name, removed = swept, "builder {}: removed {swept} things that builds had left", place.host.name);
            }
        }
        tracing::info!(
            builder = %place.host.name, image = %ready.image,
            "builder {}: {} on {}, '{}' is {}", place.host.name, ready.engine, ready.machine, place.host.image, short(&ready.image)
        );
        *known = Some(ready.clone());
        Ok(ready)
    }

    fn put_aside(&self, seat: usize, why: &str) {
        let name = &self.seats[seat].host.name;
        *self.seats[seat].ready.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mut state = self.state();
        let used = &mut state.seats[seat];
        // Several builds find out about one failure.
        if used.aside.as_ref().is_some_and(|(until, _)| *until > Instant::now()) {
            return;
        }
        let rest = self
            .rest
            .saturating_mul(2_u32.saturating_pow(used.failures))
            .min(LONGEST_REST.max(self.rest));
        used.failures = used.failures.saturating_add(1);
        used.aside = Some((Instant::now() + rest, why.to_owned()));
        tracing::warn!(builder = %name, rest_s = rest.as_secs(), "builder {name} is let alone for {} s: {why}", rest.as_secs());
        self.freed.notify_all();
    }

    fn free(&self, seat: usize) {
        let mut state = self.state();
        state.seats[seat].running -= 1;
        self.freed.notify_all();
    }

    /// The image that an architecture's builds run in, and the machine that it is for; asked from an engine once a start.
    pub(super) fn image(self: &Arc<Self>, arch: &ArchName, stop: &StopFlag) -> Result<(String, String), NoEngine> {
        let known = |pool: &Self| {
            let seat = pool.seats.iter().find(|seat| seat.arches.contains(arch))?;
            pool.state().images.get(&seat.host.image).cloned()
        };
        if let Some(known) = known(self) {
            return Ok(known);
        }
        let lease = self.take(arch, stop)?;
        Ok((lease.ready.image.clone(), lease.ready.machine.clone()))
    }

    /// Held while an image is prepared on an engine.
    pub(super) fn preparing(&self, lease: &Lease) -> MutexGuard<'_, ()> {
        self.seats[lease.seat]
            .preparing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What an image stands for, once that is known.
    pub(super) fn host(&self, arch: &ArchName, digest: &str) -> Option<Arc<Host>> {
        self.state().hosts.get(&(arch.clone(), digest.to_owned())).cloned()
    }

    /// Notes what an image stands for.
    pub(super) fn know(&self, arch: &ArchName, host: &Arc<Host>) {
        self.state()
            .hosts
            .insert((arch.clone(), host.digest.clone()), Arc::clone(host));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Choice {
    Seat(usize),
    Busy,
    None(NoEngine),
}

/// A slot on an engine; it is free again when this goes.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    seat: usize,
    ready: Ready,
}

impl Lease {
    /// The engine.
    pub(crate) fn ready(&self) -> &Ready {
        &self.ready
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.pool.seats[self.seat].host.name
    }

    /// What is ours on engines that several bots use.
    pub(super) fn instance(&self) -> &str {
        &self.pool.instance
    }

    /// All engines.
    pub(super) fn pool(&self) -> Arc<Pool> {
        Arc::clone(&self.pool)
    }

    /// What of ours is in use on it, by label.
    pub(super) fn ours(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.pool.seats[self.seat]
            .ours
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// It failed: it is let alone for a while.
    pub(crate) fn failed(&self, why: &str) {
        self.pool.put_aside(self.seat, why);
    }

    /// It did what it was asked: what was before does not count any more.
    pub(crate) fn succeeded(&self) {
        let mut state = self.pool.state();
        let used = &mut state.seats[self.seat];
        (used.failures, used.aside) = (0, None);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.free(self.seat);
    }
}

/// Looks at an engine: whether it answers, has the image, and what that is for.
pub(crate) fn examine(host: &BuildHost, answer: Duration) -> Result<Ready, Fault> {
    let (link, probed) = Link::connect(host, answer)?;
    let engine = format!("{} {}", probed.kind.name(), probed.version);
    let Some(image) = link.image(&host.image)? else {
        return Err(Fault::Refused(format!(
            "it has no image '{}'\n\nhint: pull or load it there; nothing is pulled by itself",
            host.image
        )));
    };
    if image
        .config
        .as_ref()
        .and_then(|config| config.volumes.as_ref())
        .is_some_and(|volumes| !volumes.is_empty())
    {
        return Err(Fault::Refused(format!(
            "its image '{}' has a VOLUME, in which builds could write without limit\n\nhint: make the image without it",
            host.image
        )));
    }
    let made_for = machine(image.architecture.as_deref().unwrap_or_default());
    let own = machine(&probed.architecture);
    if made_for != own {
        return Err(Fault::Refused(format!(
            "its image '{}' is for {made_for}, and its machine is {own}",
            host.image
        )));
    }
    let id = image.id.unwrap_or_default();
    let id = id.strip_prefix("sha256:").unwrap_or(&id).to_owned();
    if id.len() != 64 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Fault::Refused(format!("its image '{}' has an odd id", host.image)));
    }
    let maps_ids = link.maps_ids()?;
    Ok(Ready {
        maps_ids,
        nests: probed.kind == Kind::Podman,
        link,
        image: id,
        machine: made_for,
        engine: windlass_core::escape::escaped(&engine),
    })
}

/// An architecture of Go's in rpm's words.
fn machine(word: &str) -> String {
    match word {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i686",
        "arm" => "armv7hl",
        other => other,
    }
    .to_owned()
}

/// The beginning of an id, for people.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(slots: &[u32]) -> Pool {
        let hosts: Vec<BuildHost> = slots
            .iter()
            .enumerate()
            .map(|(at, slots)| BuildHost {
                name: format!("b{at}"),
                host: "unix:///nowhere".to_owned(),
                tls: None,
                architectures: vec!["x86_64".to_owned()],
                image: "localhost/x:1".to_owned(),
                slots: *slots,
            })
            .collect();
        Pool::new(&hosts, &Build::default(), "test".to_owned(), false)
    }

    fn next(pool: &Pool) -> Option<usize> {
        match pool.choose(&mut pool.state(), &"x86_64".parse().unwrap()) {
            Choice::Seat(seat) => Some(seat),
            Choice::Busy => None,
            Choice::None(none) => panic!("{none:?}"),
        }
    }

    #[test]
    fn builds_go_round_and_where_there_is_room() {
        let one = pool(&[2, 2, 1]);
        let order: Vec<_> = (0..6).map(|_| next(&one)).collect();
        assert_eq!(order, [Some(0), Some(1), Some(2), Some(0), Some(1), None]);
        one.free(1);
        assert_eq!(next(&one), Some(1));
        // Whoever can do more gets more.
        let other = pool(&[1, 4]);
        let order: Vec<_> = (0..5).filter_map(|_| next(&other)).collect();
        assert_eq!(order.iter().filter(|seat| **seat == 1).count(), 4);
        // One that is done is not the next again.
        let third = pool(&[1, 1]);
        for expected in [0, 1, 0, 1] {
            let seat = next(&third).unwrap();
            assert_eq!(seat, expected);
            third.free(seat);
        }
    }

    #[test]
    fn one_that_failed_is_let_alone_longer_each_time() {
        let pool = pool(&[1, 1]);
        pool.put_aside(0, "it burns");
        assert_eq!(next(&pool), Some(1));
        assert_eq!(next(&pool), None);
        pool.put_aside(1, "it drowns");
        let none = pool.choose(&mut pool.state(), &"x86_64".parse().unwrap());
        let Choice::None(NoEngine::None { message, again }) = none else {
            panic!("there is none")
        };
        assert!(
            message.contains("b0: it burns") && message.contains("b1: it drowns"),
            "{message}"
        );
        assert!(again.is_some_and(|again| again > Duration::from_secs(50) && again < Duration::from_secs(63)));
        let rest = |pool: &Pool| {
            pool.state().seats[0]
                .aside
                .as_ref()
                .unwrap()
                .0
                .saturating_duration_since(Instant::now())
        };
        for minutes in [2, 4, 8, 16, 32, 60, 60] {
            pool.state().seats[0].aside = None;
            pool.put_aside(0, "again");
            assert_eq!(rest(&pool).as_secs().div_ceil(60), minutes);
            // The same failure, seen by another build.
            pool.put_aside(0, "again");
        }
        let none = pool.choose(&mut pool.state(), &"aarch64".parse().unwrap());
        assert!(matches!(none, Choice::None(NoEngine::None { again: None, .. })));
    }
}
