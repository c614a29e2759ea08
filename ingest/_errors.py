"""Errors of this package.

IngestError
├── NotACapture          a file that is no capture, or one that can't be read at all: its link type, its version
├── ReaderUnavailable    what was asked for needs an extra or a program that isn't there, or an option makes no sense
├── SourceUnavailable    a live source that is away or failed: trying again with a new one may help
└── SourceRefused        a live source whose settings, rights or packages are wrong: trying again can't help

Captures and messages, however damaged or hostile, raise nothing else. Inside `Inputs` NotACapture becomes a problem.
"""

from __future__ import annotations


class IngestError(Exception):
    """Base of all errors that this package raises on purpose."""


class NotACapture(IngestError):
    """A file that can't be read as a capture; the text says what it is instead."""


class ReaderUnavailable(IngestError):
    """The reader that was asked for can't work here; the text says what to install, or which option is wrong."""


class SourceUnavailable(IngestError):
    """A broker or an address that can't be used now; the text says why."""


class SourceRefused(IngestError):
    """A live source that can't work as it is set up; the text says which setting, right or package is the reason."""
