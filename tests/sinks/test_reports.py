"""The report queries that LcsCDR is asked, in each database's spelling, on 14 sessions with known answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from sipcdr.builder import Client, Media, Reference, SessionDetails, User
from tests.places import NAMES
from tests.sinks.rows import at, change, details, user, write

if TYPE_CHECKING:
    from sipcdr.sinks import Sink
    from tests.places import Place

pytestmark = pytest.mark.parametrize("place", NAMES, indirect=True)

OC = Client("UCCAPI/16.0.5100.1000 OC/16.0.5100.1000 (Skype for Business)", 4)
ASTERISK = Client("Asterisk PBX 20.9.1", None)

# n, InviteTime, ResponseTime, ResponseCode, SessionEndTime, MediaTypes, User1, User2, Server, client, DiagnosticId,
# message counts; as schema/README.md states them.
SESSIONS = """
1  | 23 08:00:00.000000 | 23 08:00:04.250000 | 200 | 23 08:01:04.250000 | 16 | ann  | ben   | fe1 | oc  | -     | 0, 0
2  | 23 08:05:10.120400 | 23 08:05:15.000000 | 200 | 23 08:10:15.000000 | 16 | ben  | phone | fe2 | oc  | -     | 0, 0
3  | 23 09:00:00.500000 | 23 09:00:07.100000 | 486 | 23 09:00:07.100000 | 16 | ann  | cleo  | fe1 | oc  | -     | 0, 0
4  | 23 09:10:00.000000 | 23 09:10:20.000000 | 487 | 23 09:10:20.000000 | 16 | ann  | ben   | fe2 | oc  | -     | 0, 0
5  | 23 10:00:00.000000 | 23 10:00:00.200000 | 404 | 23 10:00:00.200000 | 16 | ben  | phone | fe2 | oc  | 13014 | 0, 0
6  | 23 10:00:00.001000 | 23 10:00:00.300000 | 404 | 23 10:00:00.300000 | 16 | cleo | phone | fe2 | pbx | 13014 | 0, 0
7  | 23 11:00:00.000000 | 23 11:00:00.300000 | 200 | 23 11:20:00.000000 | 1  | ann  | ben   | fe1 | oc  | -     | 5, 3
8  | 23 11:30:00.000000 | 23 11:30:00.200000 | 200 | 23 11:30:00.200000 | 1  | desk | ann   | fe1 | oc  | -     | 1, 0
9  | 23 12:00:00.000000 | 23 12:00:03.000000 | 200 | 23 12:30:03.000000 | 48 | ann  | cleo  | fe1 | oc  | -     | 0, 0
10 | 23 13:00:00.000000 | 23 13:00:02.000000 | 200 | -                  | 16 | cleo | ben   | -   | pbx | -     | 0, 0
11 | 23 13:30:00.000000 | -                  | -   | -                  | 16 | cleo | ann   | -   | pbx | -     | 0, 0
12 | 23 14:00:00.000000 | 23 14:00:05.000000 | 200 | 23 14:01:00.000000 | 16 | ann  | ben   | fe1 | oc  | -     | 0, 0
13 | 23 14:00:55.000000 | 23 14:00:56.000000 | 200 | 23 14:05:56.000000 | 16 | cleo | ben   | fe1 | pbx | -     | 0, 0
14 | 24 07:59:59.998500 | 24 08:00:01.500000 | 200 | 24 08:00:31.400000 | 16 | desk | ann   | fe2 | oc  | -     | 0, 0
"""


def session(line: str) -> SessionDetails:
    """The session of a line of the table."""
    cells = [cell.strip() for cell in line.split("|")]
    times = [None if cell == "-" else at(cell) for cell in (cells[1], cells[2], cells[4])]
    number, bits, counts = int(cells[0]), int(cells[5]), cells[11].split(", ")
    invite = times[0]
    assert invite is not None
    columns: dict[str, Any] = {}
    if number == 13:
        columns = {"reference": Reference(b"c12@corp.example", (b"f12", b"t12")), "referred_by": user("ann")}
    return details(
        number,
        invite_time=invite,
        response_time=times[1],
        response_code=None if cells[3] == "-" else int(cells[3]),
        session_end_time=times[2],
        media_types=bits,
        media=tuple(Media(bit + 1, invite) for bit in range(7) if bits >> bit & 1),
        user1=user(cells[6]),
        user2=user(cells[7]),
        server=None if cells[8] == "-" else f"{cells[8]}.corp.example",
        pool=None if cells[8] == "-" else "pool1.corp.example",
        user1_client=OC if cells[9] == "oc" else ASTERISK,
        diagnostic_id=None if cells[10] == "-" else int(cells[10]),
        user1_message_count=int(counts[0]),
        user2_message_count=int(counts[1]),
        last_modified_time=times[2] or times[1] or invite,
        **columns,
    )


@pytest.fixture
def reports(sink: Sink, place: Place) -> Place:
    """A database with the 14 sessions in it."""
    write(sink, *(change(session(line)) for line in SESSIONS.strip().splitlines()))
    return place


PERIOD = "s.InviteTime >= '2026-11-23' AND s.InviteTime < '2026-11-25'"

# What of T-SQL has another spelling elsewhere: DATEDIFF(second, a, b), CAST(t AS date), YEAR, MONTH, bytes as text.
SPELLINGS = {
    "sqlite": {
        "seconds": "(strftime('%s', substr({b}, 1, 19)) - strftime('%s', substr({a}, 1, 19)))",
        "day": "date({a})",
        "year": "CAST(strftime('%Y', {a}) AS INTEGER)",
        "month": "CAST(strftime('%m', {a}) AS INTEGER)",
        "text": "CAST({a} AS TEXT)",
    },
    "postgresql": {
        "seconds": "CAST(EXTRACT(EPOCH FROM date_trunc('second', {b}) - date_trunc('second', {a})) AS integer)",
        "day": "CAST(CAST({a} AS date) AS varchar)",
        "year": "EXTRACT(YEAR FROM {a})",
        "month": "EXTRACT(MONTH FROM {a})",
        "text": "convert_from({a}, 'LATIN1')",
    },
    "mariadb": {
        "seconds": "TIMESTAMPDIFF(SECOND, LEFT({a}, 19), LEFT({b}, 19))",
        "day": "CAST(CAST({a} AS date) AS CHAR)",
        "year": "YEAR({a})",
        "month": "MONTH({a})",
        "text": "CONVERT({a} USING utf8mb4)",
    },
}


def spelled(kind: str, text: str) -> str:
    """A query with `<seconds a, b>` and so on in a database's spelling."""

    def replaced(found: re.Match[str]) -> str:
        name, _, arguments = found[1].partition(" ")
        return SPELLINGS[kind][name].format(**dict(zip("ab", arguments.split(", "), strict=False)))

    return re.sub("<([a-z]+ [^>]+)>", replaced, text)


