"""What trainings on the same annotated recordings share, so that the second costs less than the first."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from extract.views import PLAIN
from heads.clips import Clips, load_clips
from heads.network import Weights
from heads.probe import LinearProbe, fit_probe
from search.data import Data
from store.features import FeatureStore


class Shelf:
    """A store's annotated recordings, opened: their clips, the backbone's weights, and regressions once fitted.

    Parameters
    ----------
    store : FeatureStore
        Where the features are.
    data : Data
        Recordings and labels.
    """

    def __init__(self, store: FeatureStore, data: Data):
        self.store, self.data = store, data
        self._clips: Clips | None = None
        self._standardised: Clips | None = None
        self._regressions: dict[tuple, LinearProbe] = {}

    @cached_property
    def tail(self) -> Weights:
        """Weights of conv5 and fc."""
        return self.store.tail()

    @cached_property
    def views(self) -> tuple[str, ...]:
        """Versions of the picture that all recordings have, the plain one first."""
        shared = set.intersection(*({*recording.views} for recording in self.data.recordings))
        return (PLAIN, *sorted(shared - {PLAIN}))

    def clips(self, inputs: Sequence[str], standardise: str, views: Sequence[str]) -> Clips:
        """Return the clips as `heads.clips.load_clips` does; what was read before is not read again.

        Raises
        ------
        InputError
            If an array of the store is missing or damaged, or none of the recordings has the sound asked for.
        """
        there = (
            set() if self._clips is None else {*self._clips.inputs},
            () if self._clips is None else self._clips.views,
        )
        if not ({*inputs} <= there[0] and {*views} <= {*there[1]}):
            wanted = sorted({*inputs} | there[0])
            self._clips = self._standardised = None  # never two copies in memory
            self._clips = load_clips(self.data.recordings, wanted, "none", max(views, there[1], key=len))
        assert self._clips is not None
        found = self._clips
        if standardise == "recording":
            if self._standardised is None:
                self._standardised = self._clips.standardised(self.data.recordings)
            found = self._standardised
        return found.only(*inputs, views=views)

    def regression(
        self, clips: Clips, training: NDArray[np.intp], inputs: tuple[str, ...], standardise: str, seed: int
    ) -> LinearProbe:
        """Return the regression on some inputs of the training clips, fitted once for each choice of clips.

        Parameters
        ----------
        clips : Clips
            From `clips`, standardised as `standardise` says.
        training : ndarray of int
            Clips to fit it to.
        inputs : tuple of str
            Its features.
        standardise : str
            How they are standardised.
        seed : int
            Of the draw, where there are too many clips.
        """
        key = inputs, standardise, seed, training.tobytes()
        if key not in self._regressions:
            self._regressions[key] = fit_probe(clips, training, self.data.labels.positive, seed, inputs)
        return self._regressions[key]
