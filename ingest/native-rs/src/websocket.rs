//! Twin of `ingest/_websocket.py`: SIP over WebSocket, one direction of a connection.

use memchr::{memchr, memchr_iter};

use crate::framing::Sink;
use crate::limits::Limits;
use crate::message::Position;
use crate::scan::{end_of_head, is_start_line};

/// Bytes of a frame that show whether there is SIP in it: 14 of the largest head, 24 of content.
pub const SHOWN: usize = 38;

const LAST: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const RESERVED: u8 = 0x30;
const CONTROL: u8 = 8;

struct Head {
    size: usize,
    length: usize,
    mask: Option<[u8; 4]>,
}

impl Head {
    /// None if it isn't whole.
    fn at(data: &[u8]) -> Option<Self> {
        let short = *data.get(1)? & 0x7F;
        let (mut size, length) = match short {
            126 => (4, u64::from(u16::from_be_bytes(bytes_at(data, 2)?))),
            127 => (10, u64::from_be_bytes(bytes_at(data, 2)?)),
            _ => (2, u64::from(short)),
        };
        let mut mask = None;
        if data[1] & 0x80 != 0 {
            mask = Some(bytes_at(data, size)?);
            size += 4;
        }
        Some(Self { size, length: usize::try_from(length).unwrap_or(usize::MAX), mask })
    }
}

fn bytes_at<const SIZE: usize>(data: &[u8], at: usize) -> Option<[u8; SIZE]> {
    data.get(at..at + SIZE)?.try_into().ok()
}

/// Whether a frame begins here that holds the beginning of a SIP message.
pub fn is_sip_frame(data: &[u8]) -> bool {
    matches!(data.first(), Some(0x81 | 0x82 | 0x01 | 0x02))
        && Head::at(data).is_some_and(|Head { size, length, mask }| {
            length > SHOWN && {
                let mut shown = [0; 24];
                let content = &data[size..data.len().min(size + 24)];
                let shown = &mut shown[..content.len()];
                shown.copy_from_slice(content);
                unmask(shown, mask);
                begins_sip(shown)
            }
        })
}

/// Where in `data`, from `start` on, a frame begins that holds the beginning of a SIP message.
fn sip_frame(data: &[u8], start: usize) -> Option<usize> {
    (start..data.len()).find(|&at| is_sip_frame(&data[at..]))
}

/// `SIP/[0-9]\.|[A-Z]{3,16} [A-Za-z]{3,4}:`
fn begins_sip(data: &[u8]) -> bool {
    if let [b'S', b'I', b'P', b'/', b'0'..=b'9', b'.', ..] = data {
        return true;
    }
    let method = data.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let Some(uri) = data[method..].strip_prefix(b" ") else { return false };
    let scheme = uri.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    (3..=16).contains(&method) && (3..=4).contains(&scheme) && uri.get(scheme) == Some(&b':')
}

#[derive(Debug, Default)]
pub struct WebSocket {
    buffer: Vec<u8>,
    message: Vec<u8>,
    /// A message's first frame was seen, not its last.
    open: bool,
    skip: usize,
    synchronised: bool,
    latest: Option<(i64, Position)>,
    pub idle: usize,
}

impl WebSocket {
    /// Bytes held back.
    pub fn held(&self) -> usize {
        self.buffer.len() + self.message.len()
    }

