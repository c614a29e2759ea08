"""A capture whose every header and body tries to become script, markup, or something that a terminal obeys."""

from __future__ import annotations

from typing import Final

from fixtures.calls import Call, Party, Sent, sdp
from tests.app.capture import MORNING

ATTACKS: Final = (
    "<script>window.ran=1</script>",
    "</script><script>window.ran=2</script>",
    "<!--<script>",
    "-->",
    "<img src=x onerror=window.ran=3>",
    "<svg onload=window.ran=4>",
    "\"'><iframe src=javascript:window.ran=5>",
    "'-alert(6)-'",
    "javascript:alert(7)",
    "{{constructor.constructor('window.ran=8')()}}",
    "\u2028window.ran=9\u2029",
    "\x1b]0;owned\x07\x1b[31m\x1b[2J",
    "\u202egnp.exe\u2066\u200f",
    "a]]>&lt;&amp;&quot;",
    "__proto__",
    "\x00\x7f\ufeff",
)


def hostile() -> list[Sent]:
    """A call for each attack: answered, refused, or a message."""
    sent: list[Sent] = []
    for number, attack in enumerate(ATTACKS):
        quoted = attack.replace('"', '\\"').replace("\r", "").replace("\n", "")
        token = quoted.replace(" ", "").replace(">", "%3E") or "x"
        ann = Party(quoted, f"a{token}@evil.example", "192.0.2.11:5060", f"Agent {attack}", suffix=f";x={token}")
        ben = Party(quoted, f"b{number}@evil.example", "192.0.2.12:5060", f"Server {attack}")
        call = Call(f"{token}-{number}@192.0.2.11", ann, ben, MORNING + number * 60_000_000)
        headers = (
            ("Subject", attack),
            ("Priority", attack),
            ("X-Attack", attack),
            (f"X-{number}-<script>", "x"),
            ("Content-Disposition", attack),
            ("P-Asserted-Identity", f"<sip:{token}@evil.example>"),
            ("Reason", f'Q.850;cause=16;text="{quoted}"'),
            ("Warning", f'399 evil "{quoted}"'),
            ("ms-diagnostics", f'1003;reason="{quoted}";source="{quoted}"'),
        )
        call.request("INVITE", body=sdp("audio").replace(b"s=-", f"s={attack}".encode()), headers=headers)
        if number % 2:
            call.respond(486, after=0.1, headers=headers)
            call.request("ACK")
        else:
            call.respond(200, after=1, body=sdp("audio"), headers=headers)
            call.request("ACK")
            call.request("BYE", after=10, headers=headers)
            call.respond(200)
        sent += call.sent
    return sent
