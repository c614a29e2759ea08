"""What tests need from the machine: programs, modules, rights and folders that may be missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from sipcdr.builder import native

if TYPE_CHECKING:
    from types import ModuleType


def program(name: str) -> str:
    """The path of a program. Without it the test is skipped, or fails where CI=true says that all must be there."""
    return shutil.which(name) or missing(f"{name} is not installed")


def module(name: str) -> None:
    """Have an extra's module, or do as for a program that is missing."""
    if importlib.util.find_spec(name) is None:
        missing(f"the Python module {name} is not installed")


def as_root() -> None:
    """Have root's rights, or do as for a program that is missing."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        missing("it takes root's rights")


def kernel() -> ModuleType:
    """The native kernel, to be held to its Python; without it, or where Python is asked for, the test is skipped."""
    if native is None and os.environ.get("SIPCDR_KERNEL") == "python":
        pytest.skip("SIPCDR_KERNEL is python")
    return native or missing("the native kernel isn't built")


def folder(variable: str) -> Path:
    """The folder that an environment variable names; without one the test is skipped."""
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} names no folder")
    return Path(value)


def missing(reason: str) -> NoReturn:
    """Skip the test for this reason, or fail it under CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true asks for it")
    pytest.skip(reason)
