"""Inside ELAN: installed into its extensions, and run by a stand-in that talks to it as ELAN does."""

import os
import stat
import struct
import subprocess
import sys
import xml.sax
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from planted_store import write_recording, write_vocabulary
from recordings import write_video
from tiny_backbone import MODULE, added

import chironomy
from extract.jobs import Job
from extract.many import Recipe, extract_all
from heads.recognizer import read_parameters
from heads.settings import Settings
from search.runs import train
from store import elan_extension
from store.annotations import EafDocument, Interval, is_predicted, read, write
from store.annotations.avatech import avatech_tiers, read_avatech_spans
from store.errors import InputError
from store.predicted import write_predicted

CHECKOUT = Path(__file__).resolve().parents[1]
CLIPS = 36


@dataclass
class Parameter:
    """A parameter as a description declares it."""

    element: str
    attributes: dict[str, str]
    id: str = ""


class Description(xml.sax.ContentHandler):
    """Reads a description as ELAN does: what an element is called counts, and not where it stands."""

    def __init__(self, path: Path) -> None:
        self.parameters: list[Parameter] = []
        self.recognizer: dict[str, str] = {}
        self.is_recognizer = False
        self._text = ""
        xml.sax.parse(str(path), self)

    def startElement(self, name: str, attributes: xml.sax.xmlreader.AttributesImpl) -> None:
        given = dict(attributes.items())
        self.is_recognizer |= name == "RECOGNIZER"
        if name == "recognizer":
            self.recognizer = given
        elif name in ("input", "output", "numparam", "textparam") and "info" in given:  # others are left out
            self.parameters.append(Parameter(name, given))

    def characters(self, content: str) -> None:
        self._text += content

    def endElement(self, name: str) -> None:
        if name in ("input", "output", "numparam", "textparam"):
            self.parameters[-1].id = self._text.strip()
        self._text = ""


class TierFile(xml.sax.ContentHandler):
    """Reads what a recognizer wrote as ELAN does: names end at white space, times with a point lose precision."""

    def __init__(self, path: Path) -> None:
        self.tiers: list[tuple[str, list[tuple[int, int, str]]]] = []
        self._several, self._text, self._values = False, "", []
        self._span = (-1, -1)
        xml.sax.parse(str(path), self)

    def startElement(self, name: str, attributes: xml.sax.xmlreader.AttributesImpl) -> None:
        if name == "TIERS":
            self._several = True
        elif name == "TIER":
            assert self._several or not self.tiers
            # Java's StringTokenizer, which knows no other white space.
            for column in attributes["columns"].replace("\t", " ").replace("\n", " ").split(" "):
                if column:
                    self.tiers.append((column.removeprefix("#"), []))
        elif name == "span":
            self._span = (self._time(attributes["start"]), self._time(attributes["end"]))
            self._values = []

    @staticmethod
    def _time(text: str) -> int:
        if "." in text:
            (single,) = struct.unpack("f", struct.pack("f", float(text)))
            return int(1000 * single)
        return int(text)

    def characters(self, content: str) -> None:
        self._text += content

    def endElement(self, name: str) -> None:
        if name == "v":
            self._values.append(self._text.strip())
        elif name == "span":
            for number, value in enumerate(self._values):
                self.tiers[len(self.tiers) - len(self._values) + number][1].append((*self._span, value))
        self._text = ""


