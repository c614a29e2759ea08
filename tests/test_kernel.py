"""Which is loaded, the native kernel or the Python that defines it, and how a user learns of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sipcdr.builder import native

from .tools import missing

ROOT = Path(__file__).parent.parent
WANTED = os.environ.get("SIPCDR_KERNEL", "")


def sipcdr(*words: str, kernel: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with or without the kernel."""
    code = "import sys; from sipcdr.app._cli import main; main()"
    environment = {**os.environ, "SIPCDR_KERNEL": kernel}
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment, check=False
    )


def test_the_kernel_is_loaded_where_it_can_be_built() -> None:
    """With cargo on the machine the kernel is what works, unless SIPCDR_KERNEL says otherwise."""
    if WANTED == "python":
        assert native is None
    elif shutil.which("cargo") is None:
        missing("cargo is not installed")
    else:
        assert native is not None


def test_kernel_and_package_have_one_version() -> None:
    """The crate, the package, and the kernel that the package asks for are of one version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    crate = tomllib.loads((ROOT / "ingest/native-rs/Cargo.toml").read_text(encoding="utf-8"))["package"]["version"]
    choice = (ROOT / "builder/_kernel.py").read_text(encoding="utf-8")
    assert crate == project
    assert f'VERSION: Final = "{project}"' in choice


def test_version_says_which() -> None:
    """`--version` names the kernel, or Python and why."""
    assert sipcdr("--version", kernel="python").stdout.endswith(" (Python: SIPCDR_KERNEL=python)\n")
    if native is not None:
        assert sipcdr("--version").stdout.endswith(f" (native kernel {native.VERSION})\n")


@pytest.mark.parametrize("words", [("--version",), ("replay", "fixtures/demo.pcap", "--to", "none")])
def test_a_choice_that_is_none(words: tuple[str, ...]) -> None:
    """A value of SIPCDR_KERNEL that says nothing is told in one line."""
    done = sipcdr(*words, kernel="rust")
    assert "SIPCDR_KERNEL is python or native, not 'rust'" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def kernel_of(folder: Path, wanted: str = "") -> subprocess.CompletedProcess[str]:
    """What the module that chooses says in another folder."""
    shutil.copy(ROOT / "builder/_kernel.py", folder)
    code = "import runpy, sys; print(runpy.run_path(sys.argv[1])['words'])"
    return subprocess.run(
        [sys.executable, "-c", code, str(folder / "_kernel.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "SIPCDR_KERNEL": wanted},
        check=False,
    )


def test_without_a_kernel(tmp_path: Path) -> None:
    """Where none was built Python does the work, and who insists is told."""
    assert kernel_of(tmp_path).stdout == "Python: no native kernel was built\n"
    assert "SIPCDR_KERNEL=native: no native kernel was built" in kernel_of(tmp_path, "native").stderr


def test_a_kernel_that_cannot_be_used(tmp_path: Path) -> None:
    """A kernel of another version, or of another machine, is refused with the reason."""
    (tmp_path / "_native.py").write_text("VERSION = '0.0.1'\n", encoding="utf-8")
    assert kernel_of(tmp_path).stdout.startswith("Python: the native kernel is 0.0.1, not ")
    (tmp_path / "_native.py").unlink()
    (tmp_path / "_native.abi3.so").write_bytes(b"\x7fELF of another machine")
    if os.name == "posix":
        assert kernel_of(tmp_path).stdout.startswith("Python: the native kernel can't be loaded: ")


def test_version_is_quick() -> None:
    """`--version` imports neither the derivation nor a reader."""
    code = (
        "import sys; from sipcdr.app._cli import main\n"
        "try: main(['--version'])\n"
        "finally: print(*(name for name in sys.modules if name.startswith('sipcdr.')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    loaded = {name.split(".")[1] for name in done.stderr.split() if name.startswith("sipcdr.")}
    assert loaded - {"app"} <= {"builder"}
    assert "sipcdr.builder" not in done.stderr.split()
