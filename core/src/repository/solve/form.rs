//! What a package asks for, as sets of packages: the one form that everything else here works on.

use std::rc::Rc;

/// A package, by its number in the [`super::Pool`].
pub(in crate::repository) type Id = u32;

/// What has to hold of the packages that are installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::repository) enum Form {
    /// One of these is there; they stand in order of preference.
    Have(Rc<[Id]>),
    /// None of these is there.
    Lack(Rc<[Id]>),
    /// All of it.
    All(Vec<Self>),
    /// Some of it; the first is preferred.
    Any(Vec<Self>),
}

impl Form {
    /// What always holds.
    pub(super) fn always() -> Self {
        Self::All(Vec::new())
    }

    /// The opposite.
    pub(super) fn negated(&self) -> Self {
        match self {
            Self::Have(set) => Self::Lack(Rc::clone(set)),
            Self::Lack(set) => Self::Have(Rc::clone(set)),
            Self::All(parts) => Self::Any(parts.iter().map(Self::negated).collect()),
            Self::Any(parts) => Self::All(parts.iter().map(Self::negated).collect()),
        }
    }

    /// The same for one who is there himself: what he meets by that is left out. With no parts left, `All` always holds and `Any` never does.
    pub(super) fn seen_by(&self, own: Id) -> Self {
        match self {
            Self::Have(set) if set.contains(&own) => Self::always(),
            Self::Lack(set) if set.contains(&own) => Self::Any(Vec::new()),
            Self::Have(_) | Self::Lack(_) => self.clone(),
            Self::All(parts) => Self::All(parts.iter().map(|part| part.seen_by(own)).collect()),
            Self::Any(parts) => Self::Any(parts.iter().map(|part| part.seen_by(own)).collect()),
        }
        .simple()
    }

    /// What somebody does not stand beside, turned round, for himself: he alone is no conflict, and what has to be there may be
    /// he. In `(a and b)` he is as good an `a` as any, so that there it is `b` that he does not stand beside. So libsolv has it, too.
    pub(super) fn spares(&self, own: Id) -> Self {
        match self {
            Self::Have(_) => self.seen_by(own),
            Self::Lack(set) if set.contains(&own) => Self::Lack(set.iter().copied().filter(|id| *id != own).collect()),
            Self::Lack(_) => self.clone(),
            Self::All(parts) => Self::All(parts.iter().map(|part| part.spares(own)).collect()),
            Self::Any(parts) => {
                let seen = self.seen_by(own);
                if seen.is_never() && !parts.is_empty() {
                    // All that it is about is he himself, perhaps among others.
                    Self::All(parts.iter().map(|part| part.spares(own)).collect())
                } else {
                    seen
                }
            }
        }
        .simple()
    }

    /// Whether it always holds.
    pub(super) fn is_always(&self) -> bool {
        matches!(self, Self::All(parts) if parts.is_empty())
    }

    /// Whether it never holds.
    pub(super) fn is_never(&self) -> bool {
        match self {
            Self::Have(set) => set.is_empty(),
            Self::Any(parts) => parts.is_empty(),
            Self::Lack(_) | Self::All(_) => false,
        }
    }

    /// The same, flat: no `All` in an `All`, no `Any` in an `Any`, nothing that always or never holds but at the top.
    pub(super) fn simple(self) -> Self {
        match self {
            Self::Lack(set) if set.is_empty() => Self::always(),
            Self::Have(_) | Self::Lack(_) => self,
            Self::All(parts) => {
                let mut flat = Vec::with_capacity(parts.len());
                for part in parts {
                    let part = part.simple();
                    if part.is_never() {
                        return part;
                    }
                    match part {
                        Self::All(inner) => flat.extend(inner),
                        other @ (Self::Have(_) | Self::Lack(_) | Self::Any(_)) => flat.push(other),
                    }
                }
                one_or(flat, Self::All)
            }
            Self::Any(parts) => {
                let mut flat = Vec::with_capacity(parts.len());
                for part in parts {
                    let part = part.simple();
                    if part.is_always() {
                        return part;
                    }
                    if part.is_never() {
                        continue;
                    }
                    match part {
                        Self::Any(inner) => flat.extend(inner),
                        other @ (Self::Have(_) | Self::Lack(_) | Self::All(_)) => flat.push(other),
                    }
                }
                one_or(flat, Self::Any)
            }
        }
    }

    /// Whether it holds where exactly those are installed that a test takes.
    pub(super) fn holds(&self, installed: &impl Fn(Id) -> bool) -> bool {
        match self {
            Self::Have(set) => set.iter().any(|id| installed(*id)),
            Self::Lack(set) => !set.iter().any(|id| installed(*id)),
            Self::All(parts) => parts.iter().all(|part| part.holds(installed)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(installed)),
        }
    }

    /// Calls for every set of which one is wanted.
    pub(super) fn each_have(&self, visit: &mut impl FnMut(&Rc<[Id]>)) {
        match self {
            Self::Have(set) => visit(set),
            Self::Lack(_) => {}
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.each_have(visit);
                }
            }
        }
    }
}

fn one_or(mut parts: Vec<Form>, many: impl FnOnce(Vec<Form>) -> Form) -> Form {
    if parts.len() == 1 { parts.remove(0) } else { many(parts) }
}
