//! Twin of `ingest/_streams.py`: which protocol a TCP stream carries.

use memchr::memmem;

use crate::framing::{Framer, Sink};
use crate::limits::Limits;
use crate::message::Position;
use crate::websocket::{SHOWN, WebSocket, is_sip_frame};

const MAGIC: [&[u8]; 2] = [b"HEP3", b"EEP3"];
const HANDSHAKES: [&[u8]; 2] = [b"GET /", b"HTTP/1.1 101"];
const LARGEST_RECORD: usize = 16_384 + 2048;
const NEEDED: usize = 5;

/// What cuts the bytes of one direction of a connection into messages, in their order.
#[derive(Debug)]
pub enum Framing {
    Undecided(Undecided),
    Sip(Framer),
    Hep(HepPackets),
    WebSocket(Box<WebSocket>),
    Tls(TlsRecords),
}

impl Default for Framing {
    fn default() -> Self {
        Self::Undecided(Undecided::default())
    }
}

impl Framing {
    /// Bytes since the last message that belong to none.
    pub fn idle(&self) -> usize {
        match self {
            Self::Undecided(undecided) => undecided.sip.idle,
            Self::Sip(framer) => framer.idle,
            Self::WebSocket(socket) => socket.idle,
            Self::Hep(_) | Self::Tls(_) => 0,
        }
    }

    /// Bytes held back.
    pub fn held(&self) -> usize {
        match self {
            Self::Undecided(undecided) => undecided.held(),
            Self::Sip(framer) => framer.held(),
            Self::Hep(packets) => packets.buffer.len(),
            Self::WebSocket(socket) => socket.held(),
            Self::Tls(records) => records.head.len(),
        }
    }

    pub fn feed(&mut self, data: &[u8], time: i64, position: &Position, limits: &Limits, sink: &mut impl Sink) {
        match self {
            Self::Undecided(undecided) => {
                if let Some(decided) = undecided.feed(data, time, position, limits, sink) {
                    *self = decided;
                }
            }
            Self::Sip(framer) => framer.feed(data, time, position, limits, sink),
            Self::Hep(packets) => packets.feed(data, time, position, sink),
            Self::WebSocket(socket) => socket.feed(data, time, position, limits, sink),
            Self::Tls(records) => records.feed(data, sink),
        }
    }

    /// Bytes are missing here, or the stream has ended.
    pub fn gap(&mut self, limits: &Limits, sink: &mut impl Sink) {
        match self {
            Self::Undecided(undecided) => undecided.gap(limits, sink),
            Self::Sip(framer) => framer.gap(sink),
            Self::Hep(packets) => packets.buffer.clear(),
            Self::WebSocket(socket) => socket.gap(sink),
            Self::Tls(records) => *records = TlsRecords::default(),
        }
    }

    fn recognised(begun: &[u8]) -> Option<Self> {
        if begun.get(..4).is_some_and(|magic| MAGIC.contains(&magic)) {
            Some(Self::Hep(HepPackets::default()))
        } else if HANDSHAKES.iter().any(|name| begun.starts_with(name))
            || is_sip_frame(&begun[..begun.len().min(SHOWN)])
        {
            Some(Self::WebSocket(Box::default()))
        } else if record(begun).is_some() {
            Some(Self::Tls(TlsRecords::default()))
        } else {
            None
        }
    }
}

#[derive(Debug, Default)]
pub struct Undecided {
    sip: Framer,
    waiting: Vec<(Vec<u8>, i64, Position)>,
}

impl Undecided {
    fn held(&self) -> usize {
        self.waiting.iter().map(|(data, _, _)| data.len()).sum::<usize>() + self.sip.held()
    }

    /// Take the next bytes; gives who takes the stream from here on, when that is known.
    fn feed(
        &mut self,
        mut data: &[u8],
        time: i64,
        position: &Position,
        limits: &Limits,
        sink: &mut impl Sink,
    ) -> Option<Framing> {
        let other = data.first().is_some_and(|first| may_be_other(*first));
        if self.sip.held() > 0 && other && Framing::recognised(data).is_some() {
            // What was held as the beginning of a start line was the end of something else.
            self.sip.gap(sink);
        }
        if self.waiting.is_empty() && (self.sip.held() > 0 || !other) {
            let within = if self.sip.held() > 0 { None } else { hep_within(data) };
            let Some(at) = within else {
                self.sip.feed(data, time, position, limits, sink);
                return (self.sip.idle == 0).then(|| Framing::Sip(std::mem::take(&mut self.sip)));
            };
            data = &data[at..];
        }
        self.waiting.push((data.to_vec(), time, position.clone()));
        let begun: Vec<u8> = self.waiting.iter().flat_map(|(data, _, _)| data).copied().collect();
        let mut decided = Framing::recognised(&begun);
        if decided.is_none() && begun.len() < SHOWN && may_go_on(&begun) {
            return None;
        }
        for (data, time, position) in std::mem::take(&mut self.waiting) {
            match &mut decided {
                Some(framing) => framing.feed(&data, time, &position, limits, sink),
                None => self.sip.feed(&data, time, &position, limits, sink),
            }
        }
        decided
    }