DURATION = "<seconds s.ResponseTime, s.SessionEndTime>"

QUERIES: dict[str, tuple[str, list[tuple[Any, ...]]]] = {
    "Q1 calls a day": (
        f"""SELECT <day s.InviteTime> AS CallDay, COUNT(*) AS Calls,
                   SUM(CASE WHEN s.ResponseCode = 200 THEN 1 ELSE 0 END) AS Answered
            FROM   SessionDetails AS s
            WHERE  (s.MediaTypes & 16) = 16 AND {PERIOD}
            GROUP  BY <day s.InviteTime>
            ORDER  BY CallDay""",
        [("2026-11-23", 11, 6), ("2026-11-24", 1, 1)],
    ),
    "Q2 failed calls by response code": (
        f"""SELECT s.ResponseCode, COUNT(*) AS Calls
            FROM   SessionDetails AS s
            WHERE  (s.ResponseCode >= 300 OR s.ResponseCode IS NULL) AND {PERIOD}
            GROUP  BY s.ResponseCode
            ORDER  BY Calls DESC, COALESCE(s.ResponseCode, 0)""",
        [(404, 2), (None, 1), (486, 1), (487, 1)],
    ),
    "Q3 average duration of answered audio calls": (
        f"""SELECT COUNT(*) AS Calls, AVG(1.0 * ({DURATION})) AS AvgSeconds, SUM({DURATION}) AS TotalSeconds
            FROM   SessionDetails AS s
            WHERE  s.ResponseCode = 200 AND s.MediaTypes = 16 AND s.SessionEndTime IS NOT NULL AND {PERIOD}""",
        [(5, 149.0, 745)],
    ),
    "Q4 top callers": (
        f"""SELECT u.UserUri, COUNT(*) AS Calls, SUM({DURATION}) AS Seconds
            FROM   SessionDetails AS s INNER JOIN Users AS u ON s.User1Id = u.UserId
            WHERE  (s.MediaTypes & 16) = 16 AND {PERIOD}
            GROUP  BY u.UserUri
            ORDER  BY Calls DESC, u.UserUri LIMIT 3""",
        [("ann@corp.example", 5, 1915), ("cleo@corp.example", 4, 300), ("ben@corp.example", 2, 300)],
    ),
    "Q5 calls by pool and server": (
        f"""SELECT p.PoolFQDN, f.ServerFQDN, COUNT(*) AS Calls,
                   100.0 * SUM(CASE WHEN s.ResponseCode = 200 THEN 1 ELSE 0 END) / COUNT(*) AS AnsweredPercent
            FROM   SessionDetails AS s
                   LEFT OUTER JOIN Pools AS p ON s.PoolId = p.PoolId
                   LEFT OUTER JOIN Servers AS f ON s.ServerId = f.ServerId
            WHERE  (s.MediaTypes & 16) = 16 AND {PERIOD}
            GROUP  BY p.PoolFQDN, f.ServerFQDN
            ORDER  BY Calls DESC, COALESCE(f.ServerFQDN, '')""",
        [
            ("pool1.corp.example", "fe1.corp.example", 5, 80.0),
            ("pool1.corp.example", "fe2.corp.example", 5, 40.0),
            (None, None, 2, 50.0),
        ],
    ),
    "Q6 sessions by client version": (
        f"""SELECT c.Version, a.UACategory, COUNT(*) AS Sessions
            FROM   SessionDetails AS s
                   INNER JOIN ClientVersions AS c ON s.User1ClientVerId = c.VersionId
                   LEFT OUTER JOIN (SELECT DISTINCT UAType, UACategory FROM UserAgentDef) AS a
                       ON c.ClientType = a.UAType
            WHERE  {PERIOD}
            GROUP  BY c.Version, a.UACategory
            ORDER  BY Sessions DESC, c.Version""",
        [(OC.version, "OC", 10), (ASTERISK.version, None, 4)],
    ),
    "Q7 IM sessions with message counts": (
        f"""SELECT u1.UserUri AS FromUri, u2.UserUri AS ToUri, COUNT(*) AS Sessions,
                   SUM(s.User1MessageCount) AS SentByFrom, SUM(s.User2MessageCount) AS SentByTo
            FROM   SessionDetails AS s
                   LEFT OUTER JOIN Users AS u1 ON s.User1Id = u1.UserId
                   LEFT OUTER JOIN Users AS u2 ON s.User2Id = u2.UserId
            WHERE  (s.MediaTypes & 1) = 1 AND {PERIOD}
            GROUP  BY u1.UserUri, u2.UserUri
            ORDER  BY Sessions DESC, u1.UserUri""",
        [("ann@corp.example", "ben@corp.example", 1, 5, 3), ("desk@corp.example", "ann@corp.example", 1, 1, 0)],
    ),
    "Q8 diagnostic ids": (
        f"""SELECT s.DiagnosticId, s.ResponseCode, COUNT(*) AS Sessions
            FROM   SessionDetails AS s
            WHERE  s.DiagnosticId <> 0 AND {PERIOD}
            GROUP  BY s.DiagnosticId, s.ResponseCode
            ORDER  BY Sessions DESC, s.DiagnosticId LIMIT 10""",
        [(13014, 404, 2)],
    ),
    "Q9 transfers": (
        f"""SELECT o.SessionIdTime AS ReplacedTime, <text d.ExternalId> AS ReplacedDialog,
                   x.UserUri AS ReferredBy, u.UserUri AS NewCaller,
                   <seconds o.ResponseTime, s.SessionEndTime> AS WholeSeconds
            FROM   SessionDetails AS s
                   INNER JOIN Dialogs AS d
                       ON d.SessionIdTime = s.ReplaceDialogIdTime AND d.SessionIdSeq = s.ReplaceDialogIdSeq
                   INNER JOIN SessionDetails AS o
                       ON o.SessionIdTime = d.SessionIdTime AND o.SessionIdSeq = d.SessionIdSeq
                   LEFT OUTER JOIN Users AS x ON s.ReferredById = x.UserId
                   LEFT OUTER JOIN Users AS u ON s.User1Id = u.UserId
            WHERE  s.ResponseCode = 200 AND {PERIOD}""",
        [
            (
                "2026-11-23 14:00:00.000000",
                "c12@corp.example;f12;t12",
                "ann@corp.example",
                "cleo@corp.example",
                351,
            )
        ],
    ),
    "Q10 through the view": (
        """SELECT v.FromUriType, <year v.InviteTime> AS CallYear, <month v.InviteTime> AS CallMonth,
                  COUNT(*) AS Sessions
           FROM   SessionDetailsView AS v
           WHERE  v.ToUri = 'ann@corp.example' AND v.InviteTime BETWEEN '2026-11-01' AND '2026-12-01'
           GROUP  BY v.FromUriType, <year v.InviteTime>, <month v.InviteTime>
           ORDER  BY CallYear, CallMonth""",
        [("User Uri", 2026, 11, 3)],
    ),
}


