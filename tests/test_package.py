"""The wheel, installed elsewhere, works without the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[1]
MODULES = ("chironomy", "commands", "demo", "extract", "heads", "review", "search", "store", "store.annotations")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    # From a copy: building leaves a build folder in the tree.
    left_out = (".*", "tests", "build", "dist", "*.egg-info", "__pycache__", "demo-output")
    tree = shutil.copytree(CHECKOUT, folder / "tree", ignore=shutil.ignore_patterns(*left_out))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, tree], check=True)
    (wheel,) = folder.glob("chironomy-*.whl")
    options = ["--no-deps", "--no-index", "--no-compile", "--target", folder / "site"]
    subprocess.run([*pip, "install", *options, wheel], check=True)
    return folder / "site"


def run(site: Path, folder: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=100
    ).stdout


def test_every_module_comes_from_the_wheel(site: Path, tmp_path: Path) -> None:
    code = f"import {', '.join(MODULES)}; print(*({'.__file__, '.join(MODULES)}.__file__), sep='\\n')"
    files = run(site, tmp_path, "-c", code).splitlines()
    assert len(files) == len(MODULES)
    assert all(Path(file).is_relative_to(site) for file in files), files


def test_no_module_was_left_out(site: Path) -> None:
    folders = ("commands", "demo", "extract", "heads", "review", "search", "store")
    ours = {path.relative_to(CHECKOUT) for name in folders for path in (CHECKOUT / name).rglob("*.py")}
    assert all((site / path).is_file() for path in ours | {Path("chironomy.py")})
    assert not (site / "tests").exists()
    page = CHECKOUT / "review" / "page"
    assert {path.name for path in (site / "review" / "page").iterdir()} == {path.name for path in page.iterdir()}


def test_the_vocabularies_are_in_it(site: Path, tmp_path: Path) -> None:
    code = (
        "from store.vocabulary import load_vocabulary as load\n"
        "print(*[len(load(f'guitar-{number}').classes) for number in (18, 7)])"
    )
    assert run(site, tmp_path, "-c", code).split() == ["18", "7"]


def test_the_command_runs(site: Path, tmp_path: Path) -> None:
    assert "extract" in run(site, tmp_path, "-m", "chironomy", "--help")
    script = (site / "bin" / "chironomy") if os.name != "nt" else (site / "Scripts" / "chironomy.exe")
    assert script.exists()
