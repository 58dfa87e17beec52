//! Why nothing can be chosen, told as a person would find it: follow what has no alternative until something cannot be.
//!
//! First come packages that can never be installed because of what nobody provides. Then what follows without a choice is followed until
//! two of it exclude each other. Where there is a choice, each possibility is followed in turn, one level deep.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::Pool;
use super::form::{Form, Id};
use super::pool::Origin;
use crate::escape::escaped;

/// Something that is wanted, with the words for it.
#[derive(Debug, Clone)]
pub(in crate::repository) struct Wish {
    /// The words, as in `gcc >= 12`.
    pub(in crate::repository) text: String,
    /// What has to hold.
    pub(in crate::repository) form: Form,
}

/// How many lines an explanation may have, and how many possibilities it follows.
const LINES: usize = 24;
const POSSIBILITIES: usize = 4;
/// How many choices are followed into each other.
const DEEPEST: usize = 2;

/// Why these wishes cannot all be met; one step a line.
pub(in crate::repository) fn why_not(pool: &Pool<'_>, wishes: &[Wish]) -> Vec<String> {
    let hopeless = Hopeless::among(pool, wishes);
    let mut lines = Vec::new();
    for wish in wishes {
        if !hopeless.possible(&wish.form) {
            hopeless.tell_form(pool, &wish.text, &wish.form, 0, &mut HashSet::new(), &mut lines);
            lines.truncate(LINES);
            return lines;
        }
    }
    let mut state = Following::new(pool, &hopeless);
    let contradiction = wishes
        .iter()
        .find_map(|wish| state.ask(wish.form.clone(), &Cause::Wished(wish.text.clone())).err());
    let told = contradiction
        .or_else(|| state.follow().err())
        .or_else(|| state.try_choices(0));
    lines = told.unwrap_or_else(|| {
        vec![
            "no choice of packages meets all of it: each one that was tried excludes another that is needed".to_owned(),
        ]
    });
    lines.truncate(LINES);
    lines
}

fn named(pool: &Pool<'_>, id: Id) -> String {
    escaped(&pool.package(id).nevra())
}

/// `needs x`, `conflicts with x`, `obsoletes x`.
fn phrase(origin: &Origin<'_>) -> String {
    match origin {
        Origin::Requires(what) => format!("needs {}", escaped(&what.to_string())),
        Origin::Conflicts(what) => format!("conflicts with {}", escaped(&what.to_string())),
        Origin::Obsoletes(what) => format!("obsoletes {}", escaped(&what.to_string())),
    }
}

/// Packages that can never be installed, each with the first of its rules that cannot be met.
struct Hopeless {
    because: HashMap<Id, usize>,
}

impl Hopeless {
    fn among(pool: &Pool<'_>, wishes: &[Wish]) -> Self {
        let mut reachable: HashSet<Id> = HashSet::new();
        let mut open: Vec<Id> = Vec::new();
        for wish in wishes {
            wish.form.each_have(&mut |set| open.extend(set.iter()));
        }
        while let Some(id) = open.pop() {
            if reachable.insert(id) {
                for rule in pool.rules(id).iter() {
                    rule.form.each_have(&mut |set| open.extend(set.iter()));
                }
            }
        }
        let mut order: Vec<Id> = reachable.into_iter().collect();
        order.sort_unstable();
        let mut found = Self {
            because: HashMap::new(),
        };
        loop {
            let before = found.because.len();
            for id in &order {
                if found.because.contains_key(id) {
                    continue;
                }
                let rules = pool.rules(*id);
                if let Some(place) = rules.iter().position(|rule| !found.possible(&rule.form)) {
                    found.because.insert(*id, place);
                }
            }
            if found.because.len() == before {
                return found;
            }
        }
    }

    /// Whether a form could hold, as far as hopeless packages go.
    fn possible(&self, form: &Form) -> bool {
        match form {
            Form::Have(set) => set.iter().any(|id| !self.because.contains_key(id)),
            Form::Lack(_) => true,
            Form::All(parts) => parts.iter().all(|part| self.possible(part)),
            Form::Any(parts) => parts.iter().any(|part| self.possible(part)),
        }
    }

    /// The chain from something that cannot hold down to what nobody provides.
    fn tell_form(
        &self,
        pool: &Pool<'_>,
        subject: &str,
        form: &Form,
        depth: usize,
        told: &mut HashSet<Id>,
        lines: &mut Vec<String>,
    ) {
        if lines.len() >= LINES {
            return;
        }
        let indent = "  ".repeat(depth);
        let mut candidates: Vec<Id> = Vec::new();
        form.each_have(&mut |set| candidates.extend(set.iter()));
        candidates.retain(|id| self.because.contains_key(id));
        candidates.dedup();
        if candidates.is_empty() {
            lines.push(format!("{indent}nothing provides {subject}"));
            return;
        }
        let more = candidates.len().saturating_sub(POSSIBILITIES);
        let place = if candidates.len() == 1 { "only in" } else { "in" };
        for id in candidates.into_iter().take(POSSIBILITIES) {
            let rules = pool.rules(id);
            let Some(rule) = self.because.get(&id).and_then(|place| rules.get(*place)) else {
                continue;
            };
            let package = named(pool, id);
            let phrase = phrase(&rule.origin);
            lines.push(if subject == package {
                format!("{indent}{package} {phrase}")
            } else {
                format!("{indent}{subject} is {place} {package}, which {phrase}")
            });
            if told.insert(id) {
                let needed = match rule.origin {
                    Origin::Requires(what) | Origin::Conflicts(what) => escaped(&what.to_string()),
                    Origin::Obsoletes(what) => escaped(&what.to_string()),
                };
                self.tell_form(pool, &needed, &rule.form, depth + 1, told, lines);
            }
        }
        if more > 0 {
            lines.push(format!("{indent}and {more} more that cannot be installed either"));
        }
    }
}

