"""The drawn performances: the same each time, annotated truly, and every gesture to be seen."""

import hashlib
from itertools import combinations, pairwise

import av
import numpy as np
import pytest
from PIL import Image

from demo.figure import draw
from demo.gestures import FRAME_RATE, poses, stillness, tracks
from demo.performances import draw_performances
from demo.pose import SHEET, Look, Pose
from demo.score import _TABLES, CONTRADICTIONS, GESTURES, PERFORMANCES, Note, notes, score
from demo.sound import RATE, seconds_of_sound
from store import annotations
from store.annotations.model import Interval
from store.errors import InputError

LONG = 900.0
LOOK = Look((142, 96, 68), (34, 28, 30), (46, 112, 110), (56, 50, 48), (178, 92, 44))
HEAD = (slice(0, 56), slice(30, 80))
BODY = (slice(40, 112), slice(0, 112))
TEMPORAL = ("Nodding", "Right hand round", "Vibrato", "Expressive head movement", "Physical energy")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    seen = []
    videos = draw_performances(folder, 4.0, lambda done, total: seen.append((done, total)))
    return folder, videos, seen


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def activity(performance, seconds, gestures=None):
    """(gestures, frames) bool at 25 frames a second."""
    active = np.zeros((len(GESTURES), round(seconds * FRAME_RATE)), bool)
    for interval in score(performance, seconds) if gestures is None else gestures:
        frames = slice(int(interval.begin * FRAME_RATE), int(np.ceil(interval.end * FRAME_RATE)))
        active[GESTURES.index(interval.tier), frames] = True
    return active


def film(gestures, frames=65, played=None):
    """Small pictures, (frames, 112, 112, 3), as the network sees them."""
    played = list(notes(1, (), frames / FRAME_RATE)) if played is None else played
    pictures = []
    for pose in poses(tracks(gestures, played, frames, seed=1)):
        picture = draw(pose, LOOK, Image.new("RGB", SHEET, (176, 182, 178)))
        picture = picture.resize((149, 112), Image.Resampling.BILINEAR).crop((18, 0, 130, 112))
        pictures.append(np.asarray(picture, np.float32))
    return np.stack(pictures)


@pytest.fixture(scope="module")
def plain():
    return film(())


def test_writes_the_promised_files_and_nothing_else(drawn):
    folder, videos, _ = drawn
    assert videos == [folder / f"performance-{number}.mp4" for number in PERFORMANCES]
    expected = {f"performance-{number}.{ending}" for number in PERFORMANCES for ending in ("mp4", "eaf")}
    expected |= {f"text/performance-{number}.txt" for number in PERFORMANCES}
    assert set(digests(folder)) == expected


def test_reports_progress_frame_by_frame(drawn):
    assert drawn[2] == [(done, 400) for done in range(1, 401)]


def test_same_call_gives_the_same_bytes_over_old_files_too(drawn, tmp_path):
    (tmp_path / "performance-1.mp4").write_bytes(b"of an earlier demo")
    draw_performances(tmp_path, 4.0)
    first, second = digests(drawn[0]), digests(tmp_path)
    assert first.keys() == second.keys()
    # An .eaf names its video by an absolute address and carries its date: its annotations are compared below.
    assert {name for name in first if first[name] != second[name]} <= {
        f"performance-{number}.eaf" for number in PERFORMANCES
    }


def test_video_has_every_frame_at_25_a_second_and_sound_as_long(drawn):
    for video in drawn[1]:
        with av.open(str(video)) as container:
            times = [float(frame.time) for frame in container.decode(video=0)]
            stream = container.streams.video[0]
            assert (stream.width, stream.height, stream.codec_context.pix_fmt) == (320, 240, "yuv420p")
        np.testing.assert_allclose(times, np.arange(100) / 25, atol=1e-6)
        with av.open(str(video)) as container:
            stream = container.streams.audio[0]
            assert (stream.rate, stream.channels) == (44_100, 1)
            sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        assert 4.0 <= len(sound) / 44_100 < 4.1
        assert 0.01 < sound.std() < 0.5


def test_performances_differ_in_picture(drawn):
    first = []
    for video in drawn[1]:
        with av.open(str(video)) as container:
            first.append(next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float))
    for one, other in combinations(first, 2):
        assert np.abs(one - other).mean() > 15


def test_annotations_lie_within_the_video_and_agree_in_both_formats(drawn):
    folder, videos, _ = drawn
    for number, video in enumerate(videos, 1):
        expected = sorted((i.tier, i.begin, i.end, i.value) for i in score(number, 4.0))
        for path in (video.with_suffix(".eaf"), folder / "text" / f"{video.stem}.txt"):
            read = annotations.read(path).intervals
            assert sorted((i.tier, i.begin, i.end, i.value) for i in read) == expected
            assert all(0 <= i.begin < i.end <= 4.0 for i in read)
        media = annotations.read(video.with_suffix(".eaf")).media
        assert [item.relative_url for item in media] == [f"./{video.name}"]


