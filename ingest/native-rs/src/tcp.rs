//! Twin of `ingest/_tcp.py`: TCP streams put together by sequence number, one direction each.

use std::sync::Arc;

use crate::dissect::{Dissector, Found};
use crate::framing::Sink;
use crate::limits::Limits;
use crate::message::Position;
use crate::ordered::Ordered;
use crate::packet::{Address, Packet, SNAP_LENGTH};
use crate::scan::{FIRST_BYTE, is_start_line};
use crate::streams::Framing;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const OVERHEAD: usize = 128;
const FAR: u64 = 1 << 24;

/// Source, destination, ports.
type Key = (Address, Address, u32);

/// Bytes captured of a segment that waits, or is on its way; `end` is where it ended when it was sent.
struct Segment<Bytes> {
    offset: i64,
    end: i64,
    data: Bytes,
    time: i64,
    position: Position,
}

struct Stream {
    source: Arc<str>,
    destination: Arc<str>,
    framing: Framing,
    anchor: i64,
    begin: Option<i64>,
    next: Option<i64>,
    end: Option<i64>,
    foreign: bool,
    pending: Vec<Segment<Box<[u8]>>>,
    pending_size: usize,
    held: usize,
    last: i64,
    since: i64,
}

impl Stream {
    fn offset(&self, sequence: u32) -> i64 {
        self.anchor + ((i64::from(sequence) - self.anchor + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
    }

    /// Begin anew: another connection between the same ports, or another protocol in it.
    fn renew(&mut self) {
        self.foreign = false;
        self.framing = Framing::default();
    }

    /// Whether a stream that was taken for something else goes on with a start line of SIP.
    fn ours_after_all(&mut self, content: &[u8], offset: i64, found: &mut Found) -> bool {
        if content.first().is_some_and(|first| FIRST_BYTE[usize::from(*first)]) {
            let shown = &content[..content.len().min(found.limits.line)];
            let line_ends = shown.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let shown = &shown[line_ends..];
            if let Some(end) = memchr::memchr(b'\n', shown)
                && is_start_line(&shown[..end])
            {
                self.renew();
                self.next = Some(offset);
                self.anchor = offset;
                return true;
            }
        }
        found.count(FOREIGN);
        false
    }

    fn data(&mut self, segment: Segment<&[u8]>, limits: &Limits, found: &mut Found) {
        if let Some(expected) = self.next {
            if segment.end <= expected {
                found.count("TCP segments sent again");
                return;
            }
            if segment.offset <= expected && self.pending.is_empty() {
                self.deliver(expected, &segment, limits, found);
                return;
            }
        }
        if self.pending.is_empty() {
            self.since = segment.time;
        }
        let Segment { offset, end, data, time, position } = segment;
        let place = self.pending.partition_point(|other| other.offset <= offset);
        self.pending.insert(place, Segment { offset, end, data: data.into(), time, position });
        self.pending_size += data.len() + OVERHEAD;
    }

    /// Hand the framing what is new of a segment that holds the expected offset.
    fn deliver<Bytes: AsRef<[u8]>>(
        &mut self,
        expected: i64,
        segment: &Segment<Bytes>,
        limits: &Limits,
        found: &mut Found,
    ) {
        let data = segment.data.as_ref();
        let known = usize::try_from(expected - segment.offset).unwrap_or_default();
        let fresh = data.get(known..).unwrap_or_default();
        let mut ends = Ends { source: &self.source, destination: &self.destination, found };
        if !fresh.is_empty() {
            self.framing.feed(fresh, segment.time, &segment.position, limits, &mut ends);
            if self.framing.idle() > limits.foreign {
                self.foreign = true;
                self.framing.gap(limits, &mut ends);
            }
        }
        if segment.offset + (data.len() as i64) < segment.end {
            ends.count(SNAP_LENGTH);
            self.framing.gap(limits, &mut ends);
        }
        self.next = Some(segment.end);
        self.anchor = segment.end;
    }

    fn drain(&mut self, time: i64, limits: &Limits, found: &mut Found) {
        if self.next.is_some() && !self.pending.is_empty() {
            let mut pending = std::mem::take(&mut self.pending);
            let mut taken = 0;
            for segment in &pending {
                let Some(next) = self.next.filter(|next| segment.offset <= *next) else { break };
                taken += 1;
                self.pending_size -= segment.data.len() + OVERHEAD;
                if segment.end > next {
                    self.deliver(next, segment, limits, found);
                }
            }
            if taken > 0 {
                pending.drain(..taken);
                self.since = time;
            }
            self.pending = pending;
        }
        if let (Some(end), Some(next)) = (self.end, self.next)
            && next >= end
        {
            self.end_framing(limits, found);
        }
    }

    /// Go on behind a hole.
    fn give_up(&mut self, time: i64, limits: &Limits, found: &mut Found) {
        if self.next.is_some() {
            found.count("TCP gap");
        }
        self.framing.gap(limits, &mut Ends { source: &self.source, destination: &self.destination, found });
        if let Some(first) = self.pending.first() {
            self.next = Some(first.offset);
            self.anchor = first.offset;
        }
        self.drain(time, limits, found);
    }

    /// Give out what is held.
    fn finish(&mut self, limits: &Limits, found: &mut Found) {
        while !self.pending.is_empty() {
            self.give_up(self.last, limits, found);
        }
        self.end_framing(limits, found);
    }

    fn end_framing(&mut self, limits: &Limits, found: &mut Found) {
        self.framing.gap(limits, &mut Ends { source: &self.source, destination: &self.destination, found });
        self.end = None;
    }
}

/// What a stream finds goes to the dissector, with the stream's addresses.
struct Ends<'a> {
    source: &'a Arc<str>,
    destination: &'a Arc<str>,
    found: &'a mut Found,
}

impl Sink for Ends<'_> {
    fn message(&mut self, data: &[u8], time: i64, position: &Position, cut: bool, transport: &'static str) {
        self.found.stream_message(self.source, self.destination, data, time, position, cut, transport);
    }

