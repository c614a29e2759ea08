//! Twin of `ingest/_dissect.py`: frames in, SIP messages out.
//!
//! What Python's dissector is, is two things here, so that a stream can hand over a message while it is borrowed from
//! the dissector: `Found` is what messages and counts go to, `Dissector` is that and all that waits.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use memchr::memchr;

use crate::fast::{Offsets, Seen, look};
use crate::fragments::Fragments;
use crate::hep::{self, Unused};
use crate::layers::{decode, is_link_type, link_type_named};
use crate::limits::Limits;
use crate::message::{Message, Position};
use crate::packet::{Address, Data, Packet, Step};
use crate::scan::{FIRST_BYTE, is_start_line, scan};
use crate::sctp::Associations;
use crate::tally::Tally;
use crate::tcp::Streams;
use crate::window::{Frames, Next, Window};

const ENDPOINTS: usize = 16_384;
const NO_SIP_UDP: &str = "UDP without SIP";
const NO_SIP_SCTP: &str = "SCTP without SIP";
const NO_DATA_TCP: &str = "TCP without data";
const MAY_BE_HEP: &[u8] = b"HE\x01\x02";

/// The bytes that SIP or HEP may begin with.
pub static MAY_BEGIN: [bool; 256] = {
    let mut may = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        may[byte] = FIRST_BYTE[byte] || matches!(byte as u8, b'H' | b'E' | 1 | 2);
        byte += 1;
    }
    may
};
const TRANSPORTS: [&str; 6] = ["UDP", "TCP", "TLS", "WS", "SCTP", ""];

/// Where messages and counts of a dissector go.
pub struct Found {
    pub messages: Vec<Message>,
    pub tally: Tally,
    pub limits: Arc<Limits>,
    transports: [Arc<str>; TRANSPORTS.len()],
    endpoints: HashMap<(Address, u16), Arc<str>>,
}

impl Found {
    pub fn new(limits: Arc<Limits>) -> Self {
        Self {
            messages: Vec::new(),
            tally: Tally::default(),
            limits,
            transports: TRANSPORTS.map(Arc::from),
            endpoints: HashMap::new(),
        }
    }

    pub fn count(&mut self, reason: &'static str) {
        self.tally.count(reason);
    }

    pub fn skip(&mut self, reason: &'static str) -> Step {
        self.tally.count(reason);
        Step::Done
    }

    pub fn limit(&mut self, position: &Position, reason: String) {
        self.tally.limit(&position.source, position.number, reason);
    }

    /// transport: one of `TRANSPORTS`.
    #[allow(clippy::too_many_arguments)]
    pub fn stream_message(
        &mut self,
        source: &Arc<str>,
        destination: &Arc<str>,
        data: &[u8],
        time: i64,
        position: &Position,
        cut: bool,
        transport: &'static str,
    ) {
        let transport = self.transport(transport);
        let limits = &self.limits;
        match scan(data, time, position, &mut self.tally, limits, source, destination, &transport, cut) {
            Ok(message) => self.messages.push(message),
            Err(reason) => self.tally.refuse(&position.source, position.number, reason),
        }
    }

    /// Look for SIP in a datagram: of UDP, or of another transport that keeps messages apart.
    pub fn datagram(&mut self, packet: &Packet<'_>, source_port: u16, destination_port: u16, transport: &'static str) {
        let without_sip = if transport == "UDP" { NO_SIP_UDP } else { NO_SIP_SCTP };
        let mut payload = packet.bytes(packet.at, packet.end);
        let Some(first) = payload.first().filter(|first| MAY_BEGIN[usize::from(**first)]) else {
            self.count(without_sip);
            return;
        };
        if MAY_BE_HEP.contains(first) && hep::is_hep(payload) {
            for one in hep::packets(payload) {
                self.hep(one, packet.time, &packet.position);
            }
            return;
        }
        payload = without_line_ends(payload);
        if payload.is_empty() {
            self.count("keep-alives");
            return;
        }
        if !may_be_sip(payload) {
            self.count(without_sip);
            return;
        }
        let source = self.endpoint(&packet.source, source_port);
        let destination = self.endpoint(&packet.destination, destination_port);
        let transport = self.transport(transport);
        let cut = packet.whole > packet.end;
        let position = &packet.position;
        loop {
            let (tally, limits) = (&mut self.tally, &self.limits);
            let found = scan(payload, packet.time, position, tally, limits, &source, &destination, &transport, cut);
            let message = match found {
                Ok(message) => message,
                Err("not SIP") => return self.count(without_sip),
                Err(reason) => return self.tally.refuse(&position.source, position.number, reason),
            };
            let rest = message.raw.len();
            self.messages.push(message);
            if cut {
                self.count(packet.cut_by);
            }
            if rest >= payload.len() {
                return;
            }
            // What Content-Length leaves over is no body; it may be another message.
            payload = without_line_ends(&payload[rest..]);
            let line = &payload[..memchr(b'\n', payload).unwrap_or(payload.len())];
            if !is_start_line(line) {
                return;
            }
        }
    }

