"""Stored clips as heads see them: each input standardised, in memory or streamed, and pooled once."""

import gc
import shutil
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import small_store
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import planted, pooled

from heads import inputs
from heads import pooled as pooling
from heads.clips import HEARD, Clips, load_clips
from heads.memory import free_memory
from heads.scale import Scale
from store.derived import beside
from store.errors import InputError
from store.features import FeatureStore
from store.recording import Recording
from store.writing import RecordingWriter

pytestmark = pytest.mark.usefixtures("one_thread")

VIEWS = ("plain", "flip")
LENGTHS = {"a": 70, "b": 33, "c": 40}  # b has no sound
CLIPS = sum(LENGTHS.values())
OF = np.repeat(np.arange(3), list(LENGTHS.values()))
HEARD_CLIPS = OF != 1
INPUTS = ("audio", "conv4", "energy", "grid")
CHANNELS = 4


def write(store: Path, name: str, clips: int, seed: int, sound: bool, channels: int = CHANNELS) -> None:
    """Write a recording whose activations are mostly zero, and far from zero in one channel, as they can be."""
    noise = np.random.default_rng(seed)
    identity = {"source_sha256": f"{seed:064x}"}
    with RecordingWriter(store, name, small_store.SPEC, small_store.TAIL, clips, identity) as writer:
        for view in VIEWS:
            x = np.maximum(noise.normal(-1, 1 + seed, (clips, channels, 2, 7, 7)), 0)
            x[:, 0] += 900
            x[:, 1, 0, 0, 0] = 3
            writer.append(f"conv4/{view}", x.astype(np.float16))
        if sound:
            writer.append("audio", noise.normal(2000, 3, (clips, 28, 6)).astype(np.float32))
        writer.put("times", np.zeros((clips, 2)))
        writer.put("frame_times", np.zeros(16 * clips))
        writer.commit(identity)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips") / "store"
    for seed, (name, clips) in enumerate(LENGTHS.items()):
        write(folder, name, clips, seed, sound=name != "b")
    return folder


@pytest.fixture(scope="module")
def recordings(store: Path) -> list[Recording]:
    return [FeatureStore(store)[name] for name in LENGTHS]


def standardised(values: np.ndarray, over: np.ndarray | None = None) -> np.ndarray:
    """By numpy, in float64; what hardly varies is not blown up."""
    values = values.astype(np.float64)
    own = values if over is None else values[over]
    deviation = own.std(axis=0)
    return (values - own.mean(axis=0)) / np.where(deviation < 1e-3, 1, deviation)


def raw(recordings: list[Recording], name: str, view: str = "plain") -> list[np.ndarray]:
    """What each input is of each recording, before it is standardised."""
    if name == "audio":
        return [
            each.read("audio") if each.has_sound else np.zeros((each.clips, 28, 6), np.float32) for each in recordings
        ]
    activations = [each.read(f"conv4/{view}") for each in recordings]
    if name == "conv4":
        return activations
    if name == "energy":
        activations = [np.abs(standardised(each)) for each in activations]
    return [pooled(each.astype(np.float64)) for each in activations]


@pytest.fixture(scope="module", params=["in memory", "streamed"])
def memory(request) -> int | None:
    return None if request.param == "in memory" else 0


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", INPUTS)
def test_standardised_by_recording(recordings: list[Recording], memory: int | None, name: str, view: str) -> None:
    if name == "audio" and view == "flip":
        pytest.skip("the sound is not flipped")
    clips = load_clips(recordings, INPUTS, views=VIEWS, memory=memory)
    expected = np.concatenate([standardised(each) for each in raw(recordings, name, view)])
    found = clips.take(name, np.arange(CLIPS), view)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert found.shape == expected.shape


def test_a_recording_does_not_depend_on_the_others(recordings: list[Recording]) -> None:
    together = load_clips(recordings, INPUTS).batch(np.arange(70, 103))
    alone = load_clips(recordings[1:2], ("conv4", "energy", "grid")).batch(np.arange(33))
    assert all(torch.equal(values, together[name]) for name, values in alone.items())


