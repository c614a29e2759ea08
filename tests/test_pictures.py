"""The pictures of README are what the commands show, and small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.pictures import REPORTS, TEXTS, drawing
from tests.tools import module

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TEXTS)
def test_pictures_of_text_are_up_to_date(name: str) -> None:
    """`python -m docs.pictures` would make the picture that is there."""
    module("termios")
    columns, words = TEXTS[name]
    assert (ROOT / "docs" / f"{name}.svg").read_text(encoding="utf-8") == drawing(columns, words)


def test_readme_has_the_pictures() -> None:
    """README shows each picture, none that isn't there, and none is larger than 300 kB."""
    there = {f"docs/{name}.svg" for name in TEXTS} | {f"docs/{name}.png" for name in REPORTS}
    assert set(re.findall(r"docs/[\w-]+\.(?:png|svg)", README)) == there
    for path in there:
        assert 1000 < (ROOT / path).stat().st_size < 300_000
