//! Tests of the grammar.

use super::*;

fn parse(line: &str) -> Result<Command, Usage> {
    Command::parse(split::split(line.as_bytes()).unwrap())
}

#[test]
fn the_grammar_holds_together() {
    grammar().debug_assert();
}

#[test]
fn an_omitted_id_is_told_apart() {
    for (line, expected) in [
        ("task add repo hello 1.0-alt1", None),
        ("task add 7 repo hello 1.0-alt1", Some(7)),
    ] {
        let Ok(Command::Task(TaskCommand::Add { id, .. })) = parse(line) else {
            panic!("{line}: {:?}", parse(line));
        };
        assert_eq!(id.map(crate::id::TaskId::get), expected);
    }
}
