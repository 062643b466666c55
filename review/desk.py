"""Everything that is open at one review: video, annotations, what the model says, and what is being computed."""

import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.playing import playable, shown_times
from extract.video import VideoInfo, probe
from review import tasks
from review.marks import Change
from review.predictions import differences
from review.session import Session
from review.work import Work
from store.annotations import predicted_tier
from store.errors import InputError
from store.files import require_file, sha256
from store.places import Place, cache_folder
from store.vocabulary import canonical

if TYPE_CHECKING:
    from heads.labelling import Prediction


@dataclass(frozen=True)
class Sources:
    """What a review is of, beside video and annotations.

    Parameters
    ----------
    model : Path or None
        A trained model's folder, for probabilities.
    store : Path, UPath or None
        Feature store to take the video's features from, and to learn from.
    others : tuple of Path
        Annotation files of the store's other recordings, to learn from as well.
    weights : str or None
        The backbone's weights file, where it is not found by itself.
    device : str
        Where networks run.
    """

    model: Path | None = None
    store: "Place | None" = None
    others: tuple[Path, ...] = ()
    weights: str | None = None
    device: str = "auto"


class Desk:
    """One review.

    Parameters
    ----------
    video : Path
        The video.
    session : Session
        Its annotations.
    sources : Sources
        The rest.
    """

    def __init__(self, video: Path, session: Session, sources: Sources):
        self.video, self.session, self.sources = require_file(video), session, sources
        self.info: VideoInfo = probe(video)
        self.prediction: Prediction | None = None
        self.model = sources.model
        self.sound: Any = None
        self.learned: dict[str, Any] | None = None
        self.works: dict[str, Work] = {}
        self._ready: dict[str, int] = {"prediction": 0}
        self._lock = threading.Lock()
        self.shown = video if playable(video) else cache_folder() / "playable" / f"{sha256(video)}.mp4"

    def start(self) -> None:
        """Begin to compute what the page will show."""
        if not self.shown.is_file():
            self.works["video"] = Work("Preparing the video", tasks.copy_for_browser, self.video, self.shown)
        self.works["sound"] = Work(
            "Drawing the sound", tasks.draw_sound, self.video, self.info.duration, then=self._take_sound
        )
        if self.model is not None:
            source = self.sources
            arguments = (self.video, self.model, source.store, source.weights, source.device)
            self.works["prediction"] = Work(
                "Looking for gestures", tasks.predict, *arguments, then=self._take_prediction
            )

    def stop(self) -> None:
        """End everything."""
        for work in self.works.values():
            work.stop()
        self.session.close()

    def state(self) -> dict[str, Any]:
        """Return everything that the page needs at its beginning, ready for JSON."""
        info = {name: value for name, value in asdict(self.info).items() if name not in ("codec", "rotation")}
        return {"video": {"name": self.video.name, **info}, **self.session.state(), **self.progress()}

    def status(self) -> dict[str, Any]:
        """Return what may change at any time, ready for JSON."""
        return {**self.session.status(), **self.progress()}

    def progress(self) -> dict[str, Any]:
        """Return what is being computed, and what is there."""
        return {
            "works": {name: work.to_json() for name, work in self.works.items()},
            "video_ready": self.shown.is_file(),
            "sound_ready": self.sound is not None,
            "prediction": None if self.prediction is None else self._describe_prediction(),
            "learned": self.learned,
            "can_learn": None if self.model and self.sources.store else self._why_not(),
        }

    def frame_times(self) -> Any:
        """Return when each frame of the video that is played is shown, (frames,) float64 in seconds."""
        return shown_times(self.shown)

    def curves(self) -> bytes:
        """Return borders (clips + 1) in seconds, then the probabilities class by class, as float32.

        Raises
        ------
        InputError
            If there is nothing predicted yet.
        """
        import numpy as np

        from heads.neighbours import in_order

        prediction = self._predicted()
        clips = in_order(prediction.times)
        borders = np.append(clips.begin, clips.end[-1])
        return borders.astype("<f4").tobytes() + prediction.probability[clips.order].T.astype("<f4").tobytes()

    def by_thresholds(self, thresholds: dict[str, float]) -> Change:
        """Return the change that finds these classes anew by other thresholds."""
        prediction = self._predicted()
        unknown = set(thresholds) - set(prediction.classes)
        if unknown or any(not 0 <= value <= 1 for value in thresholds.values()):
            raise InputError("thresholds are from 0 to 1, of the model's classes")
        label = f"Threshold of {next(iter(thresholds))}" if len(thresholds) == 1 else "Predictions of the model"
        columns = {prediction.classes.index(name): value for name, value in thresholds.items()}
        tiers = self._tiers()
        found = [replace(each, tier=tiers[each.value]) for each in prediction.intervals(columns)]
        return self.session.proposal(label, found, [tiers[name] for name in thresholds])

    def learn(self) -> dict[str, Any]:
        """Begin to learn from the annotations as they stand; return how far everything is.

        Raises
        ------
        InputError
            If there is nothing to learn with, or it is being done.
        """
        with self._lock:
            work = self.works.get("learning")
            if work is not None and work.state == "running":
                raise InputError("it is being learned from already")
            source = self.sources
            if self.model is None or source.store is None:
                raise InputError(self._why_not())
            learning = tasks.Learning(self.model, _next_model(self.model), source.store, source.others, source.device)
            content = self.session.content()  # as it stands, saved or not
            self.works["learning"] = Work(
                "Learning", tasks.learn, self.video, content, learning, then=self._take_learned
            )
        return self.progress()

    def stop_learning(self) -> dict[str, Any]:
        """Stop learning, if that is being done; return how far everything is."""
        if "learning" in self.works:
            self.works["learning"].stop()
        return self.progress()

    def _take_sound(self, sound: Any) -> None:
        self.sound = sound

    def _take_prediction(self, prediction: "Prediction") -> None:
        self.prediction = prediction
        self._ready["prediction"] += 1

    def _take_learned(self, result: dict[str, Any]) -> None:
        before = self.prediction
        self.model = result["model"]
        self._take_prediction(result["prediction"])
        self.learned = {
            "model": str(result["model"]),
            "scores": result["scores"],
            "notes": result["notes"],
            "changes": differences(before, result["prediction"]),
        }

    def _predicted(self) -> "Prediction":
        if self.prediction is None:
            raise InputError("no model has looked at the video yet")
        return self.prediction

    def _describe_prediction(self) -> dict[str, Any]:
        prediction = self._predicted()
        return {
            "version": self._ready["prediction"],
            "model": self.model.name if self.model else "",
            "classes": prediction.classes,
            "thresholds": prediction.postprocessing.thresholds.tolist(),
            "untrained_backbone": prediction.untrained_backbone,
        }

    def _tiers(self) -> dict[str, str]:
        """Return the predicted tier of each of the model's classes, as the file spells it."""
        there = {canonical(tier): tier for tier in self.session.sheet.tiers}
        names = {name: predicted_tier(name) for name in self._predicted().classes}
        return {name: there.get(canonical(tier), tier) for name, tier in names.items()}

    def _why_not(self) -> str:
        return "to learn from corrections, start chironomy review with --model and --store"


def _next_model(model: Path) -> Path:
    """Return a folder for the next model, beside the one at hand, which is kept."""
    stem, _, number = model.name.rpartition("-reviewed-")
    base, count = (stem, int(number)) if stem and number.isdecimal() else (model.name, 0)
    while (free := model.with_name(f"{base}-reviewed-{count + 1}")).exists():
        count += 1
    return free
