"""What the attacked recordings hold, and whether a store holds just that."""

from pathlib import Path

import numpy as np
import numpy.testing  # before processes are forked: it is not loaded with NumPy
import small_store
from numpy.typing import NDArray
from small_store import ATTRIBUTES, CLIPS, SPEC, TAIL

from store.features import FeatureStore, Recording, occupied
from store.places import Place, is_remote, key, place
from store.summary import inspect_store
from store.workspace import unfinished, workspaces


def arrays(seed: int, thin: bool = False) -> dict[str, NDArray]:
    """Return what a recording of a seed holds; a thin one has fewer arrays, of as many clips."""
    values = small_store.arrays(seed)
    if thin:
        values["conv4/plain"] = values["conv4/plain"][..., 0, 0, 0]
        del values["audio"]
    return values


def view(name: str, seed: int, thin: bool = False) -> NDArray:
    return arrays(seed, thin)["conv4/plain"] * np.float16(-1 - len(name))


def check(store: str, verify: bool = False) -> dict[str, list[str]]:
    """Return the views of each recording there, all that it holds having been compared with what was written."""
    at = place(store)
    if not occupied(at):
        return {}
    opened = FeatureStore(at)
    assert opened.spec == SPEC
    tail = opened.tail()
    assert tail.keys() == TAIL.keys()
    for name, values in TAIL.items():
        _equal(tail[name], values)
    summary = inspect_store(at, verify)
    assert is_remote(at) or not summary["foreign"]  # there, an upload that was stopped
    damage = [*summary["damage"], *(each["damage"] for each in summary["recordings"].values() if each["damage"])]
    assert not damage, damage
    return {name: _checked(opened[name]) for name in summary["recordings"]}


def _checked(recording: Recording) -> list[str]:
    assert ATTRIBUTES.items() <= recording.attributes.items()
    assert recording.clips == CLIPS
    expected = expected_arrays(recording)
    assert set(recording.arrays) == expected.keys()
    for name, values in expected.items():
        compare(name, recording.read(name), values)
    return recording.views


def expected_arrays(recording: Recording) -> dict[str, NDArray]:
    """Return all that a recording should hold, statistics too."""
    seed, thin = recording.attributes["seed"], recording.attributes["thin"]
    expected = arrays(seed, thin)
    expected |= {f"conv4/{name}": view(name, seed, thin) for name in recording.views if name != "plain"}
    for name in expected.keys() - {"times", "frame_times"}:
        values = expected[name].astype(np.float64)
        expected[f"statistics/{name}/mean"] = values.mean(axis=0).astype(np.float32)
        expected[f"statistics/{name}/std"] = values.std(axis=0).astype(np.float32)
    return expected


def compare(name: str, found: NDArray, expected: NDArray) -> None:
    """Check that an array is what was written; of statistics, that they are those of what was written."""
    if name.startswith("statistics/"):
        np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=name)
    else:
        _equal(found, expected, name)


def _equal(found: NDArray, expected: NDArray, name: str = "") -> None:
    assert found.dtype == expected.dtype, name
    np.testing.assert_array_equal(found, expected, err_msg=name)


def same(store: str, uninterrupted: str) -> None:
    """Check that two stores are equal byte for byte, and that nothing is left beside the first."""
    at = place(store)
    found, expected = _files(at), _files(place(uninterrupted))
    different = {name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)}
    assert not different, {name: (name in found, name in expected) for name in different}
    assert unfinished(at) == {}
    assert not workspaces(at).exists()
    if isinstance(at, Path):
        beside = [str(path) for path in at.parent.rglob("*") if at not in (path, *path.parents)]
        assert not beside, beside


def _files(store: Place) -> dict[str, bytes]:
    if isinstance(store, Path):
        return {path.relative_to(store).as_posix(): path.read_bytes() for path in store.rglob("*") if path.is_file()}
    found = store.fs.cat(store.fs.find(key(store)))
    return {name.removeprefix(f"{key(store)}/"): content for name, content in found.items()}