/// Where something follows from.
#[derive(Debug, Clone)]
enum Cause {
    /// It is wanted, in these words.
    Wished(String),
    /// A package says so, by this phrase.
    Said(Id, String),
    /// Another package of the same name is there.
    SameName(Id),
    /// It is followed to see where it leads.
    Tried,
}

/// What follows from the wishes without a choice.
#[derive(Clone)]
struct Following<'p, 'a> {
    pool: &'p Pool<'a>,
    hopeless: &'p Hopeless,
    there: HashMap<Id, Cause>,
    absent: HashMap<Id, Cause>,
    /// What has to hold and does not follow from what is known yet.
    open: Vec<(Form, Cause)>,
}

/// An explanation, one step a line.
type Told = Vec<String>;

impl<'p, 'a> Following<'p, 'a> {
    fn new(pool: &'p Pool<'a>, hopeless: &'p Hopeless) -> Self {
        Self {
            pool,
            hopeless,
            there: HashMap::new(),
            absent: HashMap::new(),
            open: Vec::new(),
        }
    }

    fn may_come(&self, id: Id) -> bool {
        !self.absent.contains_key(&id) && !self.hopeless.because.contains_key(&id)
    }

    /// Takes in that a form has to hold.
    fn ask(&mut self, form: Form, cause: &Cause) -> Result<(), Told> {
        match self.left_of(&form) {
            None => Err(self.tell_impossible(&form, cause)),
            Some(left) if left.is_always() => Ok(()),
            Some(Form::Have(set)) if set.len() == 1 => self.come(set[0], cause),
            Some(Form::Lack(set)) => set.iter().try_for_each(|id| self.go(*id, cause)),
            Some(Form::All(parts)) => parts.into_iter().try_for_each(|part| self.ask(part, cause)),
            Some(Form::Have(_) | Form::Any(_)) => {
                self.open.push((form, cause.clone()));
                Ok(())
            }
        }
    }

    /// What of a form is not settled; nothing where it cannot hold any more.
    fn left_of(&self, form: &Form) -> Option<Form> {
        match form {
            Form::Have(set) => {
                if set.iter().any(|id| self.there.contains_key(id)) {
                    return Some(Form::always());
                }
                let left: Rc<[Id]> = set.iter().copied().filter(|id| self.may_come(*id)).collect();
                (!left.is_empty()).then_some(Form::Have(left))
            }
            Form::Lack(set) => {
                if set.iter().any(|id| self.there.contains_key(id)) {
                    return None;
                }
                let left: Rc<[Id]> = (set.iter().copied())
                    .filter(|id| !self.absent.contains_key(id))
                    .collect();
                Some(Form::Lack(left).simple())
            }
            Form::All(parts) => {
                let left: Option<Vec<Form>> = parts.iter().map(|part| self.left_of(part)).collect();
                left.map(|left| Form::All(left).simple())
            }
            Form::Any(parts) => {
                let left: Vec<Form> = parts.iter().filter_map(|part| self.left_of(part)).collect();
                (!left.is_empty()).then(|| Form::Any(left).simple())
            }
        }
    }

    /// A package has to be there.
    fn come(&mut self, id: Id, cause: &Cause) -> Result<(), Told> {
        if self.there.contains_key(&id) {
            return Ok(());
        }
        if let Some(why) = self.absent.get(&id) {
            return Err(self.tell_clash(id, cause, &why.clone()));
        }
        self.there.insert(id, cause.clone());
        let same_name = Rc::clone(&self.pool.named(id));
        for other in same_name.iter().filter(|other| **other != id) {
            self.go(*other, &Cause::SameName(id))?;
        }
        let rules = self.pool.rules(id);
        for rule in rules.iter() {
            self.ask(rule.form.clone(), &Cause::Said(id, phrase(&rule.origin)))?;
        }
        Ok(())
    }

    /// A package must not be there.
    fn go(&mut self, id: Id, cause: &Cause) -> Result<(), Told> {
        if let Some(why) = self.there.get(&id) {
            return Err(self.tell_clash(id, &why.clone(), cause));
        }
        self.absent.entry(id).or_insert_with(|| cause.clone());
        Ok(())
    }

