"""Formats of other programs: read as their makers write them, and back and forth without loss."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.annotations import ENDINGS, Interval, Media, convert, find, read, recording_of, write
from store.errors import InputError
from store.matching import match
from store.mismatch import Clock, match_video
from store.vocabulary import Vocabulary

# As Praat's manual shows it (TextGrid file formats), in both of its text forms.
LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.3
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "Mary"
        xmin = 0
        xmax = 2.3
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.7427
            text = ""
        intervals [2]:
            xmin = 0.7427
            xmax = 1.5
            text = "she said ""no"" – été"
        intervals [3]:
            xmin = 1.5
            xmax = 2.3
            text = "!not a comment <exists> 12"
    item [2]:
        class = "IntervalTier"
        name = "John"
        xmin = 0
        xmax = 2.3
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 2.3
            text = " "
    item [3]:
        class = "TextTier"
        name = "bell"
        xmin = 0
        xmax = 2.3
        points: size = 2
        points [1]:
            number = 0.9
            mark = "ding"
        points [2]:
            number = 1.3
            mark = ""
"""
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
2.3
<exists>
3
"IntervalTier"
"Mary"
0
2.3
3
0
0.7427
""
0.7427
1.5
"she said ""no"" – été"
1.5
2.3
"!not a comment <exists> 12"
"IntervalTier"
"John"
0
2.3
1
0
2.3
" "
"TextTier"
"bell"
0
2.3
2
0.9
"ding"
1.3 ! the second
""
"""
MARY = (
    Interval(0.7427, 1.5, "Mary", 'she said "no" – été'),
    Interval(1.5, 2.3, "Mary", "!not a comment <exists> 12"),
    Interval(0.9, 0.9, "bell", "ding"),
    Interval(1.3, 1.3, "bell", ""),
)


@pytest.mark.parametrize("text", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_textgrid_as_praat_writes_it(tmp_path: Path, text: str, encoding: str, ends: str) -> None:
    path = tmp_path / "a.TextGrid"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path.write_bytes((mark + text.replace("\n", ends)).encode(encoding))
    file = read(path)
    assert file.tiers == ("Mary", "John", "bell")
    assert file.intervals == MARY


def test_textgrid_is_written_as_praat_does(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    write(path, [each for each in MARY if each.tier != "bell" or each.value], tiers=["Mary", "John", "bell"])
    found = path.read_text("utf-8").splitlines()
    expected = LONG.splitlines()
    assert found[:8] == [line.replace("xmax = 2.3", "xmax = 2.300") for line in expected[:8]]
    assert [line.strip() for line in found].count('text = ""') == 2  # before Mary speaks, and John's silence
    assert "            xmax = 0.743" in found
    assert '            text = "she said ""no"" – été"' in found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-40], r"ends where a (text|time) of tier 'bell' should stand"),
        (lambda text: text.replace('"TextTier"', '"SpellTier"'), r"line 39: tier 'bell' is of class 'SpellTier'"),
        (lambda text: text.replace("xmax = 1.5", "xmax = 0.5"), r"line 22: .* goes from 0\.7427 to 0\.5 s"),
        (lambda text: text.replace("xmin = 0.7427", "xmin = -1"), r"goes from -1 to 1\.5"),
        (lambda text: text.replace("size = 3", "size = 9e9"), r"line 7: the number of tiers is 9E\+9"),
        (lambda text: text.replace("size = 3", "size = 1.5"), r"the number of tiers is 1\.5"),
        (
            lambda text: text.replace("size = 3", 'size = "3"'),
            r"line 7: '\"3\"' stands where the number of tiers should",
        ),
        (lambda text: text.replace("number = 0.9", "number = soon"), r"'\"ding\"' stands where a time"),
        (lambda text: text.replace('"ding"', '"ding'), r"stands where|ends where"),
        (lambda text: text.replace('"TextGrid"', '"Sound"'), r"line 2: the file holds 'Sound', not a TextGrid"),
        (lambda text: text.replace("ooTextFile", "ooBinaryFile"), r"is of type 'ooBinaryFile', not a text file"),
        (lambda _: "WEBVTT", r"ends where the file's type should stand"),
        (lambda _: "\0\1", r"not a text file"),
    ],
)
def test_a_damaged_textgrid_is_one_clear_line(tmp_path: Path, change, message: str) -> None:
    refuses(tmp_path / "a.TextGrid", change(LONG).encode(), message)


def refuses(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


VTT = """WEBVTT - with a title
Kind: captions

