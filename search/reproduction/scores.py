"""The tables of scores: 7, 8 and A1 to A5 of the paper, each figure beside what it has to be read with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from heads.metrics import Scores
from heads.settings import PROBE
from search.bootstrap import Counts, draw_blocks, percentile_interval
from search.evaluation import MODEL
from search.paper import ALL, FIRST, RECORDINGS, SYSTEMS, Figures, paper_table
from search.rendering.tables import BASELINES, Cell, Entry, Row, Table
from search.reproduction.experiments import BLOCKED, LEFT_OUT, PAPERS, VOCABULARIES, Experiment
from search.reproduction.results import Result
from store.vocabulary import load_vocabulary

TRAIN, TEST = "train", "test"
METRICS = ("precision", "recall", "F1")
APPENDIX = {  # number of the table: data, classes
    "a1": (FIRST, VOCABULARIES[0]),
    "a2": (FIRST, VOCABULARIES[1]),
    "a3": (ALL, VOCABULARIES[1]),
    "a4": (ALL, VOCABULARIES[0]),
}
TITLES = {FIRST: "first recording", ALL: "all recordings"}
Results = Mapping[Experiment, Result | str]
_F1 = METRICS.index("F1")


@dataclass(frozen=True)
class Part:
    """The scores of one part of the clips.

    Parameters
    ----------
    scores : dict
        By system: precision, recall and F1 of each class.
    drawn : Scores
        The model's, in each draw of blocks, (draws, classes) each.
    blocks : int
        How many blocks there are.
    """

    scores: dict[str, Scores]
    drawn: Scores
    blocks: int

    @classmethod
    def of(cls, counts: Mapping[str, Counts]) -> "Part":
        """Return the scores that follow from counts."""
        blocks = len(counts[MODEL].block)
        drawn = counts[MODEL].drawn(draw_blocks(blocks))
        return cls({name: each.scores() for name, each in counts.items()}, drawn, blocks)

    def macro(self, paper: float | None = None) -> Cell:
        """Return F1 averaged over the classes."""
        return self._cell(lambda scores: scores[_F1].mean(axis=-1), paper)

    def of_class(self, number: int, metric: int, paper: float | None = None) -> Cell:
        """Return a score of one class."""
        return self._cell(lambda scores: scores[metric][..., number], paper)

    def _cell(self, read, paper: float | None) -> Cell:  # type: ignore[no-untyped-def]
        return Cell(
            value=float(read(self.scores[MODEL])),
            interval=percentile_interval(read(self.drawn), self.blocks),
            paper=paper,
            baselines={shown: float(read(self.scores[name])) for name, shown in BASELINES.items()},
        )


def average_tables(results: Results, names: Sequence[str]) -> list[Table]:
    """Return Tables 7 and 8: mean F1 of all experiments.

    Parameters
    ----------
    results : mapping
        Of each experiment what it gave, or why it could not be done.
    names : sequence of str
        A recording of each video.
    """
    paper = paper_table("7")
    columns = ("experiment", *(f"{shown}: {part}" for shown in SYSTEMS.values() for part in (TRAIN, TEST)))
    seven: list[Row] = []
    blocked: list[Row] = []
    for data in (FIRST, ALL):
        for vocabulary in VOCABULARIES:
            name = f"{TITLES[data]}, {len(load_vocabulary(vocabulary).classes)} classes"
            row: list[Entry] = [name]
            beside: list[Entry] = [name]
            for system in SYSTEMS:
                for part in (TRAIN, TEST):
                    figure = paper.get((f"{data} {vocabulary}", f"{system} {part}"))
                    honest = macro(results, Experiment(data, vocabulary, system, BLOCKED), part)
                    found = macro(results, Experiment(data, vocabulary, system, PAPERS[data]), part, figure)
                    row.append(_beside(found, honest) if part == TEST else found)
                    beside.append(honest)
            seven.append(tuple(row))
            blocked.append(tuple(beside))
    return [
        Table(
            "table-7",
            "Table 7: Mean F1, the paper's splits",
            columns,
            tuple(seven),
            (
                "Clips drawn at random, as in the paper: neighbours of a test clip are in training, which flatters. "
                f"“{BLOCKED}” is the same system where whole stretches are held out.",
            ),
        ),
        Table(
            "table-7-blocked",
            "Table 7 again: Mean F1 where whole stretches are held out",
            columns,
            tuple(blocked),
            ("The paper has no such figures. There is no interval where the test part is one block of time.",),
        ),
        _left_out_table(results, names),
    ]


def class_tables(results: Results, names: Sequence[str]) -> list[Table]:
    """Return Tables A1 to A5: every class, a table for each system, and for each recording left out."""
    found = []
    for number, (data, vocabulary) in APPENDIX.items():
        for system, shown in SYSTEMS.items():
            experiment = Experiment(data, vocabulary, system, PAPERS[data])
            title = f"Table {number.upper()}, {shown}: {TITLES[data]}, {vocabulary}"
            paper = _with_f1(_of_system(paper_table(number), system))
            notes = () if paper else ("The paper's figures of this table are not in the text that we have.",)
            honest = replace(experiment, split=BLOCKED)
            found.append(_class_table(f"table-{number}-{system}", title, results, experiment, honest, paper, notes))
    for place, name in enumerate(names):
        found.append(_left_out_classes(results, name, place))
    return found


def macro(results: Results, experiment: Experiment, part: str, paper: float | None = None) -> Cell:
    """Return mean F1 of an experiment's part, or why there is none."""
    result = results.get(experiment, "there is only one video")
    if isinstance(result, str):
        return Cell(None, paper=paper, reason=result)
    return Part.of(result.counts[part]).macro(paper)


