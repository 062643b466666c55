"""The paper's figures of the user's data: 1, 2, 7 to 12 what occurs together; 5, 6, 13 and 14 F1 by class."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search.figures.bars import class_bars
from search.figures.correlations import correlation_matrix
from search.paper import ALL, FIRST, SYSTEMS
from search.reproduction.experiments import PAPERS, VOCABULARIES, Experiment
from search.reproduction.own_data import Counted
from search.reproduction.results import Result
from search.reproduction.scores import TEST, TITLES, TRAIN, Results, f1_of
from store.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The paper's numbers: by vocabulary, for the first recording and those after it.
_TOGETHER = {VOCABULARIES[0]: (1, 10, 11, 12), VOCABULARIES[1]: (2, 7, 8, 9)}
_CALLED = {VOCABULARIES[0]: "expressive gestures", VOCABULARIES[1]: "super-classes"}
_BARS = {
    (TEST, VOCABULARIES[1]): 5,
    (TEST, VOCABULARIES[0]): 6,
    (TRAIN, VOCABULARIES[1]): 13,
    (TRAIN, VOCABULARIES[0]): 14,
}
_PANELS = {"a": ALL, "b": FIRST}


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Parameters
    ----------
    number : int
        The paper's; 0 for a recording beyond its four.
    name : str
        Of its files, as ``figure-5a``.
    caption : str
        What it shows.
    figure : Figure, optional
        The drawing; None where there is nothing to draw, and the caption says why.
    """

    number: int
    name: str
    caption: str
    figure: "Figure | None"


def draw_all(counted: Mapping[str, Sequence[Counted]], results: Results) -> list[Drawn]:
    """Return the figures, in the order of their numbers.

    Parameters
    ----------
    counted : mapping
        What is annotated, by vocabulary.
    results : mapping
        Of each experiment what it gave, or why it could not be done.
    """
    drawn = [*_together(counted), *_bars(results)]
    return sorted(drawn, key=lambda each: (each.number or len(drawn) + 14, each.name))


def _together(counted: Mapping[str, Sequence[Counted]]) -> Iterator[Drawn]:
    for vocabulary, recordings in counted.items():
        numbers = _TOGETHER[vocabulary]
        for place, each in enumerate(recordings):
            number = numbers[place] if place < len(numbers) else 0
            name = f"figure-{number}" if number else f"figure-{vocabulary}-{each.recording.id}"
            what = f"Inter-correlation of {_CALLED[vocabulary]}, {each.recording.id}"
            caption = f"Figure {number}: {what}" if number else what
            figure = correlation_matrix(what, each.vocabulary.classes, each.frames)
            yield Drawn(number, name, f"{caption}. Over {len(each.frames)} annotated frames.", figure)


def _bars(results: Results) -> Iterator[Drawn]:
    for (part, vocabulary), number in _BARS.items():
        for panel, data in _PANELS.items():
            classes = load_vocabulary(vocabulary).classes
            what = f"F1 on the {part} set, {TITLES[data]}, {len(classes)} classes"
            found = {
                shown: results.get(Experiment(data, vocabulary, system, PAPERS[data]))
                for system, shown in SYSTEMS.items()
            }
            scored = {shown: f1_of(each, part) for shown, each in found.items() if isinstance(each, Result)}
            missing = [shown for shown in found if shown not in scored]
            caption = f"Figure {number}{panel}: {what}. Whiskers: 95 %; dashed: the linear probe."
            if missing:
                caption += f" Not done: {', '.join(missing)}."
            figure = None
            if scored:
                series = {shown: bars for shown, (bars, _) in scored.items()}
                figure = class_bars(what, classes, series, {"linear probe": next(iter(scored.values()))[1]})
            yield Drawn(number, f"figure-{number}{panel}", caption, figure)
