"""Client software: ClientVersions with the type that UserAgentDef gives it (derivations.md sections 3.16, 3.17)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ._row import Client
from ._text import NAME_LENGTH, fit

if TYPE_CHECKING:
    from collections import Counter

UA_TYPES: Final[dict[str, int]] = {
    "mediationserver": 1,
    "av-mcu": 2,
    "oc": 4,
    "ocphone": 8,
    "lmc": 16,
    "dvt": 32,
    "mm": 64,
    "mc": 64,
    "attendant": 128,
    "conferencing_announcement_service_1.0": 256,
    "conferencing_attendant_1.0": 512,
    "conference_auto_attendant_1.0": 512,
    "response_group_service": 1024,
    "call_park_service_1.0": 1032,
    "response_group_service announcement_service": 1040,
    "microsoft.rtc.applications.ccs": 2048,
    "como": 16386,
    "cwa": 16387,
    "inboundrouting": 16388,
    "comosvc": 16389,
    "msexchangeum": 16393,
    "archivingagent": 16395,
    "st": 16396,
    "applicationsharing": 16397,
    "wplync": 16398,
    "iphonelync": 16399,
    "androidlync": 16400,
    "ipadlync": 16401,
    "nokialync": 16402,
    "lyncimm": 16403,
    "pcs": 16404,
    "lwa": 16405,
    "owa": 16406,
    "aoc": 16407,
    "gcc": 16408,
    "immcu": 16409,
    "xmpptgw": 16410,
    "gateway": 32769,
    "gatewaymediationserverpair": 32770,
}
"""UserAgentDef's UAName in lower case to its UAType (useragentdef.md)."""

# RFC 3261 section 25.1: products `token/version` and `(comments)`. Only the words matter here.
_WORDS = re.compile(r"\(([^()]*)\)|([^\s()]+)")


def client_of(value: str, column: str, counts: Counter[str] | None = None) -> Client | None:
    """The client that a User-Agent or Server value names; None if it is empty."""
    version = fit(value, NAME_LENGTH, column, counts)
    return None if version is None else Client(version, client_type(version))


def client_type(version: str) -> int | None:
    """The UAType of the first product name or comment word that UserAgentDef lists."""
    previous = ""
    for comment, product in _WORDS.findall(version.lower()):
        if comment:
            words = comment.split()
            candidates = ["_".join(words), " ".join(words), *words]
        else:
            name = product.partition("/")[0]
            candidates = [f"{previous} {name}", product, product.replace("/", "_"), name]
            previous = name
        for candidate in candidates:
            if candidate in UA_TYPES:
                return UA_TYPES[candidate]
    return None
