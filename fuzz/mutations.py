"""Calls that no telephone makes, to hold the kernel's derivation to the Python that defines it.

    nice python -m fuzz.mutations [--calls 1000000] [--seed 1]

Each is made of the facts of one scenario or several under one Call-ID: some dropped, doubled, moved in time, with other
tags, numbers, statuses, kept headers and bodies, among them values that are odd. The first call of which the rows or
the counts differ is written to build/fuzz/packed-SEED, with how it differs on stderr, and the exit status is 1; once
mended, it goes into fuzz/found/, which the tests run.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sipcdr.builder import Call, Ignore, Rules, sessions
from sipcdr.builder._call import Call as PythonCall
from sipcdr.builder._call import Slim, _Packed
from sipcdr.builder._errors import CallDamaged
from sipcdr.builder._facts import METHODS, Details, Fact, details_of
from sipcdr.builder._sessions import python_sessions
from tests.scenarios.every import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER: Final = Path("build/fuzz")
CALL_ID: Final = b"1@x.example"

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_SECOND: Final = 1_000_000
_GREATEST: Final = (1 << 63) - 1
_JUMPS: Final = [
    sign * jump + near
    for jump in (0, 500_000, _SECOND, 32 * _SECOND, 64 * _SECOND, 180 * _SECOND, 3600 * _SECOND, 86_400 * _SECOND)
    for sign in (1, -1)
    for near in (-1, 0, 1)
]
_TAGS: Final = [b"", b"0", b"a", b"b", b"c", b"p", b"A", b"\xff\x00", b"t" * 128, b"t" * 127 + b"u"]
_STATUSES: Final = [0, 0, 0, 100, 180, 183, 199, 200, 200, 202, 299, 300, 302, 401, 407, 408, 415, 420, 484, 486, 487]
_STATUSES_BEYOND: Final = [1, 99, 500, 503, 599, 600, 603, 699]

# What the rules look for in values, what parts them, and what Python's str treats in ways of its own.
_PIECES: Final = [
    *("<", ">", ",", ";", ":", "=", '"', '\\"', "@", "[", "]", "%41", "%40", "+", "-", "*", "(", ")", "/", " ", "\t"),
    *("sip:", "SIPS:", "tel:", "user=phone", "a", "B", "anonymous", "anonymous.invalid", "x.example", "+4930", "5060"),
    *("İ", "Σ", "ΑΣ", "\u212a", "ß", "\x1c", "\x85", "\xa0", "\u2028", "\u3000", "😀", "é", "\x00", "\x7f", "\ufffe"),
    *("epid=", "7c41d09ae2", "gruu", "opaque=", "user:epid:", "srvr:x:", "HLURU6k5h1iyLNo-r1bkrAAA", "urn:uuid:"),
    *(
        "+sip.instance=",
        "gr=",
        "ms-fe=",
        "ms-ep-fqdn=",
        "ms-media-location-type=",
        "intranet",
        "Internet",
        "remoteuser",
    ),
    *("5c3e9a10-7d42-4b61-9f0e-2a8b71c4d9e3", "{", "}", "0" * 32, "4294967295-1-2-3", "4294967296-0-0-0", "1-2-3"),
    *("52094", "2147483647", "2147483648", "9" * 33, "source=", "reason=", "to-tag=", "from-tag=", "early-only", "q@x"),
    *("UCCAPI/16.0", "OC/16.0", "RTC/6", "RTCC/6.0.0.0", "MediationServer", "response_group_service", "(Conferencing "),
    *(
        "announcement_service",
        "text/plain",
        "application/sdp",
        "application/csta+xml",
        "message/imdn+xml",
        "call-type=",
    ),
    *("audiovideo", "application/im-iscomposing+xml", "urgent", "Non-Urgent", "1800", "999999999999", "refresher=uac"),
    *("rgs.anonymization", "ms-text-format", "ms-embedded-first-message", "opaque=app:conf:focus", "sip/fe.x.example"),
    *("192.0.2.1", "10.0.0.1", "[2001:db8::1]", "[fe80::1%1]", "::ffff:192.0.2.1", "1.2.3", "01.2.3.4", "localhost"),
    *("x" * 300, "é" * 300, "😀" * 150),
]
_M_LINES: Final = ["audio 5004", "video 5006", "audio 0", "message 5000", "message 5000 f", "x-ms-message 1", "data 00"]
_M_LINES_ODD: Final = ["applicationsharing 1", "applicationsharing-video 0", "text 9", "audio ", "message 0 f", "", "a"]
_GUIDS: Final = ["5d3e02ab-6190-11d3-bbbb-00c04f795683", "56b994a7-380f-410b-9985-c809d78c1bdc", "f1b1", "", "{ }"]

_SAID: Final = {
    "content_type": [
        "application/csta+xml",
        "APPLICATION/SDP;call-type=AudioVideo",
        "text/plain; charset=utf-8",
        "none",
    ],
    "contact": [
        "<sip:a@x.example;opaque=user:epid:HLURU6k5h1iyLNo-r1bkrAAA;gruu>",
        "<sip:a@x.example;OPAQUE=User:Epid:HLURU6k5h1iyLNo_r1bkrAA/===;GRUU>",
        "<sip:a@x.example;gruu;opaque=srvr:HomeServer:HLURU6k5h1iyLNo-r1bkrAAA>",
        "<sip:a@x.example;gruu;opaque=srvr:HomeServer:HLURU6k5h1iyLNo-r1bkrAA>",
        '<sip:a@x.example>;+sip.instance="<urn:uuid:5C3E9A107D424B619F0E2A8B71C4D9E3>"',
        "<sip:a@x.example;gr=urn:uuid:5c3e9a10-7d42-4b61-9f0e-2a8b71c4d9e3>",
    ],
    "record_route": ["<sip:pool3.x.example:5061;transport=tls;ms-fe=FE2.x.example;lr>", "<sip:[2001:db8::1]:5060;lr>"],
    "edge_trust": ["ms-source-type=AutoFederation;ms-ep-fqdn=Edge.x.example;ms-source-verified-user=verified"],
    "location_data": ["ms-media-location-type=Intranet", "ms-subnet=1;ms-media-location-type=internet", "a=b"],
    "logon_data": ["RemoteUser", "inside"],
    "user_agent": ["UCCAPI/16.0.5100.1000 OC/16.0.5100.1000 (Skype for Business)", "x (OC) y", "CPE/1.2 OCPhone/4.0"],
    "server": [
        "RTCC/6.0.0.0 MediationServer",
        "A (Conferencing Announcement Service 1.0)",
        "RESPONSE_GROUP_SERVICE/1 ()",
    ],
    "diagnostics": ["52094;reason=x", " 24;source=y", "24.5", "x", "99999999999"],
    "session_expires": ["1800;refresher=uac", "90", "x", "999999999999999"],
    "replaces": [
        "2@x.example;to-tag=b;from-tag=a",
        "2@x.example;from-tag=0;to-tag=" + "t" * 200,
        "2;to-tag=a;to-tag=b",
    ],
    "priority": ["emergency", "URGENT ", "non-urgent", "normal", "odd"],
    "asserted": [
        '"A"<sip:answering@x.example>,<tel:+4930551>',
        "<tel:+4930551>",
        "<sip:+4930551@x.example;user=phone>",
    ],
    "from_": [
        "<sip:anonymous@anonymous.invalid>;tag=a",
        '"A" <sip:a@x.example>;tag=a;epid=7c41d09ae2',
        "tel:+49-30;tag=a",
    ],
    "to": ["<sip:b@x.example;opaque=app:conf:focus:id:7>", "<SIP:b@x.example>;epid=7C41", "<sip:%62%40@[::1]:5060>"],
    "supported": ["ms-text-format", "100rel,ms-embedded-first-message"],
    "embedded": ["text/plain; charset=utf-8", "message/imdn+xml"],
    "session_id": ["ab" * 16 + ";remote=" + "0" * 32, "0" * 32, "x"],
    "cisco_guid": ["4294967295-1-2-3", "4294967296-1-2-3", "1-2-3", "1-2-3-4-5"],
    "call_info": ["RGS.Anonymization"],
    "auth_target": ["sip/FE.x.example", "fe"],
}
_CALL_IDS: Final = [CALL_ID] * 20 + [b"", b";", b"x" * 770, b"x" * 800]

RULES: Final = [
    Rules(),
    Rules(t1=0, maximum_age=0),
    Rules(t1=1, maximum_age=1_800 * _SECOND),
    Rules(t1=5 * _SECOND),
    Rules(networks=("192.0.2.0/25", "2001:db8::/32")),
    Rules(networks=("10.0.0.0/8", "fe80::/10", "::ffff:0:0/96")),
    Rules(hosts={"192.0.2.97": ("pbx1", "pool"), "x.example": ("Proxy", None), "2001:db8::1": ("six", "")}),
    Rules(hosts={"192.0.2.98": ("\u212a" * 300, "p" * 257), "localhost": ("", None)}),
    Rules(ignore=Ignore(users=("A", "b@x.example", "+4930"))),
    Rules(ignore=Ignore(addresses=("192.0.2.97/32", "2001:db8::1/128", "10.0.0.0/9"))),
    Rules(ignore=Ignore(user_agents=("*oc/16*", "x*", "(*)", "\u0130*"))),
    Rules(ignore=Ignore(user_agents=("uccapi", "*a*b*", "**"), users=("anonymous",))),
    Rules(networks=("192.0.2.64/26",), ignore=Ignore(addresses=("192.0.2.0/27",))),
]


@functools.cache
def _base() -> list[list[Fact]]:
    """The facts of each call of each scenario."""
    found = []
    for scenario in SCENARIOS:
        calls: dict[bytes, PythonCall] = {}
        for message in scenario.messages():
            calls.setdefault(message.call_id, PythonCall(message.call_id)).add(message)
        found += [call.facts for call in calls.values() if len(call.facts) < 200]
    return found


@functools.cache
def _kept() -> dict[str, list[Any]]:
    """Of each field of `Details` the values that the scenarios have."""
    found: dict[str, dict[Any, None]] = {}
    for facts in _base():
        for fact in facts:
            for name, value in msgspec.structs.asdict(details_of(fact)).items():
                found.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in found.items()}


def changed(chance: Random) -> bytes:
    """A packed call. The same chance makes the same one."""
    base = _base()
    facts: list[Fact] = []
    for _ in range(chance.choice([1, 1, 1, 2, 2, 3])):
        jump = chance.choice(_JUMPS) if facts else 0
        renamed = {tag: chance.choice([tag, tag, *_TAGS]) for tag in _TAGS} if chance.random() < 0.3 else {}
        for fact in chance.choice(base):
            tags = {name: renamed.get(getattr(fact, name), getattr(fact, name)) for name in ("from_tag", "to_tag")}
            facts.append(msgspec.structs.replace(fact, time=fact.time + jump, **tags))
    for _ in range(chance.choice([0, 1, 2, 3, 5, 8, 13, 21])):
        _change(facts, chance)
    slims = list(_slims(facts, chance)) if chance.random() < 0.15 else []
    return _ENCODE(_Packed(1, chance.choice(_CALL_IDS), 0, facts, slims))


def _change(facts: list[Fact], chance: Random) -> None:
    if not facts:
        return
    at = chance.randrange(len(facts))
    fact = facts[at]
    what = chance.random()
    if what < 0.15:
        del facts[at]
    elif what < 0.3:
        facts.append(msgspec.structs.replace(fact, time=fact.time + chance.choice(_JUMPS), vias=chance.randrange(5)))
    elif what < 0.75:
        name = chance.choice(Fact.__struct_fields__)
        facts[at] = msgspec.structs.replace(fact, **{name: _other(name, fact, facts, chance)})
    else:
        details = msgspec.structs.replace(details_of(fact), **_other_details(chance))
        facts[at] = msgspec.structs.replace(fact, details=_ENCODE(details))


def _other(name: str, fact: Fact, facts: list[Fact], chance: Random) -> int | bytes:
    """Another value of a fact's field."""
    other = chance.choice(facts)
    match name:
        case "time":
            return chance.choice([fact.time, other.time]) + chance.choice(_JUMPS)
        case "from_tag" | "to_tag":
            return chance.choice([other.from_tag, other.to_tag, chance.choice(_TAGS)])
        case "cseq":
            return min(max(0, chance.choice([fact.cseq + 1, fact.cseq - 1, other.cseq, 1, 2, _GREATEST])), _GREATEST)
        case "method":
            return chance.choice([other.method, chance.randrange(len(METHODS))])
        case "status":
            return chance.choice(_STATUSES * 3 + _STATUSES_BEYOND)
        case "vias":
            return chance.choice([0, 1, 2, 3, (1 << 32) - 1])
        case _:
            return other.details


