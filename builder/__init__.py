"""SIP messages in, SessionDetails out: pure, without I/O, clock or threads.

>>> from sipcdr.builder import Correlator, sessions
"""

from ._call import call_key
from ._calls import Call
from ._correlator import Correlator
from ._errors import BuilderError, CallDamaged
from ._explained import Anomaly, Derived, Ending, Explained, Lost, Part, Seen
from ._facts import Fact, fact_of
from ._kernel import native
from ._message import COMPACT, HEADERS, Position, SipMessage
from ._provenance import explain
from ._row import Client, Media, Reference, SessionDetails, TagPair, User, grid
from ._rules import Ignore, Rules
from ._sessions import sessions

__all__ = [
    "COMPACT",
    "HEADERS",
    "Anomaly",
    "BuilderError",
    "Call",
    "CallDamaged",
    "Client",
    "Correlator",
    "Derived",
    "Ending",
    "Explained",
    "Fact",
    "Ignore",
    "Lost",
    "Media",
    "Part",
    "Position",
    "Reference",
    "Rules",
    "Seen",
    "SessionDetails",
    "SipMessage",
    "TagPair",
    "User",
    "call_key",
    "explain",
    "fact_of",
    "grid",
    "native",
    "sessions",
]
