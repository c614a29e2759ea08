//! Twin of `ingest/_wireless.py`: IEEE 802.11 without encryption, bare or behind radiotap, PPI, AVS, Prism.

use crate::dissect::Dissector;
use crate::links::LLC;
use crate::packet::{NOT_IP, Packet, Step, TOO_SHORT};

const DATA: u8 = 2;
const QOS: u8 = 8;
const NO_DATA: u8 = 4;
const BOTH_WAYS: u8 = 3;
const MORE_FRAGMENTS: u8 = 4;
const PROTECTED: u8 = 0x40;
const ORDER: u8 = 0x80;
const AGGREGATED: u8 = 0x80;
const SNAP: &[u8] = b"\xAA\xAA\x03";

const STEP_80211: Step = Step::Link(105);

pub fn radiotap(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 8 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    packet.at = at + usize::from(packet.u16(at + 2).swap_bytes()).max(8);
    STEP_80211
}

pub fn ppi(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 8 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    packet.at = at + usize::from(packet.u16(at + 2).swap_bytes()).max(8);
    Step::Link(packet.u32(at + 4).swap_bytes())
}

pub fn prism(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 8 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    let length = packet.u32(at + 4);
    let big = matches!(packet.bytes(at, at + 3), [0, 0, 0] | [0x80, 0x21, 0x10]);
    let size = if big { length } else { length.swap_bytes() };
    packet.at = at.saturating_add((size as usize).max(8));
    STEP_80211
}

pub fn ieee_802_11(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at.saturating_add(24) > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    let (control, flags) = (packet.byte(at), packet.byte(at + 1));
    let subtype = control >> 4;
    if control & 3 != 0 || control >> 2 & 3 != DATA || subtype & NO_DATA != 0 {
        return dissector.skip("802.11 without data");
    }
    if flags & PROTECTED != 0 {
        return dissector.skip("802.11, encrypted");
    }
    if flags & MORE_FRAGMENTS != 0 || packet.byte(at + 22) & 15 != 0 {
        return dissector.skip("802.11 fragments");
    }
    let mut size = if flags & BOTH_WAYS == BOTH_WAYS { 30 } else { 24 };
    let mut aggregated = false;
    if subtype & QOS != 0 {
        aggregated = at + size < packet.end && packet.byte(at + size) & AGGREGATED != 0;
        size += if flags & ORDER != 0 { 6 } else { 2 };
    }
    if aggregated {
        return take_apart(dissector, packet, at + size);
    }
    if size % 4 != 0
        && packet.bytes(at + size, at + size + 3) != SNAP
        && packet.bytes(at + size + 2, at + size + 5) == SNAP
    {
        size += 2;
    }
    packet.at = at + size;
    LLC
}

fn take_apart(dissector: &mut Dissector, packet: &Packet<'_>, at: usize) -> Step {
    let packet = packet.held();
    let mut at = at;
    let mut found = false;
    while at + 14 <= packet.end {
        let length = usize::from(packet.u16(at + 12));
        at += 14;
        if length == 0 || at + length > packet.whole {
            break;
        }
        found = true;
        dissector.also(LLC, packet.part(at, at + length));
        at += length + (4 - (14 + length) % 4) % 4;
    }
    if found { Step::Done } else { dissector.skip(NOT_IP) }
}