@dataclass
class Elan:
    """ELAN, as far as it has to do with a recognizer of type local."""

    extensions: Path
    environment: dict[str, str]
    report: list[str] = field(default_factory=list)
    progress: list[tuple[float, str]] = field(default_factory=list)
    result: str | None = None

    def folders(self) -> list[Path]:
        return [path for path in sorted(self.extensions.iterdir()) if path.is_dir()]

    def start(self, chosen: dict[str, str], encoding: str = "utf-8") -> subprocess.Popen:
        """Start the recognizer in its folder, and write the parameters to it."""
        (folder,) = self.folders()
        (description,) = [Description(path) for path in folder.glob("*.cmdi")]
        assert description.is_recognizer
        assert description.recognizer["recognizerType"] == "local"
        words = description.recognizer["runLinux"].split()
        process = subprocess.Popen(
            words, cwd=folder, env=self.environment, stdin=-1, stdout=-1, stderr=subprocess.STDOUT
        )
        lines = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<PARAM xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            'xsi:noNamespaceSchemaLocation="file:avatech-call.xsd">',
            '<param name="InvocationContext">chironomy 2026-07-31 14:23:09+0200</param>',
        ]
        for parameter in description.parameters:
            value = chosen.get(parameter.id, "")
            required = parameter.attributes.get("optional") == "false"
            assert value or not required or chosen.get("skip") == parameter.id, parameter
            lines.append(f'<param name="{parameter.id}">{escape(value.removeprefix("file:"))}</param>')
        process.stdin.write("".join(f"{line}\n" for line in [*lines, "</PARAM>"]).encode(encoding))
        process.stdin.close()
        return process

    def listen(self, process: subprocess.Popen) -> "Elan":
        """Read lines until the result."""
        for line in process.stdout.read().decode().splitlines():
            self.report.append(line)
            if self.result is None and line in ("RESULT: DONE.", "RESULT: FAILED."):
                self.result = line
            elif line.startswith("PROGRESS:"):
                number, _, message = line.partition(":")[2].strip().partition(" ")
                self.progress.append((float(number), message))
        process.wait(60)
        return self

    def run(self, chosen: dict[str, str], encoding: str = "utf-8") -> "Elan":
        self.report, self.progress, self.result = [], [], None
        return self.listen(self.start(chosen, encoding))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Iterator[dict]:
    """A model of planted gestures that looks at a small network's features, and a video."""
    folder = tmp_path_factory.mktemp("made here ü")
    with added(tmp_path_factory.mktemp("backbones")):
        paths = [write_recording(folder / "planted", "a")]
        vocabulary = write_vocabulary(folder / "two.toml")
        train(folder / "planted", paths, vocabulary, folder / "model", system="probe", settings=Settings(epochs=1))
        video = write_video(folder / "take 1 (é).mov", 16 * CLIPS)
        yield {"folder": folder, "model": folder / "model", "video": video}


@pytest.fixture
def elan(tmp_path: Path) -> Elan:
    """ELAN with chironomy installed; its recognizers get next to no environment, but this checkout's packages."""
    extensions = tmp_path / "ELAN 6.8" / "lib" / "app" / "extensions"
    extensions.mkdir(parents=True)
    (extensions / "silence.jar").write_bytes(b"of another")
    assert chironomy.main(["elan", "install", "--folder", str(tmp_path / "ELAN 6.8")]) == 0
    site = tmp_path / "site"
    site.mkdir()
    (site / "tiny_family.py").write_text(MODULE)
    (site / "sitecustomize.py").write_text(f"from extract import backbones\nbackbones.__path__.append({str(site)!r})\n")
    environment = {"PYTHONPATH": f"{site}{os.pathsep}{CHECKOUT}", "PATH": os.defpath, "OMP_NUM_THREADS": "1"}
    return Elan(extensions, environment | {"CHIRONOMY_TRACKING": "off", "HOME": str(tmp_path)})


@pytest.mark.slow
def test_a_video_is_labelled_inside_elan(made: dict, elan: Elan, tmp_path: Path) -> None:
    """Without a store, so that the video is extracted; with a part that is annotated, as ELAN hands over a tier."""
    out, annotated = tmp_path / "tiers out.xml", tmp_path / "annotated.xml"
    annotated.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<TIER columns="annotated">'
        '<span start="0.0" end="1.5"><v>done</v></span></TIER>'
    )
    chosen = {"video": f"file://{made['video']}", "model": str(made["model"]), "annotated": str(annotated)}
    elan.run(chosen | {"tiers": str(out)})
    assert elan.result == "RESULT: DONE.", elan.report
    numbers = [number for number, _ in elan.progress]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 1.0
    assert sum(0.02 < number < 0.95 for number in numbers) >= 4  # while clips are computed
    assert any(message for _, message in elan.progress)

    names = [name for name, _ in TierFile(out).tiers]
    assert names == ["nod\u00a0[chironomy]", "lift\u00a0[chironomy]"]
    assert all(map(is_predicted, names))
    direct = tmp_path / "direct.csv"
    write(tmp_path / "base.csv", [Interval(0, 1.5, "annotated")])
    command = [
        "label",
        made["video"],
        "--model",
        made["model"],
        "--annotations",
        tmp_path / "base.csv",
        "--out",
        direct,
    ]
    assert chironomy.main([str(word) for word in command]) == 0
    expected = {name: [] for name in names}
    for each in read(direct).intervals:
        if is_predicted(each.tier):
            span = (round(each.begin * 1000), round(each.end * 1000), each.value)
            expected[each.tier.replace(" ", "\u00a0")].append(span)
    assert dict(TierFile(out).tiers) == expected
    assert any(expected.values())
    assert all(begin >= 1500 for spans in expected.values() for begin, _, _ in spans)