@pytest.mark.parametrize("name", INPUTS)
def test_by_training_clips_alone(recordings: list[Recording], memory: int | None, name: str) -> None:
    training = np.array([0, 3, 5, 80, 100, 110, 111, 142])
    clips = load_clips(recordings, INPUTS, "training", memory=memory)
    assert clips.scales == {}
    scaled = clips.scaled_over(training)
    found = scaled.take(name, np.arange(CLIPS))
    values = np.concatenate(raw(recordings, name))
    np.testing.assert_allclose(found, standardised(values, over=training), rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(found[training].mean(axis=0), 0, atol=1e-3)
    kept = clips.scaled({key: Scale(each.mean, each.divisor) for key, each in scaled.scales.items()})
    assert np.array_equal(kept.take(name, np.arange(CLIPS)), found)


@pytest.mark.parametrize("name", INPUTS)
def test_none_is_as_stored(recordings: list[Recording], memory: int | None, name: str) -> None:
    clips = load_clips(recordings, INPUTS, "none", memory=memory)
    found = clips.take(name, np.arange(CLIPS))
    expected = np.concatenate(raw(recordings, name))
    if name in ("audio", "conv4"):
        assert np.array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("standardise", ["recording", "training", "none"])
def test_silence_is_zero(recordings: list[Recording], memory: int | None, standardise: str) -> None:
    clips = load_clips(recordings, ("audio", "grid"), standardise, memory=memory)
    if standardise == "training":
        clips = clips.scaled_over(np.arange(0, CLIPS, 2))
    batch = clips.batch(np.arange(CLIPS))
    assert batch[HEARD].shape == (CLIPS, 1)
    assert batch[HEARD][:, 0].numpy().astype(bool).tolist() == HEARD_CLIPS.tolist()
    silent = batch["audio"].numpy()[~HEARD_CLIPS]
    assert (silent == 0).all()
    assert (batch["audio"].numpy()[HEARD_CLIPS] != 0).any(axis=(1, 2)).all()


def test_no_sound_at_all_is_refused(recordings: list[Recording]) -> None:
    with pytest.raises(InputError, match="b: no sound is stored, which this system needs"):
        load_clips(recordings[1:2], INPUTS)
    assert HEARD not in load_clips(recordings, ("grid",)).batch(np.arange(3))


@pytest.fixture(scope="module")
def both(recordings: list[Recording]) -> list[tuple[Clips, Clips]]:
    """In memory and streamed, standardised in every way."""
    found = []
    for standardise in ("recording", "training", "none"):
        loaded = [load_clips(recordings, INPUTS, standardise, VIEWS, memory=memory) for memory in (None, 0)]
        if standardise == "training":
            loaded = [clips.scaled_over(np.arange(1, CLIPS, 3)) for clips in loaded]
        found.append((loaded[0], loaded[1]))
    return found


@given(st.lists(st.tuples(st.integers(0, CLIPS - 1), st.integers(0, 1)), max_size=20), st.integers(0, 2))
@settings(max_examples=50)
def test_streamed_is_the_same_to_the_bit(both, drawn: list[tuple[int, int]], which: int) -> None:
    in_memory, streamed = both[which]
    assert in_memory.blocks is None
    index, view = np.array(drawn, np.intp).reshape(-1, 2).T
    first, second = in_memory.batch(index, view), streamed.batch(index, view)
    assert first.keys() == second.keys() == {*INPUTS, HEARD}
    for name, values in first.items():
        assert torch.equal(values, second[name]), name
        assert values.dtype == torch.float32
        assert len(values) == len(index)


def test_views_mixed_in_a_batch(recordings: list[Recording], memory: int | None) -> None:
    clips = load_clips(recordings, INPUTS, views=VIEWS, memory=memory)
    assert clips.views == VIEWS
    assert {*clips.inputs} == {*INPUTS}
    index, view = np.array([0, 139, 71, 0, 5]), np.array([1, 0, 1, 0, 1])
    batch = clips.batch(index, view)
    for place, (clip, number) in enumerate(zip(index, view, strict=True)):
        for name in INPUTS:
            shown = "plain" if name == "audio" else VIEWS[number]
            expected = clips.take(name, np.array([clip]), shown)[0]
            assert np.array_equal(
                batch[name][place].numpy(), expected if HEARD_CLIPS[clip] or name != "audio" else 0 * expected
            )
    plain = clips.batch(index)
    assert all(torch.equal(clips.batch(index, np.zeros(5, np.intp))[name], plain[name]) for name in plain)


def test_a_batch_is_the_callers(recordings: list[Recording], memory: int | None) -> None:
    clips = load_clips(recordings, INPUTS, "none", memory=memory)
    before = clips.batch(np.arange(40))
    for values in clips.batch(np.arange(40)).values():
        values.zero_()
    assert all(torch.equal(values, before[name]) for name, values in clips.batch(np.arange(40)).items())


def test_blocks(recordings: list[Recording]) -> None:
    expected = [0] * 32 + [1] * 32 + [2] * 6 + [3] * 32 + [4] + [5] * 32 + [6] * 8
    for names in (INPUTS, ("grid",), ("conv4",)):
        assert load_clips(recordings, names, memory=0).blocks.tolist() == expected
        assert load_clips(recordings, names).blocks is None


def test_in_memory_where_all_of_it_fits(recordings: list[Recording]) -> None:
    size = CLIPS * 2 * (CHANNELS * 98 * 2 + 2 * CHANNELS * 18 * 4) + 110 * 28 * 6 * 4
    assert load_clips(recordings, INPUTS, views=VIEWS, memory=size).blocks is None
    assert load_clips(recordings, INPUTS, views=VIEWS, memory=size - 1).blocks is not None


def test_only_some_inputs(recordings: list[Recording]) -> None:
    clips = load_clips(recordings, INPUTS, views=VIEWS)
    some = clips.only("grid", "audio")
    assert some.inputs == ("audio", "grid")
    index = np.arange(0, CLIPS, 7)
    batch, part = clips.batch(index), some.batch(index)
    assert part.keys() == {"grid", "audio", HEARD}
    assert all(torch.equal(values, batch[name]) for name, values in part.items())


def test_a_recording_of_one_clip(tmp_path: Path) -> None:
    write(tmp_path / "store", "one", 1, 0, sound=True)
    for memory in (None, 0):
        batch = load_clips([FeatureStore(tmp_path / "store")["one"]], INPUTS, memory=memory).batch(np.array([0]))
        assert all((values == 0).all() for name, values in batch.items() if name != HEARD)


@pytest.mark.parametrize("blocked", [False, True])
def test_the_store_is_only_read(store: Path, tmp_path: Path, blocked: bool) -> None:
    own = Path(shutil.copytree(store, tmp_path / "store"))
    if blocked:
        beside(own).write_text("no folder can be made here")
    before = small_store.files(own)
    recordings = [FeatureStore(own)[name] for name in LENGTHS]
    index = np.arange(0, CLIPS, 5)
    expected = load_clips([FeatureStore(store)[name] for name in LENGTHS], INPUTS).batch(index)
    for memory in (None, 0):
        found = load_clips(recordings, INPUTS, memory=memory).batch(index)
        assert all(torch.equal(values, found[name]) for name, values in expected.items())
    assert small_store.files(own) == before


@pytest.mark.parametrize("name", ["conv4", "grid", "audio"])
def test_damage_while_streaming(store: Path, tmp_path: Path, name: str) -> None:
    own = Path(shutil.copytree(store, tmp_path / "store"))
    clips = load_clips([FeatureStore(own)[each] for each in LENGTHS], (name,), memory=0)
    array = "audio" if name == "audio" else "conv4/plain"
    chunk = sorted(path for path in (own / "c" / array / "c").rglob("*") if path.is_file())[1]
    content = bytearray(chunk.read_bytes())
    content[40] ^= 8
    chunk.write_bytes(content)
    clips.batch(np.arange(CLIPS - 8))
    with pytest.raises(InputError, match=rf"^{own}: c/{array} is damaged .*extract the video again$"):
        clips.batch(np.array([0, CLIPS - 1]))


def test_pooled_once(store: Path, tmp_path: Path, monkeypatch) -> None:
    own = Path(shutil.copytree(store, tmp_path / "store"))
    pool, calls = pooling._pool, []

    def counting(*arguments) -> torch.Tensor:
        calls.append(len(arguments[1]))
        return pool(*arguments)

    monkeypatch.setattr(pooling, "_pool", counting)
    for _ in range(2):
        load_clips([FeatureStore(own)[name] for name in LENGTHS], ("grid", "energy"), views=VIEWS)
        assert sum(calls) == 4 * CLIPS  # two inputs, two views
    assert len([*beside(own).rglob("*.npy")]) == 4 * 3
    write(tmp_path / "other", "a", 70, seed=9, sound=True)
    shutil.rmtree(own / "a")
    shutil.copytree(tmp_path / "other" / "a", own / "a")
    again = load_clips([FeatureStore(own)["a"]], ("grid",), "none")
    expected = pooled(FeatureStore(own)["a"].read("conv4/plain").astype(np.float64))
    np.testing.assert_allclose(again.take("grid", np.arange(70)), expected, rtol=1e-4, atol=2e-3)


class FakeConv5(torch.nn.Module):
    """Stands for conv5, made from the weights that a store keeps."""

    def __init__(self, backbone: str, weights: dict[str, np.ndarray]):
        super().__init__()
        assert backbone == "r3d34"
        self.bias = torch.from_numpy(weights["fc.bias"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return x.mean(dim=(1, 2, 3, 4))[:, None] + self.bias


def test_conv5_is_that_of_the_store(store: Path, tmp_path: Path, monkeypatch) -> None:
    made = []
    monkeypatch.setattr(pooling, "make_conv5", lambda *given: made.append(given) or FakeConv5(*given))
    own = FeatureStore(Path(shutil.copytree(store, tmp_path / "store")))
    recordings = [own[name] for name in LENGTHS]
    activations = np.concatenate([each.read("conv4/plain") for each in recordings]).astype(np.float64)
    expected = activations.mean(axis=(1, 2, 3, 4))[:, None] + small_store.TAIL["fc.bias"]
    every = np.arange(CLIPS)
    for memory in (None, 0):
        clips = load_clips(recordings, ("conv5",), "none", memory=memory)
        np.testing.assert_allclose(clips.take("conv5", every), expected, rtol=1e-4)
    by_recording = load_clips(recordings, ("conv5",)).take("conv5", every)
    np.testing.assert_allclose(
        by_recording, np.concatenate([standardised(expected[number == OF]) for number in range(3)]), atol=1e-2
    )
    assert len(made) == 1  # for three recordings, three times
    other = replace(own.spec, weights_sha256="99" * 32)
    monkeypatch.setattr(pooling, "FeatureStore", lambda path: SimpleNamespace(spec=other, tail=own.tail))
    load_clips(recordings, ("conv5",))
    assert len(made) == 2


def test_memory_does_not_grow_with_streamed_clips(tmp_path: Path, monkeypatch) -> None:
    """Opened, looked through and standardised, with a few blocks kept."""
    monkeypatch.setattr(inputs, "_KEPT_BLOCKS", 2)
    gc.collect()
    gc.freeze()  # what other tests have left makes collections rare, and peaks those of garbage
    peaks = []
    for store, clips in (("first", 32), ("short", 192), ("long", 576)):  # first, much is imported and cached
        write(tmp_path / store, "a", clips, 0, sound=True, channels=32)
        tracemalloc.start()
        opened = load_clips([FeatureStore(tmp_path / store)["a"]], INPUTS, memory=0)
        for at in range(0, clips, 32):
            opened.batch(np.arange(at, at + 32))
        opened.scaled_over(np.arange(clips))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    gc.unfreeze()
    assert peaks[2] - peaks[1] < 0.1 * (576 - 192) * 32 * 98 * 2  # of what the activations take


def test_statistics_are_exact_far_from_zero() -> None:
    """float32 sums would lose the deviation of many clips; float16 ones would overflow."""
    values = np.random.default_rng(0).normal(10_000, 0.5, (40_000, 3)).astype(np.float32)
    scale = Scale.over("grid", [values])
    np.testing.assert_allclose(scale.mean[0], values.astype(np.float64).mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(scale.divisor[0], values.astype(np.float64).std(axis=0), rtol=1e-6)
    large = np.full((100, 2), 60_000, np.float16)
    large[::2] -= 1024
    clips = Clips(np.zeros(100, np.intp), np.zeros(1, bool), {("conv4", "plain"): large}, {})
    scaled = clips.scaled_over(np.arange(100)).take("conv4", np.arange(100))
    np.testing.assert_allclose(np.abs(scaled), 1, rtol=1e-5)


def test_a_batch_is_quickly_there() -> None:
    """It takes some tenfold of what copying it takes; clip by clip, or with a copy of all clips, it would be more."""
    clips, _ = planted(clips=160, recordings=4, more=("audio",), views=VIEWS)
    random = np.random.default_rng(0)
    gathering = copying = np.inf
    for _ in range(15):
        index, view = random.permutation(160)[:32], random.integers(2, size=32)
        began = time.perf_counter()
        batch = clips.batch(index, view)
        gathered = time.perf_counter()
        for values in batch.values():
            values.clone()
        gathering, copying = min(gathering, gathered - began), min(copying, time.perf_counter() - gathered)
    assert gathering < 80 * copying


def test_free_memory(tmp_path: Path) -> None:
    assert free_memory() > 0
    assert free_memory(tmp_path) == 8 << 30  # where the system does not tell
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemFree: 20 kB\nMemAvailable:    4000 kB\n")
    assert free_memory(tmp_path) == 4000 * 1024
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.current").write_text("100000\n")
    for limit, expected in (("max", 4000 * 1024), ("600000", 500_000), ("50000", 0), ("99999999999", 4000 * 1024)):
        (group / "memory.max").write_text(f"{limit}\n")
        assert free_memory(tmp_path) == expected
