//! Twin of `ingest/_sctp.py`: SIP over SCTP.

use std::collections::HashMap;
use std::sync::Arc;

use crate::dissect::Dissector;
use crate::message::Position;
use crate::ordered::Ordered;
use crate::packet::{Address, Data, LOST_FRAGMENT, Packet, Step, TOO_SHORT};

const DATA: u8 = 0;
const I_DATA: u8 = 64;
const END: u8 = 1;
const BEGIN: u8 = 2;
const UNORDERED: u8 = 4;
const SEEN: usize = 16_384;
const OVERHEAD: usize = 512;

/// One side of an association.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Side {
    source: Address,
    destination: Address,
    source_port: u16,
    destination_port: u16,
    tag: u32,
}

/// Side, and of I-DATA stream, unordered and message; of DATA stream, 2 or 3 and sequence number of the message.
type Key = (Side, u16, u8, Option<u32>);

/// Fragments of a message by their numbers: bytes, and whether it is cut. last: of the one that ends it.
struct Parts {
    parts: HashMap<u32, (Box<[u8]>, bool)>,
    first: Option<u32>,
    last: Option<u32>,
    held: usize,
    began: i64,
    time: i64,
    position: Position,
}

impl Parts {
    /// What there is from the beginning without a hole, and whether that is all.
    fn content(&self) -> (Vec<u8>, bool) {
        let mut found = Vec::new();
        let mut next = self.first;
        while let Some(number) = next
            && let Some((data, cut)) = self.parts.get(&number)
        {
            found.extend_from_slice(data);
            if next == self.last || *cut {
                return (found, !cut);
            }
            next = Some(number.wrapping_add(1));
        }
        (found, false)
    }
}

#[derive(Default)]
pub struct Associations {
    waiting: Ordered<Key, Parts>,
    held: usize,
    /// The chunks seen last, so that one sent again makes no second message.
    seen: Ordered<(Side, u32), ()>,
}

impl Associations {
    fn forget(&mut self, key: &Key) -> Option<Parts> {
        let waiting = self.waiting.remove(key)?;
        self.held -= waiting.held;
        Some(waiting)
    }
}

impl Dissector {
    /// Take in a packet of SCTP, chunk by chunk.
    pub fn chunks(&mut self, packet: &Packet<'_>) -> Step {
        let (mut at, end) = (packet.at, packet.end);
        if at + 12 > end {
            return self.skip(TOO_SHORT);
        }
        self.expire_chunks(packet.time.saturating_sub(self.found.limits.fragment_wait));
        let side = Side {
            source: packet.source,
            destination: packet.destination,
            source_port: packet.u16(at),
            destination_port: packet.u16(at + 2),
            tag: packet.u32(at + 4),
        };
        at += 12;
        let mut empty = true;
        while at + 4 <= end {
            let (kind, flags, length) = (packet.byte(at), packet.byte(at + 1), usize::from(packet.u16(at + 2)));
            if length < 4 {
                return self.skip("SCTP chunk of a length that can't be");
            }
            if kind == DATA || kind == I_DATA {
                empty = false;
                self.chunk(packet, side, at, length, flags);
            }
            at += length.next_multiple_of(4);
        }
        if empty {
            self.found.count("SCTP without data");
        }
        Step::Done
    }

    pub fn flush_associations(&mut self) {
        while !self.associations.waiting.is_empty() {
            self.give_up_oldest_chunks();
        }
    }

