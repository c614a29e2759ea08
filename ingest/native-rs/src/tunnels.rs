//! Twin of `ingest/_tunnels.py`: GRE, ERSPAN, VXLAN, Geneve, GTP-U, L2TP, and ESP without a cipher.

use crate::dissect::Dissector;
use crate::ip::not_a_tunnel;
use crate::links::{looks_like_ethernet, looks_like_ip};
use crate::packet::{ETHERNET, IPV4, IPV6, NOT_IP, NOT_OURS, Packet, RAW_IP, Step, TOO_SHORT};

const PPP: Step = Step::Link(9);
const PPP_FRAME: u16 = 0x880B;
const ERSPAN: u16 = 0x88BE;
const ERSPAN_3: u16 = 0x22EB;
const CHECK_VALUES: [usize; 5] = [12, 16, 24, 32, 0];

pub fn gre(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let (at, end) = (packet.at, packet.end);
    if at + 4 > end {
        return dissector.skip(TOO_SHORT);
    }
    let (flags, kind) = (packet.u16(at), packet.u16(at + 2));
    let version = flags & 7;
    if version > 1 || flags & 0x4000 != 0 {
        return dissector.skip("GRE of another version or with a route");
    }
    let field = |flag: u16| if flags & flag != 0 { 4 } else { 0 };
    let numbered = flags & 0x1000 != 0;
    let mut size = 4 + field(0x8000) + field(0x2000) + field(0x1000);
    if version == 1 {
        size += field(0x80);
        if kind != PPP_FRAME || at + size > end {
            return dissector.skip(NOT_OURS);
        }
        packet.ends_at(at + size + usize::from(packet.u16(at + 4)));
    }
    packet.at = at + size;
    if kind == ERSPAN || kind == ERSPAN_3 {
        return erspan(dissector, packet, numbered, kind == ERSPAN_3);
    }
    Step::Ethertype(kind)
}

fn erspan(dissector: &mut Dissector, packet: &mut Packet<'_>, numbered: bool, third: bool) -> Step {
    let at = packet.at;
    if third {
        if at + 12 > packet.end {
            return dissector.skip(TOO_SHORT);
        }
        packet.at = at + if packet.byte(at + 11) & 1 != 0 { 20 } else { 12 };
        return if packet.byte(at + 10) >> 2 & 31 == 2 { RAW_IP } else { ETHERNET };
    }
    if numbered {
        packet.at = at + 8;
    }
    ETHERNET
}

pub fn vxlan(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 8 > packet.end || packet.byte(at) & 0x08 == 0 || packet.byte(at) & 0x74 != 0 {
        return not_a_tunnel(dissector, packet);
    }
    packet.at = at + 8;
    ETHERNET
}

pub fn vxlan_gpe(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 8 > packet.end || packet.byte(at) & 0xC0 != 0 {
        return not_a_tunnel(dissector, packet);
    }
    let following = match (packet.byte(at) & 0x04 != 0, packet.byte(at + 3)) {
        (false, _) | (true, 3) => ETHERNET,
        (true, 1) => IPV4,
        (true, 2) => IPV6,
        (true, 5) => Step::Ethertype(0x8847),
        _ => return dissector.skip(NOT_IP),
    };
    packet.at = at + 8;
    following
}

pub fn geneve(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 8 > packet.end || packet.byte(at) >> 6 != 0 {
        return not_a_tunnel(dissector, packet);
    }
    packet.at = at + 8 + usize::from(packet.byte(at) & 63) * 4;
    Step::Ethertype(packet.u16(at + 2))
}

pub fn gtp_user(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    let first = packet.byte(at);
    if at + 8 > packet.end || first & 0xF0 != 0x30 {
        return not_a_tunnel(dissector, packet);
    }
    if packet.byte(at + 1) != 0xFF {
        return dissector.skip("GTP-U without user data");
    }
    packet.ends_at(at + 8 + usize::from(packet.u16(at + 2)));
    let end = packet.end;
    let mut following = at + 8;
    if first & 7 != 0 {
        following = at + 12;
        let mut kind = if first & 4 != 0 && following <= end { packet.byte(at + 11) } else { 0 };
        while kind != 0 {
            let size = if following < end { usize::from(packet.byte(following)) * 4 } else { 0 };
            if size == 0 || following + size > end {
                return dissector.skip(TOO_SHORT);
            }
            following += size;
            kind = packet.byte(following - 1);
        }
    }
    packet.at = following;
    RAW_IP
}