STYLE
::cue { color: red }

NOTE 00:01.000 --> 00:02.000 is no cue

1
00:01.500 --> 00:02.000 align:start
<v.loud Mary>she <b>said</b> &lt;no&gt;</v>

00:00:00.250 --> 01:00:00.500
no voice,
two lines

intro
00:03.000 --> 00:04.000
<v Mary>one
<v John>two
"""


def test_webvtt_as_others_write_it(tmp_path: Path) -> None:
    path = tmp_path / "a.vtt"
    for text in (VTT, "\ufeff" + VTT.replace("\n", "\r\n")):
        path.write_text(text, newline="", encoding="utf-8")
        file = read(path)
        assert file.tiers == ("Mary", "default", "John")
        assert file.intervals == (
            Interval(1.5, 2.0, "Mary", "she said <no>"),
            Interval(3.0, 4.0, "Mary", "one"),
            Interval(0.25, 3600.5, "default", "no voice,\ntwo lines"),
            Interval(3.0, 4.0, "John", "two"),
        )


def test_a_webvtt_cue_needs_no_empty_line_before_it(tmp_path: Path) -> None:
    """As the specification has it: a line with times begins a cue wherever it stands, also in header and note."""
    cue = "00:0{0}.000 --> 00:0{0}.500\n<v x>{0}\n"
    one, two = (Interval(second, second + 0.5, "x", str(second)) for second in (1, 2))
    path = tmp_path / "a.vtt"
    for between in ("", "Kind: captions\n", "\n", "\nNOTE\n", "\nNOTE\nof two lines\n", "\nfirst\n"):
        path.write_text(f"WEBVTT\n{between}{cue.format(1)}{cue.format(2)}")
        assert read(path).intervals == (one, two)
    path.write_text("WEBVTT\n\nNOTE a --> b\n" + cue.format(1))
    assert read(path).intervals == (one,)
    path.write_text(f"WEBVTT\n\n{cue.format(1)}second\n{cue.format(2)}")
    assert read(path).intervals == (replace(one, value="1\nsecond"), two)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n00:01.000 --> 00:02.000\nx\n", "does not begin with WEBVTT"),
        ("WEBVTT\n\n00:01,000 --> 00:02,000\nx\n", r"line 3: no times of a cue, in '00:01,000 -->"),
        ("WEBVTT\n\n00:02.000 --> 00:01.000\nx\n", "line 3: ends before it starts"),
        ("WEBVTT\n\nx\ny\n", "line 3: no cue: its times are missing"),
        ("", "the file is empty"),
    ],
)
def test_a_damaged_webvtt_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    refuses(tmp_path / "a.vtt", text.encode(), message)


RTTM = """;; a comment
SPKR-INFO a 1 <NA> <NA> <NA> unknown Mary <NA> <NA>
SPEAKER a 1 12.50 0.75 <NA> <NA> Mary 0.93 <NA>
LEXEME a 1 1 2 hello lex John <NA>

