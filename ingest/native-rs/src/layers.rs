//! Twin of `ingest/_layers.py`: the tables of decoders, by what their numbers mean.

use crate::dissect::Dissector;
use crate::packet::{NOT_IP, NOT_OURS, Packet, Step};
use crate::{ip, links, tunnels, wireless};

/// Those of `decode`.
const LINK_TYPES: [u32; 21] =
    [0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 119, 127, 163, 166, 192, 204, 228, 229, 276];

/// Decode the header that a step names, and say what follows; what has no decoder is counted.
pub fn decode(step: Step, dissector: &mut Dissector, packet: &mut Packet<'_>) -> Step {
    match step {
        Step::Link(number) => match number {
            0 | 108 => links::loopback(dissector, packet),
            1 => links::ethernet(dissector, packet),
            9 | 50 => links::ppp(dissector, packet),
            12 | 14 | 101 | 228 | 229 => links::raw_ip(dissector, packet),
            51 => links::pppoe(dissector, packet),
            104 => links::cisco_hdlc(dissector, packet),
            105 => wireless::ieee_802_11(dissector, packet),
            113 => links::linux_cooked(dissector, packet),
            119 | 163 => wireless::prism(dissector, packet),
            127 => wireless::radiotap(dissector, packet),
            166 | 204 => links::ppp_with_direction(dissector, packet),
            192 => wireless::ppi(dissector, packet),
            276 => links::linux_cooked_2(dissector, packet),
            _ => dissector.skip(NOT_IP),
        },
        Step::Ethertype(number) => match number {
            4 => links::llc(dissector, packet),
            0x0800 => ip::ipv4(dissector, packet),
            0x6558 => links::ethernet(dissector, packet),
            0x86DD => ip::ipv6(dissector, packet),
            0x8847 | 0x8848 => links::mpls(dissector, packet),
            0x8864 => links::pppoe(dissector, packet),
            0x880B => links::ppp(dissector, packet),
            0x8100 | 0x88A8 | 0x9100 | 0x9200 => links::vlan(dissector, packet),
            _ => dissector.skip(NOT_IP),
        },
        Step::Protocol(number) => match number {
            0 | 43 | 60 | 135 | 139 | 140 => ip::ipv6_extension(dissector, packet),
            4 => ip::ipv4(dissector, packet),
            6 => ip::tcp(dissector, packet),
            17 => ip::udp(dissector, packet),
            41 => ip::ipv6(dissector, packet),
            44 => ip::ipv6_fragment(dissector, packet),
            47 => tunnels::gre(dissector, packet),
            50 => tunnels::esp(dissector, packet),
            51 => ip::authentication(dissector, packet),
            115 => tunnels::l2tp_over_ip(dissector, packet),
            132 => dissector.chunks(packet),
            137 => links::mpls(dissector, packet),
            _ => dissector.skip(NOT_OURS),
        },
        Step::Port(number) => match number {
            1701 => tunnels::l2tp(dissector, packet),
            ip::GTP_USER => tunnels::gtp_user(dissector, packet),
            4500 => tunnels::esp_over_udp(dissector, packet),
            4789 | 8472 => tunnels::vxlan(dissector, packet),
            4790 => tunnels::vxlan_gpe(dissector, packet),
            6081 => tunnels::geneve(dissector, packet),
            _ => dissector.skip(NOT_IP),
        },
        Step::Ppp(number) => match number {
            0x0021 => ip::ipv4(dissector, packet),
            0x0057 => ip::ipv6(dissector, packet),
            0x0281 | 0x0283 => links::mpls(dissector, packet),
            _ => dissector.skip(NOT_IP),
        },
        Step::Done => Step::Done,
    }
}

/// Whether there is a decoder for a link type.
pub fn is_link_type(number: u32) -> bool {
    LINK_TYPES.contains(&number)
}

/// Whether a tunnel has that UDP port.
pub fn is_tunnel(port: u16) -> bool {
    matches!(port, 1701 | ip::GTP_USER | 4500 | 4789 | 4790 | 6081 | 8472)
}

/// A link type by number and name.
pub fn link_type_named(number: u32) -> String {
    let name = match number {
        3 => "AX.25",
        6 => "Token Ring",
        7 => "ARCNET",
        8 => "SLIP",
        10 => "FDDI",
        100 => "ATM",
        107 => "Frame Relay",
        109 => "OpenBSD encapsulation",
        114 => "LocalTalk",
        117 => "OpenBSD pflog",
        140 => "MTP2",
        141 => "MTP3",
        142 => "SCCP",
        143 => "DOCSIS",
        144 => "IrDA",
        147 => "USER0",
        148 => "USER1",
        149 => "USER2",
        150 => "USER3",
        162 => "USER15",
        177 => "LAPD",
        187 => "Bluetooth HCI",
        189 => "Linux USB",
        195 => "IEEE 802.15.4",
        197 => "ERF",
        201 => "Bluetooth HCI with direction",
        203 => "LAPD",
        209 => "I2C",
        220 => "Linux USB, padded",
        227 => "SocketCAN",
        239 => "NFLOG",
        240 => "netANALYZER",
        243 => "MPEG-2 TS",
        247 => "Infiniband",
        248 => "SCTP",
        249 => "USBPcap",
        251 => "Bluetooth LE",
        252 => "Wireshark exported PDU",
        253 => "netlink",
        254 => "Bluetooth Linux monitor",
        258 => "Apple PKTAP",
        259 => "EPON",
        265 => "IEEE 802.15.4",
        272 => "nordic BLE",
        275 => "DOCSIS 3.1",
        280 => "NetBSD",
        289 => "Linux VSOCK",
        _ => "without a name that we know",
    };
    format!("link type {number} ({name})")
}
