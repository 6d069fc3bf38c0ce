"""What holds for every test."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")  # a machine that is busy with other things fails no test


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """`make test-again` is for tests that failed, not for a run that broke off: then it finds none, and fails."""
    if exitstatus > 1 and session.config.cache is not None and not hasattr(session.config, "workerinput"):
        session.config.cache.set("cache/lastfailed", {})
