//! Twin of `ingest/_log_ends.py`: messages in logs that have dropped their CRs.

use memchr::{memchr, memchr_iter};

use crate::scan::end_of_head;

/// What the first Content-Length in a head says that is a number; the head may lie in more.
pub fn content_length(head: &[u8]) -> Option<u64> {
    memchr_iter(b'\n', head).find_map(|newline| length_in(&head[newline + 1..]))
}

/// `(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,10})[ \t]*\r?\n`, in any case.
fn length_in(line: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"content-length";
    let name = match line.get(..NAME.len()) {
        Some(begin) if begin.eq_ignore_ascii_case(NAME) => NAME.len(),
        _ if matches!(line, [b'l' | b'L', ..]) => 1,
        _ => return None,
    };
    let value = behind_blanks(behind_blanks(&line[name..]).strip_prefix(b":")?);
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = behind_blanks(&value[digits..]);
    if !(1..=10).contains(&digits) || !matches!(rest, [b'\n', ..] | [b'\r', b'\n', ..]) {
        return None;
    }
    Some(value[..digits].iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

fn behind_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// A message whose CRs the log has dropped, with them; None where it has its own.
pub fn on_the_wire(raw: &[u8]) -> Option<Vec<u8>> {
    let first = memchr(b'\n', raw)?;
    if first > 0 && raw[first - 1] == b'\r' {
        return None;
    }
    let mut wire = Vec::with_capacity(raw.len() + raw.len() / 16);
    let Some(body_at) = end_of_head(raw, 0) else {
        with_returns(raw, &mut wire);
        return Some(wire);
    };
    let (head, body) = raw.split_at(body_at);
    with_returns(head, &mut wire);
    if content_length(head) == Some(body.len() as u64) {
        wire.extend_from_slice(body);
    } else {
        with_returns(body, &mut wire);
    }
    Some(wire)
}

fn with_returns(text: &[u8], wire: &mut Vec<u8>) {
    let mut at = 0;
    for newline in memchr_iter(b'\n', text) {
        wire.extend_from_slice(text[at..newline].strip_suffix(b"\r").unwrap_or(&text[at..newline]));
        wire.extend_from_slice(b"\r\n");
        at = newline + 1;
    }
    wire.extend_from_slice(&text[at..]);
}

/// Where `size` bytes from `at` on end if each line end without CR stood for two; None if more bytes are needed.
pub fn with_bare_ends(data: &[u8], mut at: usize, size: usize, ended: bool) -> Option<usize> {
    let mut left = size;
    while left > 0 {
        let stop = at.saturating_add(left);
        let Some(newline) = memchr(b'\n', data.get(at..stop.min(data.len())).unwrap_or_default()) else {
            return if stop > data.len() && !ended { None } else { Some(stop) };
        };
        let end = at + newline;
        let bare = end == 0 || data[end - 1] != b'\r';
        let line = newline + 1 + usize::from(bare);
        at = end + 1;
        if line > left {
            return Some(at - 1); // it ends before the line end
        }
        left -= line;
    }
    Some(at)
}