SPEAKER\ta\t1\t0.001\t0\t<NA>\t<NA>\tMary\t<NA>
"""


def test_rttm_as_others_write_it(tmp_path: Path) -> None:
    (tmp_path / "a.rttm").write_text(RTTM)
    assert read(tmp_path / "a.rttm").intervals == (
        Interval(0.001, 0.001, "Mary"),
        Interval(12.5, 13.25, "Mary", "", 0.93),
        Interval(1, 3, "John", "hello"),
    )
    (tmp_path / "b.rttm").write_text(
        RTTM + RTTM.replace(" a ", " b ").replace("\ta\t", "\tb\t").replace("hello", "bye")
    )
    assert [each.value for each in read(tmp_path / "b.rttm").intervals if each.value] == ["bye"]
    refuses(tmp_path / "c.rttm", (tmp_path / "b.rttm").read_bytes(), r"of several files \(a, b\), none called c")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SPEAKER a 1 1.0 2.0 <NA>", "line 1: 6 columns"),
        ("SPEAKER a 1 one 2.0 <NA> <NA> x", "'one' is not a time"),
        ("SPEAKER a 1 1.0 -2.0 <NA> <NA> x", "'-2.0' is not a time"),
        ("SPEAKER a 1 1.0 2.0 <NA> <NA> x 2", "'2' is not a confidence"),
    ],
)
def test_a_damaged_rttm_is_one_clear_line(tmp_path: Path, line: str, message: str) -> None:
    refuses(tmp_path / "a.rttm", line.encode(), message)


# Headers as versions 7 and 8 of BORIS export them.
BORIS_7 = (
    "Observation id\tObservation date\tDescription\tMedia file\tTotal length\tFPS\tSubject\tBehavior\t"
    "Behavioral category\tModifiers\tBehavior type\tStart (s)\tStop (s)\tDuration (s)\tComment start\tComment stop\n"
    'concert\t2024-01-15 12:00:00\t"a ""fine"" one"\tconcert.mp4\t60.0\t25.0\tAnna\tNodding\thead\tslow|left\tSTATE\t'
    "1.25\t5.5\t4.25\t\t\n"
    "concert\t2024-01-15 12:00:00\t\tconcert.mp4\t60.0\t25.0\tAnna\tFreeze\t\t\tPOINT\t7.125\tNA\tNA\thm\t\n"
)
BORIS_8 = (
    "Observation id,Observation date,Description,Observation type,Source,Time offset (s),Coding duration,"
    "Media duration (s),FPS (frame/s),Subject,Observation duration by subject by observation,Behavior,"
    "Behavioral category,Modifier #1,Modifier #2,Behavior type,Start (s),Stop (s),Duration (s),Media file name,"
    "Image index start,Image index stop,Image file path start,Image file path stop,Comment start,Comment stop\n"
    "concert,2025-09-06 14:58:19,,Media file(s),,0.0,60,60.0,25.0,Anna,60,Nodding,head,slow,left,STATE,1.250,5.500,"
    "4.250,concert.mp4,31,137,,,,\n"
    "concert,2025-09-06 14:58:19,,Media file(s),,0.0,60,60.0,25.0,Anna,60,Freeze,,None,None,POINT,7.125,7.125,NA,"
    "concert.mp4,178,178,,,,\n"
)


@pytest.mark.parametrize(("name", "text"), [("concert.tsv", BORIS_7), ("concert.csv", BORIS_8)])
def test_boris_as_it_exports(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    file = read(path)
    assert file.intervals == (Interval(1.25, 5.5, "Nodding", "slow|left"), Interval(7.125, 7.125, "Freeze"))
    assert (file.duration, file.frame_rate) == (60.0, 25.0)
    vocabulary = Vocabulary("v", ("Nodding", "Freeze"))
    assert match(file, vocabulary).ignored == {}
    match_video(path, vocabulary, Clock("concert", 60.2, 25))
    with pytest.raises(
        InputError, match=r"it says that its video lasts 60\.000 s at 25 frames a second; likely a copy"
    ):
        match_video(path, vocabulary, Clock("concert", 50, 25))
    assert match_video(path, vocabulary, Clock("concert", 50, 25), offset=0).gestures["Nodding"] == [(1.25, 5.5)]


def test_boris_of_several(tmp_path: Path) -> None:
    """Two observations: that of the file's name; two subjects: a tier for each, the behaviour as value."""
    path = tmp_path / "concert.tsv"
    row = BORIS_7.splitlines()[1]
    path.write_text(BORIS_7 + row.replace("concert", "rehearsal", 1) + "\n")
    assert len(read(path).intervals) == 2
    refuses(
        tmp_path / "other.tsv", path.read_bytes(), r"several observations \(concert, rehearsal\), none called other"
    )
    path.write_text(BORIS_7 + row.replace("Anna", "Ben") + "\n")
    file = read(path)
    assert file.tiers == ("Nodding (Anna)", "Freeze (Anna)", "Nodding (Ben)")
    assert len(match(file, Vocabulary("v", ("Nodding",))).gestures["Nodding"]) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("1.25\t5.5", "soon\t5.5"), r"line 2: Start \(s\) is 'soon'"),
        (lambda text: text.replace("1.25\t5.5", "6.5\t5.5"), r"line 2: ends \(5\.5 s\) before"),
        (lambda text: text.replace("Stop (s)", "Status").replace("Start (s)", "Time"), "'Export aggregated events'"),
        (lambda text: text.replace('"a ""fine""', '"a "fine""'), "line 2: not delimited text"),
    ],
)
def test_a_damaged_boris_file_is_one_clear_line(tmp_path: Path, change, message: str) -> None:
    refuses(tmp_path / "concert.tsv", change(BORIS_7).encode(), message)


