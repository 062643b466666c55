"""Regions of interest, and how pictures of any size, shape and turn become small square ones."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_video import TURNS, display_matrix, greys, write

from extract.regions import parse_roi, read_regions, regions_of
from extract.video import frames, probe
from store.errors import InputError


def chart(height: int, width: int) -> np.ndarray:
    """A picture that tells where it is: red grows from left to right, green from top to bottom."""
    y, x = np.indices((height, width))
    return np.stack([255 * x / (width - 1), 255 * y / (height - 1), 0 * x], axis=-1).round().astype(np.uint8)


def write_chart(path: Path, height: int, width: int, turn=(1, 0, 0, 1), pixels: Fraction = Fraction(1)) -> Path:
    """Store a chart without loss such that it is displayed upright after that turn, `height` by `width`."""
    stored = chart(height, width)
    for _ in range(3):  # undo the turn: four of the same are none, whichever it is
        stored = TURNS[turn](stored)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("png", rate=25)
        stream.height, stream.width = stored.shape[:2]
        stream.pix_fmt = "rgb24"
        stream.codec_context.sample_aspect_ratio = pixels
        output.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(stored))))
        output.mux(stream.encode(None))
    content = path.read_bytes()
    place = content.index(display_matrix(1, 0, 0, 1), content.index(b"tkhd"))
    path.write_bytes(content[:place] + display_matrix(*turn) + content[place + 36 :])
    return path


def assert_shows(picture: np.ndarray, size: tuple[int, int], region, wanted: tuple[int, int]) -> None:
    """Check by its colours that a small picture shows the middle of a region scaled to `wanted`.

    Parameters
    ----------
    size, wanted : (width, height)
    """
    for axis, colour in ((0, 0), (1, 1)):
        scale = region[2 + axis] / wanted[axis]
        place = region[axis] + ((wanted[axis] - len(picture)) / 2 + np.arange(len(picture)) + 0.5) * scale
        expected = np.clip((place - 0.5) / (size[axis] - 1), 0, 1) * 255
        found = picture[..., colour].astype(float)
        assert np.ptp(found, axis=axis).max() <= 2, "each row, or column, is of one colour"
        # One pixel of the small picture, half for the region's place and half for the centre's, and rounding.
        allowed = 1.01 * scale * 255 / (size[axis] - 1) + 1
        edge = slice(3, -3)  # the outermost pixels lack neighbours on one side
        assert np.abs(found.mean(axis=axis) - expected)[edge].max() <= allowed


RESIZES = {
    "crop": ({}, lambda w, h: (112 * w // min(w, h), 112 * h // min(w, h))),
    "squash": ({"resize": "squash"}, lambda w, h: (112, 112)),
    "before_crop": ({"before_crop": (128, 171)}, lambda w, h: (171, 128)),
}
REGIONS = [None, (0, 0, 320, 240), (100, 30, 200, 180), (0, 184, 320, 56), (264, 0, 56, 240), (11, 7, 301, 201)]


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("turn", TURNS)
def test_the_region_is_where_it_is_said_to_be(tmp_path, turn, region, resize):
    """In pixels of the picture as displayed, however it is stored."""
    path = write_chart(tmp_path / "a.mov", 240, 320, turn)
    info = probe(path)
    assert (info.width, info.height) == (320, 240)
    keywords, wanted = RESIZES[resize]
    picture = next(frames(path, roi=region, **keywords)).picture
    assert picture.shape == (112, 112, 3)
    x, y, w, h = region or (0, 0, 320, 240)
    assert_shows(picture, (320, 240), (x, y, w, h), wanted(w, h))


@pytest.mark.parametrize("pixels", [Fraction(2), Fraction(16, 15), Fraction(10, 11)])
@pytest.mark.parametrize("turn", [(1, 0, 0, 1), (0, 1, -1, 0)])
def test_the_region_counts_square_pixels(tmp_path, pixels, turn):
    path = write_chart(tmp_path / "a.mov", 240, 320, turn, pixels)
    # The stored width is what the pixels stretch.
    width, height = (round(320 * pixels), 240) if turn[0] else (320, round(240 * pixels))
    info = probe(path)
    assert (info.width, info.height) == (width, height)
    region = (width // 4, height // 3, width // 2, height // 2)
    picture = next(frames(path, roi=region)).picture
    assert_shows(picture, (width, height), region, RESIZES["crop"][1](*region[2:]))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from(sorted(RESIZES)), st.sampled_from(sorted(TURNS)))
def test_any_region(tmp_path, data, resize, turn):
    width, height = data.draw(st.integers(56, 400)), data.draw(st.integers(56, 400))
    path = write_chart(tmp_path / "a.mov", height, width, turn)
    w, h = data.draw(st.integers(56, width)), data.draw(st.integers(56, height))
    region = (data.draw(st.integers(0, width - w)), data.draw(st.integers(0, height - h)), w, h)
    keywords, wanted = RESIZES[resize]
    picture = next(frames(path, roi=region, **keywords)).picture
    assert_shows(picture, (width, height), region, wanted(w, h))


def test_the_whole_picture_is_a_region_like_any_other(tmp_path):
    path = write_chart(tmp_path / "a.mov", 362, 545)
    for keywords, _ in RESIZES.values():
        whole, region = (next(frames(path, roi=roi, **keywords)).picture for roi in (None, (0, 0, 545, 362)))
        np.testing.assert_array_equal(whole, region)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ((100, 0, 221, 240), "100,0,221,240 is not inside the picture of 320 x 240"),
        ((0, 1, 320, 240), "not inside"),
        ((320, 0, 60, 60), "not inside"),
        ((-1, 0, 60, 60), "not inside"),
        ((0, 0, 0, 60), "not inside"),
        ((0, 0, 55, 240), "too small; it must be 56 pixels"),
        ((0, 0, 320, 55), "too small"),
    ],
)
@pytest.mark.parametrize("turn", [(1, 0, 0, 1), (0, 1, -1, 0)])
def test_a_region_that_cannot_be_cut_is_refused(tmp_path, region, message, turn):
    path = write_chart(tmp_path / "a.mov", 240, 320, turn)
    with pytest.raises(InputError, match=message) as error:
        next(frames(path, roi=region))
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_half_the_input_size_is_enough(tmp_path):
    path = write_chart(tmp_path / "a.mov", 240, 320)
    assert next(frames(path, roi=(0, 0, 8, 9), size=16)).picture.shape == (16, 16, 3)


# --- from text and files ---


def test_parse_roi():
    assert parse_roi("120,0,400,480") == (120, 0, 400, 480)
    assert parse_roi(" 1, 2 ,3,4 ") == (1, 2, 3, 4)


BAD_TEXTS = ["", "1,2,3", "1,2,3,4,5", "1,2,3,x", "1,2,3,-4", "1.5,2,3,4", "1;2;3;4", "1,2,0,4", "1,2,3,0", "1,2,3,1e3"]


@pytest.mark.parametrize("text", [*BAD_TEXTS, "1,2,3,99999999", "1,2,3,٣"])
def test_bad_roi(text):
    with pytest.raises(InputError, match="x,y,w,h") as error:
        parse_roi(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("separator", [",", ";"])
def test_read_regions(tmp_path, separator):
    path = tmp_path / "regions.csv"
    path.write_text(
        '\ufeffvideo,x,y,w,h\nvideo-1.mp4,10,20,300,400\n\n"a b",0,0,112,112\nvideo-1,1,2,3,4\n'.replace(
            ",", separator
        ),
        encoding="utf-8",
    )
    regions = read_regions(path)
    assert regions == {"video-1.mp4": (10, 20, 300, 400), "a b": (0, 0, 112, 112), "video-1": (1, 2, 3, 4)}
    films = [Path("films") / name for name in ("video-1.mp4", "video-1.mov", "a b.mp4")]
    assert regions_of(films, str(path)) == dict(
        zip(films, [(10, 20, 300, 400), (1, 2, 3, 4), (0, 0, 112, 112)], strict=False)
    )
    assert regions_of(films, "5,6,70,80") == dict.fromkeys(films, (5, 6, 70, 80))
    assert regions_of(films, None) == {}
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        regions_of(films, str(tmp_path / "none.csv"))
    with pytest.raises(InputError, match=r"regions\.csv: has no line for other\.mp4; add one"):
        regions_of([*films, Path("other.mp4")], str(path))


BAD_FILES = {
    "no header": ("video-1,1,2,3,4\n", "the first line must be the header video,x,y,w,h"),
    "other columns": ("video,x,y,width,height\na,1,2,3,4\n", "the first line must be the header"),
    "only white": ("\n\n", "the first line must be the header"),
    "too few": ("video,x,y,w,h\na,1,2,3,4\nb,1,2,3\n", "line 3: '1,2,3' is no region"),
    "too many": ("video,x,y,w,h\na,1,2,3,4,5\n", "line 2: '1,2,3,4,5' is no region"),
    "words": ("video,x,y,w,h\n\na,left,2,3,4\n", "line 3: 'left,2,3,4' is no region"),
    "nothing wide": ("video,x,y,w,h\na,1,2,0,4\n", "line 2: '1,2,0,4' is a region without pixels"),
    "no video": ("video,x,y,w,h\n,1,2,3,4\n", "line 2: no video"),
    "twice": ("video,x,y,w,h\na,1,2,3,4\na,1,2,3,5\n", "line 3: a stands there twice"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_of_regions(tmp_path, case):
    content, message = BAD_FILES[case]
    path = tmp_path / "regions.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as error:
        read_regions(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_no_file_of_regions(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_regions(tmp_path / "regions.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="UTF-8"):
        read_regions(tmp_path / "binary.csv")


# --- agreement with Pillow ---

WEIGHTS = {709: (0.2126, 0.0722), 601: (0.299, 0.114)}  # of red and blue in luma


def converted(frame: av.VideoFrame) -> np.ndarray:
    """The RGB picture of a YUV 4:2:0 frame by the standards' formulas in double precision, not by FFmpeg."""
    luma, blue, red = (
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width].astype(float)
        for plane in frame.planes
    )
    height, width = luma.shape

    def spread(chroma: np.ndarray) -> np.ndarray:
        """Between samples that lie in the middle of two rows, and on every other column."""
        rows = np.clip((np.arange(height) + 0.5) / 2 - 0.5, 0, len(chroma) - 1)
        between = np.stack([np.interp(rows, np.arange(len(chroma)), column) for column in chroma.T], axis=1)
        return np.stack([np.interp(np.arange(width) / 2, np.arange(len(row)), row) for row in between])

    blue, red = spread(blue) - 128, spread(red) - 128
    if frame.color_range != 2:  # not the full range
        luma, blue, red = (luma - 16) * 255 / 219, blue * 255 / 224, red * 255 / 224
    of_red, of_blue = WEIGHTS[709 if frame.colorspace == 1 else 601]
    r, b = luma + 2 * (1 - of_red) * red, luma + 2 * (1 - of_blue) * blue
    g = (luma - of_red * r - of_blue * b) / (1 - of_red - of_blue)
    return np.clip(np.rint(np.stack([r, g, b], axis=-1)), 0, 255).astype(np.uint8)


