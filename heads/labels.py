"""Labels of a recording's frames and clips, from its annotations (Sections 3.1 and 3.2)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from heads.targets import clip_labels
from store.features import Recording
from store.matching import Matched
from store.spec import Spec
from store.timeline import frame_labels, frames_within, to_clips
from store.vocabulary import Vocabulary


@dataclass(frozen=True)
class Labels:
    """What is known of a recording's clips.

    Parameters
    ----------
    frames : ndarray of bool, shape (clips, length, classes)
        Whether each class is active in each frame, by any overlap.
    known : ndarray of bool, shape (clips,)
        Whether the whole clip was annotated; the labels of the others mean nothing.
    rule : {"majority", "any"}
        Which clips are positive.
    """

    frames: NDArray[np.bool_]
    known: NDArray[np.bool_]
    rule: str = "majority"

    @cached_property
    def positive(self) -> NDArray[np.bool_]:
        """The clips' hard labels, (clips, classes)."""
        return clip_labels(self.frames, self.rule)


def label_frames(
    recording: Recording, matched: Matched, vocabulary: Vocabulary
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the labels of a recording's frames, and which of them are annotated.

    A class of the vocabulary is active when any of its gestures is, the background class when no other
    class is.

    Parameters
    ----------
    recording : Recording
        Gives the real times of the frames.
    matched : Matched
        The gestures' intervals and the annotated stretches, in seconds.
    vocabulary : Vocabulary
        The classes.

    Returns
    -------
    labels : ndarray of bool, shape (frames, classes)
        Whether each class is active, by any overlap.
    annotated : ndarray of bool, shape (frames,)
        Whether the whole frame is.
    """
    frame_times = recording.read("frame_times")
    end = float(recording.attributes["frames_end"])
    columns = [frame_labels(frame_times, end, stretches) for stretches in matched.classes(vocabulary).values()]
    if vocabulary.background is not None:
        columns.append(~np.any(columns, axis=0))
    return np.column_stack(columns), frames_within(frame_times, end, matched.annotated)


def label_clips(
    recording: Recording,
    spec: Spec,
    matched: Matched,
    vocabulary: Vocabulary,
    rule: str = "majority",
) -> Labels:
    """Return the labels of a recording's clips, made of those of its frames (`label_frames`).

    Parameters
    ----------
    recording : Recording
        Gives the real times of the frames.
    spec : Spec
        Of its store: how the frames make clips.
    matched : Matched
        The gestures' intervals and the annotated stretches, in seconds.
    vocabulary : Vocabulary
        The classes.
    rule : {"majority", "any"}
        Which clips are positive.
    """
    frames, inside = label_frames(recording, matched, vocabulary)
    cut = (spec.clip_length, spec.stride, spec.tail)
    return Labels(
        frames=to_clips(frames, *cut),
        known=np.asarray(to_clips(inside, *cut).all(axis=1)),
        rule=rule,
    )
