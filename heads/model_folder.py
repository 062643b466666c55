"""A model's folder on the disk: replaced whole or not at all, whatever stops it."""

import glob
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from store.arrays import METADATA
from store.errors import InputError
from store.files import write_atomically

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
_ASIDE = "replaced"
_MOMENT = 0.5  # seconds


def check_destination(folder: Path) -> None:
    """Check, before the work of training, that a model can be saved to a folder.

    Raises
    ------
    InputError
        If it holds anything but a model, which would be lost, lies inside a feature store, or its parent does not
        exist or cannot be written to.
    """
    if not folder.name:
        raise InputError(f"{folder}: name a folder of its own for the model")
    inside = [parent for parent in folder.absolute().parents if (parent / METADATA).is_file()]
    if inside:
        raise InputError(f"{folder}: lies inside the feature store {inside[-1]}; name another folder for the model")
    recover(folder)
    if folder.exists():
        names = {entry.name for entry in folder.iterdir()} if folder.is_dir() else {folder.name}
        if names not in ({WEIGHTS, DESCRIPTION}, set()):
            raise InputError(f"{folder}: is there and holds more than a model; name another folder for the model")
    elif folder.is_symlink():
        raise InputError(f"{folder}: is a link that leads nowhere; name another folder for the model")
    if not folder.parent.is_dir():
        raise InputError(f"{folder}: there is no folder {folder.parent}; make it first or name another")
    try:
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.").cleanup()
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); free or choose another place") from error


def replace_folder(folder: Path, weights: bytes, description: bytes) -> None:
    """Write a model's files; an earlier model in the same folder is replaced.

    Raises
    ------
    InputError
        If the folder holds something else, or cannot be written; an earlier model is then still there.
    """
    check_destination(folder)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as workspace:
            fresh = Path(workspace, "fresh")
            fresh.mkdir()
            write_atomically(fresh / WEIGHTS, weights)
            write_atomically(fresh / DESCRIPTION, description)
            _replace(folder, fresh, Path(workspace, _ASIDE))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); free or choose another place") from error


def recover(folder: Path) -> None:
    """Put a model back that was moved aside to be replaced when the process was killed."""
    found = (
        [] if not folder.name or folder.exists() else [*folder.parent.glob(f".{glob.escape(folder.name)}.*/{_ASIDE}")]
    )
    for aside in found:
        time.sleep(_MOMENT)  # if another process is replacing it just now, it is there again
        with suppress(OSError):
            if not folder.exists():
                aside.rename(folder)
                shutil.rmtree(aside.parent, ignore_errors=True)


def _replace(folder: Path, fresh: Path, aside: Path) -> None:
    """Put a fresh folder in the place of another, which is moved aside and comes back if that fails."""
    if folder.exists():
        folder.rename(aside)
    try:
        fresh.rename(folder)
    except OSError:
        if aside.exists():
            aside.rename(folder)
        raise