REAL = [
    "video/pianist.avi",
    "video/dancer.avi",
    "annotated/beat_rep.mp4",
    "video/edge/nasa_13013.mp4",
    "video/edge/test.mp4",
]


@pytest.mark.parametrize("resize", ["crop", "squash", "region"])
@pytest.mark.parametrize("name", REAL)
def test_real_pictures_agree_with_pillow(shared_data, name, resize):
    """Ranges, standards and shapes of all kinds, 340x256 to 640x480; ten frames of each."""
    path = shared_data / name
    info = probe(path)
    if resize == "region" and "edge/test.mp4" in name:
        pytest.skip("its pixels are oblong: its region is not cut without scaling")
    region = (64, 32, 224, 112) if resize == "region" else None
    found = frames(path, roi=region, resize="squash" if resize == "squash" else "crop")
    differences = []
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        for small, frame in itertools.islice(zip(found, container.decode(stream), strict=False), 0, 200, 20):
            full = Image.fromarray(converted(frame))
            if region:  # of twice the size in width, so that nothing is rounded
                expected = np.asarray(full.crop((64, 32, 288, 144)))[:, 56:168]
            elif resize == "squash":
                expected = np.asarray(full.resize((112, 112), Image.Resampling.BILINEAR))
            else:
                width, height = (112 * side // min(info.width, info.height) for side in (info.width, info.height))
                left, top = round((width - 112) / 2), round((height - 112) / 2)
                expected = np.asarray(full.resize((width, height), Image.Resampling.BILINEAR))
                expected = expected[top : top + 112, left : left + 112]
            differences.append(np.abs(small.picture.astype(int) - expected))
    assert len(differences) == 10
    assert np.mean(differences) <= 0.4
    assert np.percentile(differences, 99.9) <= 12


def test_colours_are_as_fine_in_pictures_of_even_width(tmp_path):
    """One of 112 and one of 113 pixels: columns of colour, as bright as each other."""
    picture = np.zeros((224, 226, 3), np.uint8)
    picture[:, ::8] = picture[:, 1::8] = picture[:, 2::8] = picture[:, 3::8] = (200, 40, 40)
    path = write(tmp_path / "a.mp4", [picture], codec="libx264")
    even = next(frames(path, before_crop=(112, 112))).picture
    odd = next(frames(path, before_crop=(112, 113))).picture
    assert abs(even.mean() - odd.mean()) < 0.3


def test_pictures_stay_valid_when_the_file_is_closed(tmp_path):
    found = list(frames(write(tmp_path / "a.mp4", greys(40), codec="libx264", b_frames=2)))
    (tmp_path / "a.mp4").unlink()
    brightness = [frame.picture.mean() for frame in reversed(found)][::-1]
    assert brightness == pytest.approx([20 + 5 * index for index in range(40)], abs=3)
    assert found[0].picture is found[0].picture
