"""What correcting predictions costs: cases reckoned by hand, and what must hold whatever the events."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.effort import Costs, Operations, load_costs, operations, saved
from store.errors import InputError

COSTS = load_costs()


def test_costs_are_those_of_the_file() -> None:
    assert Costs(add=1.0, delete=0.3, relabel=0.5, move=0.5, watch=0.08, tolerance=0.32) == COSTS
    assert COSTS.times("move", 2).move == 1.0


@pytest.mark.parametrize(
    ("true", "predicted", "expected", "cost"),
    [
        ({}, {}, Operations(), 0.0),
        ({"nod": [(1, 2)]}, {}, Operations(added=1), 1.0),
        ({}, {"nod": [(1, 2)]}, Operations(deleted=1), 0.3),
        ({"nod": [(1, 2)]}, {"nod": [(1.32, 2.32)]}, Operations(kept=1), 0.0),
        ({"nod": [(1, 2)]}, {"nod": [(1.33, 2.32)]}, Operations(changed=1, moved=1), 0.5),
        ({"nod": [(1, 3)]}, {"nod": [(0, 4)]}, Operations(changed=1, moved=2), 1.0),
        ({"nod": [(1, 2)]}, {"lift": [(1, 2)]}, Operations(changed=1, relabelled=1), 0.5),
        ({"nod": [(1, 2)]}, {"lift": [(1, 2.5)]}, Operations(changed=1, moved=1, relabelled=1), 1.0),
        # Relabelled with both boundaries moved costs 1.5: deleting and adding is cheaper.
        ({"nod": [(1, 3)]}, {"lift": [(0, 4)]}, Operations(deleted=1, added=1), 1.3),
        # They do not overlap: one does not become the other, though moving costs less.
        ({"nod": [(1, 2)]}, {"nod": [(2, 3)]}, Operations(deleted=1, added=1), 1.3),
        # One over two: it becomes one of them, the other is added.
        ({"nod": [(0, 2), (3, 5)]}, {"nod": [(0, 5)]}, Operations(changed=1, moved=1, added=1), 1.5),
        # Two in one: the better one is kept and moved, the other deleted.
        ({"nod": [(0, 5)]}, {"nod": [(0, 2), (3, 4)]}, Operations(changed=1, moved=1, deleted=1), 0.8),
        # Two gestures at once.
        (
            {"nod": [(0, 2)], "lift": [(0, 2)]},
            {"nod": [(0, 2)], "lift": [(0, 2)]},
            Operations(kept=2),
            0.0,
        ),
        ({"nod": [(1, 1)]}, {"nod": [(1, 1)]}, Operations(kept=1), 0.0),
    ],
)
def test_cases_reckoned_by_hand(true, predicted, expected, cost) -> None:
    found = operations(true, predicted, COSTS)
    assert found == expected
    assert found.cost(COSTS) == pytest.approx(cost)


times = st.integers(0, 200).map(lambda number: number / 10)
stretches = st.lists(st.tuples(times, times).map(lambda pair: (min(pair), max(pair))), max_size=6)
events = st.dictionaries(st.sampled_from(["nod", "lift", "sway"]), stretches)


@given(events, events)
def test_never_dearer_than_beginning_anew(true, predicted) -> None:
    have, want = (sum(map(len, each.values())) for each in (predicted, true))
    found = operations(true, predicted, COSTS)
    assert found.kept + found.changed + found.deleted == have
    assert found.kept + found.changed + found.added == want
    assert 0 <= found.cost(COSTS) <= COSTS.delete * have + COSTS.add * want + 1e-9
    assert found.cost(COSTS) >= COSTS.add * max(want - have, 0) - 1e-9


@given(events, events)
def test_what_is_there_twice_over_costs_nothing_and_more_is_never_free(true, more) -> None:
    assert operations(true, true, COSTS).cost(COSTS) == 0
    extra = {name: [*true.get(name, []), *more.get(name, [])] for name in {*true, *more}}
    added = sum(map(len, more.values()))
    assert operations(true, extra, COSTS).cost(COSTS) == pytest.approx(COSTS.delete * added)


def test_the_work_saved() -> None:
    labelled, rest = {"nod": [(0.0, 1.0)]}, {"nod": [(11.0, 12.0), (15.0, 16.0), (18.0, 19.0)]}
    perfect = saved(labelled, rest, rest, (10.0, 40.0), COSTS)
    assert perfect["manual"] == pytest.approx(4 + 0.08 * 50)
    assert perfect["saved"] == pytest.approx(3 / 8)
    nothing = saved(labelled, rest, {}, (10.0, 40.0), COSTS)
    assert nothing["saved"] == pytest.approx(0)
    wrong = {"nod": [(second, second + 0.5) for second in range(20, 40, 2)]}
    assert saved(labelled, rest, wrong, (10.0, 40.0), COSTS)["saved"] == pytest.approx(-10 * 0.3 / 8)
    assert saved({}, {}, {}, (0.0, 0.0), COSTS)["saved"] == 0


@pytest.mark.parametrize("text", ["add = 1", "nonsense", "add = -1", 'add = "much"'])
def test_costs_that_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "costs.toml"
    rest = "\n".join(f"{field.name} = 1" for field in fields(Costs)[1:]) if text != "add = 1" else ""
    path.write_text(f"{text}\n{rest}")
    with pytest.raises(InputError, match=r"costs\.toml"):
        load_costs(path)
    with pytest.raises(InputError, match="missing"):
        load_costs(tmp_path / "missing.toml")
