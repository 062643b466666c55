"""Annotations as text: every layout that ELAN exports, and our own."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.annotations import Interval, read, write
from store.errors import InputError

# One annotation in ELAN's three formats: begin 1.2 s, end 61.767 s, so it lasts 60.567 s.
TIMES = {
    "begin": {"hh:mm:ss.ms": "00:00:01.200", "ss.msec": "1.200", "msec": "1200"},
    "end": {"hh:mm:ss.ms": "00:01:01.767", "ss.msec": "61.767", "msec": "61767"},
    "duration": {"hh:mm:ss.ms": "00:01:00.567", "ss.msec": "60.567", "msec": "60567"},
}
NAMES = {"begin": "Begin Time", "end": "End Time", "duration": "Duration"}
FORMATS = [chosen for size in (1, 2, 3) for chosen in itertools.combinations(TIMES["begin"], size)]


@pytest.fixture
def load(tmp_path):
    """Read intervals from text that stands in a file of the ending given."""

    def read_from(content: str | bytes, ending: str = ".txt") -> list[Interval]:
        path = tmp_path / f"a{ending}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return list(read(path).intervals)

    return read_from


def test_beat_rep(shared_data):
    """35 rows, of which awk counts 14 with BEAT."""
    lines = (shared_data / "annotated" / "beat_rep.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    found = read(shared_data / "annotated" / "beat_rep.txt")
    assert len(found.intervals) == 35
    assert sum(each.value == "BEAT" for each in found.intervals) == 14
    assert found.tiers == ("gesture right",)
    assert [(each.begin, each.end, each.value) for each in found.intervals] == sorted(
        (float(row[3]), float(row[5]), row[8]) for row in rows
    )


def test_golden_csv(shared_data):
    found = read(shared_data / "elan" / "golden-export.csv")
    assert found.tiers == ("annot_gesture_right",)
    assert len(found.intervals) == 36
    assert found.intervals[0] == Interval(3.03, 3.51, "annot_gesture_right", "BEAT")


# Layouts


@pytest.mark.parametrize("formats", FORMATS)
@pytest.mark.parametrize("quantities", [("begin", "end"), ("begin", "end", "duration")])
@pytest.mark.parametrize("before", [["right hand"], ["right hand", ""], ["right hand", "P1"], ["5", ""]])
@pytest.mark.parametrize("value", ["BEAT", "7", "3000", "99999", "1.5", "99.5", ""])
def test_without_header(load, formats, quantities, before, value):
    cells = [*before, *(TIMES[quantity][each] for quantity in quantities for each in formats), value]
    assert load("\t".join(cells) + "\n") == [Interval(1.2, 61.767, before[0], value)]


@pytest.mark.parametrize("formats", FORMATS)
@pytest.mark.parametrize("quantities", list(itertools.permutations(["begin", "end", "duration"], 2))[:3])
@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_header_in_any_order(load, formats, quantities, delimiter):
    if "begin" not in quantities:
        pytest.skip("says nothing of when it begins")
    names = [f"{NAMES[quantity]} - {each}" for each in formats for quantity in quantities]
    cells = [TIMES[quantity][each] for each in formats for quantity in quantities]
    header = delimiter.join(["Annotation", *names, "Participant", "Tier"])
    row = delimiter.join(["BEAT", *cells, "", "right hand"])
    assert load(f"{header}\n{row}\n", ".csv") == [Interval(1.2, 61.767, "right hand", "BEAT")]


def test_column_for_each_tier(load):
    content = (
        "Begin Time - msec\tBegin Time - PAL\tEnd Time - msec\tLeft hand\tRight hand\n"
        "0\t00:00:00:00\t500\t\tBEAT\n"
        "250\t00:00:00:06\t750\tREP\tREP\n"
    )
    assert load(content) == [
        Interval(0.25, 0.75, "Left hand", "REP"),
        Interval(0.0, 0.5, "Right hand", "BEAT"),
        Interval(0.25, 0.75, "Right hand", "REP"),
    ]


def test_only_tier_keeps_empty_values(load):
    assert load("Begin Time - msec,End Time - msec,Nodding\n0,5,\n", ".csv") == [Interval(0, 0.005, "Nodding")]


def test_own_header_and_confidence(load):
    content = 'tier,begin,end,value,confidence\n"a, ""b""",1,2.5,"x\ny",0.75\nc,00:01:00.5,90,,\n'
    assert load(content, ".csv") == [
        Interval(1.0, 2.5, 'a, "b"', "x\ny", 0.75),
        Interval(60.5, 90.0, "c", "", None),
    ]
    assert load("TIER\tBegin\tEnd\n Nodding\t1\t2\n") == [Interval(1, 2, " Nodding")]
    assert load("tier,begin,end,value,confidence\n", ".csv") == []


