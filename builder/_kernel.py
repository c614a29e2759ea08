"""Which does the work that has two forms: the native kernel, or the Python that defines it. Chosen once, here.

The environment's `SIPCDR_KERNEL` says `python` or `native`; without it the kernel is taken where it is. The parts of
`ingest` and `builder` that have a native twin ask for `native` and are their own fallback.

This module runs without the rest of the package as well, so that `sipcdr --version` is quick.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import ModuleType

VERSION: Final = "0.1.0"
"""The kernel that this Python is the twin of; another one is refused."""

_NAME: Final = "sipcdr.builder._native"


def _choose(wanted: str) -> tuple[ModuleType | None, str]:
    """The kernel, or None and why. Raises ImportError, named for the kernel, where what is wanted can't be had."""
    if wanted not in ("", "python", "native"):
        raise ImportError(f"SIPCDR_KERNEL is python or native, not {wanted!r}", name=_NAME)
    if wanted == "python":
        return None, "SIPCDR_KERNEL=python"
    kernel, why = _load()
    if kernel is None and wanted == "native":
        raise ImportError(f"SIPCDR_KERNEL=native: {why}", name=_NAME)
    return kernel, why


def _load() -> tuple[ModuleType | None, str]:
    kernel = sys.modules.get(_NAME)
    if kernel is None:
        spec = PathFinder.find_spec(_NAME, [os.path.dirname(__file__)])  # noqa: PTH120 - pathlib is slow to import
        if spec is None or spec.loader is None:
            return None, "no native kernel was built"
        try:
            kernel = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(kernel)
        except ImportError as error:  # built for another machine, or for another C library
            return None, f"the native kernel can't be loaded: {error}"
    if kernel.VERSION != VERSION:
        return None, f"the native kernel is {kernel.VERSION}, not {VERSION}"
    sys.modules[_NAME] = kernel
    return kernel, ""


native, refused = _choose(os.environ.get("SIPCDR_KERNEL", ""))
words: Final = f"native kernel {VERSION}" if native is not None else f"Python: {refused}"
"""Which it is, for people, and why it isn't the kernel."""