def _left_out_table(results: Results, names: Sequence[str]) -> Table:
    paper = paper_table("8")
    rows: list[Row] = []
    for place, name in enumerate(names):
        theirs = RECORDINGS[place] if place < len(RECORDINGS) else ""
        row = [macro(results, left_out(name), part, paper.get((theirs, part))) for part in (TRAIN, TEST)]
        rows.append((f"test on {name}", *row))
    note = (
        "The recordings, in the order of their names, stand beside the paper's video-1 to video-4: other performances."
    )
    return Table("table-8", "Table 8: Mean F1, leave one out", ("experiment", TRAIN, TEST), tuple(rows), (note,))


def left_out(name: str) -> Experiment:
    """Return the experiment that leaves a recording out."""
    return Experiment(name, LEFT_OUT[1], LEFT_OUT[0], f"leave-out:{name}")


def _class_table(
    name: str,
    title: str,
    results: Results,
    experiment: Experiment,
    honest: Experiment | None,
    paper: Figures,
    notes: tuple[str, ...],
) -> Table:
    classes = load_vocabulary(experiment.vocabulary).classes
    result = results.get(experiment, "there is only one video")
    columns = ("class", *(f"{metric}: {part}" for metric in METRICS for part in (TRAIN, TEST)))
    rows: list[Row] = []
    if isinstance(result, str):
        for class_ in classes:
            cells = (Cell(None, paper=paper.get((class_, column)), reason=result) for column in columns[1:])
            rows.append((class_, *cells))
        return Table(name, title, columns, tuple(rows), notes)
    parts = {part: Part.of(result.counts[part]) for part in (TRAIN, TEST)}
    beside = None if honest is None else results.get(honest)
    blocked = Part.of(beside.counts[TEST]) if isinstance(beside, Result) else None
    for number, class_ in enumerate(classes):
        row: list[Entry] = [class_]
        for metric, called in enumerate(METRICS):
            for part in (TRAIN, TEST):
                cell = parts[part].of_class(number, metric, paper.get((class_, f"{called}: {part}")))
                row.append(
                    cell if blocked is None or part == TRAIN else _beside(cell, blocked.of_class(number, metric))
                )
        rows.append(tuple(row))
    return Table(name, title, columns, tuple(rows), notes)


def _left_out_classes(results: Results, name: str, place: int) -> Table:
    found = _class_table(
        f"table-a5-{name}", f"Table A5: leave one out, test on {name}", results, left_out(name), None, {}, ()
    )
    if place >= len(RECORDINGS):
        return found
    paper, theirs = paper_table("a5"), RECORDINGS[place]
    figures = [[paper.get((str(row[0]), f"{theirs} {part}")) for part in (TRAIN, TEST)] for row in found.rows]
    return replace(
        found,
        columns=(*found.columns, f"paper, {theirs}: {TRAIN}", TEST),
        rows=tuple((*row, *beside) for row, beside in zip(found.rows, figures, strict=True)),
        notes=("Whether the paper's figures here are precision or recall, the text that we have does not tell.",),
    )


def _beside(cell: Cell, honest: Cell) -> Cell:
    """Return a cell with the figure of the blocked split among what stands beside it."""
    if cell.value is None or honest.value is None:
        return cell
    return replace(cell, baselines={BLOCKED: honest.value, **cell.baselines})


def _of_system(paper: Figures, system: str) -> Figures:
    """Return one system's figures, by class and column of `_class_table`."""
    return {
        (class_, f"{metric}: {part}"): paper[class_, f"{system} {metric} {part}"]
        for class_, column in paper
        for metric in METRICS[:2]
        for part in (TRAIN, TEST)
        if column == f"{system} {metric} {part}"
    }


def _with_f1(paper: Figures) -> Figures:
    """Return figures with F1 where both precision and recall are there: the tables leave it out."""
    found = dict(paper)
    for class_, column in paper:
        metric, _, part = column.partition(": ")
        recall = paper.get((class_, f"recall: {part}"))
        if metric == "precision" and recall is not None:
            precision = paper[class_, column]
            total = precision + recall
            found[class_, f"F1: {part}"] = 2 * precision * recall / total if total else 0.0
    return found


def f1_of(result: Result, part: str) -> tuple[list[tuple[float, tuple[float, float] | None]], list[float]]:
    """Return F1 of each class with its interval, and that of the probe."""
    found = Part.of(result.counts[part])
    cells = [found.of_class(number, _F1) for number in range(len(found.scores[MODEL][_F1]))]
    return [(cell.value or 0.0, cell.interval) for cell in cells], found.scores[PROBE][_F1].tolist()
