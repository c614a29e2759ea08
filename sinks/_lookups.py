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
    import sqlalchemy as sa

_MOST: Final = 200_000
"""Texts that a cache holds before it is emptied, so that memory stays flat for months."""

_WITHOUT_CASE: Final = {
    table
    for table, name in LOOKUPS.items()
    if any(column.name == name and column.kind is Kind.FOLDED for column in TABLES[table])
}

Ids = dict[str, int]


class Lookups:
    """The caches of all look-up tables."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._known: dict[str, Ids] = {name: {} for name in LOOKUPS}

    def ids(self, connection: sa.Connection, table: str, wanted: dict[str, Any]) -> Ids:
        """Find or create the rows of these texts; a text's value is the extra column of a new row, if there is one."""
        known = self._known[table]
        found = {text: known[text] for text in wanted if text in known}
        missing = [text for text in wanted if text not in found]
        if not missing:
            return found
        self._find(connection, table, missing, found)
        new: dict[str, tuple[Any, ...]] = {}
        for text in missing:
            if text not in found:
                new.setdefault(_folded(table, text), (text, wanted[text]) if table in EXTRA else (text,))
        if new:
            self._insert(connection, table, list(new.values()))
            self._find(connection, table, [text for text in missing if text not in found], found)
        for text in missing:
            if text not in found:
                # Equal under the database's collation to a text that looks different here.
                number = connection.exec_driver_sql(self._statements.find_lookup[table], (text,)).scalar_one()
                if number is None:
                    raise SinkConflict(f"{table} has no row for {text!r} after it was inserted")
                found[text] = number
        return found

    def _insert(self, connection: sa.Connection, table: str, rows: list[tuple[Any, ...]]) -> None:
        statements = self._statements
        if table in statements.last_ids:
            last = connection.exec_driver_sql(statements.last_ids[table]).scalar_one() or 0
            rows = [(number, *row) for number, row in enumerate(rows, last + 1)]
        statements.dialect.run(connection, statements.insert_lookups[table], rows)

    def committed(self, table: str, ids: Ids) -> None:
        """Take ids into the cache: they are the database's now."""
        known = self._known[table]
        if len(known) > _MOST:
            known.clear()
        known.update(ids)

    def clear(self) -> None:
        """Forget all ids: rows may have been deleted."""
        for known in self._known.values():
            known.clear()

    def _find(self, connection: sa.Connection, table: str, texts: list[str], found: Ids) -> None:
        by_folded: Ids = {}
        for text, number in select_many(connection, self._statements.find_lookups[table], texts):
            found[text] = min(number, found.get(text, number))
            folded = _folded(table, text)
            by_folded[folded] = min(number, by_folded.get(folded, number))
        for text in texts:
            if text not in found and _folded(table, text) in by_folded:
                found[text] = by_folded[_folded(table, text)]


def _folded(table: str, text: str) -> str:
    """What texts of one row have in common: of a column without case, the lower case."""
    return text.lower() if table in _WITHOUT_CASE else text
