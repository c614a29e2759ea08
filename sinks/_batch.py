"""`Batch`: the changes of a transaction by column, as bulk statements take them, made in few passes over the rows."""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import astuple

from sipcdr.builder import SessionDetails, call_key, grid

from ._columns import Kind
from ._records import Change, SessionKey, StoredKey
from ._statements import FIELD_COLUMNS, LOOKUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sipcdr.builder import TagPair

_places = itemgetter(*(SessionDetails.__struct_fields__.index(column.field) for column in FIELD_COLUMNS))
"""Takes the values of FIELD_COLUMNS out of all fields."""
_TIMES: Final = tuple(place for place, column in enumerate(FIELD_COLUMNS) if column.kind is Kind.TIME)
_LOOKUP_PLACES: Final = {
    table: tuple(place for place, column in enumerate(FIELD_COLUMNS) if column.refers.partition(".")[0] == table)
    for table in LOOKUPS
}
"""For each look-up table the places in FIELD_COLUMNS that refer to it."""
_PARTS: Final = {
    "Users": (attrgetter("uri"), attrgetter("uri_type")),
    "ClientVersions": (attrgetter("version"), attrgetter("client_type")),
}
"""What gives the text and the extra column of a value that isn't its own text."""
_NO_KEY: Final = SessionKey(0, 0)

Rows = list[tuple[Any, ...]]


class Texts:
    """Times as they are bound, each made once; that of None is None."""

    def __init__(self, time_of: Callable[[int], str]) -> None:
        self._known: dict[int | None, Any] = {None: None}
        self._time_of = time_of

    def of(self, times: Sequence[int | None]) -> list[Any]:
        """The text of each."""
        # A plain dict, as a subclass with __missing__ is slow to look into.
        known = self._known
        for time in times:
            if time not in known:
                known[time] = self._time_of(time)  # type: ignore[arg-type]
        return list(map(known.__getitem__, times))


class Reference(msgspec.Struct, frozen=True):
    """A row of sipcdr_references."""

    key: SessionKey
    invite_time: int
    target: bytes
    tags: TagPair | None


class Looked(msgspec.Struct, frozen=True):
    """What rows refer to in a look-up table: the places of its columns, and these with texts for values.

    values: the same columns as the rows have them.
    """

    table: str
    places: list[int]
    texts: list[Sequence[str | None]]
    values: list[Sequence[Any]]

    def wanted(self) -> dict[str, None]:
        """Each text once, in the order of rows: of those that are equal to the database the first is stored."""
        wanted = dict.fromkeys(chain.from_iterable(zip(*self.texts, strict=True)))
        wanted.pop(None, None)
        return wanted

    def extras(self) -> dict[str, Any]:
        """The extra column of each text, where the table has one."""
        if self.table not in _PARTS:
            return {}
        _, extra = _PARTS[self.table]
        pairs = zip(chain.from_iterable(self.texts), chain.from_iterable(self.values), strict=True)
        return {text: extra(value) for text, value in pairs if text is not None}


class Batch:
    """All sessions of some changes.

    rows, keys: in the order of the changes; the keys of new sessions are to be set. inserted, updated: the places of
    new ones and of those that have a key. gone: keys of sessions that are no more.
    """

    def __init__(self, changes: Sequence[Change], time_of: Callable[[int], str]) -> None:
        self.changes = changes
        self.rows = [row for change in changes for row, _ in change.rows]
        self.keys = [key or _NO_KEY for change in changes for _, key in change.rows]
        self.inserted = [place for place, key in enumerate(self.keys) if key is _NO_KEY]
        self.updated = [place for place, key in enumerate(self.keys) if key is not _NO_KEY]
        self.gone = [key for change in changes for key in change.gone]
        self.texts = Texts(time_of)

    def columns(self, rows: Sequence[SessionDetails]) -> tuple[list[Sequence[Any]], list[Looked]]:
        """The values of rows by FIELD_COLUMNS, with texts for times; and what is to become ids of look-ups."""
        if not rows:
            return [()] * len(FIELD_COLUMNS), []
        columns: list[Sequence[Any]] = list(_places(tuple(zip(*map(astuple, rows), strict=True))))
        for place in _TIMES:
            columns[place] = self.texts.of(columns[place])
        looked: list[Looked] = []
        for table, of_table in _LOOKUP_PLACES.items():
            # Most columns hold nothing, or one value.
            places = [place for place in of_table if columns[place].count(None) < len(rows)]
            if places:
                values = texts = [columns[place] for place in places]
                if table in _PARTS:
                    text, _ = _PARTS[table]
                    texts = [[None if value is None else text(value) for value in column] for column in values]
                looked.append(Looked(table, places, texts, values))
        return columns, looked

    def bound(self, keys: Sequence[SessionKey]) -> Rows:
        """Keys as they are bound."""
        return list(zip(self.texts.of([key.time for key in keys]), [key.seq for key in keys], strict=True))

    def media(self, places: Iterable[int]) -> Rows:
        """Rows of Media of these sessions. StartTime is part of the key, so two of one medium and tick are one."""
        found = [
            (self.keys[place], medium, row.session_end_time)
            for place in places
            if (row := self.rows[place]).media
            for medium in row.media
        ]
        grids = {time: grid(time) for time in {medium.start_time for _, medium, _ in found}}
        starts = self.texts.of([grids[medium.start_time] for _, medium, _ in found])
        ends = self.texts.of([end for _, _, end in found])
        media = [medium.media_id for _, medium, _ in found]
        keys = self.bound([key for key, _, _ in found])
        return list(dict.fromkeys((*key, *rest) for key, *rest in zip(keys, media, starts, ends, strict=True)))

    @cached_property
    def references(self) -> list[Reference]:
        """The references of these sessions, whose keys are set."""
        return [
            Reference(key, row.invite_time, call_key(row.reference.call_id), row.reference.tags)
            for row, key in zip(self.rows, self.keys, strict=True)
            if row.reference is not None
        ]

    def stored_keys(self) -> Iterator[tuple[Change, list[StoredKey]]]:
        """Each change with its sessions as the call's Keys have them."""
        made = [
            StoredKey((row.caller_tag, row.callee_tag), row.pairs, row.invite_time, key)
            for row, key in zip(self.rows, self.keys, strict=True)
        ]
        first = 0
        for change in self.changes:
            last = first + len(change.rows)
            yield change, made[first:last]
            first = last
