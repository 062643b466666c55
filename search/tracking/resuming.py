"""Runs that are gone on with after a stop."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search.tracking.record import Record, tracked
from store.files import write_atomically


@contextmanager
def going_on(
    kind: str, name: str, chosen: Mapping[str, Any], beside: Path, kept: Path, parent: str | None = None
) -> Iterator[Record]:
    """Record a run as `search.tracking.tracked` does, and go on with the one that was stopped before.

    Parameters
    ----------
    kind, name, chosen, beside, parent
        As there.
    kept : Path
        File with the id of the run; removed by whoever does not want it gone on with.
    """
    before = kept.read_text() if kept.is_file() else None
    with tracked(kind, name, chosen, beside=beside, parent=parent, run=before) as record:
        if record.id is not None:
            write_atomically(kept, record.id.encode())
        yield record
