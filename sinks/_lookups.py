"""Look-up rows: found, or created once, under the writers' lock; their ids cached.

Only what a SELECT didn't find is inserted, as an insert that is skipped would use up a number. A cache takes ids after
the commit only: before it, another transaction's rollback could make them false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ._columns import Kind
from ._errors import SinkConflict
from ._lcscdr import TABLES
from ._statements import EXTRA, LOOKUPS, Statements, select_many

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy as sa

    from ._batch import Looked

_MOST: Final = 10_000
"""Texts of the younger half of a cache, some 3 MB with the older: memory stays flat for months."""

_WITHOUT_CASE: Final = {
    table
    for table, name in LOOKUPS.items()
    if any(column.name == name and column.kind is Kind.FOLDED for column in TABLES[table])
}

Ids = dict[str, int]


class _Cache:
    """Ids by text. When its younger half is full, that becomes the older one, whose texts leave unless used since."""

    def __init__(self) -> None:
        self._younger: Ids = {}
        self._older: Ids = {}

    def known(self, texts: Iterable[str]) -> Ids:
        """Those of these texts that are known."""
        younger, older = self._younger, self._older
        found = {text: younger[text] for text in texts if text in younger}
        found |= {text: older[text] for text in texts if text in older}
        return found

    def update(self, ids: Ids) -> None:
        """Know these, also those that were known."""
        self._younger.update(ids)
        if len(self._younger) > _MOST:
            self._older = self._younger
            self._younger = {}

    def clear(self) -> None:
        """Forget all."""
        self._younger = {}
        self._older = {}


class Lookups:
    """The caches of all look-up tables."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._caches = {name: _Cache() for name in LOOKUPS}

    def ids(self, connection: sa.Connection, looked: Looked) -> Ids:
        """Find or create the rows of all texts that are looked up in a table."""
        table = looked.table
        wanted = looked.wanted()
        found = self._caches[table].known(wanted)
        missing = [text for text in wanted if text not in found]
        if not missing:
            return found
        self._find(connection, table, missing, found)
        new: dict[str, str] = {}
        for text in missing:
            if text not in found:
                new.setdefault(_folded(table, text), text)
        if new:
            self._insert(connection, looked, list(new.values()), found)
            self._find(connection, table, [text for text in missing if text not in found], found)
        for text in missing:
            if text not in found:
                # Equal under the database's collation to a text that looks different here.
                number = connection.exec_driver_sql(self._statements.find_lookup[table], (text,)).scalar_one()
                if number is None:
                    raise SinkConflict(f"{table} has no row for {text!r} after it was inserted")
                found[text] = number
        return found

    def committed(self, table: str, ids: Ids) -> None:
        """Take ids into the cache: they are the database's now."""
        self._caches[table].update(ids)

    def clear(self) -> None:
        """Forget all ids: rows may have been deleted."""
        for cache in self._caches.values():
            cache.clear()

    def _insert(self, connection: sa.Connection, looked: Looked, texts: list[str], found: Ids) -> None:
        statements = self._statements
        table = looked.table
        rows: list[tuple[Any, ...]] = [(text,) for text in texts]
        if table in EXTRA:
            extras = looked.extras()
            rows = [(text, extras[text]) for text in texts]
        if table in statements.last_ids:
            last = connection.exec_driver_sql(statements.last_ids[table]).scalar_one() or 0
            rows = [(number, *row) for number, row in enumerate(rows, last + 1)]
            found.update(zip(texts, range(last + 1, last + 1 + len(texts)), strict=True))
        statements.dialect.run(connection, statements.insert_lookups[table], rows)

    def _find(self, connection: sa.Connection, table: str, texts: list[str], found: Ids) -> None:
        stored: Ids = {}
        for text, number in select_many(connection, self._statements.find_lookups[table], texts):
            stored[text] = min(number, stored.get(text, number))
        found |= stored
        by_folded: Ids = {}
        for text, number in stored.items():
            folded = _folded(table, text)
            by_folded[folded] = min(number, by_folded.get(folded, number))
        if by_folded:
            for text in texts:
                if text not in found and _folded(table, text) in by_folded:
                    found[text] = by_folded[_folded(table, text)]


def _folded(table: str, text: str) -> str:
    """What texts of one row have in common: of a column without case, the lower case."""
    return text.lower() if table in _WITHOUT_CASE else text
