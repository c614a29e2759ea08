//! Twin of `ingest/_pcapng.py`: sections and interfaces, enhanced, simple and old packet blocks.
//!
//! What is a generator there is a state here, as in `pcap`.

use std::sync::Arc;

use crate::limits::Limits;
use crate::tally::Tally;
use crate::window::{CHUNK, Next, Order, Sought, Window};

pub const MAGIC: [u8; 4] = [0x0A, 0x0D, 0x0D, 0x0A];

const SECTION: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const PACKET: u32 = 6;

const RESOLUTION: u16 = 9;
const OFFSET: u16 = 14;

/// Python's times have no bounds; beyond these none is usable, and sums with them stay within 64 bits.
const FARTHEST: i128 = 1 << 62;

struct Interface {
    link: u32,
    snap_length: u32,
    multiply: u128,
    divide: u128,
    offset: i128,
}

impl Interface {
    fn time(&self, ticks: u64) -> i64 {
        let micros = u128::from(ticks) * self.multiply / self.divide;
        let time = (micros.min(FARTHEST as u128) as i128).saturating_add(self.offset);
        time.clamp(-FARTHEST, FARTHEST) as i64
    }
}

pub struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    name: Arc<str>,
    limits: Arc<Limits>,
    pub number: i64,
    pub at: usize,
    /// That of the last frame.
    time: i64,
    damage: Option<String>,
}

impl Pcapng {
    /// A file by its first bytes; none if its byte order mark is damaged.
    pub fn new(head: &[u8], name: Arc<str>, limits: Arc<Limits>) -> Option<Self> {
        let order = order_at(head, 8)?;
        Some(Self { order, interfaces: Vec::new(), name, limits, number: 0, at: 0, time: 0, damage: None })
    }

    #[inline]
    pub fn next(&mut self, window: &Window, tally: &mut Tally) -> Next {
        if self.damage.is_none() {
            let data = &window.data[..];
            let order = self.order;
            // An enhanced packet block as usual.
            if let Some(head) = data.get(self.at..self.at + 28)
                && order.u32(head, 0) == PACKET
            {
                let length = order.u32(head, 4) as usize;
                let end = self.at + length;
                let start = self.at + 28;
                let stop = start + order.u32(head, 20) as usize;
                if length.is_multiple_of(4)
                    && length <= self.limits.block
                    && stop + 4 <= end
                    && data.get(end - 4..end) == Some(&head[4..8])
                    && let Some(interface) = self.interfaces.get(order.u32(head, 8) as usize)
                {
                    let ticks = u64::from(order.u32(head, 12)) << 32 | u64::from(order.u32(head, 16));
                    let time = match interface {
                        Interface { multiply: 1, divide: 1, offset: 0, .. } => ticks.min(FARTHEST as u64) as i64,
                        other => other.time(ticks),
                    };
                    self.time = time;
                    self.number += 1;
                    self.at = end;
                    return Next::Frame { time, link: interface.link, start, stop };
                }
            }
        }
        self.next_odd(window, tally)
    }

    /// The same for all other blocks.
    fn next_odd(&mut self, window: &Window, tally: &mut Tally) -> Next {
        let data = &window.data[..];
        loop {
            if let Some(damage) = &self.damage {
                match self.seek(window) {
                    Sought::Found(at) => self.at = at,
                    Sought::Beyond(at) => {
                        self.at = at;
                        return Next::More;
                    }
                    Sought::Nothing => {
                        window.tell_damage(damage, &self.name, self.number + 1, tally);
                        return Next::End;
                    }
                }
                self.damage = None;
            }
            let mut damage = String::new();
            if data.len() >= self.at + 12 {
                let kind = self.order.u32(data, self.at);
                if kind == SECTION {
                    match order_at(data, self.at + 8) {
                        None => damage = "a section whose byte order mark is damaged".to_owned(),
                        Some(order) => {
                            self.order = order;
                            self.interfaces.clear();
                        }
                    }
                }
                let length = self.order.u32(data, self.at + 4) as usize;
                let end = self.at + length;
                if damage.is_empty() && (length < 12 || !length.is_multiple_of(4) || length > self.limits.block) {
                    damage = format!("a block of {length} bytes");
                }
                if damage.is_empty() && end <= data.len() {
                    if data[end - 4..end] != data[self.at + 4..self.at + 8] {
                        damage = "a block whose two lengths differ".to_owned();
                    } else {
                        let at = self.at;
                        self.at = end;
                        match self.block(kind, data, at, end, tally) {
                            Ok(Some(frame)) => {
                                self.number += 1;
                                return frame;
                            }
                            Ok(None) => {}
                            // The block's frame is right: go on behind it.
                            Err(reason) => {
                                tally.problem(&self.name, self.number + 1, window.base + at as i64, reason);
                            }
                        }
                        continue;
                    }
                }
            }
            if damage.is_empty() {
                damage = match window.short_of(self.at, "the file ends inside a block") {
                    Ok(damage) => damage,
                    Err(next) => return next,
                };
            }
            tally.problem(&self.name, self.number + 1, window.base + self.at as i64, damage.clone());
            self.damage = Some(damage);
        }
    }

