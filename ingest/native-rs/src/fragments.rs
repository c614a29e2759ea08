//! Twin of `ingest/_fragments.py`: IP fragments put together.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::dissect::Dissector;
use crate::message::Position;
use crate::ordered::Ordered;
use crate::packet::{Address, Data, LOST_FRAGMENT, Packet};

/// Source, destination, protocol, identification.
type Key = (Address, Address, u8, u32);
const OVERHEAD: usize = 512;

struct Part {
    data: Box<[u8]>,
    end: usize,
}

struct Datagram {
    parts: BTreeMap<usize, Part>,
    began: i64,
    held: usize,
    length: Option<usize>,
    time: i64,
    position: Position,
}

impl Datagram {
    fn content(&self) -> (Vec<u8>, bool) {
        let mut found = Vec::new();
        let mut reached = 0;
        for (&offset, Part { data, end }) in &self.parts {
            if offset > reached {
                break;
            }
            if *end > reached {
                found.extend_from_slice(data.get(reached - offset..).unwrap_or_default());
                reached = offset + data.len();
                if reached < *end {
                    break;
                }
            }
        }
        (found, Some(reached) == self.length)
    }

    fn hashes(&self, state: &RandomState) -> HashSet<u64> {
        self.parts.iter().map(|(offset, part)| state.hash_one((offset, &part.data))).collect()
    }

    fn become_packet(self, packet: &mut Packet<'_>, content: Vec<u8>, whole: usize) {
        packet.at = 0;
        packet.end = content.len();
        packet.data = Data::Held(Arc::from(content));
        packet.whole = whole;
        packet.time = self.time;
        packet.position = self.position;
    }
}

#[derive(Default)]
pub struct Fragments {
    /// Protocols and packets of datagrams that were given up of which the beginning is there, to be taken from here.
    pub lost: Vec<(u8, Packet<'static>)>,
    held: usize,
    datagrams: Ordered<Key, Datagram>,
    /// Those that became whole, the oldest first: hashes of their parts.
    joined: Ordered<Key, HashSet<u64>>,
    joined_parts: usize,
    state: RandomState,
}

impl Fragments {
    fn forget(&mut self, key: &Key) -> Option<Datagram> {
        let datagram = self.datagrams.remove(key)?;
        self.held -= datagram.held + datagram.parts.len() * OVERHEAD;
        Some(datagram)
    }

    fn remember(&mut self, key: Key, datagram: &Datagram, fragmented: usize) {
        let hashes = datagram.hashes(&self.state);
        self.joined_parts += hashes.len();
        if let Some(before) = self.joined.remove(&key) {
            self.joined_parts -= before.len();
        }
        self.joined.push(key, hashes);
        while self.joined_parts > fragmented
            && let Some((_, oldest)) = self.joined.pop_first()
        {
            self.joined_parts -= oldest.len();
        }
    }
}

impl Dissector {
    /// Take in an IP fragment; true when it was the last one missing, and the packet has become the whole datagram.
    pub fn joined(
        &mut self,
        packet: &mut Packet<'_>,
        protocol: u8,
        identification: u32,
        offset: usize,
        more: bool,
    ) -> bool {
        let limits = self.found.limits.clone();
        let now = packet.time;
        self.expire_fragments(now.saturating_sub(limits.fragment_wait));
        let key = (packet.source, packet.destination, protocol, identification);
        let fragments = &mut self.fragments;
        let datagram = match fragments.datagrams.get_mut(&key) {
            Some(datagram) => datagram,
            None => {
                let position = packet.position.clone();
                let datagram =
                    Datagram { parts: BTreeMap::new(), began: now, held: 0, length: None, time: now, position };
                fragments.datagrams.push(key, datagram)
            }
        };
        let data = packet.bytes(packet.at, packet.end);
        let end = (offset + packet.whole).saturating_sub(packet.at);
        if now >= datagram.time {
            datagram.time = now;
            datagram.position = packet.position.clone();
        }
        if !more {
            datagram.length = Some(end);
        }
        let known = datagram.parts.get(&offset).map(|part| part.data.len());
        if known.is_none_or(|known| known < data.len()) {
            datagram.parts.insert(offset, Part { data: data.into(), end });
            let added = data.len() - known.unwrap_or_default();
            datagram.held += added;
            fragments.held += added + if known.is_none() { OVERHEAD } else { 0 };
        }
        let too_many = datagram.parts.len() > limits.parts;
        if datagram.length.is_some_and(|length| datagram.held >= length)
            && let (content, true) = datagram.content()
            && let Some(datagram) = fragments.forget(&key)
        {
            fragments.remember(key, &datagram, limits.fragmented);
            let whole = content.len();
            datagram.become_packet(packet, content, whole);
            return true;
        }
        if too_many {
            self.found.limit(&packet.position, format!("more than {} fragments of a datagram", limits.parts));
            self.give_up_datagram(&key);
        }
        let held = |one: &Self| one.fragments.held;
        while self.together(held) > limits.fragments || self.fragments.datagrams.len() > limits.fragmented {
            self.found.limit(&packet.position, "fragments that wait for others".to_owned());
            self.give_up_most(held, Self::give_up_oldest_datagram);
        }
        false
    }

    pub fn flush_fragments(&mut self) {
        while !self.fragments.datagrams.is_empty() {
            self.give_up_oldest_datagram();
        }
    }

    fn expire_fragments(&mut self, before: i64) {
        while self.fragments.datagrams.first().is_some_and(|(_, oldest)| oldest.began < before) {
            self.give_up_oldest_datagram();
        }
    }

    fn give_up_oldest_datagram(&mut self) {
        if let Some((&key, _)) = self.fragments.datagrams.first() {
            self.give_up_datagram(&key);
        }
    }

    fn give_up_datagram(&mut self, key: &Key) {
        let fragments = &mut self.fragments;
        let Some(datagram) = fragments.forget(key) else { return };
        let hashes = datagram.hashes(&fragments.state);
        if fragments.joined.get(key).is_some_and(|joined| hashes.is_subset(joined)) {
            self.found.tally.count_many("IP fragments sent again", datagram.parts.len() as u64);
            return;
        }
        let (content, _) = datagram.content();
        let ends = datagram.parts.values().map(|part| part.end).max().unwrap_or_default();
        self.found.count("IP datagram with lost fragments");
        if !content.is_empty() {
            let mut packet = Packet::new(datagram.position.clone(), datagram.time, Data::Frame(&[]));
            let protocol = key.2;
            (packet.source, packet.destination) = (key.0, key.1);
            packet.cut_by = LOST_FRAGMENT;
            let whole = ends.max(datagram.length.unwrap_or_default()).max(content.len() + 1);
            datagram.become_packet(&mut packet, content, whole);
            fragments.lost.push((protocol, packet));
        }
    }
}