def test_no_tier_column_and_no_value_column(load):
    assert load("1.200\t61.767\tBEAT\n") == [Interval(1.2, 61.767, "default", "BEAT")]
    assert load("Nodding\t1.200\t61.767\n") == [Interval(1.2, 61.767, "Nodding", "")]
    assert load("Nodding\t\t1.200\t61.767\tx\nNodding\t\t62.000\t63.000\n")[1] == Interval(62, 63, "Nodding", "")


def test_encodings_and_line_ends(load):
    content = "Geste Éã\t\t1.200\t61.767\tHände ✋\r\n\r\n   \r\nb\t\t62.000\t63.000\tx\r\n"
    expected = [Interval(1.2, 61.767, "Geste Éã", "Hände ✋"), Interval(62.0, 63.0, "b", "x")]
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert load(content.encode(encoding)) == expected
    assert load(b"\xfe\xff" + content.encode("utf-16-be")) == expected
    assert load(content.replace("\r\n", "\r")) == expected


def test_quotes_and_separators_in_tab_delimited_values(load):
    assert load('a\t\t1.0\t2.0\t"so, he said\n#b\t\t3.0\t4.0\tx;y\u2028z\n') == [
        Interval(1.0, 2.0, "a", '"so, he said'),
        Interval(3.0, 4.0, "#b", "x;y\u2028z"),
    ]


def test_comment_on_top(load):
    expected = [Interval(1.2, 61.767, "a", "b")]
    assert (
        load('"#file:///D:/x,y.eaf"\nTier,Begin Time - msec,End Time - msec,Annotation\na,1200,61767,b\n') == expected
    )


def test_order_is_by_tier_then_time(load):
    found = load("b\t\t5.0\t6.0\t1\na\t\t3.0\t4.0\t2\nb\t\t1.0\t2.0\t3\n")
    assert [(each.tier, each.value) for each in found] == [("b", "3"), ("b", "1"), ("a", "2")]


def test_zero_length_and_rounding(load):
    """ELAN rounds each time by itself: 16.067 + 0.467 is not 16.533, and that is no contradiction."""
    assert load("a\t\t00:00:01.000\t1.000\t00:00:01.000\t1.000\tx\n") == [Interval(1.0, 1.0, "a", "x")]
    assert load("a\t\t16.067\t16.533\t0.467\tx\n") == [Interval(16.067, 16.533, "a", "x")]


def test_one_bad_line_does_not_change_the_unit(load):
    """A line with 12.5 among whole milliseconds is an error, never a reason to read all as seconds."""
    rows = [f"a\t\t{begin}\t{begin + 10}\tx\n" for begin in range(0, 100, 20)]
    assert load("".join(rows))[1] == Interval(0.02, 0.03, "a", "x")
    with pytest.raises(InputError, match=r"line 6: '12\.5' is not a time"):
        load("".join([*rows, "a\t\t12.5\t30\tx\n"]))
    seconds = ["a\t\t1.000\t2.000\tx\n"] * 3
    assert load("".join([*seconds, "a\t\t3\t4.5\tx\n"]))[3] == Interval(3.0, 4.5, "a", "x")


# Bad input

