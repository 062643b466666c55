"""Damage to the files of a store, one after the other; each is found by name, or changes no value."""

from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
from faults.contents import check, compare, expected_arrays

from store.errors import InputError
from store.features import FeatureStore
from store.summary import inspect_store

METADATA = "zarr.json"


def flip(store: str, part: int, parts: int) -> dict[str, int]:
    """Flip bits in this part of a store's files, one at a time; count them, and how many were found."""
    noise, counts = np.random.default_rng(part), Counter[str]()
    for file in _files(Path(store))[part::parts]:
        content = file.read_bytes()
        for position in _positions(file, len(content), noise):
            damaged = bytearray(content)
            damaged[position] ^= 1 << int(noise.integers(8))
            file.write_bytes(damaged)
            counts["flips"] += 1
            counts["found"] += _found(Path(store), file)
        file.write_bytes(content)
    check(store)
    return counts


def _positions(file: Path, size: int, noise: np.random.Generator) -> list[int]:
    if file.name == METADATA:
        return noise.permutation(size)[:15].tolist()
    return [0, size // 2, *range(size - 4, size), *noise.integers(0, size, 6).tolist()]  # its last four: the checksum


def damage(store: str, part: int, parts: int) -> dict[str, int]:
    """Damage this part of a store's files as a disk, a copy or a person may, each in every way; count it."""
    counts = Counter[str]()
    files = _files(Path(store))
    for file in files[part::parts]:
        content = file.read_bytes()
        versions = {
            "emptied": b"",
            "halved": content[: len(content) // 2],
            "one byte short": content[:-1],
            "zeroed": bytes(len(content)),
            "exchanged": _another(Path(store), file, files),
            "lost": None,
        }
        for kind, version in versions.items():
            if version == content:
                continue
            if version is None:
                file.unlink()
            else:
                file.write_bytes(version)
            counts[kind] += 1
            assert _found(Path(store), file) or _is_inner_group(content), (kind, file)
        file.write_bytes(content)
    check(store)
    return counts


def _files(store: Path) -> list[Path]:
    return sorted(path for path in store.rglob("*") if path.is_file())


def _another(store: Path, file: Path, files: list[Path]) -> bytes:
    """Return the content of another chunk of the array, else of the same file of another recording, else its own."""
    array = _of(store, file)
    chunks = [each for each in files if each.name != METADATA and _of(store, each) == array]
    if file in chunks and len(chunks) > 1:
        return chunks[chunks.index(file) - 1].read_bytes()
    recording, _, inside = file.relative_to(store).as_posix().partition("/")
    same = [store / other / inside for other in ("a", "b") if other != recording]
    return same[0].read_bytes() if inside and same[0].is_file() else file.read_bytes()


def _of(store: Path, file: Path) -> str:
    """Return the group or array that a file belongs to."""
    return file.relative_to(store).parent.as_posix().partition("/c/")[0].removesuffix("/c")


def _is_inner_group(metadata: bytes) -> bool:
    """Whether a file only says that a folder is a group of arrays; nobody reads it but other programs."""
    return b'"node_type": "group"' in metadata and b"seal" not in metadata


def _found(store: Path, file: Path) -> bool:
    """Return whether the damage of a file is found, and by its name; whether it is or not, nothing reads wrong."""
    messages = _damage(store)
    if not messages:
        check(str(store))
        return False
    assert not any("\n" in each for each in messages), messages
    if file.parent == store:
        assert [each.startswith(f"{store}: ") for each in messages] == [True], messages
        return True
    _reads_right(store)
    # Of a recording that has another's marker it is the arrays that do not fit.
    names = (f"{store}: {_of(store, file)} ", f"{store}: {_of(store, file)}/")
    assert all(each.startswith(names) for each in messages), messages
    return True


def _damage(store: Path) -> list[str]:
    try:
        summary = inspect_store(store, verify=True)
    except InputError as error:
        return [str(error)]
    return summary["damage"] + [each["damage"] for each in summary["recordings"].values() if each["damage"]]


def _reads_right(store: Path) -> None:
    """Check that whoever reads gets what was written, or an error."""
    opened = FeatureStore(store)
    for name in opened.ids:
        with suppress(InputError):
            recording = opened[name]
            for array, values in expected_arrays(recording).items():
                with suppress(InputError):
                    compare(array, recording.read(array), values)