    fn hep(&mut self, data: &[u8], time: i64, position: &Position) {
        self.found.hep(data, time, position);
    }

    fn count(&mut self, reason: &'static str) {
        self.found.count(reason);
    }
}

#[derive(Default)]
pub struct Streams {
    /// In the order of use.
    all: Ordered<Key, Stream>,
    accounts: Accounts,
}

/// Bytes held back by all streams, and which of them wait for segments, in the order of use.
#[derive(Default)]
struct Accounts {
    held: usize,
    waiting: Ordered<Key, ()>,
}

impl Accounts {
    fn settle(&mut self, key: &Key, stream: &mut Stream) {
        let held = stream.pending_size + stream.framing.held();
        self.held = self.held - stream.held + held;
        stream.held = held;
        if !self.waiting.is_empty() {
            self.waiting.remove(key);
        }
        if !stream.pending.is_empty() {
            self.waiting.push(*key, ());
        }
    }
}

impl Streams {
    fn give_up_oldest(&mut self, limits: &Limits, found: &mut Found) -> bool {
        self.all.pop_first().is_some_and(|(key, mut oldest)| {
            let held = oldest.held;
            oldest.finish(limits, found);
            self.accounts.settle(&key, &mut oldest);
            held > 0
        })
    }

    fn expire_holes(&mut self, time: i64, limits: &Limits, found: &mut Found) {
        let before = time.saturating_sub(limits.stream_wait);
        while let Some((&key, ())) = self.accounts.waiting.first() {
            let Some(stream) = self.all.get_mut(&key) else { return };
            if stream.since >= before {
                return;
            }
            stream.give_up(time, limits, found);
            self.accounts.settle(&key, stream);
        }
    }
}

