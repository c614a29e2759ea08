"""Imports point one way: app to ingest, builder and sinks; ingest and sinks to builder; builder to nobody."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import sipcdr.builder

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
FOLDERS = ("ingest", "builder", "sinks", "app")
MODULES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]

# What each folder may import: of ours, and of others beside the standard library.
OURS = {
    "ingest": {"sipcdr.builder"},
    "builder": set(),
    "sinks": {"sipcdr.builder"},
    "app": {"sipcdr.builder", "sipcdr.ingest", "sipcdr.sinks"},
}
OTHERS = {
    "ingest": {"msgspec", "kafka", "confluent_kafka", "pyshark", "packaging", "zstandard", "lz4"},
    "builder": {"msgspec"},
    "sinks": {"msgspec", "sqlalchemy", "alembic", "psycopg", "pymysql", "pyodbc"},
    "app": {"msgspec", "click", "rich", "zstandard", "kafka", "confluent_kafka", "prometheus_client"},
}
SPARK = {"pyspark", "py4j", "pyarrow", "fsspec"}
# A pure package reads no clock, opens nothing and starts nothing.
IMPURE = {"time", "socket", "threading", "asyncio", "subprocess", "multiprocessing", "os", "pathlib", "io", "logging"}


def imports(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every import of a module, also inside functions: the module's full name and the names taken from it."""
    package = ["sipcdr", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            names = tuple(alias.name for alias in node.names)
            yield ".".join([*base, *filter(None, [node.module])]), names


def of_ours(name: str) -> str | None:
    """The package of ours that a module belongs to."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "sipcdr" else None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    """A module imports of ours only what its folder may, through the public door, and of others what is stated."""
    folder = path.relative_to(ROOT).parts[0]
    for name, names in imports(path):
        package = of_ours(name)
        if package is None:
            top = name.split(".")[0]
            others = OTHERS[folder] | (SPARK if path.parent.name == "spark" else set())
            assert top in sys.stdlib_module_names | others, f"{folder} imports {name}"
        elif package != f"sipcdr.{folder}":
            assert package in OURS[folder], f"{folder} imports {name}"
            assert name == package, f"{path} reaches into {name}"
            assert not any(taken.startswith("_") for taken in names), f"{path} reaches into {name}"


def test_nothing_imports_the_folders_by_their_short_names() -> None:
    """The folders are installed as sipcdr.ingest and so on; `import ingest` would work in this tree only."""
    others = [path for folder in ("tests", "fixtures", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
    for path in MODULES + others:
        for name, _ in imports(path):
            assert name.split(".")[0] not in FOLDERS, f"{path} imports {name}"


def test_builder_is_pure() -> None:
    """The derivation reads no clock and does no input or output; only the choice of the kernel sees the environment."""
    for path in sorted((ROOT / "builder").rglob("*.py")):
        allowed = {"os"} if path.name == "_kernel.py" else set()
        for name, _ in imports(path):
            assert name.split(".")[0] not in IMPURE - allowed, f"{path} imports {name}"


def test_builder_calls_no_clock() -> None:
    """No module of the derivation asks what time it is."""
    for path in sorted((ROOT / "builder").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today")), path


@pytest.mark.parametrize("statement", ["import sipcdr.app._cli", "import sipcdr.builder", "import sipcdr.ingest"])
def test_heavy_libraries_wait_for_the_command_that_needs_them(statement: str) -> None:
    """Neither `sipcdr --version` nor the derivation nor the reader pays for what others need."""
    heavy = {"sqlalchemy", "rich", "zstandard", "sqlite3", "kafka", "pyshark", "lxml", "alembic"}
    assert loaded_by(statement) & (heavy | SPARK | {"pandas", "numpy"}) == set()


def test_a_replay_without_a_database_loads_none() -> None:
    """Neither SQLAlchemy nor what draws on a terminal is imported for `--to none --quiet`."""
    replay = ["replay", str(ROOT / "fixtures" / "answered-ipv6.pcap"), "--to", "none", "--quiet"]
    loaded = loaded_by(f"from sipcdr.app._cli import main; main({replay!r}, standalone_mode=False)")
    assert loaded & {"sqlalchemy", "alembic", "rich"} == set()
    assert "zstandard" in loaded


def loaded_by(statement: str) -> set[str]:
    """The top packages that a fresh interpreter has imported after it."""
    code = f"{statement}; import sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("folder", FOLDERS)
def test_public_names_exist(folder: str) -> None:
    """What a package lists in `__all__` can be imported from it."""
    package = __import__(f"sipcdr.{folder}", fromlist=["__all__"])
    for name in getattr(package, "__all__", ()):
        assert hasattr(package, name), f"sipcdr.{folder} has no {name}"


def test_the_tests_run_against_this_tree() -> None:
    """`sipcdr` is installed from this tree, so what is tested is what is here."""
    assert sipcdr.builder.__file__ is not None
    assert Path(sipcdr.builder.__file__).samefile(ROOT / "builder" / "__init__.py")
