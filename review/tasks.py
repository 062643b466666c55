"""What is computed in the background, each in a process of its own (`review.work`)."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.annotations import find
from store.errors import InputError
from store.features import FeatureStore
from store.files import sha256
from store.places import Place
from store.progress import listen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from heads.labelling import Prediction
    from review.work import Tell


@dataclass(frozen=True)
class Learning:
    """What a model is learned from.

    Parameters
    ----------
    model, out : Path
        Folders of the model at hand, and for the next.
    store : Path or UPath
        Feature store with the recording.
    others : tuple of Path
        Annotation files of the store's other recordings, or folders of them.
    device : str
        Where to train.
    """

    model: Path
    out: Path
    store: Place
    others: tuple[Path, ...]
    device: str = "auto"


def draw_sound(video: Path, seconds: float, tell: "Tell") -> "NDArray[np.int8] | None":
    """Return the outline of a video's sound, None if it has none."""
    from extract.audio import has_sound
    from extract.peaks import peaks

    if not has_sound(video):
        return None
    return peaks(video, lambda done: tell("", min(done / seconds, 1.0)))


def copy_for_browser(video: Path, out: Path, tell: "Tell") -> None:
    """Make the copy of a video that a browser plays."""
    from extract.playing import make_playable

    make_playable(video, out, lambda share: tell("", share))


def predict(
    video: Path, model: Path, store: "Place | None", weights: str | None, device: str, tell: "Tell"
) -> "Prediction":
    """Return what a model says of a video."""
    tell("loading the model", None)
    listen(lambda what, done, total: tell(what, done / total if total else None))
    from heads.labelling import predict_video

    return predict_video(video, model, store=store, weights=weights, device=device)


def learn(video: Path, content: bytes, learning: Learning, tell: "Tell") -> dict[str, Any]:
    """Learn from the annotations, and look at the video again.

    Parameters
    ----------
    video : Path
        The video under review.
    content : bytes
        Its ELAN file, of which what counts as truth is learned from.
    learning : Learning
        Everything else.

    Returns
    -------
    dict
        ``model``, its folder; ``scores``, those of its test part, None without one; ``notes``; ``prediction`` as
        `predict` gives it.

    Raises
    ------
    InputError
        If the video is not in the store, or there is too little to learn from.
    """
    tell("loading", None)
    listen(lambda what, done, total: tell(what, done / total if total else None))
    from heads.labelling import predict_video
    from search.updating import update

    name = _name_in_store(video, learning.store)
    with tempfile.TemporaryDirectory(prefix="chironomy-") as folder:
        annotations = Path(folder, f"{name}.eaf")  # belongs to the recording by its name
        annotations.write_bytes(content)
        others = [path for other, path in find(learning.others).items() if other != name]
        given = [annotations, *others]
        trained = update(learning.model, learning.store, given, learning.out, device=learning.device)
    tell("looking at the video again", None)
    prediction = predict_video(video, learning.out, store=learning.store, name=name, device=learning.device)
    return {
        "model": learning.out,
        "scores": trained["scores"].get("test"),
        "notes": trained["notes"],
        "prediction": prediction,
    }


def _name_in_store(video: Path, store: Place) -> str:
    """Return the id that a video has in a store."""
    recordings = list(FeatureStore(store).made_from(sha256(video)))
    if not recordings:
        raise InputError(f"{store}: has no features of {video.name}; run chironomy extract {video} --store {store}")
    return recordings[0].id