    /// Follows until nothing follows any more.
    fn follow(&mut self) -> Result<(), Told> {
        loop {
            let open = std::mem::take(&mut self.open);
            let before = (self.there.len(), self.absent.len());
            for (form, cause) in open {
                self.ask(form, &cause)?;
            }
            if (self.there.len(), self.absent.len()) == before {
                return Ok(());
            }
        }
    }

    /// Follows each possibility of the narrowest choice; an explanation only if none of them leads anywhere.
    fn try_choices(&self, depth: usize) -> Option<Told> {
        if depth >= DEEPEST {
            return None;
        }
        let mut choices: Vec<(Rc<[Id]>, &Cause)> = Vec::new();
        for (form, cause) in &self.open {
            if let Some(Form::Have(set)) = self.left_of(form) {
                choices.push((set, cause));
            }
        }
        choices.sort_by_key(|(set, _)| set.len());
        choices
            .into_iter()
            .take(16)
            .filter(|(set, _)| set.len() <= POSSIBILITIES * 2)
            .find_map(|(set, cause)| {
                let mut lines = self.tell_way_to(cause);
                for id in set.iter() {
                    let mut tried = self.clone();
                    let told = tried
                        .come(*id, &Cause::Tried)
                        .and_then(|()| tried.follow())
                        .err()
                        .or_else(|| tried.try_choices(depth + 1))?;
                    lines.push(format!("with {}:", named(self.pool, *id)));
                    lines.extend(told.into_iter().map(|line| format!("  {line}")));
                }
                Some(lines)
            })
    }

    /// How it came to something: who asks for it, and who asks for that one.
    fn tell_way_to(&self, cause: &Cause) -> Told {
        let mut lines = Vec::new();
        let mut cause = cause.clone();
        loop {
            match cause {
                Cause::Wished(text) => {
                    lines.push(format!("{text} is wanted"));
                    break;
                }
                Cause::Said(id, phrase) => {
                    let package = named(self.pool, id);
                    lines.push(format!("{package} {phrase}"));
                    match self.there.get(&id) {
                        // That it is wanted itself needs no line of its own.
                        Some(Cause::Wished(text)) if *text == package => break,
                        Some(next) if lines.len() < LINES => cause = next.clone(),
                        _ => break,
                    }
                }
                Cause::SameName(id) => match self.there.get(&id) {
                    Some(next) if lines.len() < LINES => {
                        lines.push(format!("{} is needed", named(self.pool, id)));
                        cause = next.clone();
                    }
                    _ => break,
                },
                Cause::Tried => break,
            }
        }
        lines.reverse();
        lines
    }

    /// A package is needed, and something excludes it.
    fn tell_clash(&self, id: Id, needed: &Cause, excluded: &Cause) -> Told {
        let package = named(self.pool, id);
        let mut lines = self.tell_way_to(needed);
        lines.push(match needed {
            Cause::Wished(_) | Cause::Said(..) | Cause::SameName(_) => format!("so {package} is needed"),
            Cause::Tried => format!("{package} is chosen"),
        });
        lines.extend(self.tell_way_to(excluded));
        lines.push(match excluded {
            Cause::SameName(other) => format!(
                "so {} is needed: two versions of one package cannot be installed",
                named(self.pool, *other)
            ),
            Cause::Said(..) | Cause::Wished(_) | Cause::Tried => format!("so {package} cannot be installed"),
        });
        lines.dedup();
        lines
    }

    /// Everything that could meet something is excluded.
    fn tell_impossible(&self, form: &Form, cause: &Cause) -> Told {
        let mut lines = self.tell_way_to(cause);
        let mut candidates: Vec<Id> = Vec::new();
        form.each_have(&mut |set| candidates.extend(set.iter()));
        let mut told = 0;
        for id in &candidates {
            if told == POSSIBILITIES {
                lines.push("and the others that provide it are excluded, too".to_owned());
                break;
            }
            if let Some(excluded) = self.absent.get(id) {
                told += 1;
                let package = named(self.pool, *id);
                match excluded {
                    Cause::SameName(other) => lines.push(format!(
                        "{package} provides it, but {} is needed: two versions of one package cannot be installed",
                        named(self.pool, *other)
                    )),
                    Cause::Said(other, phrase) => {
                        lines.push(format!(
                            "{package} provides it, but {} {phrase}",
                            named(self.pool, *other)
                        ));
                    }
                    Cause::Wished(text) => lines.push(format!("{package} provides it, but {text} is wanted")),
                    Cause::Tried => lines.push(format!("{package} provides it, but is not chosen")),
                }
                if let Cause::SameName(other) | Cause::Said(other, _) = excluded
                    && let Some(next) = self.there.get(other)
                {
                    let way = self.tell_way_to(next);
                    lines.extend(way.into_iter().map(|line| format!("  {line}")));
                }
            }
        }
        if candidates.is_empty()
            && let Form::Lack(set) = form
            && let Some((id, needed)) = set.iter().find_map(|id| self.there.get(id).map(|cause| (*id, cause)))
        {
            lines.push(format!("but {} is needed", named(self.pool, id)));
            lines.extend(self.tell_way_to(needed).into_iter().map(|line| format!("  {line}")));
        }
        lines
    }
}
