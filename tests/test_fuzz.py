"""What fuzzing holds: some thousand cases of each target, and every input that once went wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fuzz.targets
from fuzz.seeds import seeds
from fuzz.targets import TARGETS

FOUND = sorted((Path(fuzz.targets.__file__).parent / "found").iterdir())
CASES = {"captures": 300, "containers": 400, "frames": 400, "schedules": 300, "logs": 300, "rows": 300, "packed": 400}
MANY = 1000

every = pytest.mark.parametrize("name", TARGETS)


@st.composite
def damaged(draw: st.DrawFn, name: str) -> bytes:
    """A seed of that target with bytes changed, dropped, put in, or taken from another seed."""
    data = draw(st.sampled_from(seeds(name)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        dropped = draw(st.sampled_from([0, 0, 1, 2, 4, 60]))
        if draw(st.integers(0, 3)):
            piece = draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"\xff\xff\xff\xff", bytes(4), b"\r\n"])))
            dropped = draw(st.sampled_from([dropped, len(piece)]))
        else:
            other = draw(st.sampled_from(seeds(name)))
            piece = other[draw(st.integers(0, len(other))) :][:200]
        data = data[:at] + piece + data[at + dropped :]
    return data


@every
def test_seeds(name: str) -> None:
    """The target holds for what fuzzing begins with."""
    assert seeds(name)
    for seed in seeds(name):
        TARGETS[name](seed)


@every
def test_damaged_seeds(name: str) -> None:
    """The target holds for sound inputs that were damaged."""

    @settings(max_examples=CASES.get(name, MANY), deadline=None, suppress_health_check=list(HealthCheck))
    @given(damaged(name))
    def check(data: bytes) -> None:
        TARGETS[name](data)

    check()


@pytest.mark.parametrize("file", FOUND, ids=lambda path: path.name)
def test_found(file: Path) -> None:
    """An input that fuzzing found to go wrong is right now."""
    TARGETS[file.name.partition("-")[0]](file.read_bytes())
