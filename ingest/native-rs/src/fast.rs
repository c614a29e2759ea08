//! Twin of the fast road of `ingest/_dissect.py`: what can't be SIP is told at fixed offsets of the most usual frames.

use crate::dissect::MAY_BEGIN;
use crate::layers::is_tunnel;

const FLAGS_OR_NOTHING: u8 = 7; // FIN, SYN, RST

/// What the fast road knows of a link type: where its fields are.
#[derive(Clone, Copy)]
pub struct Offsets {
    /// Where the ethertype stands; raw IP has none.
    ethertype: Option<usize>,
    ip: usize,
    /// With two VLAN tags, and all of a TCP header; a frame that is shorter takes the general road.
    shortest: usize,
}

impl Offsets {
    pub const fn of(link: u32) -> Option<Self> {
        let (ethertype, ip) = match link {
            1 => (Some(12), 14),
            101 | 228 | 229 => (None, 0),
            113 => (Some(14), 16),
            276 => (Some(0), 20),
            _ => return None,
        };
        Some(Self { ethertype, ip, shortest: ip + 45 })
    }
}

/// What a frame of the usual kinds is seen to be at fixed offsets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Media,
    Acknowledgement,
    /// The general road must tell.
    Other,
}

#[inline]
pub fn look(frame: &[u8], offsets: Offsets) -> Seen {
    if frame.len() < offsets.shortest {
        return Seen::Other;
    }
    let byte = |at: usize| frame.get(at).copied().unwrap_or_default();
    let u16 = |at: usize| u16::from_be_bytes([byte(at), byte(at + 1)]);
    let mut at = offsets.ip;
    let mut kind = 0;
    if let Some(mut place) = offsets.ethertype {
        kind = u16(place);
        if kind == 0x8100 || kind == 0x88A8 {
            place += 4;
            at += 4;
            kind = u16(place);
            if kind == 0x8100 {
                at += 4;
                kind = u16(place + 4);
            }
        }
    }
    let raw = offsets.ethertype.is_none();
    let version = byte(at);
    if version == 0x45 && (raw || kind == 0x0800) {
        let (length, whole) = (usize::from(u16(at + 2)), u16(at + 6) & 0x3FFF == 0);
        match byte(at + 9) {
            17 if whole && length > 28 && !MAY_BEGIN[usize::from(byte(at + 28))] && !is_tunnel(u16(at + 22)) => {
                return Seen::Media;
            }
            6 if whole
                && byte(at + 33) & FLAGS_OR_NOTHING == 0
                && length >= 40
                && length == 20 + usize::from(byte(at + 32) >> 4) * 4
                && at + length <= frame.len() =>
            {
                return Seen::Acknowledgement;
            }
            _ => {}
        }
    } else if version >> 4 == 6
        && (raw || kind == 0x86DD)
        && frame.len() > at + 48
        && byte(at + 6) == 17
        && !MAY_BEGIN[usize::from(byte(at + 48))]
        && u16(at + 4) > 8
        && !is_tunnel(u16(at + 42))
    {
        return Seen::Media;
    }
    Seen::Other
}
