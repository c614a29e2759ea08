//! Twin of `ingest/_pcap.py`: pcap files, of both byte orders, of microseconds and nanoseconds.
//!
//! What is a generator there is a state here that `next` takes on by a frame, so that the bytes can come from outside.

use std::sync::Arc;

use crate::tally::Tally;
use crate::window::{CHUNK, Next, Order, Sought, Window};

pub const FILE_HEADER: usize = 24;

const LONGEST: u32 = 1 << 24;
const DAY: i64 = 86_400;

pub struct Pcap {
    order: Order,
    divisor: u32,
    header: usize,
    link: u32,
    longest: usize,
    name: Arc<str>,
    pub number: i64,
    /// Where the next record begins in the window.
    pub at: usize,
    /// The time of the last good record in seconds, 0 without one.
    previous: i64,
    /// The damage behind which the next record is being looked for.
    damage: Option<String>,
}

impl Pcap {
    /// A file by its header; none if that isn't one of pcap. longest: bytes of a record.
    pub fn new(head: &[u8], name: Arc<str>, longest: usize) -> Option<Self> {
        let (order, divisor, header) = match head.get(..FILE_HEADER)?.get(..4)? {
            b"\xD4\xC3\xB2\xA1" => (Order::Little, 1, 16),
            b"\xA1\xB2\xC3\xD4" => (Order::Big, 1, 16),
            b"\x4D\x3C\xB2\xA1" => (Order::Little, 1000, 16),
            b"\xA1\xB2\x3C\x4D" => (Order::Big, 1000, 16),
            b"\x34\xCD\xB2\xA1" => (Order::Little, 1, 24),
            b"\xA1\xB2\xCD\x34" => (Order::Big, 1, 24),
            _ => return None,
        };
        let link = order.u32(head, 20) & 0xFFFF;
        let at = FILE_HEADER;
        Some(Self { order, divisor, header, link, longest, name, number: 0, at, previous: 0, damage: None })
    }

    #[inline]
    pub fn next(&mut self, window: &Window, tally: &mut Tally) -> Next {
        if self.damage.is_none() {
            let data = &window.data[..];
            let start = self.at + self.header;
            if let Some(head) = data.get(self.at..start) {
                let order = self.order;
                let (captured, wire) = (order.u32(head, 8) as usize, order.u32(head, 12) as usize);
                let stop = start + captured;
                if captured <= self.longest && captured <= wire && stop <= data.len() && wire > 0 {
                    let seconds = i64::from(order.u32(head, 0));
                    let time = seconds * 1_000_000 + i64::from(order.u32(head, 4) / self.divisor);
                    self.number += 1;
                    self.previous = seconds;
                    self.at = stop;
                    return Next::Frame { time, link: self.link, start, stop };
                }
            }
        }
        self.next_odd(window, tally)
    }

    /// The same for what isn't as usual.
    #[cold]
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
            let start = self.at + self.header;
            if let Some(head) = data.get(self.at..start) {
                let order = self.order;
                let seconds = i64::from(order.u32(head, 0));
                let (captured, wire) = (order.u32(head, 8) as usize, order.u32(head, 12) as usize);
                let stop = start + captured;
                if captured > self.longest {
                    damage = format!("a record of {captured} bytes");
                } else if captured > wire && stop + self.header > data.len() && !window.ended {
                    // What stands behind it must tell.
                } else if captured > wire && !self.goes_on(data, stop, seconds) {
                    damage = format!("a record of {captured} bytes of a frame that had {wire}");
                } else if stop <= data.len() && (captured > 0 || wire > 0) {
                    let time = seconds * 1_000_000 + i64::from(order.u32(head, 4) / self.divisor);
                    self.number += 1;
                    self.previous = seconds;
                    self.at = stop;
                    return Next::Frame { time, link: self.link, start, stop };
                } else if captured == 0 && wire == 0 {
                    damage = "a record without content".to_owned();
                }
            }
            if damage.is_empty() {
                damage = match window.short_of(self.at, "the file ends inside a record") {
                    Ok(damage) => damage,
                    Err(next) => return next,
                };
            }
            tally.problem(&self.name, self.number + 1, window.base + self.at as i64, damage.clone());
            self.damage = Some(damage);
        }
    }

    fn goes_on(&self, data: &[u8], at: usize, seconds: i64) -> bool {
        let Some(head) = data.get(at..at + 16) else { return at == data.len() };
        let then = i64::from(self.order.u32(head, 0));
        self.order.u32(head, 8) as usize <= self.longest && (then - seconds).abs() < DAY
    }

    /// Look for the next record behind `at`.
    fn seek(&self, window: &Window) -> Sought {
        let data = &window.data[self.at.min(window.data.len())..];
        let size = data.len();
        if size < CHUNK && !window.ended {
            return Sought::Beyond(self.at);
        }
        let beginning = self.previous == 0 && size >= CHUNK;
        // A candidate can be judged if all of it and the header behind it are there.
        let behind = self.longest + 2 * self.header;
        let last = if beginning {
            CHUNK.saturating_sub(behind)
        } else if window.ended {
            size.saturating_sub(self.header)
        } else {
            size.saturating_sub(behind)
        };
        for at in 1..=last {
            if !self.may_begin(data, at) {
                continue;
            }
            let end = self.fits(data, at);
            let ends_all = end == size && window.ended;
            if end > 0 && (ends_all || (end + self.header <= size && self.fits(data, end) > 0)) {
                return Sought::Found(self.at + at);
            }
        }
        if window.ended || beginning {
            return Sought::Nothing;
        }
        Sought::Beyond(self.at + last.max(1))
    }

    /// Whether a time within some days of the last good record's may begin there, if that is known.
    fn may_begin(&self, data: &[u8], at: usize) -> bool {
        if self.previous == 0 {
            return true;
        }
        let high = self.order.u16(data, at + if self.order == Order::Little { 2 } else { 0 });
        high.wrapping_sub((self.previous >> 16) as u16).wrapping_add(2) <= 4
    }

    /// Where the record at a place ends, 0 if it can't be one.
    fn fits(&self, data: &[u8], at: usize) -> usize {
        let Some(head) = data.get(at..at + 16) else { return 0 };
        let (then, fraction) = (i64::from(self.order.u32(head, 0)), self.order.u32(head, 4));
        let (captured, wire) = (self.order.u32(head, 8), self.order.u32(head, 12));
        let good = 0 < captured
            && captured as usize <= self.longest
            && (captured..=LONGEST).contains(&wire)
            && u64::from(fraction) < 1_000_000 * u64::from(self.divisor);
        if good && (self.previous == 0 || (then - self.previous).abs() < DAY) {
            at + self.header + captured as usize
        } else {
            0
        }
    }
}
