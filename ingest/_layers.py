"""The headers around a payload, as tables of decoders: the general road of a frame.

A decoder reads one header at `packet.at`, moves `packet.at` behind it and names the table and the number of what
follows, or None where it ends: nothing of ours, or handed over to the dissector. A new link type, ethertype, IP
protocol or a tunnel on a UDP port is one function in a module beside this one and one line in a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import _ip, _links, _tunnels, _wireless
from ._sctp import sctp

if TYPE_CHECKING:
    from ._packet import Decoder

LINK_TYPES: Final[dict[int, Decoder]] = {
    0: _links.loopback,
    1: _links.ethernet,
    9: _links.ppp,
    12: _links.raw_ip,  # DLT_RAW as some systems write it into files
    14: _links.raw_ip,  # the same of OpenBSD
    50: _links.ppp,
    51: _links.pppoe,
    101: _links.raw_ip,
    104: _links.cisco_hdlc,
    105: _wireless.ieee_802_11,
    108: _links.loopback,
    113: _links.linux_cooked,
    119: _wireless.prism,
    127: _wireless.radiotap,
    163: _wireless.prism,  # AVS
    166: _links.ppp_with_direction,
    192: _wireless.ppi,
    204: _links.ppp_with_direction,
    228: _links.raw_ip,
    229: _links.raw_ip,
    276: _links.linux_cooked_2,
}
"""https://www.tcpdump.org/linktypes.html"""

ETHERTYPES: Final[dict[int, Decoder]] = {
    _links.LLC: _links.llc,
    0x0800: _ip.ipv4,
    0x6558: _links.ethernet,  # transparent Ethernet bridging in GRE and Geneve
    0x8100: _links.vlan,
    0x86DD: _ip.ipv6,
    0x8847: _links.mpls,
    0x8848: _links.mpls,
    0x8864: _links.pppoe,
    0x880B: _links.ppp,  # in GRE
    0x88A8: _links.vlan,
    0x9100: _links.vlan,  # QinQ before 802.1ad
    0x9200: _links.vlan,
}

IP_PROTOCOLS: Final[dict[int, Decoder]] = {
    0: _ip.ipv6_extension,  # hop-by-hop options
    4: _ip.ipv4,  # RFC 2003, and in IPv6 RFC 2473
    6: _ip.tcp,
    17: _ip.udp,
    41: _ip.ipv6,  # 6in4: RFC 4213
    43: _ip.ipv6_extension,  # routing
    44: _ip.ipv6_fragment,
    47: _tunnels.gre,
    50: _tunnels.esp,
    51: _ip.authentication,
    60: _ip.ipv6_extension,  # destination options
    115: _tunnels.l2tp_over_ip,
    132: sctp,
    135: _ip.ipv6_extension,  # mobility
    137: _links.mpls,  # RFC 4023
    139: _ip.ipv6_extension,  # HIP
    140: _ip.ipv6_extension,  # shim6
}

UDP_PORTS: Final[dict[int, Decoder]] = {
    1701: _tunnels.l2tp,
    _ip.GTP_USER: _tunnels.gtp_user,
    4500: _tunnels.esp_over_udp,
    4789: _tunnels.vxlan,
    4790: _tunnels.vxlan_gpe,
    6081: _tunnels.geneve,
    8472: _tunnels.vxlan,  # Linux's own, from before there was a number
}
"""Tunnels, by destination port; GTP-U's also by its source port."""

PPP_PROTOCOLS: Final[dict[int, Decoder]] = {
    0x0021: _ip.ipv4,
    0x0057: _ip.ipv6,
    0x0281: _links.mpls,
    0x0283: _links.mpls,
}
"""https://www.iana.org/assignments/ppp-numbers"""

TABLES: Final = (LINK_TYPES, ETHERTYPES, IP_PROTOCOLS, UDP_PORTS, PPP_PROTOCOLS)
"""By the numbers that `_packet` names: LINK, ETHERTYPE, PROTOCOL, PORT, PPP."""

_LINK_TYPE_NAMES: Final[dict[int, str]] = {
    3: "AX.25",
    6: "Token Ring",
    7: "ARCNET",
    8: "SLIP",
    10: "FDDI",
    100: "ATM",
    107: "Frame Relay",
    109: "OpenBSD encapsulation",
    114: "LocalTalk",
    117: "OpenBSD pflog",
    140: "MTP2",
    141: "MTP3",
    142: "SCCP",
    143: "DOCSIS",
    144: "IrDA",
    147: "USER0",
    148: "USER1",
    149: "USER2",
    150: "USER3",
    162: "USER15",
    177: "LAPD",
    187: "Bluetooth HCI",
    189: "Linux USB",
    195: "IEEE 802.15.4",
    197: "ERF",
    201: "Bluetooth HCI with direction",
    203: "LAPD",
    209: "I2C",
    220: "Linux USB, padded",
    227: "SocketCAN",
    239: "NFLOG",
    240: "netANALYZER",
    243: "MPEG-2 TS",
    247: "Infiniband",
    248: "SCTP",
    249: "USBPcap",
    251: "Bluetooth LE",
    252: "Wireshark exported PDU",
    253: "netlink",
    254: "Bluetooth Linux monitor",
    258: "Apple PKTAP",
    259: "EPON",
    265: "IEEE 802.15.4",
    272: "nordic BLE",
    275: "DOCSIS 3.1",
    280: "NetBSD",
    289: "Linux VSOCK",
}


def link_type_named(number: int) -> str:
    """A link type by number and name."""
    return f"link type {number} ({_LINK_TYPE_NAMES.get(number, 'without a name that we know')})"