    fn chunk(&mut self, packet: &Packet<'_>, side: Side, at: usize, length: usize, flags: u8) {
        let interleaved = packet.byte(at) == I_DATA;
        let start = at + if interleaved { 20 } else { 16 };
        if start > packet.end || start > at + length {
            self.skip(TOO_SHORT);
            return;
        }
        let mut number = packet.u32(at + 4);
        let seen = &mut self.associations.seen;
        if seen.contains(&(side, number)) {
            self.found.count("SCTP chunks sent again");
            return;
        }
        let part = packet.part(start, at + length);
        if part.end == part.whole {
            seen.push((side, number), ());
            if seen.len() > SEEN {
                seen.pop_first();
            }
        }
        if flags & (BEGIN | END) == BEGIN | END {
            self.found.datagram(&part, side.source_port, side.destination_port, "SCTP");
            return;
        }
        let stream = packet.u16(at + 8);
        if interleaved {
            // Where the number of the first fragment would stand is the protocol's identifier.
            number = if flags & BEGIN != 0 { 0 } else { packet.u32(at + 16) };
            self.join_chunks(&part, (side, stream, flags & UNORDERED, Some(packet.u32(at + 12))), number, flags);
            return;
        }
        // Unordered messages have no number; but the fragments of one follow each other.
        let message = (flags & UNORDERED == 0).then(|| u32::from(packet.u16(at + 10)));
        self.join_chunks(&part, (side, stream, flags & UNORDERED | 2, message), number, flags);
    }

    fn join_chunks(&mut self, part: &Packet<'_>, key: Key, number: u32, flags: u8) {
        let limits = self.found.limits.clone();
        let associations = &mut self.associations;
        let waiting = match associations.waiting.get_mut(&key) {
            Some(waiting) => {
                if part.time >= waiting.time {
                    waiting.time = part.time;
                    waiting.position = part.position.clone();
                }
                waiting
            }
            None => associations.waiting.push(
                key,
                Parts {
                    parts: HashMap::new(),
                    first: None,
                    last: None,
                    held: 0,
                    began: part.time,
                    time: part.time,
                    position: part.position.clone(),
                },
            ),
        };
        let content = part.bytes(part.at, part.end);
        waiting.parts.insert(number, (content.into(), part.end < part.whole));
        waiting.held += content.len() + OVERHEAD;
        associations.held += content.len() + OVERHEAD;
        if flags & BEGIN != 0 {
            waiting.first = Some(number);
        }
        if flags & END != 0 {
            waiting.last = Some(number);
        }
        let parts = waiting.parts.len();
        let too_long = waiting.held > limits.message + parts * OVERHEAD || parts > limits.parts;
        if waiting.first.is_some()
            && waiting.last.is_some()
            && let (whole, true) = waiting.content()
            && let Some(parts) = associations.forget(&key)
        {
            self.give_chunks(&parts, &key.0, whole, false);
            return;
        }
        if too_long {
            self.found.limit(&part.position, format!("SCTP message longer than {} bytes", limits.message));
            self.give_up_chunks(&key);
        }
        let held = |one: &Self| one.associations.held;
        while self.together(held) > limits.fragments || self.associations.waiting.len() > limits.fragmented {
            self.found.limit(&part.position, "SCTP chunks that wait for others".to_owned());
            self.give_up_most(held, Self::give_up_oldest_chunks);
        }
    }

    fn expire_chunks(&mut self, before: i64) {
        while self.associations.waiting.first().is_some_and(|(_, oldest)| oldest.began < before) {
            self.give_up_oldest_chunks();
        }
    }

    fn give_up_oldest_chunks(&mut self) {
        if let Some((&key, _)) = self.associations.waiting.first() {
            self.give_up_chunks(&key);
        }
    }

    fn give_up_chunks(&mut self, key: &Key) {
        let Some(waiting) = self.associations.forget(key) else { return };
        self.found.count("SCTP message with lost chunks");
        let (content, _) = waiting.content();
        if !content.is_empty() {
            self.give_chunks(&waiting, &key.0, content, true);
        }
    }

    fn give_chunks(&mut self, last: &Parts, side: &Side, content: Vec<u8>, cut: bool) {
        let mut packet = Packet::new(last.position.clone(), last.time, Data::Held(Arc::from(content)));
        (packet.source, packet.destination) = (side.source, side.destination);
        if cut {
            packet.whole += 1;
            packet.cut_by = LOST_FRAGMENT;
        }
        self.found.datagram(&packet, side.source_port, side.destination_port, "SCTP");
    }
}
