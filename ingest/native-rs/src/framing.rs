//! Twin of `ingest/_framing.py`: SIP messages out of a byte stream.

use memchr::{memchr, memchr_iter, memrchr};

use crate::limits::Limits;
use crate::message::Position;
use crate::scan::{FIRST_BYTE, end_of_head, is_start_line, start_within, trim};

/// Who takes what is found in a stream.
pub trait Sink {
    /// A message's bytes, the time and position of the packet with its last byte, and whether it was cut.
    fn message(&mut self, data: &[u8], time: i64, position: &Position, cut: bool, transport: &'static str);
    /// A HEP packet.
    fn hep(&mut self, data: &[u8], time: i64, position: &Position);
    fn count(&mut self, reason: &'static str);
}

#[derive(Debug)]
struct Mark {
    end: usize,
    time: i64,
    position: Position,
}

#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    marks: Vec<Mark>,
    need: usize,
    scanned: usize,
    skip: usize,
    begun: bool,
    lost: bool,
    pub idle: usize,
}

impl Framer {
    /// Bytes held back.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    pub fn feed(&mut self, mut data: &[u8], time: i64, position: &Position, limits: &Limits, sink: &mut impl Sink) {
        if self.skip > 0 {
            let skipped = self.skip.min(data.len());
            self.skip -= skipped;
            data = &data[skipped..];
        }
        if data.is_empty() {
            return;
        }
        if self.buffer.is_empty() {
            let at = self.take(data, time, position, limits, sink);
            if at < data.len() {
                self.buffer.extend_from_slice(&data[at..]);
                self.marks.push(Mark { end: self.buffer.len(), time, position: position.clone() });
            }
            return;
        }
        self.buffer.extend_from_slice(data);
        self.marks.push(Mark { end: self.buffer.len(), time, position: position.clone() });
        if self.buffer.len() >= self.need {
            let mut buffer = std::mem::take(&mut self.buffer);
            let at = self.take(&buffer, time, position, limits, sink);
            if at >= buffer.len() {
                self.marks.clear();
            } else if at > 0 {
                buffer.drain(..at);
                self.marks.retain_mut(|mark| {
                    let kept = mark.end > at;
                    mark.end = mark.end.saturating_sub(at);
                    kept
                });
                self.buffer = buffer;
            } else {
                self.buffer = buffer;
            }
        }
    }

    pub fn gap(&mut self, sink: &mut impl Sink) {
        if end_of_head(&self.buffer, 0).is_some()
            && let Some(mark) = self.marks.last()
        {
            sink.message(&self.buffer, mark.time, &mark.position, true, TRANSPORT);
        }
        self.buffer = Vec::new();
        self.marks.clear();
        self.need = 0;
        self.scanned = 0;
        self.skip = 0;
        self.lost = true;
        self.begun = true;
    }

    /// Give out the whole messages that `data` begins with; gives where what has to be kept begins.
    fn take(&mut self, data: &[u8], time: i64, position: &Position, limits: &Limits, sink: &mut impl Sink) -> usize {
        let mut at = 0;
        let mut scanned = self.scanned;
        let limit = limits.message;
        let size = data.len();
        let mut need = 0;
        while at < size {
            if scanned == 0 {
                let Some(start) = self.start(data, at, limits) else {
                    self.idle += size - at;
                    at = size;
                    break;
                };
                self.idle += start - at;
                at = start;
                if memchr(b'\n', &data[at..]).is_none() {
                    break;
                }
            }
            let body_at = end_of_head(data, at.max(scanned));
            if body_at.is_none() && size - at <= limit {
                scanned = size.saturating_sub(3).max(at + 1);
                break;
            }
            let end = body_at.map_or(size, |body_at| body_at + content_length(&data[at..body_at]));
            let wanted = end.min(at + limit + 1); // one more, and the scan notes the limit
            if wanted > size {
                need = wanted - at;
                scanned = body_at.unwrap_or(size).saturating_sub(3);
                break;
            }
            let cut = end > wanted || body_at.is_none();
            let (time, position) = match self.marks.last() {
                None => (time, position),
                Some(last) => {
                    let first = self.marks.partition_point(|mark| mark.end < wanted);
                    let mark = self.marks.get(first).unwrap_or(last);
                    (mark.time, &mark.position)
                }
            };
            sink.message(&data[at..wanted], time, position, cut, TRANSPORT);
            self.idle = 0;
            scanned = 0;
            self.lost = false;
            self.begun = true;
            if end > size {
                self.skip = end - size;
            }
            at = end.min(size);
        }
        self.need = need;
        self.scanned = scanned.saturating_sub(at);
        at
    }

    /// Where the next start line begins, whole or as yet unfinished; none if all can be dropped.
    fn start(&mut self, data: &[u8], mut at: usize, limits: &Limits) -> Option<usize> {
        loop {
            // Keep-alives: RFC 5626 section 3.5.1; NUL was seen.
            while matches!(data.get(at), Some(b'\r' | b'\n' | 0)) {
                at += 1;
            }
            let first = *data.get(at)?;
            let Some(length) = memchr(b'\n', &data[at..]) else {
                // What may have a start line in it may go on, if it isn't too long for one. A stream that begins with
                // a byte that no start line begins with is of another protocol, and holds nothing.
                let begins = self.begun || FIRST_BYTE[usize::from(first)];
                return (begins && data.len() - at <= limits.line).then_some(at);
            };
            let line = &data[at..at + length];
            if !self.lost && is_start_line(line) {
                return Some(at);
            }
            self.lost = true;
            self.begun = true;
            if let Some(within) = start_within(line) {
                return Some(at + within);
            }
            at = line_with_version(data, at + length + 1);
        }
    }
}

const TRANSPORT: &str = "TCP";

/// Where the next line begins that has `SIP/` in it, or the last line if that is unfinished.
fn line_with_version(data: &[u8], at: usize) -> usize {
    let rest = &data[at..];
    let version = memchr_iter(b'/', rest)
        .find(|&slash| slash >= 3 && rest[slash - 3..slash].eq_ignore_ascii_case(b"SIP"))
        .map_or(rest.len(), |slash| slash - 3);
    memrchr(b'\n', &rest[..version]).map_or(at, |line_end| at + line_end + 1)
}

/// RFC 3261 section 20.14: a stream's message without one, or with one that is no number, has no body. The first one
/// wins; its value may be folded.
fn content_length(head: &[u8]) -> usize {
    for line_end in memchr_iter(b'\n', head) {
        let line = &head[line_end + 1..];
        let name = match line.first() {
            Some(b'c' | b'C') if line.len() >= 14 && line[..14].eq_ignore_ascii_case(b"content-length") => 14,
            Some(b'l' | b'L') => 1,
            _ => continue,
        };
        let Some((b':', rest)) = blanks_off(&line[name..]).split_first() else { continue };
        let mut value = blanks_off(rest);
        if let Some(folded) = value.strip_prefix(b"\r\n").or_else(|| value.strip_prefix(b"\n"))
            && matches!(folded.first(), Some(b' ' | b'\t'))
        {
            value = blanks_off(folded);
        }
        let end = value.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(value.len());
        let value = trim(&value[..end]);
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return 0;
        }
        return value.iter().take(10).fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    }
    0
}

fn blanks_off(data: &[u8]) -> &[u8] {
    let blanks = data.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &data[blanks..]
}
