"""Audio features of the clips, computed in a thread of their own while the network runs on the pictures."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.audio import AudioParameters, ClipSound, timbre
from store.writing import RecordingWriter


class SoundFeatures:
    """Computes the features of the sound of batches of clips, and writes them; without sound, nothing.

    Parameters
    ----------
    writer : RecordingWriter
        Where they go, in the order of the clips.
    path : Path or None
        The file with the sound; None where there is none.
    offset : float
        When it starts on the video's clock, in seconds.
    parameters : AudioParameters
        What is computed.
    """

    def __init__(self, writer: RecordingWriter, path: Path | None, offset: float, parameters: AudioParameters):
        self._writer, self._parameters = writer, parameters
        self._sound = ClipSound(path, offset) if path is not None else None
        self._running: Future[NDArray[np.float32]] | None = None

    def __enter__(self) -> "SoundFeatures":
        if self._sound is not None:
            self._sound.__enter__()
            self._thread = ThreadPoolExecutor(1)
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if self._sound is None:
            return
        try:
            if error is None:
                self._collect()
        finally:
            self._thread.shutdown(cancel_futures=True)
            self._sound.__exit__(kind, error, traceback)

    def start(self, times: NDArray[np.float64]) -> None:
        """Begin with the clips of these times; those begun before are written."""
        if self._sound is not None:
            self._collect()
            self._running = self._thread.submit(self._compute, times)

    def _compute(self, times: NDArray[np.float64]) -> NDArray[np.float32]:
        assert self._sound is not None
        return timbre(self._sound.samples(times), self._parameters)

    def _collect(self) -> None:
        if self._running is not None:
            self._writer.append("audio", self._running.result())
            self._running = None