def test_text_is_elans_order_with_tabs(drawn):
    interval = score(1, 4.0)[0]
    line = (drawn[0] / "text" / "performance-1.txt").read_text().splitlines()[0].split("\t")
    assert len(line) == 9
    assert (line[0], line[1], line[8]) == (interval.tier, "", interval.value)
    assert (float(line[3]), float(line[5])) == (interval.begin, interval.end)


def test_an_interrupted_drawing_leaves_no_half_video(tmp_path):
    def interrupt(done, total):
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_performances(tmp_path, 1.0, interrupt)
    assert set(digests(tmp_path)) == {"performance-1.mp4", "performance-1.eaf", "text/performance-1.txt"}


@pytest.mark.parametrize("seconds", [0, -3, 0.9, float("nan"), float("inf")])
def test_refuses_a_length_that_is_none(tmp_path, seconds):
    with pytest.raises(InputError, match="second"):
        draw_performances(tmp_path / "demo", seconds)
    assert not (tmp_path / "demo").exists()


def test_refuses_a_file_for_a_folder(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="taken"):
        draw_performances(tmp_path / "taken", 1.0)


@pytest.mark.parametrize("performance", PERFORMANCES)
def test_a_shorter_score_begins_the_longer(performance):
    short, long = score(performance, 45), score(performance, 120)
    assert [i for i in long if i.end < 45] == [i for i in short if i in long]
    assert all(i.end <= 45 for i in short)
    assert len([i for i in short if i not in long]) <= 4  # those cut at the end
    assert score(performance, 45.0000001) == short


def test_shares_of_time_follow_table_2():
    lengths = {1: 12013, 2: 10857, 3: 16557, 4: 15723}
    for performance in PERFORMANCES:
        shares = activity(performance, LONG).mean(1)
        for gesture, share in zip(GESTURES, shares, strict=True):
            wanted = _TABLES[gesture][0][performance - 1] / lengths[performance]
            if wanted == 0:
                assert share == 0
            else:
                assert share == pytest.approx(max(wanted, 0.02), abs=0.012 + 0.3 * wanted)
    every = np.mean([activity(performance, LONG).mean(1) for performance in PERFORMANCES], axis=0)
    table = np.array([sum(_TABLES[gesture][0]) for gesture in GESTURES])
    ranks = [np.argsort(np.argsort(values)) for values in (every, table)]
    assert np.corrcoef(*ranks)[0, 1] > 0.95


def test_tables_2_and_3_are_those_of_the_paper():
    frames, occurrences = zip(*_TABLES.values(), strict=True)
    assert len(GESTURES) == 16
    assert np.sum(frames, axis=0).tolist() == [19746, 13312, 24880, 25359]
    assert np.sum(occurrences, axis=0).tolist() == [348, 183, 317, 338]


@pytest.mark.parametrize("seconds", [45.0, LONG])
def test_there_is_normal_play_for_a_quarter_to_a_third(seconds):
    for performance in PERFORMANCES:
        normal = ~activity(performance, seconds).any(0)
        assert 0.25 <= normal.mean() <= 0.38
        edges = np.flatnonzero(np.diff(np.concatenate(([0], normal.astype(int), [0]))))
        assert (edges[1::2] - edges[::2]).max() > 2 * FRAME_RATE


def test_what_contradicts_itself_never_overlaps():
    assert frozenset(("Freeze", "Vibrato")) in CONTRADICTIONS
    assert frozenset(("Minimal movement", "Nodding")) in CONTRADICTIONS
    for performance in PERFORMANCES:
        active = activity(performance, LONG)
        for one, other in map(tuple, CONTRADICTIONS):
            assert not (active[GESTURES.index(one)] & active[GESTURES.index(other)]).any(), (one, other)


def test_occurrences_of_one_gesture_are_apart_and_of_some_length():
    for performance in PERFORMANCES:
        every = score(performance, LONG)
        for gesture in GESTURES:
            mine = [i for i in every if i.tier == gesture]
            assert all(i.value == gesture and i.end - i.begin >= 0.3 for i in mine)
            assert all(first.end < then.begin for first, then in pairwise(mine))


def test_gestures_come_together_as_the_paper_tells():
    together = [
        ("Eyes closed", "Freeze", 0.05),
        ("Eyes closed", "Lifting head", 0.15),
        ("Freeze", "Lifting head", 0.1),
        ("Frowning", "Facial expression", 0.15),
        ("Nodding", "Facial expression", 0.03),
        ("Nodding", "Expressive shoulder movement", 0.03),
    ]
    for performance in PERFORMANCES:
        active = activity(performance, LONG)
        for one, other, least in together:
            pair = active[[GESTURES.index(one), GESTURES.index(other)]]
            assert np.corrcoef(pair)[0, 1] > least, (performance, one, other)
        minimal = active[GESTURES.index("Minimal movement")]
        rest = np.delete(active, GESTURES.index("Minimal movement"), axis=0).any(0)
        if minimal.any():
            assert np.corrcoef(minimal, rest)[0, 1] < -0.1


