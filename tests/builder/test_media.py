"""MediaTypes (derivations.md 3.30): what was offered and accepted."""

from __future__ import annotations

import pytest

from tests.builder.rows import Case, case, check, wire
from tests.scenarios.a_basic import ANSWERED

CASES = [
    *[
        case(
            f"media {sdp}",
            ANSWERED.replace("INVITE 1", f"INVITE 1  sdp={sdp}", 1).replace("200 1", f"200 1  sdp={sdp}", 1),
            media_types=bits,
        )
        for sdp, bits in (
            ("audio,video", 48),
            ("message", 1),
            ("x-ms-message", 1),
            ("message/file", 2),
            ("message,message/file", 3),
            ("applicationsharing", 8),
            ("applicationsharing-video", 8),
            ("data", 2),
            ("x-data", 2),
            ("image", 0),
            ("application", 0),
            ("text", 0),
            ("audio:0,video", 32),
            ("+", 0),
        )
    ],
    case(
        "stream.accepted of the part that was answered",
        wire("0  a>-  INVITE 1  body=video-or-not", "1  a>b  200 1  sdp=audio"),
        media_types=16,
    ),
    case(
        "stream.accepted of the other part",
        wire("0  a>-  INVITE 1  body=video-or-not", "1  a>b  200 1  sdp=audio:0,video"),
        media_types=32,
    ),
    case("stream.accepted of any part", "0  a>-  INVITE 1  body=video-or-not", media_types=48),
    case(
        "stream.accepted by one of several answers",
        wire(
            "0  a>-  INVITE 1  sdp=audio,video", "1  a>b  183 1  sdp=audio:0,video", "2  a>b  200 1  sdp=audio,video:0"
        ),
        media_types=48,
    ),
    case(
        "stream.attempt other answers",
        wire(
            "0  a>-  INVITE 1  sdp=audio,video", "1  a>b2  183 1  sdp=audio,video", "2  a>b  200 1  sdp=audio,video:0"
        ),
        media_types=16,
    ),
    case("media shorter answer", wire("0  a>-  INVITE 1  sdp=audio,video", "1  a>b  200 1  sdp=audio"), media_types=48),
    case(
        "media PRACK",
        wire(
            "0  a>-  INVITE 1",
            "0.1  a>b  183 1",
            "0.2  a>b  PRACK 2  sdp=audio,video",
            "0.3  a>b  200/PRACK 2  sdp=audio,video",
            "1  a>b  200 1",
        ),
        media_types=48,
    ),
]


@pytest.mark.parametrize("tried", CASES, ids=[tried.name for tried in CASES])
def test_column(tried: Case) -> None:
    """The rule that the case is named after gives the columns."""
    check(tried)
