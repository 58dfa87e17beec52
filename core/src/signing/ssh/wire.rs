//! Ssh's encoding (RFC 4251, section 5), as far as it is needed here, and base64.

/// One of ssh's strings: four bytes of length, and that many bytes.
pub(super) fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (value, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(value)
}

/// A number of that many bytes, the highest first.
pub(super) fn number<const BYTES: usize>(rest: &mut &[u8]) -> Option<[u8; BYTES]> {
    let (value, after) = rest.split_first_chunk::<BYTES>()?;
    *rest = after;
    Some(*value)
}

/// Standard base64 with padding, over any lines.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count, mut padding) = (0u32, 0u32, 0u32);
    for byte in text.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = (bits << 6 | u32::from(value)) & 0x00ff_ffff;
        count += 1;
        if count == 4 {
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, count) = (0, 0);
        }
    }
    match (count, padding) {
        (0, 0) => {}
        (2, 2) => bytes.push((bits >> 4).to_be_bytes()[3]),
        (3, 1) => bytes.extend_from_slice(&(bits >> 2).to_be_bytes()[2..]),
        _ => return None,
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", Some(""))]
    #[case("Zg==", Some("f"))]
    #[case("Zm8=", Some("fo"))]
    #[case("Zm9v\nYmFy", Some("foobar"))]
    #[case("Zg=", None)]
    #[case("Zg==Zg==", None)]
    #[case("Z", None)]
    #[case("Zm-v", None)]
    fn base64_is_strict(#[case] text: &str, #[case] bytes: Option<&str>) {
        assert_eq!(base64(text.as_bytes()).as_deref(), bytes.map(str::as_bytes));
    }
}