pub fn l2tp(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let (at, end) = (packet.at, packet.end);
    if at + 8 > end {
        return not_a_tunnel(dissector, packet);
    }
    let flags = packet.u16(at);
    if flags & 0x8000 != 0 {
        return dissector.skip("L2TP control messages");
    }
    if flags & 15 == 3 {
        return session(dissector, packet, at + 8);
    }
    if flags & 15 != 2 || flags & 0x34F0 != 0 {
        return not_a_tunnel(dissector, packet);
    }
    if flags & 0x4000 != 0 {
        packet.ends_at(at + usize::from(packet.u16(at + 2)).max(8));
    }
    let mut size = 6 + if flags & 0x4000 != 0 { 2 } else { 0 } + if flags & 0x0800 != 0 { 4 } else { 0 };
    if flags & 0x0200 != 0 {
        if at + size + 2 > end {
            return dissector.skip(TOO_SHORT);
        }
        size += 2 + usize::from(packet.u16(at + size));
    }
    packet.at = at + size;
    PPP
}

pub fn l2tp_over_ip(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 8 > packet.end || packet.bytes(at, at + 4) == [0; 4] {
        return dissector.skip("L2TP control messages");
    }
    session(dissector, packet, at + 4)
}

fn session(dissector: &mut Dissector, packet: &mut Packet<'_>, at: usize) -> Step {
    for size in [0, 4, 8, 12] {
        let start = at + size;
        packet.at = start;
        if looks_like_ethernet(packet, start) {
            return ETHERNET;
        }
        let is_ppp = matches!(packet.bytes(start, start + 4), [0xFF, 3, 0, 0x21 | 0x57]);
        if is_ppp && looks_like_ip(packet, start + 4) {
            return PPP;
        }
        if looks_like_ip(packet, start) {
            return RAW_IP;
        }
    }
    dissector.skip("L2TPv3 of a session that can't be told")
}

pub fn esp(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let (at, end) = (packet.at + 8, packet.end);
    if !dissector.esp_null || packet.whole > end {
        return dissector.skip("ESP");
    }
    for check in CHECK_VALUES {
        // Where the check value begins, and the padding's length and the next header in front of it.
        let Some(last) = end.checked_sub(check).filter(|last| *last >= at + 2) else { continue };
        let padding = usize::from(packet.byte(last - 2));
        let following = packet.byte(last - 1);
        let Some(stop) = (last - 2).checked_sub(padding).filter(|stop| *stop >= at) else { continue };
        let counts_up = packet.bytes(stop, last - 2).iter().zip(1..).all(|(byte, number)| usize::from(*byte) == number);
        if (last - at) % 4 != 0 || !counts_up {
            continue;
        }
        if fits(&packet.part(at, stop), following) {
            packet.at = at;
            packet.ends_at(stop);
            return Step::Protocol(following);
        }
    }
    dissector.skip("ESP")
}

pub fn esp_over_udp(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if !dissector.esp_null || at + 8 > packet.end || packet.bytes(at, at + 4) == [0; 4] {
        return not_a_tunnel(dissector, packet);
    }
    esp(dissector, packet)
}

fn fits(inner: &Packet<'_>, protocol: u8) -> bool {
    let at = inner.at;
    let size = inner.end.saturating_sub(at);
    match protocol {
        4 | 41 => looks_like_ip(inner, at),
        17 => size >= 8 && usize::from(inner.u16(at + 4)) == size,
        6 => {
            let header = usize::from(inner.byte(at + 12) >> 4) * 4;
            size >= 20 && (20..=size).contains(&header) && inner.byte(at + 12) & 14 == 0
        }
        132 => size >= 16 && size.is_multiple_of(4),
        _ => false,
    }
}
