"""Settings of the whole test run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No deadline and no complaint about slow data: the machine may be busy, and nothing here is a timed test.
settings.register_profile("sipcdr", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sipcdr")