# Round trips

WRITTEN = tuple(ending for ending in ENDINGS if ending not in (".eaf", ".txt", ".tsv"))
text = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=12)
hostile = text | st.sampled_from(
    ["", " ", "a  b ", "<NA>", "a%20b", "<v x>", "-->", "&lt;", 'a"b', "a\nb", "a\n\nb", "\u2028", "1", "default", "!x"]
)


@st.composite
def contents(draw) -> list[Interval]:
    """Annotations in whole milliseconds, on tiers whose names clash or mean something; they may touch, not overlap."""
    intervals = []
    for tier in draw(st.lists(hostile, unique=True, max_size=4)):
        bounds = sorted(draw(st.lists(st.integers(0, 10**8), max_size=8, unique=True)))
        for begin, end in zip(bounds[::2], bounds[1::2], strict=False):
            end = draw(st.sampled_from([begin, end]))
            intervals.append(Interval(begin / 1000, end / 1000, tier, draw(hostile)))
    return intervals


@pytest.mark.parametrize("ending", WRITTEN)
@settings(max_examples=60)
@given(intervals=contents())
def test_round_trip(tmp_path_factory, ending: str, intervals: list[Interval]) -> None:
    path = tmp_path_factory.getbasetemp() / f"round{ending}"
    write(path, intervals)
    if ending == ".TextGrid":  # where there is no text there is no annotation: the tier's name stands for it
        intervals = [
            each if each.value.strip() or each.begin == each.end else replace(each, value=each.tier.strip() or "*")
            for each in intervals
        ]
    found = read(path).intervals if path.stat().st_size else ()
    assert sorted(found, key=str) == sorted(intervals, key=str)


@pytest.mark.parametrize("ending", WRITTEN)
def test_a_file_of_elans_goes_there_and_back(shared_data: Path, tmp_path: Path, ending: str) -> None:
    source = shared_data / "elan" / "tla-example.eaf"
    convert(source, tmp_path / f"a{ending}")
    convert(tmp_path / f"a{ending}", tmp_path / "b.eaf")
    file, there, back = (read(path) for path in (source, tmp_path / f"a{ending}", tmp_path / "b.eaf"))
    assert file.media[0].time_origin == 5  # the first is the video, whose times text has
    expected = sorted((each.tier, *(round(each + 5, 3) for each in (each.begin, each.end))) for each in file.intervals)
    for found in (there, back):
        assert sorted((each.tier, each.begin, each.end) for each in found.intervals) == expected
    assert recording_of(tmp_path / f"a{ending}") == "a"
    (tmp_path / "b.eaf").unlink()
    assert list(find([tmp_path])) == ["a"]


