//! Twin of `ingest/_sctp.py`.

use crate::dissect::Dissector;
use crate::packet::{Packet, Step};

#[derive(Default)]
pub struct Associations {
    pub held: usize,
}

impl Dissector {
    /// Take in a packet of SCTP.
    pub fn chunks(&mut self, _packet: &Packet<'_>) -> Step {
        Step::Done
    }

    pub fn flush_associations(&mut self) {}
}