def test_what_elan_makes_of_the_tiers_is_known_as_predicted(tmp_path: Path) -> None:
    """Named with no-break spaces, they count as ours, and a later run replaces them under their usual name."""
    out = tmp_path / "take.eaf"
    write(out, [Interval(0, 4, "annotated"), *(Interval(n, n + 1, "big nod\u00a0[chironomy]", "nod") for n in (1, 7))])
    assert read(out).tiers == ("annotated", "big nod\u00a0[chironomy]")
    new = Interval(9, 10, "big nod [chironomy]", "nod")
    write_predicted(out, out, tmp_path / "take.mp4", [new], ["big nod"], "chironomy")
    file = read(out)
    assert file.tiers == ("annotated", "big nod [chironomy]")
    assert [each.begin for each in file.intervals if is_predicted(each.tier)] == [1, 9]
    document = EafDocument.open(out)  # the recognizer once more: a reviewed stretch is on two tiers
    document.set_intervals("big nod\u00a0[chironomy]", [Interval(1.5, 2.5, "big nod\u00a0[chironomy]", "nod")])
    document.save(out)
    write_predicted(out, out, tmp_path / "take.mp4", [new], ["big nod"], "chironomy")
    ours = [(each.begin, each.end) for each in read(out).intervals if is_predicted(each.tier)]
    assert ours == [(1, 2), (2, 2.5), (9, 10)]


@pytest.mark.slow
def test_a_store_is_used(made: dict, elan: Elan, tmp_path: Path) -> None:
    store = tmp_path / "features"
    assert [
        each.error for each in extract_all(Recipe(str(store), "random:0", backbone="tiny"), [Job(made["video"])])
    ] == ([None])
    model = made["model"] / "model.json"  # a file in the folder may be chosen as well
    elan.run({"video": str(made["video"]), "model": str(model), "store": str(store), "tiers": str(tmp_path / "t.xml")})
    assert elan.result == "RESULT: DONE.", elan.report
    assert TierFile(tmp_path / "t.xml").tiers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"model": "/nowhere/model"}, "ERROR: /nowhere/model: no such file or folder"),
        ({"video": "/nowhere/é & ü.mp4"}, "ERROR: /nowhere/é & ü.mp4: no such file or folder"),
        ({"tiers": "/nowhere/t.xml"}, "ERROR: /nowhere/t.xml: there is no folder"),
        ({"annotated": "{folder}/two.toml"}, "ERROR: {folder}/two.toml: not a readable"),
        ({"model": "", "skip": "model"}, "ERROR: no model was chosen"),
        ({"video": "{folder}/two.toml"}, "ERROR: {folder}/two.toml"),
    ],
)
def test_what_cannot_be_used_is_said_in_the_report(made: dict, elan: Elan, tmp_path: Path, change, problem) -> None:
    out = tmp_path / "t.xml"
    chosen = {"video": str(made["video"]), "model": str(made["model"]), "tiers": str(out)}
    elan.run(chosen | {key: value.format(folder=made["folder"]) for key, value in change.items()})
    assert elan.result == "RESULT: FAILED."
    assert any(line.startswith(problem.format(folder=made["folder"])) for line in elan.report), elan.report
    assert "Traceback" not in "".join(elan.report)
    assert not out.exists()


@pytest.mark.slow
def test_stopped_in_elan(made: dict, elan: Elan, tmp_path: Path) -> None:
    """ELAN's Stop ends the process; what stood in the file of tiers stays."""
    out = tmp_path / "t.xml"
    out.write_text("as it was")
    process = elan.start({"video": str(made["video"]), "model": str(made["model"]), "tiers": str(out)})
    first = process.stdout.readline()
    process.terminate()
    elan.listen(process)
    assert first.startswith(b"PROGRESS: ")
    assert elan.result != "RESULT: DONE."
    assert out.read_text() == "as it was"


def test_parameters_in_another_encoding(monkeypatch) -> None:
    """Older versions of ELAN write in the system's encoding, whatever they declare."""
    text = '<?xml version="1.0" encoding="UTF-8"?>\n<PARAM><param name="video">C:\\é.mp4</param>\n</PARAM>\nmore'
    monkeypatch.setattr("locale.getencoding", lambda: "cp1252")
    for encoding in ("utf-8", "cp1252"):
        assert read_parameters(BytesIO(text.encode(encoding))) == {"video": "C:\\é.mp4"}
    for content in (b"", b"hello", b'<!DOCTYPE x [<!ENTITY e "v">]><PARAM>&e;</PARAM>', b"<TIER/>"):
        with pytest.raises(InputError, match=r"^the parameters from ELAN: .*; start this from ELAN$"):
            read_parameters(BytesIO(content))


