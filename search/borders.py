"""How far the borders of found events are from the true ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heads.intervals import borders
from heads.metrics import best_matches
from heads.neighbours import in_order
from search.evaluation import Scored, evaluation, select

MATCHING = 0.25  # intersection over union from which on two events are the same


def full_evaluation(classes: Sequence[str], scored: Scored) -> dict[str, Any]:
    """Return what `search.evaluation.evaluation` does, and under ``borders`` how far these are off."""
    return evaluation(classes, scored) | {"borders": border_errors(scored)}


def border_errors(scored: Scored) -> dict[str, Any]:
    """Return how far borders are off: those that labelling writes, and the clips' own beside them.

    Of each class, events that match; borders that are only those of what was scored tell nothing and are left out.
    The clips' own are those of the events that were matched.

    Parameters
    ----------
    scored : Scored
        The clips, with what is known of them and what was predicted.

    Returns
    -------
    dict
        JSON-ready: ``borders``, their number, and in seconds the median error (``median``), that of the clips' borders
        (``median_of_clips``), and the median of begins and of ends with their sign, below 0 where they come too early
        (``begin``, ``end``). None where nothing matches.
    """
    fine, coarse, ends = [], [], []
    for recording in np.unique(scored.recording):
        part = select(scored, scored.recording == recording)
        clips = in_order(part.times)
        limits = _limits(clips.stretch, clips.begin, clips.end)
        labels = part.answered.labels(part.frames)
        for column in range(part.true.shape[1]):
            true = part.answered.events(labels[:, column])
            first, last = clips.runs(part.present[clips.order, column])
            rough = np.column_stack([clips.begin[first], clips.end[last]])
            if not (len(true) and len(rough)):
                continue
            found = borders(part.probability[clips.order, column], clips, first, last)
            which, of, overlap = best_matches(true, rough)
            which, of = which[overlap >= MATCHING], of[overlap >= MATCHING]
            inner = ~np.isclose(true[of][..., None], limits, atol=1e-3).any(axis=-1)
            fine.append((found[which] - true[of])[inner])
            coarse.append((rough[which] - true[of])[inner])
            ends.append(np.broadcast_to([0.0, 1.0], inner.shape)[inner])
    errors, by_clips, of_ends = (np.concatenate(each) if each else np.empty(0) for each in (fine, coarse, ends))
    return {
        "borders": len(errors),
        "median": _median(np.abs(errors)),
        "median_of_clips": _median(np.abs(by_clips)),
        "begin": _median(errors[of_ends == 0]),
        "end": _median(errors[of_ends == 1]),
    }


def _limits(stretch: NDArray[np.intp], begin: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where stretches begin and end."""
    starts = np.append(True, stretch[1:] != stretch[:-1])[: len(stretch)]
    return np.concatenate([begin[starts], end[np.append(starts[1:], True)[: len(stretch)]]])


def _median(values: NDArray[np.float64]) -> float | None:
    return float(np.median(values)) if len(values) else None
