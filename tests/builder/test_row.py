"""The grid of key times (schema F1)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcdr.builder import grid

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("micros", "stored"),
    [
        (0, 0),
        (1666, 0),
        (1667, 3),
        (5000, 7),
        (4999, 3),
        (8333, 7),
        (8334, 10),
        (120400, 120),
        (205000, 207),
        (285000, 287),
        (345000, 347),
        (565000, 567),
        (695000, 697),
        (815000, 817),
        (990000, 990),
        (991000, 990),
        (992000, 993),
        (994000, 993),
        (995000, 997),
        (998000, 997),
        (998333, 997),
        (998334, 1000),
        (998500, 1000),
        (999999, 1000),
    ],
)
@pytest.mark.parametrize("second", [0, 1_795_420_800, -1, -6_847_804_800])
def test_grid(second: int, micros: int, stored: int) -> None:
    """A time is rounded once, in whole numbers, to SQL Server's steps of 1/300 s."""
    assert grid(second * SECOND + micros) == second * SECOND + stored * 1000


@given(st.integers(-(10**16), 10**16))
def test_any_time(time: int) -> None:
    """A time on the grid rounds to itself, and no time moves by more than half a step, as shown in milliseconds."""
    assert grid(grid(time)) == grid(time)
    assert abs(Fraction(grid(time) - time)) <= Fraction(SECOND, 600) + Fraction(1000, 3)