def test_nothing_begins_or_ends_within_a_freeze():
    for performance in PERFORMANCES:
        every = score(performance, LONG)
        for freeze in (i for i in every if i.tier == "Freeze"):
            for other in every:
                assert not freeze.begin < other.begin < freeze.end
                assert not freeze.begin < other.end < freeze.end


@pytest.mark.parametrize("gesture", GESTURES)
def test_every_gesture_changes_the_picture(gesture, plain):
    pictures = film((Interval(0.5, 2.1, gesture, gesture),))
    face_only = ("Facial expression", "Eyes closed", "Frowning", "Lifting head", "Nodding")
    rows, columns = HEAD if gesture in face_only or "head" in gesture else BODY
    change = np.abs(pictures - plain).mean(3)
    during = change[18:48, rows, columns]
    assert during.mean((1, 2)).max() > 1.0
    # Somewhere it is not just to be measured but to be seen: a patch of 6 x 6 points, say a brow.
    patches = during[:, : during.shape[1] // 6 * 6, : during.shape[2] // 6 * 6]
    patches = patches.reshape(len(during), during.shape[1] // 6, 6, -1, 6).mean((2, 4))
    assert patches.max() > 15
    outside = np.concatenate((change[:12], change[55:]))
    assert outside.max() == 0


@pytest.mark.parametrize("gesture", TEMPORAL)
def test_gestures_of_motion_move_more_than_normal_play(gesture, plain):
    pictures = film((Interval(0.5, 2.1, gesture, gesture),))
    moving = np.abs(np.diff(pictures[14:52], axis=0)).mean()
    assert moving > 1.1 * np.abs(np.diff(plain[14:52], axis=0)).mean()


def test_vibrato_oscillates_five_to_six_times_a_second():
    wobble = tracks((Interval(0.5, 2.1, "Vibrato", "Vibrato"),), (), 65, seed=3)["wobble"][13:52]
    crossings = np.count_nonzero(np.diff(np.sign(wobble[wobble != 0])))
    assert 4.5 < crossings / 2 / 1.6 < 6.5


def test_minimal_movement_moves_less_than_normal_play(plain):
    interval = Interval(0.1, 2.5, "Minimal movement", "Minimal movement")
    pictures = film((interval,), played=list(notes(1, (interval,), 2.6)))
    small = np.abs(np.diff(pictures[15:50], axis=0)).mean()
    assert small < 0.6 * np.abs(np.diff(plain[15:50], axis=0)).mean()


def test_freeze_is_still():
    freeze = Interval(0.5, 2.1, "Freeze", "Freeze")
    around = Interval(0.1, 2.4, "Eyes closed", "Eyes closed")
    pictures = film((freeze, around), played=list(notes(1, (freeze, around), 2.6)))
    held = pictures[22:44]
    assert (held == held[0]).all()
    assert (pictures[4:12].std(0) > 0).any()


def test_sound_tells_of_the_gestures():
    def loudness(gesture):
        gestures = (Interval(0.0, 3.9, gesture, gesture),) if gesture else ()
        played = list(notes(2, gestures, 4.0))
        wobble = tracks(gestures, played, 100, seed=2)["wobble"]
        sound = np.concatenate(list(seconds_of_sound(played, wobble, stillness(gestures, 100))))
        assert sound.shape == (4 * RATE,)
        assert np.abs(sound).max() <= 1
        return float(sound[RATE // 2 : 3 * RATE].std())

    assert loudness("Freeze") == 0
    assert loudness("Minimal movement") < 0.5 * loudness(None)
    assert loudness("Physical energy") > 1.3 * loudness(None)


def test_vibrato_bends_the_pitch():
    gesture = (Interval(0.0, 2.0, "Vibrato", "Vibrato"),)
    wobble = tracks(gesture, (), 50, seed=1)["wobble"]
    straight, bent = (
        np.concatenate(list(seconds_of_sound([Note(0.0, 57, 1.0)], track, np.zeros(50))))
        for track in (np.zeros(50), wobble)
    )
    high = np.abs(np.fft.rfft(straight)), np.abs(np.fft.rfft(bent))
    spread = [np.count_nonzero(spectrum[400:480] > 0.1 * spectrum.max()) for spectrum in high]
    assert spread[1] > 1.5 * spread[0]


def test_figure_stays_in_the_middle_of_the_picture():
    # What a network sees is the square in the middle.
    backdrop = (1, 2, 3)
    picture = np.asarray(draw(Pose(), LOOK, Image.new("RGB", SHEET, backdrop)))
    columns = np.flatnonzero((picture != backdrop).any((0, 2)))
    assert columns.min() > 40
    assert columns.max() < 280
