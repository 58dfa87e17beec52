//! How text that somebody else wrote is shown: nothing in it can move a cursor, colour a line or reverse it.

use std::fmt::Write as _;

/// The text with every control, format and invisible character written as `\u{…}`; line feeds too.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) {
            out.push(c);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
    }
    out
}

/// As [`escaped`], line by line, and not more than `most` bytes of it; an ellipsis says that there was more.
pub fn escaped_lines(text: &str, most: usize) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(escaped).collect();
    shortened(lines.join("\n"), most)
}

/// Not more than `most` bytes of a text; an ellipsis says that there was more.
pub fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}

/// As [`escaped`], for bytes: what is no UTF-8 is written as `\xNN`.
pub fn escaped_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&escaped(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Whether a character is shown as it is: no control, no bidirectional or zero-width format character.
pub fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_safe() {
        assert_eq!(escaped("a\u{1b}[31mb\u{202e}c\n"), "a\\u{1b}[31mb\\u{202e}c\\u{a}");
        assert_eq!(escaped_bytes(b"J\xf6rg \xc3\xa9"), "J\\xf6rg é");
    }

    #[test]
    fn lines_stay_lines_and_are_cut_between_characters() {
        assert_eq!(escaped_lines("a\r\n\u{1b}b\n\n", 99), "a\n\\u{1b}b");
        assert_eq!(escaped_lines("éé", 4), "éé");
        assert_eq!(escaped_lines("éé", 3), "é…");
    }
}
