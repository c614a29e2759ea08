//! Twin of `ingest/_sip.py`.

use std::sync::Arc;

use crate::limits::Limits;
use crate::message::{METHODS, Message, Position};
use crate::tally::Tally;

/// The message that `data` begins with, or the reason why it can't be used.
#[allow(clippy::too_many_arguments)]
pub fn scan(
    _data: &[u8],
    _time: i64,
    _position: &Position,
    _tally: &mut Tally,
    _limits: &Limits,
    _source: &Arc<str>,
    _destination: &Arc<str>,
    _transport: &Arc<str>,
    _cut: bool,
) -> Result<Message, &'static str> {
    Err("not SIP")
}

/// True for each byte that a SIP message may begin with: a token's, or a line end before the start line.
pub const FIRST_BYTE: [bool; 256] = {
    let mut may = [false; 256];
    let bytes = b"!%'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_`abcdefghijklmnopqrstuvwxyz~\r\n";
    let mut at = 0;
    while at < bytes.len() {
        may[bytes[at] as usize] = true;
        at += 1;
    }
    may
};

/// Whether a line is a SIP start line of any version (RFC 3261 sections 7.1, 7.2), `SIP` in any case.
pub fn is_start_line(line: &[u8]) -> bool {
    if line.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case(b"SIP/")) {
        // `SIP/[0-9]{1,3}\.[0-9]{1,3} +[0-9]`
        let major = digits(&line[4..]);
        let Some(rest) = line[4 + major..].strip_prefix(b".") else { return false };
        let minor = digits(rest);
        let rest = &rest[minor..];
        let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
        return (1..=3).contains(&major)
            && (1..=3).contains(&minor)
            && blanks > 0
            && rest.get(blanks).is_some_and(u8::is_ascii_digit);
    }
    let mut line = line;
    while let [rest @ .., b' ' | 0x09..=0x0d] = line {
        line = rest;
    }
    let Some(method) = memchr::memchr(b' ', line) else { return false };
    let Some(version) = memchr::memrchr(b' ', line) else { return false };
    version > method + 1
        && line.get(version + 1..version + 5).is_some_and(|begin| begin.eq_ignore_ascii_case(b"SIP/"))
        && (1..=64).contains(&method)
        && line[..method].iter().all(|byte| FIRST_BYTE[usize::from(*byte)] && !matches!(byte, b'\r' | b'\n'))
}

fn digits(data: &[u8]) -> usize {
    data.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Where a SIP start line begins in a line. Behind lost bytes the line may be the end of a body and a start line in one.
pub fn start_within(line: &[u8]) -> Option<usize> {
    let request = memchr::memchr_iter(b' ', line).find_map(|blank| request_at(line, blank));
    let status = memchr::memmem::find_iter(line, b"SIP/").find(|&at| is_status(&line[at + 4..]));
    match (request, status) {
        (Some(request), Some(status)) => Some(request.min(status)),
        (None, None) => is_start_line(line).then_some(0),
        (found, None) | (None, found) => found,
    }
}

/// Where a request line with a method of `METHODS` begins whose first blank stands there: `METHOD [^ ]+ SIP/[0-9]`.
fn request_at(line: &[u8], blank: usize) -> Option<usize> {
    let uri = memchr::memchr(b' ', &line[blank + 1..])?;
    let version = line[blank + 1 + uri + 1..].strip_prefix(b"SIP/")?;
    if uri == 0 || !version.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    METHODS.iter().filter(|method| line[..blank].ends_with(method.as_bytes())).map(|method| blank - method.len()).min()
}

/// `[0-9]\.[0-9] [1-6][0-9][0-9](?![0-9])`
fn is_status(data: &[u8]) -> bool {
    matches!(data, [b'0'..=b'9', b'.', b'0'..=b'9', b' ', b'1'..=b'6', b'0'..=b'9', b'0'..=b'9', ..])
        && !data.get(7).is_some_and(u8::is_ascii_digit)
}

/// Where the body begins: behind the first empty line at or after `start`, if there is one yet.
pub fn end_of_head(data: &[u8], start: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', data.get(start..)?).map(|at| start + at).find_map(|at| match data[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}