@pytest.mark.parametrize("name", QUERIES)
def test_report(reports: Place, name: str) -> None:
    """A report query for LcsCDR gives its right figures."""
    text, expected = QUERIES[name]
    assert reports.query(spelled(reports.kind, text)) == expected


# Names as queries for LcsCDR write them.
LETTER_CASE = {
    "sqlite": ["select count(*) from [sessiondetails] where RESPONSECODE = 200", "main.SESSIONDETAILS"],
    "postgresql": ["select count(*) from SESSIONDETAILS where RESPONSECODE = 200", "public.sessionDetails"],
    "mariadb": ["select count(*) from SessionDetails where RESPONSECODE = 200", "sipcdr.SessionDetails"],
}


def test_reports_in_any_letter_case(reports: Place) -> None:
    """Columns are found in whatever case, tables too but on MariaDB, and with the schema's name in front."""
    text, table = LETTER_CASE[reports.kind]
    assert reports.query(text) == [(9,)]
    assert reports.query(f"SELECT COUNT(*) FROM {table} WHERE user1edgeserverId IS NULL") == [(14,)]


def test_the_ticks_of_the_data(reports: Place) -> None:
    """Sessions on one tick of the grid are told apart by Seq, and a tick may lie on the next second."""
    assert reports.query(
        "SELECT SessionIdTime, SessionIdSeq, u.UserUri FROM SessionDetails JOIN Users AS u ON User1Id = u.UserId"
        " WHERE InviteTime >= '2026-11-23 10:00:00' AND InviteTime < '2026-11-23 11:00:00' ORDER BY SessionIdSeq",
    ) == [
        ("2026-11-23 10:00:00.000000", 1, "ben@corp.example"),
        ("2026-11-23 10:00:00.000000", 2, "cleo@corp.example"),
    ]
    assert reports.query("SELECT SessionIdTime, InviteTime FROM SessionDetails WHERE InviteTime > '2026-11-24'") == [
        ("2026-11-24 08:00:00.000000", "2026-11-24 07:59:59.998500")
    ]
    assert reports.query("SELECT COUNT(*) FROM Media") == [(15,)]


