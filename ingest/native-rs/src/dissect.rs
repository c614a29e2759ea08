//! Twin of `ingest/_dissect.py`: frames in, SIP messages out.
//!
//! What Python's dissector is, is two things here, so that a stream can hand over a message while it is borrowed from
//! the dissector: `Found` is what messages and counts go to, `Dissector` is that and all that waits.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::fragments::Fragments;
use crate::limits::Limits;
use crate::message::{Message, Position};
use crate::packet::{Address, Packet, Step};
use crate::scan::scan;
use crate::sctp::Associations;
use crate::tally::Tally;
use crate::tcp::Streams;

const ENDPOINTS: usize = 65_536;
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
        let source = self.endpoint(&packet.source, source_port);
        let destination = self.endpoint(&packet.destination, destination_port);
        let data = packet.bytes(packet.at, packet.end);
        let cut = packet.whole > packet.end;
        self.stream_message(&source, &destination, data, packet.time, &packet.position, cut, transport);
    }

    /// Take a HEP packet on its way to a collector: what it says of time and addresses counts.
    pub fn hep(&mut self, data: &[u8], time: i64, position: &Position) {
        let nowhere: Arc<str> = Arc::from("");
        self.stream_message(&nowhere, &nowhere, data, time, position, false, "");
    }

    pub fn endpoint(&mut self, address: &Address, port: u16) -> Arc<str> {
        if let Some(known) = self.endpoints.get(&(*address, port)) {
            return known.clone();
        }
        let text: Arc<str> = Arc::from(endpoint(address, port));
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
    place: u64,
    pending: Vec<(Step, Packet<'static>)>,
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
            place,
            pending: Vec::new(),
        }
    }

    pub fn skip(&mut self, reason: &'static str) -> Step {
        self.found.skip(reason)
    }

    /// Decode a packet that stands beside others in a frame, after them.
    pub fn also(&mut self, step: Step, packet: &Packet<'_>) {
        self.pending.push((step, packet.held()));
    }

    /// How much all peers have together, this one too, of what `held` tells of one.
    pub fn together(&self, held: fn(&Self) -> usize) -> usize {
        self.peers.values().map(|one| held(one)).sum::<usize>() + held(self)
    }

    /// Let the one that has most, the first if several do, give up its oldest.
    pub fn give_up_most(&mut self, held: fn(&Self) -> usize, give_up_oldest: fn(&mut Self)) {
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
                give_up_oldest(other);
                std::mem::swap(&mut self.found.tally, &mut other.found.tally);
            }
            None => give_up_oldest(self),
        }
    }
}

/// `host:port` of a packed address, IPv6 in brackets; empty without one.
fn endpoint(address: &Address, port: u16) -> String {
    let packed = address.bytes();
    if let Ok(bytes) = <[u8; 4]>::try_from(packed) {
        return format!("{}:{port}", Ipv4Addr::from(bytes));
    }
    match <[u8; 16]>::try_from(packed) {
        Ok(bytes) => format!("[{}]:{port}", ipv6_text(bytes)),
        Err(_) => String::new(),
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
