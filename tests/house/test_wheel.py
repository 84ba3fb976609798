"""The wheel: what it carries, and that it works away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.house.tree import ROOT


def run(*command: str | Path, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the wheel; its dependencies are those of the running environment."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home / "venv", with_pip=False)
    interpreter = home / "venv" / "bin" / "python"
    packages = Path(run(interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    # Without the .pth files there, an editable install of the checkout stays out of sight.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return interpreter


def test_the_wheel_carries_code_mappings_fixtures_and_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = {
        f"{folder}/{path.relative_to(ROOT / folder)}"
        for folder in ("mappings", "fixtures")
        for path in (ROOT / folder).rglob("*")
    }
    expected = {f"fhir_elig/_data/{name}" for name in sources if (ROOT / name).is_file()}
    assert expected - names == set()
    assert "fhir_elig/_data/mappings/protocols/relma-cel-ssc.yaml" in names
    assert "fhir_elig/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "docs/")) or "__pycache__" in name]


def test_the_installed_package_is_the_wheels_and_finds_its_own_mappings(python: Path, tmp_path: Path) -> None:
    code = "import fhir_elig, fhir_elig.places as p; print(fhir_elig.__file__); print(p.mapping_root()); print(p.fixtures_root())"
    lines = run(python, "-c", code, cwd=tmp_path).splitlines()
    home = str(python.parents[1])
    assert all(line.startswith(home) for line in lines), lines
    assert lines[1].endswith("fhir_elig/_data/mappings")


def test_the_installed_command_lists_the_protocols(python: Path, tmp_path: Path) -> None:
    assert "relma-cel-ssc" in run(python, "-m", "fhir_elig", "protocol", "list", cwd=tmp_path)


def test_the_installed_command_screens_its_example_patients(python: Path, tmp_path: Path) -> None:
    assert "relma-cel-ssc" in run(python, "-m", "fhir_elig", "demo", cwd=tmp_path)
