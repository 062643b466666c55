"""chironomy among ELAN's recognizers: what ELAN needs to start it, put into its folder of extensions.

ELAN looks in every folder of its ``extensions`` for a description in CMDI, and starts what it names in that folder
with next to no environment: so the interpreter stands in the script with its whole path.
"""

import os
import shlex
import sys
from pathlib import Path

from lxml import etree

from store.errors import InputError
from store.files import write_atomically

NAME = "chironomy"

# Where ELAN may be, and its extensions in it.
_PLACES = (
    *("/opt", "/usr/local", "/usr/share", "/Applications", "~", "~/Applications", "~/opt", "~/Desktop"),
    *("C:/Program Files", "C:/Program Files (x86)", "~/AppData/Local", "~/AppData/Local/Programs"),
)
_EXTENSIONS = ("lib/app/extensions", "Contents/app/extensions", "app/extensions", "extensions")

_DESCRIPTION = """\
<?xml version="1.0" encoding="UTF-8"?>
<CMD CMDVersion="1.1" xmlns="http://www.clarin.eu/cmd/">
    <Header/>
    <Resources>
        <ResourceProxyList/>
        <JournalFileProxyList/>
        <ResourceRelationList/>
    </Resources>
    <Components>
        <RECOGNIZER>
            <recognizer recognizerType="local" runLinux="sh ./chironomy.sh" runMac="sh ./chironomy.sh" \
runWin="cmd /c .\\chironomy.bat" info="chironomy: expressive gestures">chironomy</recognizer>
            <documentation>chironomy.html</documentation>
            <input level="basic" type="video" optional="false" info="The video">video</input>
            <input level="basic" type="auxiliary" optional="{optional}" info="{model}">model</input>
            <input level="basic" type="auxiliary" optional="true" info="{store}">store</input>
            <input level="basic" type="tier" optional="true" mimetypes="text/xml" \
info="A tier of what is annotated: nothing is labelled there">annotated</input>
            <output level="basic" type="multitier" optional="false" mimetypes="text/xml" \
info="Where to write the tiers">tiers</output>
        </RECOGNIZER>
    </Components>
</CMD>
"""

_HELP = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>chironomy</title></head>
<body>
<h1>chironomy: expressive gestures</h1>
<p>Labels the gestures in a video with a model that you have trained (<code>chironomy train</code>).</p>
<ol>
<li>Choose the video, the model's folder (or <code>model.json</code> in it), and where to write the tiers.</li>
<li>If the video's features are in a store (<code>chironomy extract</code>), choose its folder: labelling then takes
seconds, and otherwise as long as extracting does. If a part is annotated already, choose its tier: nothing is
labelled there.</li>
<li>Press <em>Start</em>. If it fails, <em>Report</em> says why.</li>
<li>Press <em>Create tiers</em>. There is one for each gesture, named <code>GESTURE [chironomy]</code>.</li>
</ol>
<p>Correct the tiers, mark what you have gone through on a tier <code>annotated</code>, save, and train again.</p>
</body>
</html>
"""

_SHELL = """\
#!/bin/sh
# Written by "chironomy elan install"; ELAN runs it.
export PYTHONUTF8=1
exec {command}
"""

_BATCH = """\
@echo off
chcp 65001 >nul
rem Written by "chironomy elan install"; ELAN runs it.
set PYTHONUTF8=1
{command}
"""


def install(folder: Path | None = None, model: Path | None = None, store: Path | None = None) -> list[Path]:
    """Put chironomy into ELAN's folder of extensions; what it put there before is replaced.

    Parameters
    ----------
    folder : Path, optional
        The folder of extensions, or that of ELAN; by default those of every ELAN that is found.
    model : Path, optional
        Folder of the model to label with, where none is chosen in ELAN.
    store : Path, optional
        Feature store to use, where none is chosen in ELAN.

    Returns
    -------
    list of Path
        The folders made.

    Raises
    ------
    InputError
        If there is no such folder, no ELAN is found, or its folder cannot be written to.
    """
    if model is not None and not (model / "model.json").is_file():
        raise InputError(f"{model}: no model; name the folder that chironomy train made")
    places = find_extensions() if folder is None else [_extensions_in(folder)]
    if not places:
        raise InputError(
            "no ELAN found; name its folder, or that of its extensions, with --folder "
            "(as ELAN-6-8/lib/app/extensions or ELAN_6.8.app/Contents/app/extensions)"
        )
    files = _files(model, store)
    for place in places:
        try:
            (place / NAME).mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"{place}: cannot be written to ({error.strerror}); run this as who may") from error
        for name, content in files.items():
            write_atomically(place / NAME / name, content)
    return [place / NAME for place in places]


def find_extensions() -> list[Path]:
    """Return the folders of extensions of every ELAN that stands where ELAN is usually put."""
    homes = (home for place in _PLACES for home in sorted(Path(place).expanduser().glob("ELAN*")))
    found = (home / extensions for home in homes for extensions in _EXTENSIONS)
    return list(dict.fromkeys(place.resolve() for place in found if place.is_dir()))


def _extensions_in(folder: Path) -> Path:
    for place in (*(folder / extensions for extensions in _EXTENSIONS), folder):
        if place.is_dir() and place.name == "extensions":
            return place
    raise InputError(f"{folder}: neither ELAN's folder of extensions nor one with it; name ELAN-6-8/lib/app/extensions")


def _files(model: Path | None, store: Path | None) -> dict[str, bytes]:
    command = [sys.executable, "-m", "chironomy", "elan", "recognize"]
    for name, path in (("--model", model), ("--store", store)):
        if path is not None:
            command += [name, os.path.abspath(path)]  # noqa: PTH100 (Path.resolve follows symbolic links)
    texts = {
        f"{NAME}.cmdi": _DESCRIPTION.format(
            optional="false" if model is None else "true",
            model="Folder of the model" + ("" if model is None else f" (else {_attribute(model)})"),
            store="Folder of the feature store" + ("" if store is None else f" (else {_attribute(store)})"),
        ),
        f"{NAME}.html": _HELP,
        f"{NAME}.sh": _SHELL.format(command=shlex.join(command)),
    }
    batch = _BATCH.format(command=" ".join(_for_batch(word) for word in command)).replace("\n", "\r\n")
    return {name: text.encode() for name, text in texts.items()} | {f"{NAME}.bat": batch.encode()}


def _attribute(path: Path) -> str:
    element = etree.Element("x", x=path.name)
    return etree.tostring(element, encoding="unicode")[6:-3]


def _for_batch(word: str) -> str:
    return '"' + word.replace("%", "%%") + '"'