@pytest.mark.parametrize(("name", "origin"), [("concert", -1.5), ("pear", 0.25), ("rehearsal", -1.5)])
def test_text_has_the_times_of_the_video(tmp_path: Path, name: str, origin: float) -> None:
    """That of the file's name counts, else the first; trained from either file, the gestures are the same."""
    source, out = tmp_path / f"{name}.eaf", tmp_path / "text" / f"{name}.csv"
    out.parent.mkdir()
    media = [
        Media(f"file:///{stem}.mp4", None, "video/mp4", each) for stem, each in (("concert", -1.5), ("pear", 0.25))
    ]
    write(source, [Interval(0.5, 1, "nod"), Interval(1, 2, "nod"), Interval(4, 5, "bow", "x")], media=media)
    convert(source, out)
    vocabulary, clock = Vocabulary("v", ("nod", "bow")), Clock(name, 10.0, 25)
    as_text, as_elan = (match_video(path, vocabulary, clock).gestures for path in (out, source))
    seen = {gesture: [(max(begin, 0), end) for begin, end in found if end > 0] for gesture, found in as_elan.items()}
    assert as_text == seen
    assert [each.begin for each in read(out).intervals if each.tier == "bow"] == [4 + origin]


def test_praat_cannot_hold_what_overlaps(tmp_path: Path) -> None:
    for intervals in (
        [Interval(0, 2, "x"), Interval(1, 3, "x")],
        [Interval(1, 1, "x", "a"), Interval(1, 1, "x", "b")],
    ):
        with pytest.raises(InputError, match=r"a\.TextGrid: annotations of tier 'x' overlap at 1\.000 s, which Praat"):
            write(tmp_path / "a.TextGrid", intervals)
    write(tmp_path / "a.TextGrid", [Interval(0, 2, "x", "a"), Interval(1, 1, "x", "b")], tiers=["none"])
    assert read(tmp_path / "a.TextGrid").tiers == ("none", "x")
    assert len(read(tmp_path / "a.TextGrid").intervals) == 2


def test_confidence_where_a_format_has_it(tmp_path: Path) -> None:
    sure = Interval(1, 2, "nod [chironomy]", "nod", 0.875)
    for ending, expected in ((".rttm", 0.875), (".csv", 0.875), (".eaf", 0.88), (".vtt", None), (".TextGrid", None)):
        write(tmp_path / f"a{ending}", [sure])
        assert [each.confidence for each in read(tmp_path / f"a{ending}").intervals] == [expected]


@pytest.mark.parametrize("ending", [".TextGrid", ".vtt", ".rttm", ".boris.csv"])
def test_convert_on_the_command_line(tmp_path: Path, ending: str) -> None:
    write(tmp_path / "a.csv", [Interval(1, 2.5, "Lifting head", "x")])
    command = [sys.executable, "-m", "chironomy", "convert"]
    out = tmp_path / f"a{ending}"
    subprocess.run([*command, tmp_path / "a.csv", out], check=True, capture_output=True)
    assert read(out).intervals == (Interval(1, 2.5, "Lifting head", "x"),)
    out.write_text("damaged")
    done = subprocess.run([*command, out, tmp_path / "b.csv"], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(rf"chironomy: {re.escape(str(out))}\b.*\n", done.stderr)
    assert not (tmp_path / "b.csv").exists()


@pytest.mark.parametrize("source", ["a.vtt", "a.eaf"])
@pytest.mark.parametrize("out", ["mine.eaf", "mine.csv", "folder.eaf"])
def test_convert_replaces_no_file(tmp_path: Path, source: str, out: str) -> None:
    write(tmp_path / source, [Interval(1, 2, "x")])
    (tmp_path / "folder.eaf").mkdir()
    for name in ("mine.eaf", "mine.csv"):
        write(tmp_path / name, [Interval(3, 4, "mine")])
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(InputError, match=rf"{out}: is there already; name a new file"):
        convert(tmp_path / source, tmp_path / out)
    convert(tmp_path / "mine.eaf", tmp_path / "mine.eaf")
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
