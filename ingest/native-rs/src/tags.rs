//! Twin of the last part of `ingest/_sip.py`: what stands inside the values of From, To and Via.

use memchr::memchr;

use crate::scan::{partition, trim, trim_end, trim_start};

/// Elements of a comma-separated list that aren't empty; commas in quotes or `<>` don't separate.
pub fn elements(value: &[u8]) -> u32 {
    let mut found = 0;
    let (mut filled, mut angle, mut quotes) = (false, false, true);
    let mut at = 0;
    while let Some(&sign) = value.get(at) {
        match sign {
            b'"' if quotes && !angle => {
                (at, quotes) = behind_quoted(value, at);
                filled = true;
                continue;
            }
            b',' if !angle => {
                found += u32::from(filled);
                filled = false;
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => {
                filled = true;
                angle = (angle || sign == b'<') && sign != b'>';
            }
        }
        at += 1;
    }
    found + u32::from(filled)
}

/// Where the tag of a From or To value is, empty if it has none.
pub fn tag_of(value: &[u8]) -> std::ops::Range<usize> {
    let mut at = 0;
    let mut quotes = memchr(b'"', value).is_some();
    while quotes && at < value.len() && value[at] != b'<' {
        if value[at] == b'"' && (at == 0 || value[at - 1] != b'\\') {
            (at, quotes) = behind_quoted(value, at);
        } else {
            at += 1;
        }
    }
    match memchr(b'<', &value[at..]) {
        Some(open) => match memchr(b'>', &value[at + open..]) {
            Some(close) => parameter(value, at + open + close + 1),
            None => 0..0,
        },
        None => {
            let end = value.iter().position(|sign| matches!(sign, b';' | b' ' | b'\t' | b','));
            parameter(value, end.unwrap_or(value.len()))
        }
    }
}

/// Where the value of `;tag=` is at or after `at`; semicolons in quoted values don't separate.
fn parameter(value: &[u8], mut at: usize) -> std::ops::Range<usize> {
    let mut quotes = memchr(b'"', &value[at..]).is_some();
    while let Some(next) = memchr(b';', &value[at..]) {
        let begin = at + next + 1;
        let mut end = begin;
        if quotes {
            while end < value.len() && value[end] != b';' {
                if value[end] == b'"' && quotes {
                    (end, quotes) = behind_quoted(value, end);
                } else {
                    end += 1;
                }
            }
        } else {
            end = memchr(b';', &value[end..]).map_or(value.len(), |next| end + next);
        }
        let (name, found) = partition(&value[begin..end], b'=');
        if trim(name).eq_ignore_ascii_case(b"tag") {
            let found = trim_end(found);
            let bare = trim_start(found);
            let (start, end) = match begin + name.len() + 1 {
                behind if behind <= end => (behind + found.len() - bare.len(), behind + found.len()),
                _ => (end, end),
            };
            return match bare {
                [b'"', .., b'"'] => start + 1..end - 1,
                _ => start..end,
            };
        }
        at = end;
    }
    0..0
}

/// Behind the quoted string that begins at `at`, or behind the quote itself and false if it never ends.
///
/// Then all quotes after it are escaped, so none of them begins one that ends either.
fn behind_quoted(value: &[u8], at: usize) -> (usize, bool) {
    let mut end = at + 1;
    while let Some(next) = memchr(b'"', &value[end..]) {
        let quote = end + next;
        let backslashes = value[at + 1..quote].iter().rev().take_while(|sign| **sign == b'\\').count();
        if backslashes % 2 == 0 {
            return (quote + 1, true);
        }
        end = quote + 1;
    }
    (at + 1, false)
}