def _other_details(chance: Random) -> dict[str, Any]:
    name = chance.choice(Details.__struct_fields__)
    if chance.random() < 0.5:
        value = chance.choice(
            [*_SAID.get(name, ()), *(_kept()[name] if chance.random() < 0.5 or name not in _SAID else ())]
        )
        return {name: (value,) if name == "replaces" and isinstance(value, str) else value}
    match name:
        case "has_body" | "front_end" | "file_transfer" | "conference":
            return {name: chance.random() < 0.7}
        case "sdp":
            lines = [*_M_LINES, *_M_LINES_ODD]
            return {
                "sdp": tuple(
                    ";".join(chance.choices(lines, k=chance.randrange(4))) for _ in range(chance.choice([1, 1, 2, 3]))
                ),
                "has_body": True,
            }
        case "replaces":
            return {name: tuple(_text(chance) for _ in range(chance.choice([1, 1, 2])))}
        case "invitation":
            command = chance.choice(["invite", "accept", "cancel"])
            return {name: (chance.choice(_GUIDS), chance.choice(["file transfer", "netmeeting", ""]), command)}
        case "source" | "destination":
            return {name: chance.choice(_PIECES) + chance.choice([":5060", "", "%", ":"])}
        case _:
            return {name: _text(chance)}


def _text(chance: Random) -> str:
    return "".join(chance.choices(_PIECES, k=chance.choice([0, 1, 1, 2, 3, 5, 8])))[:1024]


