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

/// What is held back, which most streams have none of at most times.
#[derive(Debug, Default)]
struct Held {
    buffer: Vec<u8>,
    marks: Vec<Mark>,
    need: usize,
    scanned: usize,
}

#[derive(Debug, Default)]
pub struct Framer {
    held: Option<Box<Held>>,
    skip: usize,
    begun: bool,
    lost: bool,
    pub idle: usize,
}

/// Where what has to be kept begins; the bytes that it needs to become whole, and those that were looked at.
struct Taken {
    at: usize,
    need: usize,
    scanned: usize,
}

impl Framer {
    /// Bytes held back.
    pub fn held(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.buffer.len())
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
        let Some(mut held) = self.held.take() else {
            let taken = self.take(data, 0, &[], time, position, limits, sink);
            let rest = &data[taken.at..];
            if !rest.is_empty() {
                let marks = vec![Mark { end: rest.len(), time, position: position.clone() }];
                let held = Held { buffer: rest.to_vec(), marks, need: taken.need, scanned: taken.scanned };
                self.held = Some(Box::new(held));
            }
            return;
        };
        held.buffer.extend_from_slice(data);
        held.marks.push(Mark { end: held.buffer.len(), time, position: position.clone() });
        if held.buffer.len() >= held.need {
            let Taken { at, need, scanned } =
                self.take(&held.buffer, held.scanned, &held.marks, time, position, limits, sink);
            if at >= held.buffer.len() {
                return;
            }
            (held.need, held.scanned) = (need, scanned);
            if at > 0 {
                held.buffer.drain(..at);
                held.marks.retain_mut(|mark| {
                    let kept = mark.end > at;
                    mark.end = mark.end.saturating_sub(at);
                    kept
                });
            }
        }
        self.held = Some(held);
    }

    pub fn gap(&mut self, sink: &mut impl Sink) {
        if let Some(held) = self.held.take()
            && end_of_head(&held.buffer, 0).is_some()
            && let Some(mark) = held.marks.last()
        {
            sink.message(&held.buffer, mark.time, &mark.position, true, TRANSPORT);
        }
        self.skip = 0;
        self.lost = true;
        self.begun = true;
    }

    /// Give out the whole messages that `data` begins with.
    #[allow(clippy::too_many_arguments)]
    fn take(
        &mut self,
        data: &[u8],
        mut scanned: usize,
        marks: &[Mark],
        time: i64,
        position: &Position,
        limits: &Limits,
        sink: &mut impl Sink,
    ) -> Taken {
        let mut at = 0;
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
            let (time, position) = match marks.last() {
                None => (time, position),
                Some(last) => {
                    let first = marks.partition_point(|mark| mark.end < wanted);
                    let mark = marks.get(first).unwrap_or(last);
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
        Taken { at, need, scanned: scanned.saturating_sub(at) }
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
