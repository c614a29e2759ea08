//! Twin of `ingest/_tcp.py`.

use crate::dissect::Dissector;
use crate::packet::Packet;

#[derive(Default)]
pub struct Streams {
    pub held: usize,
}

impl Dissector {
    /// Take in the TCP segment at `packet.at` whose header is that long.
    pub fn segment(&mut self, _packet: &Packet<'_>, _header: usize) {}

    pub fn flush_streams(&mut self) {}
}