def test_tier_files(tmp_path: Path) -> None:
    path = tmp_path / "t.xml"
    spans = [Interval(1234.567, 1234.568, "x", 'a<b>& "\x00'), Interval(0, 0.001, "x", "")]
    path.write_bytes(avatech_tiers({"x y\tz": spans, "none": []}))
    assert TierFile(path).tiers == (
        [("x\u00a0y\u00a0z", [(0, 1, ""), (1234567, 1234568, 'a<b>& "\ufffd')]), ("none", [])]
    )
    assert read_avatech_spans(path) == [(0, 0.001), (1234.567, 1234.568)]
    path.write_text('<TIER columns="a"><span start="soon" end="1"/></TIER>')
    with pytest.raises(InputError, match=r"t\.xml, line 1: start is 'soon', not a time"):
        read_avatech_spans(path)
    for content, message in (("<TIER>", r"not a readable tier file \("), ("<!DOCTYPE x><TIER/>", "no tier file has")):
        path.write_text(content)
        with pytest.raises(InputError, match=rf"t\.xml: .*{message}.*; choose the tier again$"):
            read_avatech_spans(path)


def test_install(tmp_path: Path, monkeypatch, capsys, made: dict) -> None:
    """Where ELAN usually stands, again over an earlier one, with a model; and where it cannot be."""
    monkeypatch.setattr(elan_extension, "_PLACES", (str(tmp_path / "opt"), str(tmp_path / "Applications")))
    with pytest.raises(InputError, match=r"no ELAN found; name its folder, .* with --folder"):
        elan_extension.install()
    homes = [tmp_path / "opt" / "ELAN-6-8" / "lib", tmp_path / "Applications" / "ELAN_6.8.app" / "Contents"]
    for home in homes:
        (home / "app" / "extensions").mkdir(parents=True)
    expected = [(home / "app" / "extensions" / "chironomy").resolve() for home in homes]
    assert elan_extension.install() == expected
    plain = Description(expected[0] / "chironomy.cmdi")
    assert [(each.id, each.attributes.get("optional")) for each in plain.parameters] == [
        ("video", "false"),
        ("model", "false"),
        ("store", "true"),
        ("annotated", "true"),
        ("tiers", "false"),
    ]
    assert (
        elan_extension.install(homes[0] / "app" / "extensions", made["model"], tmp_path / 'a "b" & $c') == expected[:1]
    )
    chosen = Description(expected[0] / "chironomy.cmdi")
    assert [each.attributes["optional"] for each in chosen.parameters if each.id == "model"] == ["true"]
    assert 'a "b" & $c' in next(each.attributes["info"] for each in chosen.parameters if each.id == "store")
    script = (expected[0] / "chironomy.sh").read_text()
    assert sys.executable in script
    assert subprocess.run(["sh", "-n", expected[0] / "chironomy.sh"], check=False).returncode == 0
    assert (expected[0] / "chironomy.html").read_text().startswith("<!DOCTYPE html>")
    batch = (expected[0] / "chironomy.bat").read_bytes().split(b"\r\n")
    assert batch[:2] == [b"@echo off", b"chcp 65001 >nul"]  # before the command, whose paths are in UTF-8
    assert b"\n" not in b"".join(batch)
    with pytest.raises(InputError, match="no model; name the folder"):
        elan_extension.install(model=tmp_path)
    with pytest.raises(InputError, match=r"nowhere: neither ELAN's folder of extensions nor one with it"):
        elan_extension.install(tmp_path / "nowhere")
    if os.geteuid():
        (homes[1] / "app" / "extensions").chmod(stat.S_IRUSR | stat.S_IXUSR)
        with pytest.raises(InputError, match="write"):
            elan_extension.install(homes[1] / "app" / "extensions")


def test_the_eaf_schema_holds_names_with_no_break_spaces(tmp_path: Path) -> None:
    document = EafDocument.new(tmp_path / "a.eaf")
    document.add_tiers([Interval(0, 1, "nod\u00a0[chironomy]", "nod")])
    document.save(tmp_path / "a.eaf")
    assert read(tmp_path / "a.eaf").tiers == ("nod\u00a0[chironomy]",)
