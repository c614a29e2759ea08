"""What is shipped: the wheel and the sdist hold the tree and the kernel, and the wheel works where the tree isn't."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
FOLDERS = ("ingest", "builder", "sinks", "app")
CHECKED = (*FOLDERS, "tests", "fixtures", "benchmarks", "fuzz", "docs")


KERNEL = "sipcdr/builder/_native.abi3.so"
CARGO = shutil.which("cargo") is not None


def tracked(*folders: str) -> Iterator[Path]:
    """Files of the tree below these folders, without what tools leave there."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and not {"__pycache__", "_root", "target"}.intersection(path.parts):
                yield path.relative_to(ROOT)


def shipped() -> Iterator[Path]:
    """What of the folders is shipped: all but the built kernel, and what only those who change the kernel use."""
    for path in tracked(*FOLDERS):
        if path.suffix != ".so" and path.name != "rustfmt.toml" and "fuzz" not in path.parts:
            yield path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an sdist and the wheel built from it, by the build tools of this environment.

    The kernel is built without optimisation, which is quick, in a folder of its own.
    """
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    quick = {
        "CARGO_TARGET_DIR": str(ROOT / "ingest/native-rs/target/quick"),
        "CARGO_PROFILE_RELEASE_LTO": "off",
        "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    }
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **quick}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of a fresh environment with the wheel, and the libraries of this one beside it."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    [wheel] = built.glob("*.whl")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([str(programs / "python"), *install], check=True)
    return programs


def environment() -> dict[str, str]:
    """This environment's libraries for the fresh one; the editable install of this tree is not among them."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(site.getsitepackages())}


def test_the_wheel_holds_the_tree(built: Path) -> None:
    """Every module and type marker is in the wheel, under sipcdr, and the kernel where cargo is; nothing else is."""
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    kernel = {KERNEL} if CARGO else set()
    assert {name.replace(".pyd", ".abi3.so") for name in names} == {
        f"sipcdr/{path.as_posix()}" for path in shipped()
    } | kernel
    assert "-cp311-abi3-" in wheel.name


def test_the_sdist_holds_what_the_wheel_is_built_from(built: Path) -> None:
    """The sdist has all modules, the kernel's sources, the licence and the README."""
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {path.as_posix() for path in shipped()} | {"LICENSE", "README.md", "pyproject.toml"}
    assert wanted - names == set()


def test_the_wheel_names_its_licence_and_libraries(built: Path) -> None:
    """The metadata say what pyproject.toml says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode("utf-8")
    assert f"Version: {project['version']}\n" in metadata
    assert "License-Expression: Apache-2.0\n" in metadata
    required = {
        line.split(": ")[1]
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist") and "extra ==" not in line
    }
    assert {re.split("[<>=]", name)[0] for name in required} == {
        re.split("[<>=]", name)[0] for name in project["dependencies"]
    }


def test_the_wheel_runs_in_a_fresh_environment(installed: Path, tmp_path: Path) -> None:
    """Installed from the wheel, the command says its version and replays a capture."""
    version = subprocess.run(
        [str(installed / "sipcdr"), "--version"], capture_output=True, text=True, env=environment(), check=True
    )
    assert re.fullmatch(r"sipcdr \d+\.\d+\.\d+ \((native kernel|Python: ).*\)\n", version.stdout)
    assert ("native kernel" in version.stdout) is CARGO
    capture = ROOT / "fixtures" / "demo.pcap"
    done = subprocess.run(
        [str(installed / "sipcdr"), "replay", str(capture), "--format", "csv"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 10
    assert (tmp_path / "sipcdr.db").exists()


def test_the_fresh_environment_uses_the_wheel(installed: Path, tmp_path: Path) -> None:
    """What runs there is the wheel's copy, not this tree."""
    code = "import sipcdr.app; print(sipcdr.app.__file__)"
    done = subprocess.run(
        [str(installed / "python"), "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(),
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(installed.parent)


def test_the_type_checker_reads_every_module() -> None:
    """`mypy` checks as many files as there are, so that no folder is left out unseen."""
    modules = [path for path in tracked(*CHECKED) if path.suffix in (".py", ".pyi")]
    done = subprocess.run([sys.executable, "-m", "mypy"], capture_output=True, text=True, cwd=ROOT, check=False)
    match = re.search(r"(?:in|checked) (\d+) source files", done.stdout)
    assert match is not None, done.stdout + done.stderr
    assert int(match[1]) == len(modules)


def test_marked_as_typed() -> None:
    """Each package tells type checkers that it has types."""
    for folder in FOLDERS:
        assert (ROOT / folder / "py.typed").exists()
