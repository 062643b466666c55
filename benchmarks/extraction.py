"""How much of the machine a whole extraction uses, and what it costs to find a video already there.

Run with ``make bench``. Everything is measured in turns in one run and printed as ratios:

- extracting a video (640 x 480, then 1080p; H.264 with sound) against the sum of its parts done one after
  the other by themselves: decoding and shaping the frames, the network, the audio features. Writing,
  verifying and hashing are in the first and not in the second; overlapping them is what makes up for it.
- the same video again against hashing it.
- opening a store of 1,000 recordings against one of 10.
"""

import shutil
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from trunk import medians

from extract.audio import ClipSound, timbre
from extract.cutting import Cutter
from extract.jobs import Job
from extract.pipeline import Extractor
from extract.video import frames
from extract.weights import load_backbone
from store.features import FeatureStore
from store.files import sha256

ROUNDS = 3
RATE = 25
SIZES = {"640 x 480": (640, 480, 24), "1080p": (1920, 1080, 16)}  # width, height, seconds


def make_video(path: Path, width: int, height: int, seconds: int) -> Path:
    """Write a moving, noisy picture and noise for sound: as much work to decode as a filmed one."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    picture = coarse.repeat(16, axis=0).repeat(16, axis=1)[:height, :width].astype(np.int16)
    grain = random.integers(-12, 13, (height, width, 1), np.int16)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        sound = output.add_stream("aac", rate=44100, layout="stereo")
        for index in range(seconds * RATE):
            moved = np.roll(picture, 3 * index, axis=1) + np.roll(grain, 7 * index, axis=0)
            frame = av.VideoFrame.from_ndarray(moved.clip(0, 255).astype(np.uint8), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        for index in range(seconds * 44100 // 1024):
            noise = random.normal(0, 0.1, (2, 1024)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(noise, "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 44100, index * 1024, Fraction(1, 44100)
            output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    return path


def measure_video(folder: Path, name: str, width: int, height: int, seconds: int) -> None:
    video = make_video(folder / f"{width}.mp4", width, height, seconds)
    backbone = load_backbone("random:0")
    extractor = Extractor(folder / "S", backbone)
    batches = list(Cutter(16, "drop").batches(frames(video)))
    clips = sum(len(batch.times) for batch in batches)

    def extract() -> None:
        # The store stays: making one, with conv5's weights in it, happens once.
        shutil.rmtree(folder / "S" / video.stem, ignore_errors=True)
        assert extractor.extract(Job(video)).status == "extracted"

    def sound() -> None:
        with ClipSound(video) as reader:
            for batch in batches:
                timbre(reader.samples(batch.times))

    median = medians(
        {
            "extraction": extract,
            "decoding": lambda: [frame.picture for frame in frames(video)],
            "network": lambda: [extractor.runtime.run(batch.pictures) for batch in batches],
            "sound": sound,
        },
        ROUNDS,
    )
    whole = median.pop("extraction")
    parts = ", ".join(f"{part} {clips / taken:.1f}" for part, taken in median.items())
    print(f"{name}: {clips / whole:.1f} clips/s, {seconds / whole:.1f} x real time (by themselves: {parts})")
    print(f"  {sum(median.values()) / whole:.2f} of the speed of its parts one after the other (0.90 wanted)")
    again = medians({"again": lambda: extractor.extract(Job(video)), "hash": lambda: sha256(video)}, 9)
    size = video.stat().st_size / 1e6
    print(f"  the same again: {again['again'] / again['hash']:.2f} x hashing its {size:.0f} MB (1.20 wanted)")


def measure_opening(folder: Path) -> None:
    recording = next(path for path in (folder / "S").iterdir() if path.is_dir() and path.name != "chironomy-tail")
    stores = {}
    for count in (10, 1000):
        stores[count] = folder / f"of-{count}"
        shutil.copytree(folder / "S", stores[count])
        for number in range(1, count):
            shutil.copytree(recording, stores[count] / f"copy-{number}")
    median = medians({str(count): lambda store=store: FeatureStore(store) for count, store in stores.items()}, 99)
    print(f"opening a store of 1,000 recordings: {median['1000'] / median['10']:.2f} x one of 10 (2 wanted)")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            measure_video(Path(folder), name, *size)
        measure_opening(Path(folder))


if __name__ == "__main__":
    main()