def _slims(facts: list[Fact], chance: Random) -> Iterator[Slim]:
    for _ in range(chance.randrange(1, 12)):
        if facts:
            fact = chance.choice(facts)
            tags = [fact.from_tag, fact.to_tag, chance.choice(_TAGS)]
            yield Slim(
                fact.time + chance.choice(_JUMPS),
                chance.choice(tags),
                chance.choice(tags),
                fact.cseq + chance.randrange(3) if fact.cseq < 1 << 62 else 1,
                chance.choice([0, 0, 0, 401, 407]),
                chance.random() < 0.7,
                chance.choice(["", "", "a@x.example", "b@x.example"]),
            )


def difference(packed: bytes, rules: Rules) -> str:
    """How the rows of a packed call differ from those by the Python, or empty."""
    pythons = _derived(PythonCall, packed, rules, python_sessions)
    kernels = _derived(Call, packed, rules, sessions)
    return "" if kernels == pythons else f"the kernel:\n{kernels}\nthe Python:\n{pythons}"


def _derived(kind: Any, packed: bytes, rules: Rules, derive: Callable[..., Any]) -> str:
    counts: Counter[str] = Counter()
    try:
        rows = derive(kind.from_bytes(packed), rules, counts)
    except CallDamaged:
        return "damaged"
    # As text, in which 1 isn't True.
    return "\n".join([*map(repr, rows), *map(repr, sorted(counts.items()))])


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Hold the kernel's derivation to the Python's.")
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first call; each further one's is greater by 1")
    given = parser.parse_args()
    for seed in range(given.seed, given.seed + given.calls):
        chance = Random(seed)
        packed = changed(chance)
        found = difference(packed, chance.choice(RULES))
        if found:
            FOLDER.mkdir(parents=True, exist_ok=True)
            FOLDER.joinpath(f"packed-{seed}").write_bytes(packed)
            print(f"seed {seed}\n{found}", file=sys.stderr)
            return 1
    print(f"{given.calls} calls, no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
