//! Twin of the reading half of `ingest/_hep.py`: HEP of versions 1, 2 and 3, without authentication keys.

use std::borrow::Cow;

use flate2::{Decompress, FlushDecompress};

use crate::packet::Address;

pub const LARGEST: usize = 65_535;

const SIP: u8 = 1;
const YEAR_2000: u32 = 946_684_800;
const YEAR_2100: u32 = 4_102_444_800;

/// A captured message: as in Python, but for addresses and ports that aren't text yet.
#[derive(Debug)]
pub struct Hep<'a> {
    pub time: Option<i64>,
    pub source: (Address, u16),
    pub destination: (Address, u16),
    pub transport: &'static str,
    pub payload: Cow<'a, [u8]>,
}

/// Why there is no message to use.
#[derive(Debug, PartialEq, Eq)]
pub enum Unused {
    /// The packet is good, and of another protocol.
    NotSip,
    Refused(&'static str),
}

pub fn is_magic(data: &[u8]) -> bool {
    matches!(data, [b'H', b'E', b'P', b'3', ..] | [b'E', b'E', b'P', b'3', ..])
}

pub fn is_hep(data: &[u8]) -> bool {
    if is_magic(data) {
        return true;
    }
    let [version @ (1 | 2), said, family, ..] = *data else { return false };
    if data.len() < 16 {
        return false;
    }
    let length = 8 + 2 * address_size(family) + if version == 2 { 12 } else { 0 };
    length.checked_sub(usize::from(said)).is_some_and(|rest| rest <= 2)
}

/// The packets of a datagram.
pub fn packets(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let data_here = rest?;
        if is_magic(data_here) && data_here.len() >= 6 {
            let length = usize::from(u16_at(data_here, 4)).max(6).min(data_here.len());
            let (packet, behind) = data_here.split_at(length);
            rest = Some(behind).filter(|behind| is_magic(behind) && behind.len() >= 6);
            return Some(packet);
        }
        rest = None;
        Some(data_here)
    })
}

/// largest: bytes to which a compressed payload may grow.
pub fn decode(data: &[u8], largest: usize) -> Result<Hep<'_>, Unused> {
    if is_magic(data) {
        return decode_3(data, largest);
    }
    match data.first() {
        Some(1 | 2) => decode_old(data),
        _ => Err(Unused::Refused("not HEP")),
    }
}

fn decode_3(data: &[u8], largest: usize) -> Result<Hep<'_>, Unused> {
    if data.len() < 6 || usize::from(u16_at(data, 4)) != data.len() {
        return Err(Unused::Refused("HEP packet of another length than it says"));
    }
    let mut chunks: [Option<&[u8]>; 0x11] = [None; 0x11];
    let mut at = 6;
    while at + 6 <= data.len() {
        let (vendor, kind, length) = (u16_at(data, at), u16_at(data, at + 2), usize::from(u16_at(data, at + 4)));
        if length < 6 || at + length > data.len() {
            return Err(Unused::Refused("HEP chunk of a length that can't be"));
        }
        if vendor == 0
            && let Some(chunk) = chunks.get_mut(usize::from(kind))
        {
            chunk.get_or_insert(&data[at + 6..at + length]);
        }
        at += length;
    }
    let chunk = |kind: usize| chunks[kind].unwrap_or_default();
    if chunk(0x0B).last().is_some_and(|protocol| *protocol != SIP) {
        return Err(Unused::NotSip);
    }
    let payload = match chunks[0x0F] {
        Some(payload) => Cow::Borrowed(payload),
        None => Cow::Owned(inflate(chunk(0x10), largest)),
    };
    if payload.is_empty() {
        return Err(Unused::Refused("HEP without a payload"));
    }
    let either = |first: usize, second: usize| Some(chunk(first)).filter(|it| !it.is_empty()).unwrap_or(chunk(second));
    let time = number(chunk(0x09)).saturating_mul(1_000_000).saturating_add(number(chunk(0x0A)));
    Ok(Hep {
        time: (time != 0).then(|| i64::try_from(time).unwrap_or(i64::MAX)),
        source: (Address::of(either(0x03, 0x05)), port(chunk(0x07))),
        destination: (Address::of(either(0x04, 0x06)), port(chunk(0x08))),
        transport: transport(chunk(0x02).last().copied().unwrap_or_default()),
        payload,
    })
}

