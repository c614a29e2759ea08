"""Where captures and logs are: local paths, and URLs that fsspec opens (s3, hdfs, abfs and so on)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import fsspec
from fsspec.core import url_to_fs

from sipcdr.ingest import Inputs, Tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Found(NamedTuple):
    """A file: its path or URL, and its size in bytes."""

    name: str
    size: int


def is_url(path: str) -> bool:
    """Whether fsspec is to open it."""
    return "://" in path


def found(paths: Sequence[str], tally: Tally) -> list[Found]:
    """The files that paths, folders, globs and URLs of these name; those that name none are problems of the tally.

    Raises ImportError where fsspec lacks what a URL's scheme needs.
    """
    files: dict[str, int] = {}
    for path in paths:
        if is_url(path):
            inside = dict(_remote(path))
            if not inside:
                tally.problem(path, 0, 0, "no such file or folder")
            files |= inside
        else:
            for name in Inputs([path], tally=tally).files:
                files[os.path.abspath(name)] = Path(name).stat().st_size  # noqa: PTH100 (links stay what they are)
    return [Found(name, size) for name, size in files.items()]


def _remote(url: str) -> Iterator[tuple[str, int]]:
    system, path = url_to_fs(url)
    details: dict[str, dict[str, Any]]
    if system.isfile(path):
        details = {path: system.info(path)}
    else:
        details = {}
        for folder in system.glob(path) if "*" in path else [path]:
            details |= system.find(folder, detail=True)
    for name, detail in sorted(details.items()):
        if not any(part.startswith(".") for part in name.removeprefix(path).split("/")):
            yield system.unstrip_protocol(name), detail["size"]


def opened(name: str) -> BinaryIO:
    """A file, to be read anywhere in it. Raises OSError."""
    return cast("BinaryIO", fsspec.open(name, "rb").open() if is_url(name) else Path(name).open("rb"))


class Fetched:
    """A file at hand on this machine: itself, or a copy of a URL's that is gone with the block.

    name: where it is. The copy has the time at which the original was written, as logs without dates go by it.
    """

    def __init__(self, name: str) -> None:
        self._folder = TemporaryDirectory(prefix="sipcdr-") if is_url(name) else None
        self.name = name if self._folder is None else str(Path(self._folder.name) / name.rpartition("/")[2])
        self._origin = name

    def __enter__(self) -> Fetched:
        if self._folder is not None:
            system, path = url_to_fs(self._origin)
            with opened(self._origin) as source, Path(self.name).open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            try:
                written = system.modified(path).timestamp()
            except NotImplementedError:
                pass
            else:
                os.utime(self.name, (written, written))
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()
