//! ONBUILD carried out: what an image has for those built on it becomes a part of their Dockerfile.

use super::Dockerfile;
use super::instruction::Instruction;
use super::logical;
use super::problem::Problems;
use super::read::{self, Read};
use crate::escape::escaped;

impl Dockerfile {
    /// The texts of the ONBUILD instructions of the stage of that number, as the configuration of the image has them that ends there.
    pub fn triggers(&self, stage: usize) -> Vec<&str> {
        let stage = self.stages.get(stage).into_iter();
        let triggers = stage.flat_map(|stage| &stage.instructions);
        let triggers = triggers.filter_map(|instruction| instruction.kind.as_onbuild());
        triggers.map(|trigger| trigger.text.as_str()).collect()
    }

    /// The file as it is built on an image that has these ONBUILD instructions: they stand at the beginning of the stage of
    /// that number, on the lines of its FROM. Bases, sources and the canonical form are then those of what is really built.
    ///
    /// # Errors
    /// Texts that are no instructions, and stages that there are not.
    pub fn with_triggers<T: AsRef<str>>(mut self, stage: usize, texts: &[T]) -> Result<Self, Problems> {
        let Some(stage) = self.stages.get_mut(stage) else {
            return Ok(self);
        };
        let lines = stage.from.lines;
        let mut problems = Vec::new();
        let mut first = Vec::new();
        for text in texts {
            let read = logical::read(text.as_ref());
            problems.extend(read.problems);
            for mut logical in read.instructions {
                logical.lines = lines;
                // Engines read them without this file's directives. What may not stand behind ONBUILD is in no image.
                let escape = read.directives.escape;
                if let Some(Read::Other(kind)) = read::instruction(logical, escape, &mut problems) {
                    first.push(Instruction { lines, kind });
                }
            }
        }
        for problem in &mut problems {
            problem.lines = lines;
            problem.message = format!("ONBUILD of the base {}: {}", escaped(&stage.from.base), problem.message);
        }
        Problems::unless_none(problems)?;
        stage.instructions.splice(..0, first);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Arguments, Platform};
    use super::*;

    #[test]
    fn what_a_base_brings_stands_first() {
        let base = "FROM scratch\nONBUILD ENV d=src\nONBUILD COPY $d /src\nONBUILD RUN <<E\nx\nE\nUSER u\n";
        let base = Dockerfile::parse(base).unwrap();
        let texts = base.triggers(0);
        assert_eq!(texts, ["ENV d=src", "COPY $d /src", "RUN <<E\nx\nE"]);
        let file = Dockerfile::parse("# above\nFROM localhost/base\nCOPY a /\n").unwrap();
        let built = file.clone().with_triggers(0, &texts).unwrap();
        let names: Vec<_> = built
            .last()
            .instructions
            .iter()
            .map(|i| (i.lines.first, i.kind.name()))
            .collect();
        assert_eq!(names, [(2, "ENV"), (2, "COPY"), (2, "RUN"), (3, "COPY")]);
        assert_ne!(built.canonical(), file.canonical());
        let sources = built
            .context_sources(&Arguments::native(&Platform::linux("x86_64")))
            .unwrap();
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0].what, super::super::sources::What::Path("src".to_owned()));
        assert_eq!(file.clone().with_triggers(0, &[""; 0]), Ok(file));
    }

    #[test]
    fn what_is_no_instruction_is_told() {
        let file = Dockerfile::parse("FROM localhost/base\n").unwrap();
        let told = file.with_triggers(0, &["COPI a /"]).unwrap_err().to_string();
        assert!(
            told.starts_with("line 1: ONBUILD of the base localhost/base: 'COPI' is no instruction"),
            "{told}"
        );
    }
}
