"""What is computed of the sound, over its spectrogram."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from search.figures.style import BLUE, FAINT, ORANGE, SKY, YELLOW, look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Columns of the stored features (Section 5.1), after the twenty cepstral coefficients.
CENTROID, BANDWIDTH, ROLLOFF, FLATNESS, CONTRAST, CROSSINGS, LOUDNESS = range(20, 27)
_OVER = {"centroid": (CENTROID, SKY, "-"), "bandwidth": (BANDWIDTH, YELLOW, "--"), "roll-off": (ROLLOFF, "white", ":")}
_UNDER = {
    "flatness": (FLATNESS, ORANGE),
    "contrast": (CONTRAST, BLUE),
    "zero crossings": (CROSSINGS, FAINT),
    "loudness": (LOUDNESS, ORANGE),
}


def sound_features(
    title: str, times: NDArray[np.float64], features: NDArray[np.floating], samples: NDArray[np.floating], rate: int
) -> "Figure":
    """Draw the features of neighbouring clips over the spectrogram of their sound.

    Parameters
    ----------
    title : str
        Heading.
    times : ndarray of float64, shape (clips, 2)
        Start and end of each clip in seconds.
    features : ndarray of float, shape (clips, windows, features)
        As stored.
    samples : ndarray of float, shape (samples,)
        The sound from the first clip's start to the last one's end.
    rate : int
        Samples a second.
    """
    from librosa import amplitude_to_db, stft
    from matplotlib.figure import Figure

    begin, end = float(times[0, 0]), float(times[-1, 1])
    at = np.concatenate([np.linspace(start, stop, features.shape[1]) for start, stop in times])
    flat = features.reshape(-1, features.shape[2])
    level = amplitude_to_db(np.abs(stft(np.asarray(samples, np.float32))), ref=np.max)
    with look():
        figure = Figure(figsize=(9, 4.6))
        axes = figure.subplots(5, 1, sharex=True, height_ratios=(4, 1, 1, 1, 1))
        axes[0].imshow(
            level, origin="lower", aspect="auto", cmap="magma", vmin=-70, vmax=0,
            extent=(begin, end, 0, rate / 2000), interpolation="bilinear",
        )  # fmt: skip
        for name, (column, colour, line) in _OVER.items():
            axes[0].plot(at, flat[:, column] / 1000, color=colour, linestyle=line, linewidth=1.2, label=name)
        highest = max(4.0, 1.3 * float(flat[:, ROLLOFF].max()) / 1000)  # above, a guitar has next to nothing
        axes[0].set(ylabel="kHz", ylim=(0, min(rate / 2000, highest)), title=title)
        axes[0].legend(loc="upper right", ncols=3, labelcolor="white")
        for axis, (name, (column, colour)) in zip(axes[1:], _UNDER.items(), strict=True):
            axis.plot(at, flat[:, column], color=colour, linewidth=1)
            axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
            axis.tick_params(axis="y", labelsize=6)
        axes[-1].set(xlabel="seconds", xlim=(begin, end))
        figure.align_ylabels(axes[1:])
    return figure
