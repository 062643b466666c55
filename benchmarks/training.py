"""How fast heads are trained: against the usual way, this machine's limit, and memory.

Run with ``make bench``. Everything is measured in one run and printed as ratios:

- an epoch of conv5 on stored activations against the usual way: torch, the frozen trunk run every time on decoded
  frames held in memory, conv5 as 3-D convolutions;
- a training step against the machine's matrix-multiply peak over the 1.37 GFLOP that a clip needs (0.457 forward,
  twice that backward; torch multiplies with MKL, which is slow on AMD processors, and convolves with oneDNN, so more
  than 1 is possible);
- an epoch of ``--tune fc`` against one of ``--tune conv5``, on 3,446 clips and 18 classes, the paper's;
- with ``--gigabytes N``: training streamed from a store of that size, made of random numbers in a temporary folder,
  against training on clips in memory, and the memory that streaming takes.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from trunk import SIDE, medians, seconds

from extract.runtimes.inputs import normalise
from extract.weights import load_backbone
from heads.clips import Clips, load_clips
from heads.conv5 import Conv5In3d
from heads.labels import Labels
from heads.learner import Learner, Task
from heads.losses import dynamic_batch_balance
from heads.network import Architecture, make_network
from heads.scale import CONV4, CONV5, ENERGY, GRID, Scale
from heads.settings import SYSTEMS, settings_for
from store.features import FeatureStore
from store.spec import Spec
from store.writing import RecordingWriter

CLIPS, CLASSES = 3446, 18  # all videos of the paper
NEEDED = 1.37e9  # floating-point operations per trained clip
SYSTEM = SYSTEMS["sm+bb+ts"]
CPU = torch.device("cpu")
PER_RECORDING = 7000  # clips; an hour and a quarter at 25 frames a second


def shapes() -> dict[str, tuple[int, ...]]:
    """Return the shape of a clip in each input."""
    return {CONV4: (256, 2, 7, 7), CONV5: (512,), GRID: (4608,), ENERGY: (4608,)}


def made_up(clips: int, *inputs: str) -> Clips:
    """Return clips of random numbers in memory, standardised as one recording."""
    random = np.random.default_rng(0)
    rows, scales = {}, {}
    for name in inputs:
        shape = shapes()[name]
        values = random.standard_normal((clips, *shape), np.float32)
        rows[name, "plain"] = values.astype(np.float16) if name == CONV4 else values
        scales[name, "plain"] = Scale(np.zeros((1, *shape), np.float32), np.ones((1, *shape), np.float32))
    return Clips(np.zeros(clips, np.intp), np.zeros(1, bool), rows, scales)


def learner(clips: Clips, tune: str, classes: int, tail: dict[str, np.ndarray], training: np.ndarray) -> Learner:
    """Return what trains a network on clips with random labels."""
    frames = np.repeat(np.random.default_rng(1).random((len(clips), 1, classes)) < 0.1, 16, axis=1)
    labels = Labels(frames, np.ones(len(clips), bool))
    settings = settings_for(tune=tune)
    architecture = Architecture(classes, settings.widths, tune=tune, linear=(GRID, ENERGY))
    torch.manual_seed(0)
    task = Task(clips, labels, training, np.empty(0, np.intp), np.arange(classes))
    return Learner(make_network(tail, architecture), SYSTEM, settings, task, CPU)


def against_the_usual_way(clips: int = 96) -> dict[str, float]:
    """Compare an epoch on stored activations with one on frames, and with the limit."""
    backbone = load_backbone("random:0")
    frames = np.random.default_rng(0).integers(0, 256, (clips, 16, 112, 112, 3), dtype=np.uint8)
    every = np.arange(clips)
    ours = learner(made_up(clips, CONV4, GRID, ENERGY), "conv5", CLASSES, backbone.tail(), every)
    trunk = backbone.trunk.eval()
    head = torch.nn.Sequential(Conv5In3d("r3d34", backbone.tail()), torch.nn.Linear(512, CLASSES)).train()
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-4)
    target = torch.rand(clips, CLASSES)

    def usual() -> None:
        for at in range(0, clips, 32):
            pictures = normalise(torch.from_numpy(frames[at : at + 32]), backbone.preprocessing)
            with torch.no_grad():
                activations = trunk(pictures)
            rows: Tensor = target[at : at + 32]
            loss = dynamic_batch_balance(torch.sigmoid(head(activations)), rows, rows > 0.9)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    matrix = torch.rand(SIDE, SIDE)
    numbers = iter(range(1, 100))
    median = medians(
        {"ours": lambda: ours.epoch(next(numbers)), "usual": usual, "matrix product": lambda: matrix @ matrix}, rounds=3
    )
    peak = 2 * SIDE**3 / median["matrix product"]
    return {"usual": median["usual"] / median["ours"], "limit": clips * NEEDED / median["ours"] / peak}


def fc_against_conv5() -> float:
    """Compare an epoch that trains the fully connected layers with one that trains conv5 too."""
    backbone = load_backbone("random:0")
    every = np.arange(CLIPS)
    epochs = {
        tune: learner(made_up(CLIPS, name, GRID, ENERGY), tune, CLASSES, backbone.tail(), every).epoch
        for tune, name in (("conv5", CONV4), ("fc", CONV5))
    }
    epochs["fc"](1)  # warms up
    slow = seconds(lambda: epochs["conv5"](1))
    return slow / statistics.median(seconds(lambda number=number: epochs["fc"](number)) for number in range(2, 9))


def random_store(folder: Path, gigabytes: float) -> FeatureStore:
    """Write a store of random shards of that size, or take the one that is there."""
    backbone = load_backbone("random:0")
    spec = Spec("r3d34", "2018", "random:0", "0" * 64, 16, 16, {"size": 112}, "float16", {"rate": 22050})
    block = np.random.default_rng(0).exponential(1, (32, *shapes()[CONV4])).astype(np.float16)
    recordings = max(1, round(gigabytes * 1e9 / (PER_RECORDING * block[0].nbytes)))
    times = np.arange(PER_RECORDING * 16 + 1) / 25
    for number in range(recordings):
        identity = {"source_sha256": f"{number:064x}"}
        with RecordingWriter(folder, f"hour-{number}", spec, backbone.tail(), PER_RECORDING, identity) as writer:
            if (folder / f"hour-{number}").exists():
                continue
            writer.resume(["conv4/plain"])
            for at in range(0, PER_RECORDING, 32):
                writer.append("conv4/plain", np.roll(block, at + number)[: min(32, PER_RECORDING - at)])
            writer.put("times", np.column_stack([times[:-16:16], times[16::16]]))
            writer.put("frame_times", times[:-1])
            writer.commit({**identity, "duration": times[-1], "frames_end": times[-1]})
    return FeatureStore(folder)


def train_on(store: FeatureStore, clips_learned: int, memory: int | None, recordings: int) -> float:
    """Return how long it takes to learn from a clip, in an epoch over so many clips of a store."""
    chosen = [store[name] for name in store.ids[:recordings]]
    clips = load_clips(chosen, (CONV4, GRID, ENERGY), memory=memory)
    random = np.random.default_rng(0)
    blocks = np.arange(len(clips)) if clips.blocks is None else clips.blocks
    some = np.isin(
        blocks, random.permutation(np.unique(blocks))[: clips_learned // (1 if clips.blocks is None else 32)]
    )
    training = np.flatnonzero(some)
    learned = learner(clips, "conv5", CLASSES, store.tail(), training)
    return seconds(lambda: learned.epoch(1)) / len(training)


def streamed(store: FeatureStore, clips: int) -> dict[str, float]:
    """Compare training from disk with training in memory, each in a process of its own, in turns."""
    rates: dict[str, list[float]] = {"memory": [], "disk": []}
    peak = 0.0
    for _ in range(3):
        for where in rates:
            command = [sys.executable, __file__, "--one", where, str(store.path), str(clips)]
            took, used = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
            rates[where].append(took)
            peak = max(peak, used) if where == "disk" else peak
    return {"speed": statistics.median(rates["memory"]) / statistics.median(rates["disk"]), "gigabytes": peak}


def one(where: str, store: str, clips: str) -> None:
    """Print the seconds a clip that training takes, and the peak of the memory in gigabytes; for `streamed`."""
    opened = FeatureStore(Path(store))
    if where == "disk":
        took = train_on(opened, int(clips), memory=0, recordings=len(opened.ids))
    else:
        took = train_on(opened, int(clips), memory=1 << 40, recordings=1)
    print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=0, help="size of a store to stream from (default: none)")
    parser.add_argument("--folder", type=Path, help="where that store is kept (default: a temporary folder)")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        return one(*arguments.one)
    ratios = against_the_usual_way()
    print(f"an epoch of conv5 on stored activations: {ratios['usual']:.1f} x the usual way (wanted: 16)")
    print(f"  {ratios['limit']:.2f} of the limit, by torch's matrix product (wanted: 0.75)")
    print(f"an epoch of --tune fc: {fc_against_conv5():.0f} x one of --tune conv5 (wanted: 250)")
    if arguments.gigabytes:
        with tempfile.TemporaryDirectory() as temporary:
            began = time.monotonic()
            store = random_store(arguments.folder or Path(temporary, "store"), arguments.gigabytes)
            print(f"a store of {arguments.gigabytes:g} GB made in {time.monotonic() - began:.0f} s")
            ratio = streamed(store, 1920)
            print(f"streamed: {ratio['speed']:.2f} of the speed in memory (wanted: 0.90)")
            print(f"  with {ratio['gigabytes']:.2f} GB of memory at its peak (wanted: below 2)")
    return None


if __name__ == "__main__":
    main()
