"""Figures: what is reckoned for them, and that each is drawn, alike each time, in every format."""

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lxml import etree
from PIL import Image

from search.figures import style
from search.figures.bars import class_bars
from search.figures.confusions import confusion, confusion_matrix
from search.figures.correlations import correlation, correlation_matrix
from search.figures.counts import class_counts
from search.figures.curves import effort_curve, effort_saved, learning_curves, precision_recall
from search.figures.maps import clip_map, layout
from search.figures.sounds import sound_features
from search.figures.studies import importances, study_course
from search.figures.timelines import timeline

NAMES = ("nod", "lift & <sway>", "never")
RANDOM = np.random.default_rng(0)
TRUE = RANDOM.random((60, 3)) < [0.5, 0.3, 0]
SAID = np.clip(TRUE * 0.4 + RANDOM.random((60, 3)) * 0.6, 0, 1)
TIMES = np.column_stack([np.arange(60), np.arange(60) + 1]) * 0.64
PICTURES = {0: np.zeros((8, 8, 3), np.uint8), 5: np.full((8, 8, 3), 200, np.uint8)}
FIGURES: dict[str, Callable] = {
    "timeline": lambda: timeline("T", TIMES, NAMES, TRUE, SAID, np.full(3, 0.5), 20, known=TIMES[:, 0] < 25),
    "counts": lambda: class_counts("T", NAMES, {"a": [3, 2, 0], "b": [0, 1, 0]}, "clips"),
    "together": lambda: correlation_matrix("T", NAMES, TRUE),
    "bars": lambda: class_bars("T", NAMES, {"s": [(0.5, (0.2, 0.6)), (0.4, None), (0.0, None)]}, {"p": [0.1, 0.2, 0]}),
    "learning": lambda: learning_curves("T", [0, 3, 2], [0.2, 0.3, 0.25], 1, "score"),
    "precision-recall": lambda: precision_recall("T", NAMES, TRUE, SAID, SAID > 0.5),
    "confusion": lambda: confusion_matrix("T", NAMES, TRUE, SAID > 0.5),
    "effort": lambda: effort_curve("T", {"model": SAID}, TRUE),
    "map": lambda: clip_map("T", layout(SAID), NAMES, np.where(TRUE.any(axis=1), TRUE.argmax(axis=1), -1), PICTURES),
    "course": lambda: study_course("T", [0.2, None, 0.4], {0: "lift & <sway>"}, "score"),
    "importances": lambda: importances("T", {"lift & <sway>": 0.7, "nod": 0.3}),
    "sound": lambda: sound_features(
        "T", TIMES[:4], RANDOM.random((4, 28, 108)), np.sin(np.arange(56448) / 9), 22050
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_each_is_drawn_in_every_format(name, tmp_path: Path) -> None:
    figure = FIGURES[name]()
    style.save(figure, tmp_path / "figure.1")
    assert (tmp_path / "figure.1.pdf").read_bytes().startswith(b"%PDF")
    picture = np.asarray(Image.open(tmp_path / "figure.1.png").convert("L"))
    assert picture.min() < 120
    assert (picture == 255).mean() > 0.2
    drawing = style.svg(figure)
    root = etree.fromstring(drawing.encode())
    assert not re.search(r"(href=\"(?!#|data:))|<metadata", drawing)
    texts = " ".join(root.itertext())
    assert name in ("learning", "effort", "sound") or "lift & <sway>" in texts
    assert "currentColor" in drawing


def test_figures_on_one_page_do_not_take_each_others_parts() -> None:
    one, other = (style.svg(FIGURES["bars"]()) for _ in range(2))
    ids = [set(re.findall(r'id="([^"]+)"', each)) for each in (one, other)]
    assert not ids[0] & ids[1]
    for each, known in zip((one, other), ids, strict=True):
        assert set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", each)) <= known


def test_the_same_figure_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        style.save(FIGURES["bars"](), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_the_colours_differ_in_grey() -> None:
    grey = [
        np.dot([int(colour[at : at + 2], 16) for at in (1, 3, 5)], [0.299, 0.587, 0.114]) for colour in style.SERIES
    ]
    assert min(abs(a - b) for a, b in pairwise(grey[:4])) > 10


@given(arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 4))))
def test_correlation_is_pearsons(present) -> None:
    found = correlation(present)
    for row in range(present.shape[1]):
        for column in range(present.shape[1]):
            pair = present[:, [row, column]].astype(float)
            if pair.std(axis=0).min() == 0:
                assert np.isnan(found[row, column])
            else:
                assert found[row, column] == pytest.approx(np.corrcoef(pair.T)[0, 1], abs=1e-9)


def test_confusion_by_hand() -> None:
    true = np.array([[1, 0], [1, 0], [1, 1], [0, 1]], bool)
    present = np.array([[1, 1], [0, 0], [1, 1], [1, 0]], bool)
    assert confusion(true, present).tolist() == [[2 / 3, 1 / 2], [1.0, 1 / 2]]
    assert np.isnan(confusion(true & [True, False], present)[1]).all()


def test_effort_by_hand() -> None:
    true = np.array([[1], [0], [0], [1]], bool)
    assert effort_saved(true, np.array([[0.9], [0.1], [0.2], [0.8]]))[1].tolist() == [0, 0.5, 1, 1, 1]
    assert effort_saved(true, np.array([[0.9], [0.8], [0.7], [0.1]]))[1].tolist() == [0, 0.5, 0.5, 0.5, 1]
    assert effort_saved(true, np.full((4, 1), 0.5))[1].tolist() == [0, 0.25, 0.5, 0.75, 1]  # ties: any order


def test_the_map_keeps_neighbours_together() -> None:
    places = layout(np.concatenate([RANDOM.normal(0, 1, (40, 8)), RANDOM.normal(20, 1, (40, 8))]))
    assert places.min() == 0
    assert places.max() == 1
    nearest = [np.argsort(((places - place) ** 2).sum(axis=1))[1] for place in places]
    assert all((number < 40) == (near < 40) for number, near in enumerate(nearest))
