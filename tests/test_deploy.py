"""What lies in deploy/: units that systemd takes, steps of the Containerfile that run, rules that Prometheus takes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sipcdr.app._metrics import Metrics
from tests.tools import program

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
PROGRAM = Path(sys.executable).parent / "sipcdr"


def names() -> set[str]:
    """All that the daemon's metrics may be called in a query."""
    found = {"up"}
    for family in Metrics().registry.collect():
        found |= {family.name, f"{family.name}_total"}
        found |= (
            {f"{family.name}_{part}" for part in ("bucket", "count", "sum")} if family.type == "histogram" else set()
        )
    return found


@pytest.mark.parametrize("unit", ["sipcdr.service", "sipcdr@.service"])
def test_units(unit: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say."""
    text = (DEPLOY / unit).read_text().replace("/opt/sipcdr/bin/sipcdr", str(PROGRAM))
    path = tmp_path / unit
    path.write_text(text)
    command = [program("systemd-analyze"), "verify", "--man=no", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_alert_rules() -> None:
    """promtool takes the rules, and they ask for metrics that there are."""
    done = subprocess.run(
        [program("promtool"), "check", "rules", str(DEPLOY / "alerts.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    asked = set(re.findall(r"\bsipcdr_\w+", (DEPLOY / "alerts.yml").read_text()))
    assert asked <= names()


def test_dashboard() -> None:
    """Each panel of the dashboard asks for metrics that there are, and each metric is asked for."""
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    asked: set[str] = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            used = set(re.findall(r"\bsipcdr_\w+", target["expr"]))
            assert used, panel["title"]
            asked |= used
    assert asked <= names()
    told = {family.name for family in Metrics().registry.collect()}
    assert {re.sub("_(total|bucket|sum|count)$", "", name) for name in asked} == told
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_metrics_are_documented() -> None:
    """README lists each metric."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for family in Metrics().registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}" in readme


def test_container_steps(tmp_path: Path) -> None:
    """The Containerfile's RUN steps work as a script, on a copy of the tree; users are not made."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Containerfile").read_text())
    steps = [line.removeprefix("RUN ") for line in text.splitlines() if line.startswith("RUN ")]
    assert any("pip install" in step for step in steps)
    source = tmp_path / "src"
    archive = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
                             capture_output=True, text=True, check=True)  # fmt: skip
    for name in archive.stdout.splitlines():
        if name.split("/")[0] in ("ingest", "builder", "sinks", "app") or name in (
            "pyproject.toml",
            "README.md",
            "LICENSE",
        ):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    script = "\n".join(step for step in steps if "useradd" not in step)
    script = script.replace("/opt/sipcdr", str(tmp_path / "opt")).replace("/src", str(source))
    script = script.replace("python -m venv", f"{sys.executable} -m venv", 1)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        ["sh", "-euc", script], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("sipcdr ")
    assert not source.exists()
