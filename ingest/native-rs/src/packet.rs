//! Twin of `ingest/_packet.py`: a frame on its way through the layers, and how a decoder says what follows.

use std::net::Ipv4Addr;
use std::ops::Deref;
use std::sync::Arc;

use crate::message::Position;

/// The bytes that a packet stands in: those of the frame, or others that are its own.
#[derive(Clone, Debug)]
pub enum Data<'a> {
    Frame(&'a [u8]),
    Held(Arc<[u8]>),
}

impl Deref for Data<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Frame(bytes) => bytes,
            Self::Held(bytes) => bytes,
        }
    }
}

/// An IP address, packed; without bytes where there is none yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    bytes: [u8; 16],
    size: u8,
}

impl Address {
    /// The address that a slice of 4 or 16 bytes holds, and none for any other.
    pub fn of(packed: &[u8]) -> Self {
        let mut address = Self::default();
        if packed.len() == 4 || packed.len() == 16 {
            address.bytes[..packed.len()].copy_from_slice(packed);
            address.size = packed.len() as u8;
        }
        address
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.size)]
    }

    /// `host:port`, IPv6 in brackets; empty without an address.
    pub fn endpoint(&self, port: u16) -> String {
        match self.bytes() {
            &[a, b, c, d] => format!("{}:{port}", Ipv4Addr::new(a, b, c, d)),
            [] => String::new(),
            _ => format!("[{}]:{port}", ipv6_text(self.bytes)),
        }
    }
}

/// An IPv6 address as the C library writes it: the first of the longest runs of zeros as `::`, a mapped or compatible
/// IPv4 address with dots.
fn ipv6_text(bytes: [u8; 16]) -> String {
    let words: [u16; 8] = std::array::from_fn(|at| u16::from_be_bytes([bytes[2 * at], bytes[2 * at + 1]]));
    let (mut begin, mut size) = (0, 0);
    let mut at = 0;
    while at < 8 {
        let run = words[at..].iter().take_while(|word| **word == 0).count();
        if run > size && run >= 2 {
            (begin, size) = (at, run);
        }
        at += run.max(1);
    }
    let dotted = begin == 0 && (size == 6 || (size == 5 && words[5] == 0xFFFF));
    let mut text = String::new();
    let mut at = 0;
    while at < 8 {
        if size > 0 && at == begin {
            text.push_str("::");
            at += size;
            continue;
        }
        if dotted && at == 6 {
            if !text.ends_with(':') {
                text.push(':');
            }
            let [.., a, b, c, d] = bytes;
            text.push_str(&Ipv4Addr::new(a, b, c, d).to_string());
            break;
        }
        if !text.is_empty() && !text.ends_with(':') {
            text.push(':');
        }
        text.push_str(&format!("{:x}", words[at]));
        at += 1;
    }
    text
}

#[derive(Clone, Debug)]
pub struct Packet<'a> {
    pub position: Position,
    pub time: i64,
    pub data: Data<'a>,
    pub at: usize,
    pub end: usize,
    pub whole: usize,
    pub cut_by: &'static str,
    pub source: Address,
    pub destination: Address,
}

impl<'a> Packet<'a> {
    pub fn new(position: Position, time: i64, data: Data<'a>) -> Self {
        let size = data.len();
        Self {
            position,
            time,
            data,
            at: 0,
            end: size,
            whole: size,
            cut_by: SNAP_LENGTH,
            source: Address::default(),
            destination: Address::default(),
        }
    }

    pub fn ends_at(&mut self, end: usize) {
        self.whole = end;
        self.end = self.end.min(end);
    }

    pub fn part(&self, at: usize, end: usize) -> Self {
        Self { at, end: end.min(self.end), whole: end, ..self.clone() }
    }

    /// The same with bytes of its own, which its parts share, to be kept for later.
    pub fn held(&self) -> Packet<'static> {
        let data = match &self.data {
            Data::Frame(bytes) => Data::Held(Arc::from(*bytes)),
            Data::Held(bytes) => Data::Held(bytes.clone()),
        };
        let position = self.position.clone();
        let Self { time, at, end, whole, cut_by, source, destination, .. } = *self;
        Packet { position, time, data, at, end, whole, cut_by, source, destination }
    }

    /// `data[at:end]` as Python slices it: as much of it as there is.
    pub fn bytes(&self, at: usize, end: usize) -> &[u8] {
        let end = end.min(self.data.len());
        self.data.get(at..end).unwrap_or_default()
    }

    /// The byte at a place that was seen to be there; 0 behind the end.
    pub fn byte(&self, at: usize) -> u8 {
        self.data.get(at).copied().unwrap_or_default()
    }

    pub fn u16(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.byte(at), self.byte(at + 1)])
    }

    pub fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) << 16 | u32::from(self.u16(at + 2))
    }
}

/// What follows a header: the table of decoders, and the number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Link(u32),
    Ethertype(u16),
    Protocol(u8),
    Port(u16),
    Ppp(u16),
    /// The frame ends here, or was handed over.
    Done,
}

pub const ETHERNET: Step = Step::Link(1);
pub const RAW_IP: Step = Step::Link(101);
pub const IPV4: Step = Step::Ethertype(0x0800);
pub const IPV6: Step = Step::Ethertype(0x86DD);

pub const SNAP_LENGTH: &str = "cut by the snap length";
pub const LOST_FRAGMENT: &str = "cut by a lost fragment";
pub const TOO_SHORT: &str = "frame too short for its headers";
pub const NOT_IP: &str = "not IP";
pub const NOT_OURS: &str = "neither UDP, TCP nor SCTP";
