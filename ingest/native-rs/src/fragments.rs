//! Twin of `ingest/_fragments.py`.

use crate::dissect::Dissector;
use crate::packet::Packet;

#[derive(Default)]
pub struct Fragments {
    /// Protocols and packets of datagrams that were given up of which the beginning is there, to be taken from here.
    pub lost: Vec<(u8, Packet<'static>)>,
    pub held: usize,
}

impl Dissector {
    /// Take in an IP fragment; true when the packet has become the whole datagram.
    pub fn joined(
        &mut self,
        _packet: &mut Packet<'_>,
        _protocol: u8,
        _identification: u32,
        _offset: usize,
        _more: bool,
    ) -> bool {
        false
    }

    pub fn flush_fragments(&mut self) {}
}
