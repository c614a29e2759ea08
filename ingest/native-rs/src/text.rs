//! Twin of `builder/_text.py`, and what Python's `str` and `bytes` do where a rule uses it.

use std::borrow::Cow;

use crate::counts::Counts;

pub const HEADER_LENGTH: usize = 1024;
pub const URI_LENGTH: usize = 450;
pub const NAME_LENGTH: usize = 256;

/// A header value as text, cut to `HEADER_LENGTH` characters; each bad byte becomes U+FFFD.
pub fn text(value: &[u8]) -> Cow<'_, str> {
    let value = &value[..value.len().min(HEADER_LENGTH * 4 + 4)];
    if let Ok(text) = std::str::from_utf8(value) {
        return Cow::Borrowed(characters(text, HEADER_LENGTH));
    }
    let mut made = String::with_capacity(value.len());
    for chunk in value.utf8_chunks() {
        made.push_str(chunk.valid());
        made.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    made.truncate(characters(&made, HEADER_LENGTH).len());
    Cow::Owned(made)
}

/// The first characters of a text: Python's `value[:many]`.
pub fn characters(value: &str, many: usize) -> &str {
    if value.len() <= many {
        return value;
    }
    match value.char_indices().nth(many) {
        Some((end, _)) => &value[..end],
        None => value,
    }
}

/// `text.fit`: what a column of `length` UTF-16 units can hold of a value on every database, or None.
pub fn fit<'a>(value: &'a str, length: usize, column: &str, counts: Option<&mut Counts>) -> Option<Cow<'a, str>> {
    let printable = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if printable && value.len() <= length {
        let fitted = strip(value);
        return (!fitted.is_empty()).then_some(Cow::Borrowed(fitted));
    }
    let mut replaced = false;
    let mut fitted = Cow::Borrowed(value);
    if !printable {
        if value.chars().any(unfit) {
            let put = |sign| if unfit(sign) { char::REPLACEMENT_CHARACTER } else { sign };
            fitted = Cow::Owned(value.chars().map(put).collect());
        }
        replaced = fitted.contains(char::REPLACEMENT_CHARACTER);
    }
    fitted = stripped(fitted);
    let cut = cut_units(&fitted, length);
    let truncated = cut < fitted.len();
    if truncated {
        let end = rstrip(&fitted[..cut]).len();
        fitted = match fitted {
            Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
            Cow::Owned(mut text) => {
                text.truncate(end);
                Cow::Owned(text)
            }
        };
    }
    if let Some(counts) = counts {
        if replaced {
            counts.add(format!("replaced {column}"), 1);
        }
        if truncated {
            counts.add(format!("truncated {column}"), 1);
        }
    }
    (!fitted.is_empty()).then_some(fitted)
}

fn stripped(value: Cow<'_, str>) -> Cow<'_, str> {
    match value {
        Cow::Borrowed(text) => Cow::Borrowed(strip(text)),
        Cow::Owned(text) => {
            let kept = strip(&text);
            if kept.len() == text.len() { Cow::Owned(text) } else { Cow::Owned(kept.to_owned()) }
        }
    }
}

/// C0 and C1 controls and the two noncharacters at the end of every plane; surrogates are in no text here.
fn unfit(sign: char) -> bool {
    sign.is_control() || u32::from(sign) & 0xfffe == 0xfffe
}

/// Bytes that the first `length` UTF-16 units take, without half a surrogate pair at the cut.
fn cut_units(value: &str, length: usize) -> usize {
    if value.len() <= length {
        return value.len();
    }
    let mut units = 0;
    for (at, sign) in value.char_indices() {
        units += sign.len_utf16();
        if units > length {
            return at;
        }
    }
    value.len()
}

/// What `str.isspace` calls one: four separators more than Rust's.
pub fn is_space(sign: char) -> bool {
    sign.is_whitespace() || ('\x1c'..='\x1f').contains(&sign)
}

pub fn strip(value: &str) -> &str {
    value.trim_matches(is_space)
}

pub fn rstrip(value: &str) -> &str {
    value.trim_end_matches(is_space)
}

pub fn lstrip(value: &str) -> &str {
    value.trim_start_matches(is_space)
}

/// `str.lower`, as Unicode 15.1 has it (CPython 3.13; letters that got their case later stay).
pub fn lower(value: &str) -> Cow<'_, str> {
    if value.is_ascii() {
        if value.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Owned(value.to_ascii_lowercase());
        }
        return Cow::Borrowed(value);
    }
    if !value.chars().any(newer) {
        return Cow::Owned(value.to_lowercase());
    }
    let mut made = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find(newer) {
        made.push_str(&rest[..at].to_lowercase());
        let after = rest[at..].chars().next().map_or(rest.len(), |sign| at + sign.len_utf8());
        made.push_str(&rest[at..after]);
        rest = &rest[after..];
    }
    made.push_str(&rest.to_lowercase());
    Cow::Owned(made)
}

fn newer(sign: char) -> bool {
    matches!(
        u32::from(sign),
        0x1c89
            | 0xa7cb
            | 0xa7cc
            | 0xa7ce
            | 0xa7d2
            | 0xa7d4
            | 0xa7da
            | 0xa7dc
            | 0x10d50..=0x10d65
            | 0x16ea0..=0x16eb8
    )
}

/// Whether the text is `wanted`, which is lower case, but for case.
pub fn is_lower(value: &str, wanted: &str) -> bool {
    if value.is_ascii() { value.eq_ignore_ascii_case(wanted) } else { lower(value) == wanted }
}

/// What stands before the first separator, and behind it if there is one: `str.partition`.
pub fn partition(value: &str, separator: char) -> (&str, Option<&str>) {
    match value.split_once(separator) {
        Some((before, behind)) => (before, Some(behind)),
        None => (value, None),
    }
}

/// `bytes.strip` without argument.
pub fn strip_bytes(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// What stands before the first such byte, and behind it if there is one: `bytes.partition`.
pub fn partition_bytes(value: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(separator, value) {
        Some(at) => (&value[..at], Some(&value[at + 1..])),
        None => (value, None),
    }
}
