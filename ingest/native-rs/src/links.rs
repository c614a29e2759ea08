//! Twin of `ingest/_links.py`: Ethernet and its tags, 802.2, cooked captures, loopback, PPP, and MPLS.

use crate::dissect::Dissector;
use crate::packet::{ETHERNET, IPV4, IPV6, NOT_IP, Packet, RAW_IP, Step, TOO_SHORT};

const LONGEST_802_3: u16 = 1500;
pub const LLC: Step = Step::Ethertype(4);

pub fn ethernet(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    typed(dissector, packet, 14)
}

pub fn vlan(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    typed(dissector, packet, 4)
}

pub fn cisco_hdlc(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    typed(dissector, packet, 4)
}

fn typed(dissector: &mut Dissector, packet: &mut Packet<'_>, size: usize) -> Step {
    let at = packet.at + size;
    if at > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    packet.at = at;
    let kind = packet.u16(at - 2);
    if kind <= LONGEST_802_3 {
        packet.ends_at(at + usize::from(kind));
        return LLC;
    }
    Step::Ethertype(kind)
}

pub fn llc(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    let kind = match packet.bytes(at, packet.end.min(at + 8)) {
        [0xAA, 0xAA, 3, 0, 0, 0 | 0xF8, high, low] => Some(u16::from_be_bytes([*high, *low])),
        [6, 6, 3, ..] => None,
        _ => return dissector.skip(NOT_IP),
    };
    match kind {
        Some(kind) => {
            packet.at = at + 8;
            Step::Ethertype(kind)
        }
        None => {
            packet.at = at + 3;
            IPV4
        }
    }
}

pub fn linux_cooked(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at + 16;
    if at > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    packet.at = at;
    Step::Ethertype(packet.u16(at - 2))
}

pub fn linux_cooked_2(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 20 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    packet.at = at + 20;
    Step::Ethertype(packet.u16(at))
}

pub fn raw_ip(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    if packet.at >= packet.end {
        return dissector.skip(TOO_SHORT);
    }
    match packet.byte(packet.at) >> 4 {
        4 => IPV4,
        6 => IPV6,
        _ => dissector.skip(NOT_IP),
    }
}

pub fn loopback(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at + 4;
    if at > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    packet.at = at;
    let family = match packet.bytes(at - 4, at) {
        [first, 0, 0, last] => *first.max(last),
        _ => 0,
    };
    match family {
        2 => IPV4,
        10 | 24 | 28 | 30 => IPV6,
        _ => dissector.skip(NOT_IP),
    }
}

pub fn ppp(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let (mut at, end) = (packet.at, packet.end);
    match packet.bytes(at, at + 2) {
        [0xFF, 3] => at += 2,
        [0x0F | 0x8F, 0] => return cisco_hdlc(dissector, packet),
        _ => {}
    }
    let size = if at < end && packet.byte(at) & 1 != 0 { 1 } else { 2 };
    if at + size > end {
        return dissector.skip(TOO_SHORT);
    }
    packet.at = at + size;
    Step::Ppp(if size == 1 { u16::from(packet.byte(at)) } else { packet.u16(at) })
}

pub fn ppp_with_direction(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    if packet.at + 2 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    packet.at += if packet.byte(packet.at + 1) == 3 { 2 } else { 1 };
    ppp(dissector, packet)
}

pub fn pppoe(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 6 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    if packet.byte(at) != 0x11 || packet.byte(at + 1) != 0 {
        return dissector.skip(NOT_IP);
    }
    packet.at = at + 6;
    packet.ends_at(packet.at + usize::from(packet.u16(at + 4)));
    ppp(dissector, packet)
}

pub fn mpls(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 4 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    packet.at = at + 4;
    if packet.byte(at + 2) & 1 == 0 {
        return Step::Ethertype(0x8847);
    }
    if at + 8 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    if looks_like_ip(packet, at + 4) {
        return RAW_IP;
    }
    if packet.byte(at + 4) >> 4 == 0 && !looks_like_ethernet(packet, at + 4) {
        packet.at = at + 8;
    }
    ETHERNET
}

pub fn looks_like_ip(packet: &Packet<'_>, at: usize) -> bool {
    if at + 20 > packet.end {
        return false;
    }
    let rest = packet.whole.saturating_sub(at);
    let length = usize::from(packet.u16(at + 2));
    if packet.byte(at) >> 4 == 4 {
        let header = usize::from(packet.byte(at) & 15) * 4;
        return 20 <= header && header <= length && length <= rest;
    }
    let payload = usize::from(packet.u16(at + 4));
    packet.byte(at) >> 4 == 6 && at + 40 <= packet.end && payload + 40 <= rest
}

pub fn looks_like_ethernet(packet: &Packet<'_>, at: usize) -> bool {
    let mut at = at + 12;
    while matches!(packet.bytes(at, at + 2), [0x81, 0] | [0x88, 0xA8]) {
        at += 4;
    }
    match packet.bytes(at, at + 2) {
        [8, 0] | [0x86, 0xDD] => looks_like_ip(packet, at + 2),
        kind => {
            kind == [0x88, 0x47]
                || packet.bytes(at, at + 4) == [0x88, 0x64, 0x11, 0]
                || packet.bytes(at + 2, at + 5) == [0xAA, 0xAA, 3]
        }
    }
}
