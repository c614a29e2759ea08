"""Bytes in, `SipMessage` out: one module a source. Knows nothing of calls or databases.

>>> from sipcdr.ingest import Inputs, Tally
>>> tally = Tally()
>>> for messages in Inputs(["call.pcap"], tally=tally): ...
"""

from ._carried import Carried, packets
from ._dissect import Dissector
from ._envelope import Names
from ._errors import IngestError, NotACapture, ReaderUnavailable, SourceRefused, SourceUnavailable
from ._followed import Followed, Head, begins, head_of
from ._hep import encode as encode_hep
from ._inputs import Inputs, Reader
from ._kafka import Consumer, KafkaSettings, Lost, Partition, Polled, open_consumer
from ._limits import Limits
from ._listen import HepListener, ListenSettings
from ._logs import LogMessage, LogOptions, LogReader, log_options
from ._pyshark import SharkOptions
from ._scan import scan
from ._share import Share
from ._sip import is_start_line
from ._source import Grows
from ._tally import Problem, Refused, Tally
from ._values import Form, HeaderNames, Poison, Record, Records, Values

__all__ = [
    "Carried",
    "Consumer",
    "Dissector",
    "Followed",
    "Form",
    "Grows",
    "Head",
    "HeaderNames",
    "HepListener",
    "IngestError",
    "Inputs",
    "KafkaSettings",
    "Limits",
    "ListenSettings",
    "LogMessage",
    "LogOptions",
    "LogReader",
    "Lost",
    "Names",
    "NotACapture",
    "Partition",
    "Poison",
    "Polled",
    "Problem",
    "Reader",
    "ReaderUnavailable",
    "Record",
    "Records",
    "Refused",
    "Share",
    "SharkOptions",
    "SourceRefused",
    "SourceUnavailable",
    "Tally",
    "Values",
    "begins",
    "encode_hep",
    "head_of",
    "is_start_line",
    "log_options",
    "open_consumer",
    "packets",
    "scan",
]