    pub fn feed(&mut self, mut data: &[u8], time: i64, position: &Position, limits: &Limits, sink: &mut impl Sink) {
        self.latest = Some((time, position.clone()));
        if self.skip > 0 {
            let skipped = self.skip.min(data.len());
            self.skip -= skipped;
            data = &data[skipped..];
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.extend_from_slice(data);
        let mut at = 0;
        while at < buffer.len() {
            if !self.synchronised {
                at = self.begin(&buffer, at, limits);
                if !self.synchronised {
                    break;
                }
                continue;
            }
            let first = buffer[at];
            let Some(Head { size, length, mask }) = Head::at(&buffer[at..]) else { break };
            if !is_frame(first, length) {
                self.lose();
                continue;
            }
            let start = at + size;
            let end = start + length.min(limits.message + 1); // one more, and the scan notes the limit
            if end > buffer.len() {
                break;
            }
            unmask(&mut buffer[start..end], mask);
            self.frame(first, &buffer[start..end], time, position, limits, sink);
            at = start.saturating_add(length);
        }
        self.skip = self.skip.saturating_add(at.saturating_sub(buffer.len()));
        buffer.drain(..at.min(buffer.len()));
        self.buffer = buffer;
    }

    pub fn gap(&mut self, sink: &mut impl Sink) {
        if self.open
            && let Some((time, position)) = self.latest.take()
        {
            self.give(time, &position, true, sink);
            self.latest = Some((time, position));
        }
        self.buffer = Vec::new();
        self.skip = 0;
        self.lose();
    }

    fn lose(&mut self) {
        self.message.clear();
        self.open = false;
        self.synchronised = false;
    }

    /// Where frames begin, if `synchronised` is set: behind the handshake, or where one has SIP in it. Else up to where
    /// there is nothing of ours.
    fn begin(&mut self, buffer: &[u8], at: usize, limits: &Limits) -> usize {
        if buffer[at..].starts_with(b"GET ") || buffer[at..].starts_with(b"HTTP/1.1 101") {
            if let Some(end) = end_of_head(buffer, at) {
                self.synchronised = upgrades(&buffer[at..end]);
                self.idle += end - at;
                return end;
            }
            if buffer.len() - at <= limits.message {
                return at;
            }
        }
        if let Some(found) = sip_frame(buffer, at) {
            self.synchronised = true;
            return found;
        }
        // The end may be the beginning of a frame.
        let rest = buffer.len().saturating_sub(SHOWN).max(at);
        self.idle += rest - at;
        rest
    }

    fn frame(
        &mut self,
        first: u8,
        payload: &[u8],
        time: i64,
        position: &Position,
        limits: &Limits,
        sink: &mut impl Sink,
    ) {
        let kind = first & 15;
        if kind >= CONTROL {
            return;
        }
        if first & COMPRESSED != 0 {
            sink.count("WebSocket messages, compressed");
            self.open = false;
            return;
        }
        if kind != 0 {
            self.message.clear();
            self.open = true;
        } else if !self.open {
            return;
        }
        self.message.extend_from_slice(payload);
        if first & LAST != 0 {
            self.give(time, position, false, sink);
        } else if self.message.len() > limits.message {
            self.give(time, position, true, sink);
        }
    }

    fn give(&mut self, time: i64, position: &Position, cut: bool, sink: &mut impl Sink) {
        let line_ends = self.message.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let message = &self.message[line_ends..];
        let line = &message[..memchr(b'\n', message).unwrap_or(message.len())];
        if is_start_line(line) {
            self.idle = 0;
            sink.message(message, time, position, cut, "WS");
        } else {
            self.idle += self.message.len();
            sink.count(if message.is_empty() { "keep-alives" } else { "WebSocket messages without SIP" });
        }
        self.message.clear();
        self.open = false;
    }
}

/// `\nupgrade[ \t]*:[ \t]*websocket[ \t]*\r?\n` in any case.
fn upgrades(head: &[u8]) -> bool {
    memchr_iter(b'\n', head).any(|line_end| {
        let line = &head[line_end + 1..];
        let Some(rest) = named(line, b"upgrade").and_then(|rest| rest.strip_prefix(b":")) else { return false };
        named(&rest[blanks(rest)..], b"websocket").is_some_and(|rest| matches!(rest, [b'\r', b'\n', ..] | [b'\n', ..]))
    })
}

/// What stands behind a word and its blanks.
fn named<'a>(data: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let rest = data.get(word.len()..)?;
    data[..word.len()].eq_ignore_ascii_case(word).then(|| &rest[blanks(rest)..])
}

fn blanks(data: &[u8]) -> usize {
    data.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

fn is_frame(first: u8, length: usize) -> bool {
    first & RESERVED == 0
        && match first & 15 {
            0..=2 => true,
            8..=10 => length <= 125,
            _ => false,
        }
}

fn unmask(data: &mut [u8], mask: Option<[u8; 4]>) {
    if let Some(mask) = mask {
        for (byte, mask) in data.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
    }
}
