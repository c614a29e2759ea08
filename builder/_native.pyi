"""The native kernel: `ingest/native-rs`. Each name does exactly what the Python that it is the twin of does."""

from typing import Final

VERSION: Final[str]
