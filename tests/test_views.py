"""Views: the same always and everywhere, and what their names say."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from extract.views import PLAIN, VIEWS, apply, check_views
from store.errors import InputError

CHANGED = ("flip", "crop", "crop-2", "crop-99", "color", "color-2")


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    """Six clips of a smooth random picture that moves."""
    coarse = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    picture = np.asarray(Image.fromarray(coarse).resize((150, 150), Image.Resampling.BICUBIC))
    return np.stack([[picture[c : c + 112, f : f + 112] for f in range(16)] for c in range(6)])


@pytest.mark.parametrize("view", CHANGED)
def test_shape_type_and_difference(clips, view):
    before = clips.copy()
    found = apply(view, clips, 0, "a")
    assert (found.shape, found.dtype) == (clips.shape, np.uint8)
    assert found.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(clips, before)
    assert np.abs(found.astype(int) - clips).mean() > 3, "a visible difference"
    assert np.abs(found.astype(int) - clips).mean() < 100, "of the same picture"


def test_plain_is_plain(clips):
    np.testing.assert_array_equal(apply(PLAIN, clips, 3, "a"), clips)


def test_flip_twice_is_plain(clips):
    once = apply("flip", clips, 0, "a")
    np.testing.assert_array_equal(once[2, 5, 7, :, 1], clips[2, 5, 7, ::-1, 1])
    np.testing.assert_array_equal(apply("flip", once, 0, "a"), clips)


@pytest.mark.parametrize("view", CHANGED)
@settings(max_examples=8)
@given(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=6), seed=st.integers(0, 2**31))
def test_batches_do_not_matter_nor_does_the_state_of_any_generator(clips, view, sizes, seed):
    whole = apply(view, clips, 40, "content")
    np.random.seed(seed)  # noqa: NPY002
    first = 0
    for size in sizes:
        some = slice(first, first + size)
        np.testing.assert_array_equal(apply(view, clips[some], 40 + first, "content"), whole[some])
        first += size


@pytest.mark.parametrize("view", [view for view in CHANGED if view != "flip"])
def test_draws_differ_between_clips_contents_and_numbers(clips, view):
    same = np.repeat(clips[:1], 4, axis=0)
    here = apply(view, same, 0, "a")
    found = [
        *here,
        *apply(view, same, 0, "b"),
        *apply(f"{view.partition('-')[0]}-7", same, 0, "a"),
    ]
    assert len({clip.tobytes() for clip in found}) == len(found)


def test_the_same_on_every_machine():
    """Numbers of today: they must never change, or stores would hold two kinds of a view."""
    clip = (np.arange(16 * 112 * 112 * 3) * 7919 % 251).astype(np.uint8).reshape(1, 16, 112, 112, 3)
    found = {view: hashlib.sha256(apply(view, clip, 5, "c" * 64)).hexdigest()[:16] for view in CHANGED}
    assert found == {
        "flip": "4915869da9ccbe14",
        "crop": "07c00edd36d7d19a",
        "crop-2": "59edb54ffc74f2af",
        "crop-99": "656b58639486c489",
        "color": "5f6b8bd384d5da2d",
        "color-2": "d6c160c59836541d",
    }


def test_a_crop_is_a_window_of_the_picture():
    """Of a picture whose colours tell the place: 200 windows, each cut again with Pillow."""
    ramp = np.indices((112, 112)).transpose(1, 2, 0) * 2
    picture = np.dstack([ramp, np.zeros((112, 112, 1))]).astype(np.uint8)
    same = np.broadcast_to(picture, (200, 2, 112, 112, 3))
    sides, places = [], []
    for clip in apply("crop", same, 0, "a"):
        inner = clip[0, 8:-8, 8:-8].astype(float)  # the outermost lack a neighbour where the window is at the edge
        rows, columns = inner[:, :, 0].mean(axis=1), inner[:, :, 1].mean(axis=0)
        side = [np.polyfit(np.arange(96), line, 1)[0] * 112 / 2 for line in (rows, columns)]
        assert side[0] == pytest.approx(side[1], abs=1.2)
        box = [each.mean() / 2 + 0.5 - side[0] / 2 for each in (columns, rows)]
        sides.append(side[0])
        places += [place / (112 - side[0]) for place in box if side[0] < 108]
        window = (box[0], box[1], box[0] + side[0], box[1] + side[0])
        again = Image.fromarray(picture).resize(
            (112, 112), Image.Resampling.BILINEAR, box=[max(0, min(112, b)) for b in window]
        )
        assert np.abs(np.asarray(again).astype(int) - clip[0])[1:-1, 1:-1].max() <= 3
        np.testing.assert_array_equal(clip[0], clip[1])
    assert 83 < min(sides) < 86
    assert 110 < max(sides) < 113
    assert -0.05 < min(places) < 0.05
    assert 0.95 < max(places) < 1.05
    assert 0.4 < np.mean(places) < 0.6


def test_color_changes_all_pixels_by_one_rule(clips):
    """Its effect on a grey picture is a factor and an offset; on a coloured one the greys move alike."""
    grey = np.broadcast_to(np.arange(60, 172, dtype=np.uint8)[:, None, None], (50, 2, 112, 112, 3))
    slopes = []
    for clip in apply("color", np.ascontiguousarray(grey), 0, "a"):
        np.testing.assert_array_equal(clip[..., 0], clip[..., 2])
        line = clip[0, :, 0, 0].astype(float)
        inside = (line > 0) & (line < 255)
        slope, offset = np.polyfit(np.arange(60, 172)[inside], line[inside], 1)
        assert np.abs(slope * np.arange(60, 172) + offset - line)[inside].max() < 1
        slopes.append(slope)
    assert 0.49 <= min(slopes) < 0.75
    assert 1.25 < max(slopes) <= 1.69


def test_color_stays_within_a_byte():
    for value in (0, 255):
        clip = np.full((30, 1, 8, 8, 3), value, np.uint8)
        found = apply("color", clip, 0, "a").astype(int)
        assert (np.abs(found - value) <= 0.3 * 255 + 1).all(), "no value wraps around"


@pytest.mark.parametrize(
    ("text", "views"),
    [
        ("plain", ("plain",)),
        ("flip", ("plain", "flip")),
        ("crop, flip,plain", ("plain", "crop", "flip")),
        ("flip,flip,crop-2,crop", ("plain", "flip", "crop-2", "crop")),
        ("color-99", ("plain", "color-99")),
        (",".join(VIEWS), VIEWS),
    ],
)
def test_check_views(text, views):
    assert check_views(text) == views


@pytest.mark.parametrize(
    "name", ["", "Flip", "flop", "flip-2", "plain-2", "crop-1", "crop-02", "crop-100", "crop-", "../a"]
)
def test_an_unknown_view_is_refused_in_one_line(name):
    with pytest.raises(InputError, match="there are plain, flip, crop, color, and further draws") as error:
        check_views(f"plain,{name}")
    assert repr(name) in str(error.value)
    assert "\n" not in str(error.value)