    /// Take a HEP packet on its way to a collector: what it says of time and addresses counts.
    pub fn hep(&mut self, data: &[u8], time: i64, position: &Position) {
        let found = match hep::decode(data, self.limits.message) {
            Ok(found) => found,
            Err(Unused::NotSip) => return self.count("HEP without SIP"),
            Err(Unused::Refused(reason)) => return self.tally.refuse(&position.source, position.number, reason),
        };
        if found.time.is_none() {
            self.count("time of the frame, as its HEP header has none");
        }
        let source = self.endpoint(&found.source.0, found.source.1);
        let destination = self.endpoint(&found.destination.0, found.destination.1);
        let time = found.time.unwrap_or(time);
        self.stream_message(&source, &destination, &found.payload, time, position, false, found.transport);
    }

    pub fn endpoint(&mut self, address: &Address, port: u16) -> Arc<str> {
        if let Some(known) = self.endpoints.get(&(*address, port)) {
            return known.clone();
        }
        let text: Arc<str> = Arc::from(address.endpoint(port));
        if self.endpoints.len() >= ENDPOINTS {
            self.endpoints.clear();
        }
        self.endpoints.insert((*address, port), text.clone());
        text
    }

    fn transport(&self, name: &str) -> Arc<str> {
        let place = TRANSPORTS.iter().position(|known| *known == name).unwrap_or(TRANSPORTS.len() - 1);
        self.transports[place].clone()
    }
}

/// The dissectors that share the bounds on what waits, by the order in which they began; the one at work isn't here.
pub type Peers = BTreeMap<u64, Box<Dissector>>;

pub struct Dissector {
    pub found: Found,
    pub fragments: Fragments,
    pub streams: Streams,
    pub associations: Associations,
    pub esp_null: bool,
    /// All others that share the bounds, while this one is at work.
    pub peers: Peers,
    pub source: Arc<str>,
    pub last_time: i64,
    place: u64,
    partition: Arc<str>,
    pending: Vec<(Step, Packet<'static>)>,
    unknown_links: HashSet<(Arc<str>, u32)>,
}

impl Dissector {
    /// place: its place among its peers.
    pub fn new(limits: Arc<Limits>, place: u64, esp_null: bool) -> Self {
        Self {
            found: Found::new(limits),
            fragments: Fragments::default(),
            streams: Streams::default(),
            associations: Associations::default(),
            esp_null,
            peers: Peers::new(),
            source: Arc::from(""),
            last_time: -1,
            place,
            partition: Arc::from(""),
            pending: Vec::new(),
            unknown_links: HashSet::new(),
        }
    }

    /// The general road: decode one frame; what it completes stands in the messages found.
    pub fn walk(&mut self, number: i64, time: i64, link: u32, frame: &[u8]) {
        if !is_link_type(link) {
            self.unknown_link(number, link);
            return;
        }
        let position = Position { source: self.source.clone(), number, partition: self.partition.clone() };
        self.steps(Step::Link(link), Packet::new(position, time, Data::Frame(frame)));
        if !self.pending.is_empty() || !self.fragments.lost.is_empty() {
            self.go_on();
        }
    }

    /// Drop what waits.
    pub fn forget(&mut self) {
        self.fragments = Fragments::default();
        self.streams = Streams::default();
        self.associations = Associations::default();
        self.pending.clear();
    }

    /// Give up what waits for fragments or segments: the input has ended.
    pub fn finish(&mut self) {
        self.flush_fragments();
        while !self.fragments.lost.is_empty() {
            self.go_on();
            self.flush_fragments();
        }
        self.flush_associations();
        self.flush_streams();
    }

    /// Decode what was found beside the frames: parts of aggregated ones, and what there is of lost datagrams.
    fn go_on(&mut self) {
        loop {
            let lost = self.fragments.lost.drain(..);
            self.pending.extend(lost.map(|(protocol, packet)| (Step::Protocol(protocol), packet)));
            let Some((step, packet)) = self.pending.pop() else { return };
            self.steps(step, packet);
        }
    }