    /// The frame that a block holds, if it is one that does; or why it can't be what it says.
    fn block(
        &mut self,
        kind: u32,
        data: &[u8],
        at: usize,
        end: usize,
        tally: &mut Tally,
    ) -> Result<Option<Next>, String> {
        match kind {
            PACKET | OLD_PACKET => self.packet(kind, data, at, end).map(Some),
            SIMPLE_PACKET => {
                let frame = self.simple_packet(data, at, end)?;
                tally.count("frame without a time, taken to be that of the one before");
                Ok(Some(frame))
            }
            INTERFACE => self.interface(data, at, end).map(|()| None),
            _ => Ok(None),
        }
    }

    fn packet(&mut self, kind: u32, data: &[u8], at: usize, end: usize) -> Result<Next, String> {
        let start = at + 28;
        if start + 4 > end {
            return Err("a packet block without room for its fields".to_owned());
        }
        let order = self.order;
        let number = if kind == PACKET { order.u32(data, at + 8) } else { u32::from(order.u16(data, at + 8)) };
        let captured = order.u32(data, at + 20) as usize;
        let stop = start + captured;
        if stop + 4 > end {
            return Err(format!("a packet of {captured} bytes in a block of {}", end - at));
        }
        let Some(interface) = self.interfaces.get(number as usize) else {
            return Err(format!("a packet of interface {number}, which isn't described"));
        };
        let ticks = u64::from(order.u32(data, at + 12)) << 32 | u64::from(order.u32(data, at + 16));
        self.time = interface.time(ticks);
        Ok(Next::Frame { time: self.time, link: interface.link, start, stop })
    }

    fn simple_packet(&self, data: &[u8], at: usize, end: usize) -> Result<Next, String> {
        if end - at < 16 {
            return Err("a simple packet block without room for its fields".to_owned());
        }
        let Some(interface) = self.interfaces.first() else {
            return Err("a packet of interface 0, which isn't described".to_owned());
        };
        let start = at + 12;
        let mut length = self.order.u32(data, at + 8) as usize;
        if interface.snap_length > 0 {
            length = length.min(interface.snap_length as usize);
        }
        let stop = (start + length).min(end - 4);
        Ok(Next::Frame { time: self.time, link: interface.link, start, stop })
    }

    fn interface(&mut self, data: &[u8], at: usize, end: usize) -> Result<(), String> {
        if end - at < 20 {
            return Err("an interface block without room for its fields".to_owned());
        }
        if self.interfaces.len() >= self.limits.interfaces {
            return Err(format!("more than {} interfaces of a section", self.limits.interfaces));
        }
        let order = self.order;
        let mut offset = 0;
        let mut resolution = 6;
        let mut option = at + 16;
        while option + 8 <= end {
            let (code, length) = (order.u16(data, option), usize::from(order.u16(data, option + 2)));
            let value = &data[option + 4..(option + 4 + length).min(end - 4)];
            match (code, value) {
                (0, _) => break,
                (RESOLUTION, [first, ..]) => resolution = *first,
                (OFFSET, [_, _, _, _, _, _, _, _]) => offset = i128::from(order.u64(value, 0) as i64) * 1_000_000,
                _ => {}
            }
            option += 4 + length.next_multiple_of(4);
        }
        let exponent = u32::from(resolution & 0x7F);
        let ticks = if resolution & 0x80 != 0 { 1_u128 << exponent } else { 10_u128.saturating_pow(exponent) };
        let (multiply, divide) = if 1_000_000 % ticks == 0 {
            (1_000_000 / ticks, 1)
        } else if ticks % 1_000_000 == 0 {
            (1, ticks / 1_000_000)
        } else {
            (1_000_000, ticks)
        };
        let link = u32::from(order.u16(data, at + 8));
        self.interfaces.push(Interface { link, snap_length: order.u32(data, at + 12), multiply, divide, offset });
        Ok(())
    }

    /// Look for the next block behind `at`.
    fn seek(&self, window: &Window) -> Sought {
        let data = &window.data[self.at.min(window.data.len())..];
        let size = data.len();
        if size < CHUNK && !window.ended {
            return Sought::Beyond(self.at);
        }
        let longest = self.limits.packet;
        // A candidate can be judged if all of it is there.
        let last = if window.ended { size.saturating_sub(12) } else { size.saturating_sub(longest) };
        let candidates = data.get(1..last + 4).unwrap_or_default().windows(4).enumerate();
        let is_block = |bytes: &[u8]| {
            let kind = self.order.u32(bytes, 0);
            kind.wrapping_sub(1) < 6 || kind == SECTION
        };
        for at in candidates.filter(|(_, bytes)| is_block(bytes)).map(|(before, _)| before + 1) {
            let order = if data[at..].starts_with(&MAGIC) {
                let Some(order) = order_at(data, at + 8) else { continue };
                order
            } else {
                self.order
            };
            let length = order.u32(data, at + 4) as usize;
            let fits = (12..=longest).contains(&length) && length.is_multiple_of(4) && at + length <= size;
            if fits && data[at + length - 4..at + length] == data[at + 4..at + 8] {
                return Sought::Found(self.at + at);
            }
        }
        if window.ended { Sought::Nothing } else { Sought::Beyond(self.at + last.max(1)) }
    }
}

fn order_at(data: &[u8], at: usize) -> Option<Order> {
    match data.get(at..at + 4)? {
        [0x4D, 0x3C, 0x2B, 0x1A] => Some(Order::Little),
        [0x1A, 0x2B, 0x3C, 0x4D] => Some(Order::Big),
        _ => None,
    }
}
