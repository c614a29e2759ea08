"""Settings of the whole test run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.places import Servers
    from tests.servers import Kafka

# No deadline and no complaint about slow data: the machine may be busy, and nothing here is a timed test.
settings.register_profile("sipcdr", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sipcdr")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Database servers, started when a test first asks for one."""
    from tests.places import Servers

    started = Servers()
    yield started
    started.close()


@pytest.fixture(scope="module")
def broker() -> Iterator[Kafka]:
    """One broker for all tests of a module; each makes its own topics and group."""
    from tests.servers import ServerError, kafka
    from tests.tools import missing

    try:
        with kafka() as server:
            yield server
    except ServerError as error:
        missing(str(error))


@pytest.fixture(params=["kafka-python", "confluent"])
def client(request: pytest.FixtureRequest) -> str:
    """Each client that reads topics."""
    return str(request.param)
