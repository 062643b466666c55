"""The exported trunk in the cache: made once, named by what is in it, never trusted when damaged."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from networks import trained_looking

from extract.runtimes import export
from extract.runtimes.export import INPUT, OUTPUT, exported
from extract.weights import Backbone, load_backbone
from store.errors import InputError
from store.files import sha256

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """The one with the smallest file."""
    return trained_looking("mc3_18", "kinetics400")


@pytest.fixture(scope="module")
def small(tiny) -> Backbone:
    """One that is exported in no time, where it is the file that matters."""
    return load_backbone("random:0", "tiny")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CHIRONOMY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "onnx"


def contents(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_is_what_it_says(backbone, cache):
    file = exported(backbone, "float32", 1)
    assert file.parent == cache
    assert contents(cache) == {file.name, f"{file.name}.sha256"}
    assert (cache / f"{file.name}.sha256").read_text() == f"{sha256(file)}  {file.name}\n"
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    [given], [found] = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape, given.type) == (INPUT, [1, 3, 16, 112, 112], "tensor(float)")
    assert (found.name, found.shape, found.type) == (OUTPUT, [1, *backbone.feature_shape], "tensor(float)")
    x = torch.randn((1, 3, 16, 112, 112), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = backbone.trunk(x).numpy()
    [computed] = session.run([OUTPUT], {INPUT: x.numpy()})
    np.testing.assert_allclose(computed, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)


def test_exported_once_for_the_same_and_anew_for_another(backbone, cache, monkeypatch):
    file = exported(backbone, "float32", 1)
    written = file.stat().st_mtime_ns
    assert exported(backbone, "float32", 1) == exported(backbone, "tf32", 1) == file  # TF32 is not in the file
    assert file.stat().st_mtime_ns == written
    others = [
        exported(backbone, "float16", 1),
        exported(backbone, "float32", 2),
        exported(Backbone(backbone.network, backbone.design, backbone.source, "f" * 64), "float32", 1),
    ]
    monkeypatch.setattr(export, "EXPORT", export.EXPORT + 1)
    others.append(exported(backbone, "float32", 1))
    monkeypatch.setattr(torch, "__version__", "99.0")
    others.append(exported(backbone, "float32", 1))
    assert len({file, *others}) == 6
    assert sorted(other.stat().st_size // 1_000_000 for other in others) == [6, 12, 12, 12, 12]


@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "no digest", "other digest", "half a digest"])
def test_a_damaged_file_is_exported_again(small, cache, damage):
    file = exported(small, "float32", 1)
    digest, sound = cache / f"{file.name}.sha256", file.read_bytes()
    if damage == "bit":
        flipped = bytearray(sound)
        flipped[len(sound) // 2] ^= 1
        file.write_bytes(flipped)
    elif damage == "cut":
        file.write_bytes(sound[: len(sound) // 2])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "no digest":  # as a kill between the two leaves it
        digest.unlink()
    else:
        digest.write_text("0" * 64 if damage == "other digest" else digest.read_text()[:32])
    assert exported(small, "float32", 1) == file
    assert file.read_bytes() == sound
    assert digest.read_text()[:64] == sha256(file)


def test_two_processes_at_once(cache, tmp_path):
    """Both get the same sound file, one of them made it."""
    code = (
        "from extract.weights import load_backbone\n"
        "from extract.runtimes.export import exported\n"
        "backbone = load_backbone('random:0', 'mc3_18')\n"
        "print('ready', flush=True); input()\n"
        "file = exported(backbone, 'float32', 1)\n"
        "print(file, file.stat().st_mtime_ns)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(export.__file__).parents[2])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    [first, second] = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert first == second
    file = Path(first.split()[0])
    assert contents(cache) == {file.name, f"{file.name}.sha256"}
    assert (cache / f"{file.name}.sha256").read_text()[:64] == sha256(file)


def test_a_cache_that_cannot_be_used(backbone, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("CHIRONOMY_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"onnx: cannot be used \([^\n]*\); set CHIRONOMY_CACHE to another$"):
        exported(backbone, "float32", 1)
