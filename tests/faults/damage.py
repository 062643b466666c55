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
    noise, counts, victim = np.random.default_rng(part), Counter[str](), _Victim(Path(store))
    for file in victim.files[part::parts]:
        content = file.read_bytes()
        for position in _positions(file, len(content), noise):
            damaged = bytearray(content)
            damaged[position] ^= 1 << int(noise.integers(8))
            file.write_bytes(damaged)
            counts["flips"] += 1
            counts["found"] += victim.is_found(victim.name(file))
        file.write_bytes(content)
    check(store)
    return counts


def _positions(file: Path, size: int, noise: np.random.Generator) -> list[int]:
    if file.name == METADATA:
        return noise.permutation(size)[:9].tolist()
    return [0, size // 2, *range(size - 4, size), *noise.integers(0, size, 3).tolist()]  # its last four: the checksum


def spoil(store: str, part: int, parts: int) -> dict[str, int]:
    """Spoil this part of a store's files as a disk, a copy or a person may, each in every way; count it."""
    counts, victim = Counter[str](), _Victim(Path(store))
    for file in victim.files[part::parts]:
        content = file.read_bytes()
        versions = {
            "emptied": b"",
            "halved": content[: len(content) // 2],
            "one byte short": content[:-1],
            "zeroed": bytes(len(content)),
            "exchanged": victim.another(file),
        }
        for kind, version in versions.items():
            if version != content:
                file.write_bytes(version)
                counts[kind] += 1
                assert victim.is_found(victim.name(file)), (kind, file)
        file.unlink()
        counts["lost"] += 1
        view = victim.name(file).replace("/parts/", "/conv4/")  # without its marker a view only lies there
        assert victim.is_found(victim.name(file), view) or _is_inner_group(content), ("lost", file)
        file.write_bytes(content)
    check(store)
    return counts


def _is_inner_group(metadata: bytes) -> bool:
    """Whether a file only says that a folder is a group of arrays, which is known without it."""
    return b'"node_type": "group"' in metadata and b"seal" not in metadata


def misplace(store: str) -> dict[str, int]:
    """Rename the folder of each array, and exchange it for that of each array like it; count it."""
    counts, victim = Counter[str](), _Victim(Path(store))
    arrays = [file.parent for file in victim.files if b'"node_type": "array"' in file.read_bytes()]
    like = {array: (array / METADATA).read_bytes() for array in arrays}
    aside = Path(store).parent / "aside"
    for place, array in enumerate(arrays):
        array.rename(aside)
        counts["renamed"] += 1
        assert victim.is_found(victim.name(array / METADATA)), array
        for other in arrays[place + 1 :]:
            if like[other] == like[array] and not _equal(aside, other):
                other.rename(array)
                aside.rename(other)
                counts["exchanged"] += 1
                assert victim.is_found(victim.name(array / METADATA), victim.name(other / METADATA)), (array, other)
                other.rename(aside)
                array.rename(other)
        aside.rename(array)
    check(store)
    return counts


def _equal(one: Path, other: Path) -> bool:
    files = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
    return all((one / file).read_bytes() == (other / file).read_bytes() for file in files)


class _Victim:
    """A store that is whole when this begins."""

    def __init__(self, store: Path):
        self._store = store
        self.files = sorted(path for path in store.rglob("*") if path.is_file())
        opened = FeatureStore(store)
        self._written = {name: expected_arrays(opened[name]) for name in opened.ids}

    def name(self, file: Path) -> str:
        """Return the group or array that a file belongs to."""
        return file.relative_to(self._store).parent.as_posix().partition("/c/")[0].removesuffix("/c")

    def another(self, file: Path) -> bytes:
        """Return the content of another chunk of its array, else of the same file elsewhere, else its own."""
        chunks = [each for each in self.files if each.name != METADATA and self.name(each) == self.name(file)]
        if file in chunks and len(chunks) > 1:
            return chunks[chunks.index(file) - 1].read_bytes()
        recording, _, inside = file.relative_to(self._store).as_posix().partition("/")
        same = [self._store / other / inside for other in self._written if other != recording]
        return same[0].read_bytes() if inside and same[0].is_file() else file.read_bytes()

    def is_found(self, *names: str) -> bool:
        """Return whether damage is found, and by one of its names; whether it is or not, nothing reads wrong."""
        messages = self._damage()
        if not messages:
            check(str(self._store))
            return False
        assert not any("\n" in each for each in messages), messages
        if "." in names:
            assert [each.startswith(f"{self._store}: ") for each in messages] == [True], messages
            return True
        self._check_what_reads()
        # Of a recording that has another's marker it is the arrays that do not fit.
        known = tuple(f"{self._store}: {name}{after}" for name in names for after in " /")
        assert all(each.startswith(known) for each in messages), messages
        return True

    def _damage(self) -> list[str]:
        try:
            summary = inspect_store(self._store, verify=True)
        except InputError as error:
            return [str(error)]
        return summary["damage"] + [each["damage"] for each in summary["recordings"].values() if each["damage"]]

    def _check_what_reads(self) -> None:
        opened = FeatureStore(self._store)
        for name, arrays in self._written.items():
            with suppress(InputError):
                recording = opened[name]
                for array, values in arrays.items():
                    with suppress(InputError):
                        compare(array, recording.read(array), values)
