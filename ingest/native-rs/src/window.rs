//! Twin of `ingest/_source.py`'s `Window`: a piece of a source that moves over it, fed from outside.

use std::sync::Arc;

use crate::limits::Limits;
use crate::pcap::Pcap;
use crate::pcapng::{self, Pcapng};
use crate::tally::Tally;

/// As much as is read at a time.
pub const CHUNK: usize = 1 << 20;

#[derive(Debug, Default)]
pub struct Window {
    pub data: Vec<u8>,
    /// Where `data` begins in the source.
    pub base: i64,
    /// There is nothing more.
    pub ended: bool,
    /// Why it ended, if not as it should.
    pub damage: String,
    /// The file was followed: what is cut off at its end is still being written.
    pub grows: bool,
}

impl Window {
    /// Drop what stands before `at` and take in what stands behind.
    pub fn move_on(&mut self, at: usize, more: &[u8]) {
        self.data.drain(..at.min(self.data.len()));
        self.base += at as i64;
        self.data.extend_from_slice(more);
    }

    /// Less is there behind `at` than is wanted: the damage that this is, `cut` unless more is known, or what is next.
    pub fn short_of(&self, at: usize, cut: &str) -> Result<String, Next> {
        if !self.ended {
            return Err(Next::More);
        }
        if (at == self.data.len() && self.damage.is_empty()) || self.grows {
            return Err(Next::End);
        }
        Ok(if self.damage.is_empty() { cut } else { &self.damage }.to_owned())
    }

    /// Note why the source ended, if that isn't the damage which is known.
    pub fn tell_damage(&self, known: &str, name: &Arc<str>, frame: i64, tally: &mut Tally) {
        if !self.damage.is_empty() && self.damage != known {
            tally.problem(name, frame, self.base + self.data.len() as i64, self.damage.clone());
        }
    }
}

/// The byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

impl Order {
    /// The number at a place; 0 where there are not enough bytes.
    pub fn u16(self, data: &[u8], at: usize) -> u16 {
        match (self, data.get(at..at + 2)) {
            (Self::Little, Some(&[a, b])) => u16::from_le_bytes([a, b]),
            (Self::Big, Some(&[a, b])) => u16::from_be_bytes([a, b]),
            _ => 0,
        }
    }

    pub fn u32(self, data: &[u8], at: usize) -> u32 {
        match (self, data.get(at..at + 4)) {
            (Self::Little, Some(&[a, b, c, d])) => u32::from_le_bytes([a, b, c, d]),
            (Self::Big, Some(&[a, b, c, d])) => u32::from_be_bytes([a, b, c, d]),
            _ => 0,
        }
    }

    pub fn u64(self, data: &[u8], at: usize) -> u64 {
        let (first, second) = (u64::from(self.u32(data, at)), u64::from(self.u32(data, at + 4)));
        match self {
            Self::Little => second << 32 | first,
            Self::Big => first << 32 | second,
        }
    }
}

/// The frames of a capture, whatever its format.
pub enum Frames {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl Frames {
    /// Those of a file by its first bytes, of which there are `HEAD`, or all it has; or why it has none.
    pub fn open(head: &[u8], name: &Arc<str>, limits: &Arc<Limits>) -> Result<Self, &'static str> {
        if head.starts_with(&pcapng::MAGIC) {
            let found = Pcapng::new(head, name.clone(), limits.clone()).map(Self::Pcapng);
            return found.ok_or("a pcapng file whose byte order mark is damaged");
        }
        let found = Pcap::new(head, name.clone(), limits.packet).map(Self::Pcap);
        found.ok_or("a pcap file that ends inside its header")
    }

    /// The frames so far.
    pub fn number(&self) -> i64 {
        match self {
            Self::Pcap(pcap) => pcap.number,
            Self::Pcapng(pcapng) => pcapng.number,
        }
    }

    /// Let the window move on to what is wanted next.
    pub fn more(&mut self, window: &mut Window, more: &[u8]) {
        let at = match self {
            Self::Pcap(pcap) => &mut pcap.at,
            Self::Pcapng(pcapng) => &mut pcapng.at,
        };
        window.move_on(*at, more);
        *at = 0;
    }
}

/// A frame of a capture, or why there is none now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// time: microseconds UTC. start, stop: where its bytes are in the window.
    Frame {
        time: i64,
        link: u32,
        start: usize,
        stop: usize,
    },
    /// More of the source is wanted behind the place that `Frames::at` tells.
    More,
    End,
}

/// What comes of looking for what a damaged file goes on with.
pub enum Sought {
    Found(usize),
    /// It isn't before that place, and more must be there to tell.
    Beyond(usize),
    Nothing,
}