def test_a_client_type_listed_twice_counts_once(sink: Sink, place: Place) -> None:
    """UserAgentDef has types 64 and 512 twice; the view shows such a client's session in one row."""
    write(sink, change(details(1, user1_client=Client("MC/1", 64), user2_client=Client("Conferencing", 512))))
    assert place.query("SELECT FromClientCategory, ToClientCategory FROM SessionDetailsView") == [("MM", "CAA")]


def test_the_views_show_every_session_once(reports: Place) -> None:
    """Both views have a row a session, and the base view the names that public reports write."""
    assert reports.query("SELECT COUNT(*) FROM SessionDetailsView") == [(14,)]
    assert reports.query(
        "SELECT COUNT(*), SUM(ReplacesDialogIdSeq), MAX(ReplacesDialogIdTime) FROM CDRReportsSessionDetailsBaseView",
    ) == [(14, 1, "2026-11-23 14:00:00.000000")]
    assert reports.query(
        "SELECT DialogId, ReplacesDialogId, CallPriority FROM SessionDetailsView WHERE ReferredByUri > ''"
    ) == [("c13@corp.example;f13;t13", "c12@corp.example;f12;t12", "Normal")]
    assert reports.query("SELECT * FROM SessionDetailsView WHERE MediaTypes = 48")[0][2:5] == (
        "2026-11-23 12:00:00.000000",
        "ann@corp.example",
        "cleo@corp.example",
    )


def test_users_are_phones_or_users(reports: Place) -> None:
    """An address is one row of Users, of the type that the derivation gives it."""
    assert reports.query("SELECT UserUri, UriTypeId, TenantId, NextUpdateTS FROM Users WHERE UriTypeId = 0") == [
        (User("+4930551@corp.example;user=phone", 0).uri, 0, None, None)
    ]
    assert reports.query("SELECT COUNT(*), COUNT(DISTINCT UserUri) FROM Users") == [(5, 5)]