impl Dissector {
    /// Take in the TCP segment at `packet.at` whose header is that long.
    pub fn segment(&mut self, packet: &Packet<'_>, header: usize) {
        let limits = self.found.limits.clone();
        let (at, time) = (packet.at, packet.time);
        let flags = packet.byte(at + 13);
        self.streams.expire_holes(time, &limits, &mut self.found);
        let start = at + header;
        let length = packet.whole.saturating_sub(start);
        if length == 0 && flags & (FIN | SYN | RST) == 0 {
            self.found.count("TCP without data");
            return;
        }
        let key = (packet.source, packet.destination, packet.u32(at));
        let mut sequence = packet.u32(at + 4);
        let stream = match self.streams.all.used(&key) {
            Some(stream) => stream,
            None if length == 0 && flags & SYN == 0 => return,
            None => {
                self.make_room_for_stream(packet, &limits);
                let stream = Stream {
                    source: self.found.endpoint(&packet.source, packet.u16(at)),
                    destination: self.found.endpoint(&packet.destination, packet.u16(at + 2)),
                    framing: Framing::default(),
                    anchor: i64::from(sequence),
                    begin: None,
                    next: None,
                    end: None,
                    foreign: false,
                    pending: Vec::new(),
                    pending_size: 0,
                    held: 0,
                    last: 0,
                    since: 0,
                };
                self.streams.all.push(key, stream)
            }
        };
        let found = &mut self.found;
        let accounts = &mut self.streams.accounts;
        stream.last = time;
        if flags & SYN != 0 {
            sequence = sequence.wrapping_add(1);
        }
        let offset = stream.offset(sequence);
        if flags & SYN != 0 && stream.begin != Some(offset) {
            // Where the stream begins; if one is under way, another connection does.
            if stream.next.is_some() {
                stream.finish(&limits, found);
                accounts.settle(&key, stream);
                stream.renew();
            }
            stream.begin = Some(offset);
            stream.next = Some(offset);
            stream.anchor = offset;
        } else if stream.next.is_some_and(|next| offset.abs_diff(next) > FAR) {
            stream.finish(&limits, found);
            accounts.settle(&key, stream);
            stream.renew();
            stream.begin = None;
            stream.next = None;
            stream.anchor = offset;
        }
        let content = packet.bytes(start, packet.end);
        if stream.foreign && !stream.ours_after_all(content, offset, found) {
            return;
        }
        let end = offset + length as i64;
        if length > 0 {
            let segment = Segment { offset, end, data: content, time, position: packet.position.clone() };
            stream.data(segment, &limits, found);
        }
        if flags & (FIN | RST) != 0 {
            stream.end = Some(end);
        }
        if !stream.pending.is_empty() || stream.end.is_some() || stream.held > 0 || stream.framing.held() > 0 {
            stream.drain(time, &limits, found);
            while !stream.pending.is_empty() && stream.pending_size > limits.stream {
                found.limit(&packet.position, "TCP segments that wait for others".to_owned());
                stream.give_up(time, &limits, found);
            }
            accounts.settle(&key, stream);
            self.give_up_streams(packet, &limits);
        }
    }

    pub fn flush_streams(&mut self) {
        let limits = self.found.limits.clone();
        while !self.streams.all.is_empty() {
            self.streams.give_up_oldest(&limits, &mut self.found);
        }
    }

    fn make_room_for_stream(&mut self, packet: &Packet<'_>, limits: &Limits) {
        let idle = packet.time.saturating_sub(limits.stream_idle);
        while self.streams.all.first().is_some_and(|(_, oldest)| oldest.last < idle) {
            self.streams.give_up_oldest(limits, &mut self.found);
        }
        let known = |one: &Self| one.streams.all.len();
        while self.together(known) >= limits.streams {
            if self.give_up_most(known, Self::give_up_oldest_stream) {
                self.found.limit(&packet.position, format!("more than {} TCP streams", limits.streams));
            } else {
                self.found.count("TCP streams forgotten");
            }
        }
    }

    fn give_up_streams(&mut self, packet: &Packet<'_>, limits: &Limits) {
        let held = |one: &Self| one.streams.accounts.held;
        while self.together(held) > limits.streams_held {
            self.found.limit(&packet.position, "TCP streams that wait for segments".to_owned());
            self.give_up_most(held, Self::give_up_oldest_stream);
        }
    }

    fn give_up_oldest_stream(&mut self) -> bool {
        let limits = self.found.limits.clone();
        self.streams.give_up_oldest(&limits, &mut self.found)
    }
}

const FOREIGN: &str = "TCP without SIP";