    fn steps(&mut self, mut step: Step, mut packet: Packet<'_>) {
        for _ in 0..self.found.limits.layers {
            if step == Step::Done {
                return;
            }
            step = decode(step, self, &mut packet);
        }
        if step != Step::Done {
            let reason = format!("more than {} layers", self.found.limits.layers);
            self.found.limit(&packet.position, reason);
        }
    }

    fn unknown_link(&mut self, number: i64, link: u32) {
        self.found.tally.count_text(format!("link type {link}"));
        if self.unknown_links.insert((self.source.clone(), link)) {
            let reason = format!("{} can't be read", link_type_named(link));
            self.found.tally.problem(&self.source, number, -1, reason);
        }
    }

    pub fn skip(&mut self, reason: &'static str) -> Step {
        self.found.skip(reason)
    }

    /// Decode a packet that stands beside others in a frame, after them.
    pub fn also(&mut self, step: Step, packet: Packet<'static>) {
        self.pending.push((step, packet));
    }

    /// Take on the frames in the window until there are so many messages, or no more frames.
    ///
    /// What `next` gives at last is given back. Panics leave `frames` behind the frame that brought them.
    pub fn feed(&mut self, frames: &mut Frames, window: &Window, batch: usize) -> Next {
        match frames {
            Frames::Pcap(pcap) => self.feed_from(batch, window, |tally| (pcap.next(window, tally), pcap.number)),
            Frames::Pcapng(pcapng) => {
                self.feed_from(batch, window, |tally| (pcapng.next(window, tally), pcapng.number))
            }
        }
    }

    #[inline]
    fn feed_from(&mut self, batch: usize, window: &Window, mut next: impl FnMut(&mut Tally) -> (Next, i64)) -> Next {
        let (mut media, mut acknowledgements) = (0, 0);
        let mut known = u32::MAX;
        let mut offsets = None;
        let last = loop {
            let (found, number) = next(&mut self.found.tally);
            let Next::Frame { time, link, start, stop } = found else { break found };
            let frame = window.data.get(start..stop).unwrap_or_default();
            if time != 0 {
                self.last_time = time;
            }
            if link != known {
                known = link;
                offsets = Offsets::of(link);
            }
            match offsets.map_or(Seen::Other, |offsets| look(frame, offsets)) {
                Seen::Media => media += 1,
                Seen::Acknowledgement => acknowledgements += 1,
                Seen::Other => {
                    self.walk(number, time, link, frame);
                    if self.found.messages.len() >= batch {
                        break found;
                    }
                }
            }
        };
        for (reason, many) in [(NO_SIP_UDP, media), (NO_DATA_TCP, acknowledgements)] {
            if many > 0 {
                self.found.tally.count_many(reason, many);
            }
        }
        last
    }

    /// How much all peers have together, this one too, of what `held` tells of one.
    pub fn together(&self, held: fn(&Self) -> usize) -> usize {
        self.peers.values().map(|one| held(one)).sum::<usize>() + held(self)
    }

    /// Let the one that has most, the first if several do, give up its oldest.
    pub fn give_up_most<T>(&mut self, held: fn(&Self) -> usize, give_up_oldest: fn(&mut Self) -> T) -> T {
        let mut most = (held(self), self.place);
        for (place, one) in &self.peers {
            let has = held(one);
            if has > most.0 || (has == most.0 && *place < most.1) {
                most = (has, *place);
            }
        }
        match self.peers.get_mut(&most.1) {
            Some(other) => {
                // All count in one tally.
                std::mem::swap(&mut self.found.tally, &mut other.found.tally);
                let given = give_up_oldest(other);
                std::mem::swap(&mut self.found.tally, &mut other.found.tally);
                given
            }
            None => give_up_oldest(self),
        }
    }
}

fn without_line_ends(mut data: &[u8]) -> &[u8] {
    while let [b'\r' | b'\n', rest @ ..] = data {
        data = rest;
    }
    data
}

/// Whether a token stands there, and behind it what follows a method or `SIP`.
fn may_be_sip(data: &[u8]) -> bool {
    let is_token = |byte: &u8| FIRST_BYTE[usize::from(*byte)] && !matches!(byte, b'\r' | b'\n');
    let size = data.iter().take(65).take_while(|byte| is_token(byte)).count();
    (1..=64).contains(&size) && matches!(data.get(size), Some(b' ' | b'/'))
}
