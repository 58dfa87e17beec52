//! Laws of Dockerfiles, and hostile texts.

use proptest::prelude::*;

use super::expand::{Lexer, Unset};
use super::*;

/// Some instructions, each on lines of its own, that stand together well.
fn instructions() -> impl Strategy<Value = Vec<&'static str>> {
    let known = vec![
        "RUN a && b",
        "RUN [\"a\", \"b\"]",
        "RUN --mount=type=cache,target=/c x",
        "COPY a b /c/",
        "COPY --chown=1:2 --link d /e",
        "COPY [\"a b\", \"/c\"]",
        "ADD --checksum=sha256:1 https://x.org/f /f",
        "ENV a=1 b=\"2 3\" c=$a",
        "ENV d e f",
        "LABEL a.b=c",
        "ARG v=1",
        "ARG w",
        "USER u",
        "WORKDIR /w/$v",
        "EXPOSE 80 81/udp",
        "VOLUME /v",
        "CMD [\"c\"]",
        "ENTRYPOINT e",
        "HEALTHCHECK --interval=1s CMD h",
        "STOPSIGNAL 9",
        "SHELL [\"s\", \"-c\"]",
        "ONBUILD COPY o /o",
        "FROM scratch",
        "FROM b",
    ];
    prop::collection::vec(prop::sample::select(known), 0..12)
}

/// A stage graph: each stage names earlier ones.
fn stages() -> impl Strategy<Value = String> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), 0..3_u8), 1..8).prop_map(|stages| {
        let mut text = String::new();
        for (at, (index, copies, from)) in stages.into_iter().enumerate() {
            let base = match (at, from) {
                (0, _) | (_, 0) => "scratch".to_owned(),
                _ => format!("s{}", index.index(at)),
            };
            text.extend(["FROM ", &base, " AS s", &at.to_string(), "\n"]);
            if at > 0 && copies {
                text.extend(["COPY --from=", &index.index(at).to_string(), " a /b\n"]);
            }
        }
        text
    })
}

fn arguments() -> Arguments {
    Arguments::native(&Platform::linux("x86_64"))
}

/// Everything that can be asked of a text.
fn ask_everything(text: &str) {
    let Ok(file) = Dockerfile::parse(text) else { return };
    let lines = u32::try_from(text.split('\n').count()).unwrap();
    for stage in &file.stages {
        let mut before = stage.from.lines.last;
        for instruction in &stage.instructions {
            assert!(
                before < instruction.lines.first,
                "instructions stand one behind the other"
            );
            assert!(instruction.lines.first <= instruction.lines.last && instruction.lines.last <= lines);
            before = instruction.lines.last;
        }
    }
    let _ = file.canonical();
    if let Ok(bases) = file.bases(&arguments()) {
        assert!(bases.iter().filter(|base| base.by == By::From).count() == file.stages.len());
        let needed = file.needed_stages(&bases, None).unwrap();
        assert_eq!(needed.last(), Some(&file.last().index));
    }
    let _ = file.context_sources(&arguments());
    let _ = seed::preprocessed(text, "FROM own/", &mut |_| None);
}

