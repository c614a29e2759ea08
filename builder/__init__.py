"""SIP messages in, SessionDetails out: pure, without I/O, clock or threads.

>>> from sipcdr.builder import Correlator, sessions
"""

from ._call import Call, call_key
from ._correlator import Correlator
from ._errors import BuilderError, CallDamaged
from ._message import COMPACT, HEADERS, Position, SipMessage
from ._row import Client, Media, Reference, SessionDetails, TagPair, User, grid
from ._rules import Rules
from ._sessions import sessions

__all__ = [
    "COMPACT",
    "HEADERS",
    "BuilderError",
    "Call",
    "CallDamaged",
    "Client",
    "Correlator",
    "Media",
    "Position",
    "Reference",
    "Rules",
    "SessionDetails",
    "SipMessage",
    "TagPair",
    "User",
    "call_key",
    "grid",
    "sessions",
]