GOOD = "a\t\t00:00:01.000\t1.000\t00:00:02.000\t2.000\tx\n"
BAD = {
    "empty": ("", ".txt", ": the file is empty"),
    "blank": (" \n\n", ".txt", ": holds no annotation"),
    "reversed": (
        GOOD + "b\t\t00:00:03.000\t3.000\t00:00:02.500\t2.500\ty\n",
        ".txt",
        r"line 2: ends .* 'b \| .*y'",
    ),
    "reversed, alone": ("b\t\t00:00:03.000\t00:00:02.500\ty\n", ".txt", r"line 1: ends \(2.500 s\) before"),
    "reversed, with duration": (
        "b\t\t00:00:03.000\t00:00:01.000\t00:00:02.000\ty\n",
        ".txt",
        r"line 1: ends \(1.000 s\) before it starts \(3.000 s\)",
    ),
    "reversed csv": ('tier,begin,end\n"a\nb",0,1\nc,2,1\n', ".csv", r"line 4: ends .* 'c \| 2 \| 1'"),
    "word for a time": (
        GOOD + "b\t\t00:00:03.000\tsoon\t00:00:04.000\t4.000\ty\n",
        ".txt",
        "line 2: 'soon' is not",
    ),
    "negative": (GOOD + GOOD.replace("\t1.000", "\t-1.000"), ".txt", r"line 2: '-1\.000' is not a time"),
    "not a number": ("tier,begin,end\na,nan,inf\n", ".csv", "line 2: 'nan' is not a time"),
    "61 seconds": (
        GOOD + GOOD.replace("00:00:01.000", "00:00:61.000"),
        ".txt",
        "line 2: '00:00:61.000' is not",
    ),
    "formats disagree": (
        GOOD + GOOD.replace("\t2.000", "\t2.100"),
        ".txt",
        "line 2: one time is 2.000 s in one",
    ),
    "duration disagrees": (
        "Tier,Begin Time - msec,End Time - msec,Duration - msec,Annotation\na,0,500,400,x\n",
        ".csv",
        r"line 2: lasts 0\.400 s, but goes from 0\.000 to 0\.500 s",
    ),
    "short line": (GOOD + "b\t\t00:00:03.000\n", ".txt", "line 2: no begin and end, in 'b | | 00:00:03.000'"),
    "empty times": ("tier,begin,end\na,,\n", ".csv", "line 2: no begin and end"),
    "prose": (
        "Dear colleague,\nthe annotations follow.\n",
        ".txt",
        "line 1: neither a header nor begin and end",
    ),
    "one time": ("a\t1.5\tx\n", ".txt", "line 1: neither a header nor begin and end times"),
    "frames only": (
        "Tier\tBegin Time - PAL\tEnd Time - PAL\tAnnotation\n",
        ".txt",
        "line 1: a header with no begin",
    ),
    "no tier": ("begin,end\n1,2\n", ".csv", "line 1: a header with no column of tiers"),
    "two values": ("tier,begin,end,left,right\n", ".csv", "'left' and 'right' could both be the value"),
    "confidence": (
        "tier,begin,end,value,confidence\na,1,2,x,90%\n",
        ".csv",
        "'90%' is not a confidence between",
    ),
    "open quote": ('tier,begin,end,value\na,1,2,"x\n', ".csv", "line 2: not delimited text"),
    "stray quote": ('tier,begin,end,value\na,1,2,"x"y\n', ".csv", "line 2: not delimited text"),
    "endless cell": ("tier,begin,end\n" + "x" * 200_000 + ",1,2\n", ".csv", "line 2: not delimited text"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_one_clear_line(load, tmp_path, case):
    content, ending, message = BAD[case]
    with pytest.raises(InputError, match=message) as error:
        load(content, ending)
    assert str(error.value).startswith(str(tmp_path / f"a{ending}"))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400 + len(str(tmp_path))


def test_not_text(load):
    with pytest.raises(InputError, match="not text in UTF-8 or UTF-16"):
        load("é".encode("latin-1"))
    with pytest.raises(InputError, match="not a text file"):
        load(b"RIFF\x00\x00\x00\x00AVI ")
    with pytest.raises(InputError, match="not text in UTF-8 or UTF-16"):
        load(b"\xff\xfea")


# Writing


def test_written_as_elan_does(tmp_path):
    path = tmp_path / "a.txt"
    write(path, [Interval(1.2, 3661.767, "right hand", "a\tb\r\nc")])
    assert path.read_bytes() == (
        b"right hand\t\t00:00:01.200\t1.200\t01:01:01.767\t3661.767\t01:01:00.567\t3660.567\ta b  c\n"
    )


def test_written_with_confidence(tmp_path):
    path = tmp_path / "a.csv"
    write(
        path,
        [Interval(1 / 3, 2, "Nodding [chironomy]", "Nodding", 2 / 3), Interval(0, 0.04, 'say "x"', "a,b")],
    )
    assert path.read_bytes().replace(b"\r\n", b"\n") == (
        b"tier,begin,end,value,confidence\n"
        b"Nodding [chironomy],0.333,2.000,Nodding,0.6667\n"
        b'"say ""x""",0.000,0.040,"a,b",\n'
    )


names = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.sampled_from(["tier", "begin", "Begin Time", "end", "1", "1.0", "00:00:01.000", "#", "a\tb", '"', "value", ","]),
)


@st.composite
def intervals(draw):
    begin, length = draw(st.integers(0, 10**8)), draw(st.integers(0, 10**7))
    confidence = draw(st.none() | st.integers(0, 10_000).map(lambda parts: parts / 10_000))
    return Interval(begin / 1000, (begin + length) / 1000, draw(names), draw(names), confidence)


def by_tier_and_time(found):
    place = {tier: number for number, tier in enumerate(dict.fromkeys(each.tier for each in found))}
    return sorted(found, key=lambda each: (place[each.tier], each.begin, each.end))


@settings(max_examples=80)
@given(st.lists(intervals(), min_size=1, max_size=8))
def test_round_trip(tmp_path_factory, found):
    folder = tmp_path_factory.getbasetemp()
    write(folder / "round.csv", found)
    assert list(read(folder / "round.csv").intervals) == by_tier_and_time(found)

    def plain(text: str) -> str:
        return text.replace("\t", " ").replace("\r", " ").replace("\n", " ")

    write(folder / "round.txt", found)
    plainly = [Interval(each.begin, each.end, plain(each.tier), plain(each.value)) for each in found]
    assert list(read(folder / "round.txt").intervals) == by_tier_and_time(plainly)