fn decode_old(data: &[u8]) -> Result<Hep<'_>, Unused> {
    const OTHER_LENGTH: Unused = Unused::Refused("HEP packet of another length than it says");
    let [version, length, family, protocol, ..] = *data else { return Err(OTHER_LENGTH) };
    let length = usize::from(length);
    if length < 16 || length > data.len() {
        return Err(OTHER_LENGTH);
    }
    let size = address_size(family);
    let at = 8 + 2 * size;
    if length < at {
        return Err(OTHER_LENGTH);
    }
    let time = if version == 2 && length >= at + 8 { time_2(&data[at..at + 8]) } else { None };
    let mut payload = &data[length..];
    while let [0, rest @ ..] = payload {
        payload = rest;
    }
    if payload.is_empty() {
        return Err(Unused::Refused("HEP without a payload"));
    }
    Ok(Hep {
        time,
        source: (Address::of(&data[8..8 + size]), port(&data[4..6])),
        destination: (Address::of(&data[8 + size..at]), port(&data[6..8])),
        transport: transport(protocol),
        payload: Cow::Borrowed(payload),
    })
}

fn time_2(data: &[u8]) -> Option<i64> {
    let [a, b, c, d, e, f, g, h] = *data else { return None };
    let makes_sense = |seconds: u32, micros: u32| (YEAR_2000..YEAR_2100).contains(&seconds) && micros < 1_000_000;
    let (mut seconds, mut micros) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    if !makes_sense(seconds, micros) && makes_sense(seconds.swap_bytes(), micros.swap_bytes()) {
        (seconds, micros) = (seconds.swap_bytes(), micros.swap_bytes());
    }
    (seconds != 0 || micros != 0).then(|| i64::from(seconds) * 1_000_000 + i64::from(micros))
}

fn transport(protocol: u8) -> &'static str {
    match protocol {
        6 => "TCP",
        17 => "UDP",
        22 => "TLS",
        50 => "WS",
        132 => "SCTP",
        _ => "",
    }
}

fn address_size(family: u8) -> usize {
    if matches!(family, 10 | 28 | 30) { 16 } else { 4 }
}

fn u16_at(data: &[u8], at: usize) -> u16 {
    match data.get(at..at + 2) {
        Some(&[high, low]) => u16::from_be_bytes([high, low]),
        _ => 0,
    }
}

/// The number in the last eight bytes.
fn number(data: &[u8]) -> u128 {
    data[data.len().saturating_sub(8)..].iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

fn port(data: &[u8]) -> u16 {
    data[data.len().saturating_sub(2)..].iter().fold(0, |number, byte| number << 8 | u16::from(*byte))
}

/// What a compressed payload holds, or as much of it as can be had: zlib, gzip or plain deflate.
fn inflate(data: &[u8], largest: usize) -> Vec<u8> {
    let packed = if data.starts_with(b"\x1F\x8B") { Decompress::new_gzip(15) } else { Decompress::new(true) };
    unpacked(packed, data, largest).or_else(|| unpacked(Decompress::new(false), data, largest)).unwrap_or_default()
}

fn unpacked(mut packed: Decompress, data: &[u8], largest: usize) -> Option<Vec<u8>> {
    let mut content = vec![0; largest + 1];
    packed.decompress(data, &mut content, FlushDecompress::Sync).ok()?;
    content.truncate(usize::try_from(packed.total_out()).unwrap_or(usize::MAX));
    Some(content)
}