    fn gap(&mut self, limits: &Limits, sink: &mut impl Sink) {
        for (data, time, position) in std::mem::take(&mut self.waiting) {
            self.sip.feed(&data, time, &position, limits, sink);
        }
        self.sip.gap(sink);
    }
}

/// Whether SIP rarely or never begins with it, and another protocol does.
fn may_be_other(first: u8) -> bool {
    matches!(first, b'H' | b'E' | b'G' | 0x81 | 0x82 | 0x01 | 0x02) || may_begin_record(first)
}

fn may_begin_record(first: u8) -> bool {
    matches!(first, 0x14..=0x17)
}

/// Whether so few bytes may be the beginning of another protocol than SIP.
fn may_go_on(begun: &[u8]) -> bool {
    begun.first().is_some_and(|first| matches!(first, 0x81 | 0x82 | 0x01 | 0x02) || may_begin_record(*first))
        || MAGIC.iter().chain(&HANDSHAKES).any(|name| name.starts_with(begun))
}

/// Where a HEP packet begins in a stream that was joined in its middle: its magic, and a first chunk.
fn hep_within(data: &[u8]) -> Option<usize> {
    let at = MAGIC.iter().filter_map(|magic| memmem::find(data, magic)).max()?;
    (data.get(at + 6..at + 8) == Some(&[0, 0])).then_some(at)
}

/// The length that a TLS record's head says, if one stands there (RFC 8446 section 5.1).
fn record(data: &[u8]) -> Option<usize> {
    let [kind, 3, minor, high, low, ..] = *data else { return None };
    let length = usize::from(high) << 8 | usize::from(low);
    (may_begin_record(kind) && minor <= 4 && (1..=LARGEST_RECORD).contains(&length)).then_some(length)
}

/// HEP over TCP: packets one behind the other; after lost bytes it goes on at the next one's magic.
#[derive(Debug, Default)]
pub struct HepPackets {
    buffer: Vec<u8>,
}

impl HepPackets {
    fn feed(&mut self, data: &[u8], time: i64, position: &Position, sink: &mut impl Sink) {
        let buffer = &mut self.buffer;
        buffer.extend_from_slice(data);
        let mut at = 0;
        loop {
            let rest = &buffer[at..];
            if rest.len() < 6 {
                break;
            }
            if !MAGIC.contains(&&rest[..4]) {
                let found = MAGIC.iter().filter_map(|magic| memmem::find(rest, magic)).min();
                sink.count("HEP stream out of step");
                at += found.unwrap_or(rest.len() - 3);
                continue;
            }
            let length = usize::from(u16::from_be_bytes([rest[4], rest[5]])).max(6);
            let Some(packet) = rest.get(..length) else { break };
            sink.hep(packet, time, position);
            at += length;
        }
        buffer.drain(..at);
    }
}

/// TLS, of which nothing but the number of records can be said without its secrets.
#[derive(Debug, Default)]
pub struct TlsRecords {
    head: Vec<u8>,
    skip: usize,
}

impl TlsRecords {
    fn feed(&mut self, data: &[u8], sink: &mut impl Sink) {
        let mut whole = std::mem::take(&mut self.head);
        let data = if whole.is_empty() {
            data
        } else {
            whole.extend_from_slice(data);
            &whole
        };
        let mut at = self.skip;
        while data.len().saturating_sub(at) >= NEEDED {
            let Some(length) = record(&data[at..]) else {
                // Joined behind lost bytes: the next segment may begin with a record.
                at = data.len();
                break;
            };
            sink.count("TLS records");
            at += NEEDED + length;
        }
        self.head = data.get(at..).unwrap_or_default().to_vec();
        self.skip = at.saturating_sub(data.len());
    }
}
