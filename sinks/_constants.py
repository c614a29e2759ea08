"""Constant rows: what Microsoft's documentation lists for the small tables, written by id.

Sources: uritypes.md, callpriorities.md, medialist.md, tenants.md (its keys; the ids are ours), useragentdef.md.
"""

from __future__ import annotations

from typing import Final

MEDIA_NAMES: Final = (
    "IM",
    "File Transfer",
    "Remote Assistance",
    "Application Sharing",
    "Audio",
    "Video",
    "App Invite",
)
"""MediaList: MediaId 1 to 7, whose bit in MediaTypes is 2 to the power (MediaId - 1)."""

CONSTANT_ROWS: Final[dict[str, tuple[tuple[int | str, ...], ...]]] = {
    "Tenants": (
        (1, "00000000-0000-0000-0000-000000000000"),
        (2, "00000000-0000-0000-0000-000000000001"),
        (3, "00000000-0000-0000-0000-000000000002"),
        (4, "00000000-0000-0000-0000-000000000003"),
    ),
    "UriTypes": ((0, "Phone Uri"), (1, "User Uri")),
    "CallPriorities": ((0, "Unknown"), (1, "Non-Urgent"), (2, "Normal"), (3, "Urgent"), (4, "Emergency")),
    "MediaList": tuple(enumerate(MEDIA_NAMES, 1)),
    "UserAgentDef": (
        (1, "MediationServer", "MediationServer"),
        (2, "AV-MCU", "AV-MCU"),
        (4, "OC", "OC"),
        (8, "OCPhone", "OCPhone"),
        (16, "LMC", "LMC"),
        (32, "DVT", "DVT"),
        (64, "MM", "MM"),
        (64, "MC", "MM"),
        (128, "Attendant", "Attendant"),
        (256, "Conferencing_Announcement_Service_1.0", "CAS"),
        (512, "Conferencing_Attendant_1.0", "CAA"),
        (512, "Conference_Auto_Attendant_1.0", "CAA"),
        (1024, "Response_Group_Service", "RGS"),
        (1032, "Call_Park_Service_1.0", "CPS"),
        (1040, "Response_Group_Service Announcement_Service", "AS"),
        (2048, "Microsoft.Rtc.Applications.Ccs", "CCS"),
        (16386, "CoMo", "CoMo"),
        (16387, "CWA", "CWA"),
        (16388, "InboundRouting", "InboundRouting"),
        (16389, "ComoSvc", "ComoSvc"),
        (16393, "MSExchangeUM", "ExUM"),
        (16395, "ArchivingAgent", "ARCHAGENT"),
        (16396, "ST", "ST"),
        (16397, "applicationsharing", "ASMCU"),
        (16398, "WPLync", "WPLync"),
        (16399, "iPhoneLync", "iPhoneLync"),
        (16400, "AndroidLync", "AndroidLync"),
        (16401, "iPadLync", "iPadLync"),
        (16402, "NokiaLync", "NokiaLync"),
        (16403, "LyncImm", "LyncImm"),
        (16404, "PCS", "PCS"),
        (16405, "LWA", "LWA"),
        (16406, "OWA", "OWA"),
        (16407, "AOC", "AOC"),
        (16408, "GCC", "GCC"),
        (16409, "IMMCU", "IMMCU"),
        (16410, "XmppTGW", "XmppGateway"),
        (32769, "Gateway", "Gateway"),
        (32770, "GatewayMediationServerPair", "GatewayMediationServerPair"),
    ),
}
"""Rows by table, in the order of its columns. Rows that are there, and ids beyond these, are left alone."""