proptest! {
    #[test]
    fn layout_does_not_count(list in instructions(), noise in prop::collection::vec("(#[ -~]{0,8}|[ \t]{0,3})", 13)) {
        let plain = format!("FROM scratch\n{}\n", list.join("\n"));
        let file = Dockerfile::parse(&plain).unwrap();
        let between = |text: &str| -> String {
            let lines = text.lines().zip(noise.iter().cycle());
            lines.flat_map(|(line, noise)| [line, "\n", noise, "\n"]).collect()
        };
        let noisy = between(&plain);
        prop_assert_eq!(Dockerfile::parse(&noisy).unwrap().canonical(), file.canonical());
        let continued = plain.replace(' ', " \\\n# within\n\n");
        prop_assert_eq!(Dockerfile::parse(&continued).unwrap().canonical(), file.canonical());
        let returns = plain.replace('\n', "\r\n");
        prop_assert_eq!(Dockerfile::parse(&returns).unwrap().canonical(), file.canonical());
        let escaped = format!("# escape=`\n{}", plain.replace(' ', " `\n"));
        prop_assert_eq!(Dockerfile::parse(&escaped).unwrap().canonical(), file.canonical());
    }

    #[test]
    fn every_instruction_is_where_it_says(list in instructions(), blank in 0..4_usize) {
        let blank = "\n".repeat(blank);
        let lines = list.iter().flat_map(|line| [blank.as_str(), line, "\n"]);
        let text: String = ["FROM scratch\n"].into_iter().chain(lines).collect();
        let file = Dockerfile::parse(&text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for stage in &file.stages {
            prop_assert!(lines[stage.from.lines.first as usize - 1].starts_with("FROM"));
            for instruction in &stage.instructions {
                prop_assert!(lines[instruction.lines.first as usize - 1].starts_with(instruction.kind.name()));
            }
        }
    }

    #[test]
    fn what_a_target_needs_is_closed(text in stages()) {
        let file = Dockerfile::parse(&text).unwrap();
        let bases = file.bases(&arguments()).unwrap();
        for stage in &file.stages {
            let needed = file.needed_stages(&bases, Some(&stage.index.to_string())).unwrap();
            prop_assert!(needed.contains(&stage.index));
            prop_assert!(needed.iter().all(|other| *other <= stage.index));
            for base in bases.iter().filter(|base| needed.contains(&base.stage)) {
                if let Ground::Stage(below) = base.ground {
                    prop_assert!(needed.contains(&below) && below < base.stage);
                }
            }
        }
    }

    #[test]
    fn an_escaped_text_is_itself(text in "\\PC{0,20}") {
        let lexer = Lexer::new('\\');
        let escaped: String = text.chars().flat_map(|c| ['\\', c]).collect();
        prop_assert_eq!(lexer.word(&escaped, &Unset).unwrap(), text.as_str());
        let quoted = format!("'{}'", text.replace('\'', ""));
        prop_assert_eq!(lexer.word(&quoted, &Unset).unwrap(), text.replace('\'', ""));
        let double: String = text.chars().map(|c| if matches!(c, '"' | '$' | '\\') { format!("\\{c}") } else { c.to_string() }).collect();
        let double = format!("\"{double}\"");
        prop_assert_eq!(lexer.word(&double, &Unset).unwrap(), text.as_str());
    }

    #[test]
    fn a_heredoc_is_its_lines(lines in prop::collection::vec("[ -~\t]{0,20}", 0..6), quoted in any::<bool>()) {
        let body: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        let word = if quoted { "'END OF IT'" } else { "END\\ OF\\ IT" };
        let text = format!("FROM scratch\nCOPY <<{word} /x\n{body}END OF IT\nUSER u\n");
        prop_assume!(lines.iter().all(|line| line != "END OF IT"));
        // A word with a blank is not one word of COPY, so that RUN is asked.
        let text = text.replace("COPY", "RUN cat").replace(" /x", "");
        let file = Dockerfile::parse(&text).unwrap();
        let (_, _, run) = file.runs().next().unwrap();
        prop_assert_eq!(&run.heredocs[0].content, &body);
        prop_assert_eq!(file.last().instructions.len(), 2);
    }
}

#[test]
fn fuzz_bytes() {
    bolero::check!().for_each(|bytes: &[u8]| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            ask_everything(text);
        } else {
            assert!(Dockerfile::from_bytes(bytes).is_err());
        }
    });
}

#[test]
fn fuzz_words() {
    let words = [
        "FROM ",
        "scratch",
        " AS ",
        "a",
        "b",
        "\n",
        "\n",
        "\n",
        " ",
        "\\\n",
        "`\n",
        "# escape=`",
        "# syntax=x",
        "#",
        "ARG ",
        "ENV ",
        "=",
        "$a",
        "${a}",
        "${a:-",
        "}",
        "${a#*",
        "${a/b/",
        "\"",
        "'",
        "\\",
        "RUN ",
        "COPY ",
        "ADD ",
        "<<E",
        "<<-\"E\"",
        "E\n",
        "--from=",
        "--mount=type=bind,from=",
        ",target=/x",
        "--chown=",
        "--platform=",
        "[\"a\", ",
        "\"b\"]",
        "]",
        "ONBUILD ",
        "HEALTHCHECK ",
        "CMD ",
        "NONE",
        "--interval=1s",
        "VOLUME ",
        "LABEL ",
        "https://x.org/a",
        "\r\n",
        "\t",
        "0",
        "*",
        "?",
        "[",
    ];
    bolero::check!().with_type::<Vec<u8>>().for_each(|picks| {
        let text: String = picks
            .iter()
            .map(|pick| words[usize::from(*pick) % words.len()])
            .collect();
        ask_everything(&text);
        ask_everything(&format!("FROM scratch\n{text}"));
    });
}

#[test]
fn a_large_file_is_no_trouble() {
    let mut text = String::from("FROM scratch\n");
    for number in 1..limits::INSTRUCTIONS {
        let number = number.to_string();
        text.extend(["COPY --from=image", &number, " a$x \"b\" /c", &number, "/\n"]);
    }
    ask_everything(&text);
    let nested = format!("FROM scratch\nUSER {}1{}\n", "${a:-".repeat(10_000), "}".repeat(10_000));
    assert!(Dockerfile::parse(&nested).is_err());
    let doubling = "ENV a=$a$a$a$a\n".repeat(60);
    let doubling = Dockerfile::parse(&format!("FROM scratch\nENV a=xxxxxxxx\n{doubling}COPY $a /\n")).unwrap();
    assert!(doubling.context_sources(&arguments()).is_err());
}
