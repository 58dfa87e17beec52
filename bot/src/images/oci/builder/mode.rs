//! `--chmod`: an octal number, or changes in words as chmod(1) has them, without a umask.

/// What becomes of a mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ModeChange {
    /// Just this.
    Set(u32),
    /// One change after the other.
    Changes(Vec<Change>),
}

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// For whom: the bits of user (0o4700), group (0o2070) and others (0o1007).
    who: u32,
    operation: Operation,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Take,
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Bits for all; `X` stands apart.
    Bits {
        /// For everybody.
        bits: u32,
        /// Execution, where it is a directory or somebody may execute it already.
        executable: bool,
    },
    /// What user (6), group (3) or others (0: the shift) have.
    Of(u32),
}

impl ModeChange {
    /// Reads `755`, `u=rwX,go=rX`, `a+x`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok()?;
            return (mode <= 0o7777).then_some(Self::Set(mode));
        }
        let mut changes = Vec::new();
        for clause in text.split(',') {
            let at = clause.find(['+', '-', '='])?;
            let (whom, mut rest) = clause.split_at(at);
            let mut who = 0;
            for c in whom.chars() {
                who |= match c {
                    'u' => 0o4700,
                    'g' => 0o2070,
                    'o' => 0o1007,
                    'a' => 0o7777,
                    _ => return None,
                };
            }
            if whom.is_empty() {
                who = 0o7777;
            }
            while let Some(c) = rest.chars().next() {
                let operation = match c {
                    '+' => Operation::Add,
                    '-' => Operation::Take,
                    '=' => Operation::Set,
                    _ => return None,
                };
                let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |at| at + 1);
                let what = what(&rest[1..end])?;
                changes.push(Change { who, operation, what });
                rest = &rest[end..];
            }
        }
        Some(Self::Changes(changes))
    }

    /// The mode after it.
    pub(super) fn of(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Self::Set(mode) => *mode,
            Self::Changes(changes) => changes.iter().fold(mode, |mode, change| change.of(mode, is_directory)),
        }
    }
}

impl Change {
    fn of(self, mode: u32, is_directory: bool) -> u32 {
        let bits = match self.what {
            What::Bits { bits, executable } => {
                let also = if executable && (is_directory || mode & 0o111 != 0) {
                    0o111
                } else {
                    0
                };
                bits | also
            }
            What::Of(shift) => {
                let three = (mode >> shift) & 0o7;
                three << 6 | three << 3 | three
            }
        } & self.who;
        match self.operation {
            Operation::Add => mode | bits,
            Operation::Take => mode & !bits,
            // A directory keeps its set-id bits unless they are named.
            Operation::Set if is_directory => mode & !(self.who & !0o6000) | bits,
            Operation::Set => mode & !self.who | bits,
        }
    }
}

fn what(text: &str) -> Option<What> {
    match text {
        "u" => return Some(What::Of(6)),
        "g" => return Some(What::Of(3)),
        "o" => return Some(What::Of(0)),
        _ => {}
    }
    let mut bits = 0;
    let mut executable = false;
    for c in text.chars() {
        match c {
            'r' => bits |= 0o444,
            'w' => bits |= 0o222,
            'x' => bits |= 0o111,
            's' => bits |= 0o6000,
            't' => bits |= 0o1000,
            'X' => executable = true,
            _ => return None,
        }
    }
    Some(What::Bits { bits, executable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_chmod_does() {
        for (text, before, is_directory, after) in [
            ("755", 0o600, false, 0o755),
            ("04755", 0o600, false, 0o4755),
            ("a+x", 0o644, false, 0o755),
            ("+x", 0o644, false, 0o755),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("go-w", 0o666, false, 0o644),
            ("g=u", 0o640, false, 0o660),
            ("o=", 0o777, false, 0o770),
            ("u+s", 0o755, false, 0o4755),
            ("g+s", 0o755, true, 0o2755),
            ("+t", 0o777, true, 0o1777),
            ("u+x-w", 0o644, false, 0o544),
            ("a=r", 0o2755, true, 0o2444),
            ("a=r", 0o6755, false, 0o444),
        ] {
            let change = ModeChange::parse(text).unwrap();
            assert_eq!(change.of(before, is_directory), after, "{text} {before:o}");
        }
        for bad in ["", "8", "77777", "x", "u", "u*x", "a+q", "rwx", "u+x,", "-"] {
            let read = ModeChange::parse(bad);
            assert!(read.is_none() || bad == "-", "{bad} {read:?}");
        }
    }
}
