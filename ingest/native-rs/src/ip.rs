//! Twin of `ingest/_ip.py`: IPv4, IPv6 and its extension headers, UDP and TCP.

use crate::dissect::Dissector;
use crate::layers;
use crate::packet::{Address, NOT_IP, Packet, Step, TOO_SHORT};
use crate::scan::{FIRST_BYTE, is_start_line};

pub const GTP_USER: u16 = 2152;

const LINE: usize = 2048;

pub fn ipv4(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 20 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    let length = usize::from(packet.u16(at + 2));
    let identification = packet.u16(at + 4);
    let flags = packet.u16(at + 6);
    let header = usize::from(packet.byte(at) & 15) * 4;
    if packet.byte(at) >> 4 != 4 || header < 20 || at + header > packet.end {
        return dissector.skip(NOT_IP);
    }
    packet.ends_at(if length > 0 { at + length.max(header) } else { packet.end });
    let protocol = packet.byte(at + 9);
    packet.source = Address::of(packet.bytes(at + 12, at + 16));
    packet.destination = Address::of(packet.bytes(at + 16, at + 20));
    packet.at = at + header;
    if flags & 0x3FFF != 0 {
        let offset = usize::from(flags & 0x1FFF) * 8;
        if !dissector.joined(packet, protocol, u32::from(identification), offset, flags & 0x2000 != 0) {
            return Step::Done;
        }
    }
    Step::Protocol(protocol)
}

pub fn ipv6(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 40 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    if packet.byte(at) >> 4 != 6 {
        return dissector.skip(NOT_IP);
    }
    let length = usize::from(packet.u16(at + 4));
    packet.ends_at(if length > 0 { at + 40 + length } else { packet.end });
    packet.source = Address::of(packet.bytes(at + 8, at + 24));
    packet.destination = Address::of(packet.bytes(at + 24, at + 40));
    packet.at = at + 40;
    Step::Protocol(packet.byte(at + 6))
}

pub fn ipv6_extension(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    extension(dissector, packet, 1, 8)
}

pub fn authentication(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    extension(dissector, packet, 2, 4)
}

/// A header with the next one's number and its own length in units, so many of which aren't counted.
fn extension(dissector: &mut Dissector, packet: &mut Packet<'_>, uncounted: usize, unit: usize) -> Step {
    let at = packet.at;
    if at + 2 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    packet.at = at + (usize::from(packet.byte(at + 1)) + uncounted) * unit;
    Step::Protocol(packet.byte(at))
}

pub fn ipv6_fragment(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 8 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    let protocol = packet.byte(at);
    let place = packet.u16(at + 2);
    let identification = packet.u32(at + 4);
    packet.at = at + 8;
    if place & 0xFFF9 != 0 {
        let offset = usize::from(place & 0xFFF8);
        if !dissector.joined(packet, protocol, identification, offset, place & 1 != 0) {
            return Step::Done;
        }
    }
    Step::Protocol(protocol)
}

pub fn udp(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 8 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    let (source_port, destination_port) = (packet.u16(at), packet.u16(at + 2));
    let length = usize::from(packet.u16(at + 4));
    if length > 0 {
        packet.ends_at(at + length.max(8));
    }
    packet.at = at + 8;
    let mut port = 0;
    if layers::is_tunnel(destination_port) {
        port = destination_port;
    } else if source_port == GTP_USER && packet.at < packet.end && packet.byte(at + 8) & 0xF8 == 0x30 {
        port = source_port;
    }
    if port != 0 && !is_sip(packet) {
        return Step::Port(port);
    }
    dissector.found.datagram(packet, source_port, destination_port, "UDP");
    Step::Done
}

pub fn not_a_tunnel(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let ports = packet.at.saturating_sub(8);
    let (source_port, destination_port) = (packet.u16(ports), packet.u16(ports + 2));
    dissector.found.datagram(packet, source_port, destination_port, "UDP");
    Step::Done
}

pub fn tcp(dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    let at = packet.at;
    if at + 20 > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    let header = usize::from(packet.byte(at + 12) >> 4) * 4;
    if header < 20 || at + header > packet.end {
        return dissector.skip(TOO_SHORT);
    }
    dissector.segment(packet, header);
    Step::Done
}

fn is_sip(packet: &Packet<'_>) -> bool {
    let at = packet.at;
    if at >= packet.end || !FIRST_BYTE[usize::from(packet.byte(at))] {
        return false;
    }
    let mut line = packet.bytes(at, packet.end.min(at + LINE));
    while let [b'\r' | b'\n', rest @ ..] = line {
        line = rest;
    }
    let end = memchr::memchr(b'\n', line).unwrap_or(line.len());
    is_start_line(&line[..end])
}
