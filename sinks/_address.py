"""From a database URL to a dialect; and what in a URL nobody may read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from ._errors import SinkAddress
from ._mssql import MSSQL
from ._mysql import MYSQL
from ._postgresql import POSTGRESQL
from ._sqlite import SQLITE

if TYPE_CHECKING:
    from ._dialect import Dialect

_DIALECTS: Final = {"sqlite": SQLITE, "postgresql": POSTGRESQL, "mysql": MYSQL, "mariadb": MYSQL, "mssql": MSSQL}
_SECRET: Final = re.compile(r"pass|pwd|secret|token", re.IGNORECASE)
_ODBC: Final = "odbc_connect"
_ODBC_SECRET: Final = re.compile(r"\b(PWD|PASSWORD)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)", re.IGNORECASE)
_HIDDEN: Final = "***"


def address_of(text: str) -> tuple[Dialect, sa.URL]:
    """The dialect of a URL, and the URL with the driver's name. Raises SinkAddress if it is none, or of another one."""
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        # Their words quote the URL, with the password in it.
        raise SinkAddress("no database URL such as sqlite:///sipcdr.db") from None
    name, _, driver = url.drivername.partition("+")
    dialect = _DIALECTS.get(name)
    if dialect is None:
        raise SinkAddress(f"no support for {name} databases: there are {', '.join(_DIALECTS)}")
    ours = dialect.drivername.partition("+")[2]
    if driver not in ("", ours):
        raise SinkAddress(f"no support for {url.drivername}: write {dialect.drivername}://")
    return dialect, url.set(drivername=dialect.drivername)


def engine_of(text: str) -> tuple[Dialect, sa.Engine]:
    """The dialect of a URL, and an engine for it that isn't connected yet. Raises SinkAddress."""
    dialect, url = address_of(text)
    try:
        return dialect, dialect.engine(url)
    except ImportError as error:
        raise SinkAddress(
            f"{dialect.drivername} needs a driver: pip install 'sipcdr[{dialect.extra}]' ({error})"
        ) from error
    except (sa.exc.ArgumentError, ValueError, TypeError) as error:
        words = hidden(str(error), secrets_of(url))
        raise SinkAddress(f"no database URL such as sqlite:///sipcdr.db: {words}") from None


def secrets_of(url: sa.URL) -> list[str]:
    """Passwords in a URL: in their place, among the options, or in an ODBC connection string."""
    found = [str(url.password)] if url.password else []
    for name, values in url.normalized_query.items():
        if _SECRET.search(name):
            found += values
        elif name == _ODBC:
            found += [value for _, value in _ODBC_SECRET.findall(";".join(values))]
    return [secret for secret in found if secret]


def hidden(text: str, secrets: list[str]) -> str:
    """A text without these."""
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    return text


def without_secrets(text: str) -> str:
    """A database URL as it may be shown, with *** for passwords; also what is no URL, as far as it can be told."""
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        return re.sub(r"(^|://)([^:/@]*):.*@", rf"\1\2:{_HIDDEN}@", text, flags=re.DOTALL)
    query = {
        name: [
            _HIDDEN if _SECRET.search(name) else _ODBC_SECRET.sub(rf"\1={_HIDDEN}", value) if name == _ODBC else value
            for value in values
        ]
        for name, values in url.normalized_query.items()
    }
    return url.set(query=query).render_as_string().replace("%2A%2A%2A", _HIDDEN)
