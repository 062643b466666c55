"""What a model says of recordings, and what people say: the figures that need a store."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heads.model import GestureModel
from heads.scale import AUDIO, GRID
from heads.suggesting import outlook_on, ranked
from search.data import Data, load_data
from search.evaluation import Scored
from search.figures.confusions import confusion_matrix
from search.figures.correlations import correlation_matrix
from search.figures.counts import class_counts
from search.figures.curves import effort_curve, precision_recall
from search.figures.maps import clip_map, layout
from search.figures.sounds import sound_features
from search.figures.timelines import timeline
from search.rendering.tables import Row, Table
from search.report.pictures import Clip, find_videos, pictures_of, shot, sound_between, timecode
from search.report.pieces import Drawing, Gallery, Piece, Shot, Text
from search.runs import predicted
from search.usage import unseen
from store.features import FeatureStore
from store.places import Place
from store.recording import Recording

_WORST = 12  # clips shown
_OF_A_CLASS = 3
_NEXT = 6  # stretches to annotate next
_MAPPED = 1500  # clips on the map at most
_HEARD = 16  # clips whose sound is drawn


@dataclass(frozen=True)
class Evidence:
    """A model, and recordings to look at with it.

    Parameters
    ----------
    model : GestureModel
        Whose word.
    store : FeatureStore
        Where the features are.
    data : Data
        The annotated recordings.
    videos : dict of Path
        Those that are at hand, by the recording's id.
    notes : tuple of str
        What has to be known of the videos.
    """

    model: GestureModel
    store: FeatureStore
    data: Data
    videos: dict[str, Path]
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        model: GestureModel,
        folder: Path,
        store: Place,
        annotations: Sequence[Path],
        videos: Sequence[Path],
        offset: float | None = None,
    ) -> "Evidence":
        """Return a model with what the user names beside it.

        Raises
        ------
        InputError
            If something cannot be used.
        """
        opened = FeatureStore(store)
        opened.require(model.spec, f"the model {folder} needs the latter; name its store")
        data = load_data(opened, annotations, model.vocabulary, model.settings.clip_rule, offset)
        beside = list(dict.fromkeys(path.parent for path in data.sources))
        found, notes = find_videos([opened[name] for name in opened.ids], beside, videos)
        return cls(model, opened, data, found, tuple(notes))

    @cached_property
    def said(self) -> dict[str, NDArray[np.float64]]:
        """The probabilities of all clips, by recording, annotated or not."""
        return {name: self.model.head.predict(self.model.clips([self.store[name]])) for name in self.store.ids}

    @cached_property
    def judged(self) -> NDArray[np.intp]:
        """The annotated clips on which the model may be judged; all that are annotated if there is none."""
        chosen = unseen(self.model.training["recordings"], self.data)
        return chosen if len(chosen) else np.flatnonzero(self.data.labels.known)

    @cached_property
    def scored(self) -> Scored:
        """What is said of them."""
        return predicted(self.model, self.data, self.judged)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.model.vocabulary.classes

    def _clip(self, number: int) -> Clip:
        recording = int(self.data.timeline.recording[number])
        return self.data.recordings[recording].id, number - int(np.argmax(self.data.timeline.recording == recording))

    def timelines(self) -> list[Piece]:
        """Return a timeline of each annotated recording."""
        return [self._timeline(place, recording) for place, recording in enumerate(self.data.recordings)]

    def _timeline(self, place: int, recording: Recording) -> Drawing:
        mine = self.data.timeline.recording == place
        times, probability = self.data.timeline.times[mine], self.said[recording.id]
        processing = self.model.head.postprocessing
        known = self.data.labels.known[mine]
        figure = timeline(
            recording.id,
            times,
            self.classes,
            self.data.labels.positive[mine],
            probability,
            processing.thresholds,
            present=processing.present(probability, times),
            known=known,
        )
        used = self.model.training["recordings"].get(recording.id)
        role = "" if used is None or not used["training"] else " The model has learned from parts of it."
        caption = f"{recording.id}: {int(known.sum())} of {len(known)} clips annotated.{role}"
        return Drawing(f"timeline-{recording.id}", caption, figure)

    def errors(self) -> list[Piece]:
        """Return where it errs, on the clips on which it may be judged."""
        scored, of = self.scored, f"{len(self.judged)} clips that it has not learned from"
        systems = {"this model": scored.probability}
        found: list[Piece] = [
            Drawing(
                "precision-recall",
                f"Precision over recall, {of}. Mark: where the model decides; dotted: how often the class is there.",
                precision_recall("Precision and recall", self.classes, scored.true, scored.probability, scored.present),
            ),
            Drawing(
                "confusion",
                "Row: what is there. Column: how often that is found where it is not there; on the diagonal, how often "
                "what is there is found.",
                confusion_matrix("What is taken for what", self.classes, scored.true, scored.present),
            ),
            Drawing(
                "effort",
                "Going through the clips from the most probable on, class by class: how soon all is found.",
                effort_curve("Work saved", systems, scored.true),
            ),
        ]
        return found

    def recordings(self) -> list[Piece]:
        """Return what the recordings hold."""
        labels, timeline_ = self.data.labels, self.data.timeline
        counts = {
            each.id: (labels.positive & labels.known[:, None])[timeline_.recording == place].sum(axis=0).tolist()
            for place, each in enumerate(self.data.recordings)
        }
        frames = labels.frames[labels.known].reshape(-1, len(self.classes))
        return [
            Drawing(
                "counts", "Annotated clips of each class.", class_counts("How often", self.classes, counts, "clips")
            ),
            Drawing(
                "together",
                f"Correlation of each two classes over {len(frames)} annotated frames.",
                correlation_matrix("What occurs together", self.classes, frames),
            ),
            *self._map(),
            *self._sound(),
        ]

    def _map(self) -> list[Piece]:
        clips = self.model.clips(self.data.recordings, probe=True)
        chosen = np.arange(len(clips))[:: max(1, -(-len(clips) // _MAPPED))]
        if len(chosen) < 3 or GRID not in clips.inputs:
            return []
        positive = self.data.labels.positive[chosen]
        rare = np.where(positive, positive.sum(axis=0), np.iinfo(np.intp).max)  # of several classes, the rarest
        shown = np.where(self.data.labels.known[chosen] & positive.any(axis=1), rare.argmin(axis=1), -1)
        some = {
            int(place): self._clip(int(chosen[place])) for place in range(0, len(chosen), max(1, len(chosen) // 60))
        }
        seen = pictures_of(self.data.recordings, self.videos, some.values())
        pictures = {place: seen[clip][0] for place, clip in some.items() if clip in seen}
        figure = clip_map(
            "Clips alike lie close",
            layout(clips.take(GRID, chosen).reshape(len(chosen), -1)),
            self.classes,
            shown,
            pictures,
        )
        caption = (
            "Each clip by its features (t-SNE), marked by its class, of several by the rarest. What lies mixed here "
            "cannot be told apart by a simple rule."
        )
        return [Drawing("map", caption, figure)]

    def _sound(self) -> list[Piece]:
        for recording in self.data.recordings:
            if recording.has_sound and recording.id in self.videos and recording.attributes.get("audio_sha256") is None:
                times = recording.read("times")[:_HEARD]
                features = recording.read(AUDIO)[: len(times)]
                rate = int(self.store.spec.audio["rate"])
                samples = sound_between(self.videos[recording.id], times[0, 0], times[-1, 1], rate)
                figure = sound_features(f"Sound of {recording.id}", times, features, samples, rate)
                caption = (
                    f"Features of the sound of {recording.id}, over its spectrogram: the first {len(times)} clips."
                )
                return [Drawing("sound", caption, figure)]
        return []

    def worst(self) -> list[Piece]:
        """Return the clips it got most wrong."""
        scored = self.scored
        wrong = np.where(scored.present != scored.true, np.abs(scored.true - scored.probability), 0.0)
        clips: list[tuple[int, int]] = []
        for flat in np.argsort(-wrong, axis=None, kind="stable"):
            clip, column = divmod(int(flat), len(self.classes))
            if len(clips) == _WORST or not wrong[clip, column]:
                break
            taken = clip in {other for other, _ in clips}
            if not taken and sum(other == column for _, other in clips) < _OF_A_CLASS:
                clips.append((clip, column))
        if not clips:
            return [Text("It got no clip wrong.")]
        named = {clip: self._clip(int(self.judged[clip])) for clip, _ in clips}
        seen = pictures_of(self.data.recordings, self.videos, named.values())
        shots, rows = [], []
        for place, (clip, column) in enumerate(clips):
            (name, _), begin = named[clip], float(scored.times[clip, 0])
            what = "missed" if scored.true[clip, column] else "found, is not there"
            said = f"{self.classes[column]} {what} (probability {scored.probability[clip, column]:.2f})"
            rows.append(
                (f"{name}, {timecode(begin)}", self.classes[column], what, float(scored.probability[clip, column]))
            )
            if named[clip] in seen:
                shots.append(shot(f"wrong-{place + 1}", f"{name}, {timecode(begin)}: {said}", seen[named[clip]]))
        table = Table(
            "wrong", "The clips it got most wrong", ("clip", "class", "what is wrong", "probability"), tuple(rows)
        )
        return self._shown(shots, table)

    def next(self) -> list[Piece]:
        """Return what to annotate next: of all recordings, what is most worth looking at."""
        matched = {each.id: said for each, said in zip(self.data.recordings, self.data.matched, strict=True)}
        stretches = [
            (worth, name, stretch)
            for name, probability in self.said.items()
            for worth, stretch in ranked(
                outlook_on(self.model, self.store[name], probability, matched.get(name)), _NEXT
            )
        ]
        stretches.sort(key=lambda each: -each[0])
        found: list[Piece] = []
        if stretches:
            rows: list[Row] = [
                (name, f"{timecode(stretch.begin)} to {timecode(stretch.end)}", stretch.value)
                for _, name, stretch in stretches[:_NEXT]
            ]
            note = "The most worth looking at first, as label --suggest finds them."
            found.append(Table("next", "Not annotated yet", ("recording", "stretch", "why"), tuple(rows), (note,)))
        else:
            found.append(Text("All clips of the store's recordings are annotated: a new recording would teach most."))
        positive = self.data.labels.positive[self.data.labels.known].sum(axis=0)
        rare = [f"{self.classes[column]} ({positive[column]})" for column in np.argsort(positive, kind="stable")[:3]]
        found.append(Text(f"Fewest examples so far, in clips: {', '.join(rare)}."))
        return found

    def _shown(self, shots: Sequence[Shot], table: Table) -> list[Piece]:
        if shots:
            return [Gallery(tuple(shots))]
        return [table, Text("Their videos are not at hand: name them with --videos to see the clips.")]
