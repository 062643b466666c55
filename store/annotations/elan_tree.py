"""The XML tree of an ELAN file: parsed safely, and changed without disturbing its layout.

ELAN indents by four spaces. lxml keeps that white space as the text before and after elements, so every
insertion and removal here hands it on; what is put in and taken out again leaves the bytes as they were.
"""

import re
import uuid
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from lxml import etree

from store.errors import InputError
from store.files import require_file

_MAX_BYTES = 256 * 2**20
_INDENT = "    "
_NUMBERED = re.compile("(a|ts)([0-9]{1,12})")

# The order that the schema demands of the document's children.
_ORDER = (
    *("LICENSE", "HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LOCALE", "LANGUAGE", "CONSTRAINT"),
    *("CONTROLLED_VOCABULARY", "LEXICON_REF", "REF_LINK_SET", "EXTERNAL_REF"),
)

# Characters that XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# What ELAN writes for a new file.
_NEW_DOCUMENT = """\
<ANNOTATION_DOCUMENT AUTHOR="" DATE="{date}" FORMAT="3.0" VERSION="3.0" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <PROPERTY NAME="URN">urn:nl-mpi-tools-elan-eaf:{uuid}</PROPERTY>
        <PROPERTY NAME="lastUsedAnnotationId">0</PROPERTY>
    </HEADER>
    <TIME_ORDER/>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>
    <LOCALE COUNTRY_CODE="US" LANGUAGE_CODE="en"/>
    <CONSTRAINT DESCRIPTION="Time subdivision of parent annotation's time interval, no time gaps allowed \
within this interval" STEREOTYPE="Time_Subdivision"/>
    <CONSTRAINT DESCRIPTION="Symbolic subdivision of a parent annotation. Annotations refering to the same \
parent are ordered" STEREOTYPE="Symbolic_Subdivision"/>
    <CONSTRAINT DESCRIPTION="1-1 association with a parent annotation" STEREOTYPE="Symbolic_Association"/>
    <CONSTRAINT DESCRIPTION="Time alignable annotations within the parent annotation's time interval, gaps \
are allowed" STEREOTYPE="Included_In"/>
</ANNOTATION_DOCUMENT>
"""


def parse(path: Path) -> tuple[Any, bytes]:
    """Return the root of an ELAN file, and the file's bytes.

    Raises
    ------
    InputError
        If it is missing, too large, not XML, not ELAN's, or has a document type declaration (which ELAN
        never writes, and which could make a parser read other files or fill the memory).
    """
    if require_file(path).stat().st_size > _MAX_BYTES:
        raise InputError(f"{path}: larger than {_MAX_BYTES // 2**20} MiB, which no ELAN file is; name another file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    return checked(content, path), content


def checked(content: bytes, path: Path) -> Any:
    """Return the root of an ELAN file's bytes.

    Raises
    ------
    InputError
        If they are not an ELAN file's.
    """
    way_out = f"go back to a copy of it, or to {path.name}.bak beside it if there is one"
    root = parse_xml(content, path, "ELAN file", way_out)
    if root.tag != "ANNOTATION_DOCUMENT":
        raise InputError(f"{path}: XML, but not an ELAN file (<{root.tag!s}>); name an .eaf file")
    for tag in ("HEADER", "TIME_ORDER"):
        if root.find(tag) is None:
            raise InputError(f"{path}: an ELAN file without {tag}; {way_out}")
    return root


def parse_xml(content: bytes, path: Path, what: str, way_out: str) -> Any:
    """Return the root of an XML document of others.

    Parameters
    ----------
    content : bytes
        The document.
    path : Path
        Its file, for messages.
    what, way_out : str
        What it should be, and what to do if it is not, for messages.

    Raises
    ------
    InputError
        If it is not XML, or has a document type declaration.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        why = " ".join((error.msg or "").split())
        raise InputError(f"{path}: not a readable {what} ({why}); {way_out}") from None
    if root.getroottree().docinfo.doctype:
        raise InputError(f"{path}: has a DOCTYPE, which no {what} has; {way_out}")
    return root


def new_root() -> Any:
    """Return the root of a new document (EAF 3.0) with a name (URN) of its own."""
    date = datetime.now().astimezone().isoformat(timespec="seconds")
    return etree.fromstring(_NEW_DOCUMENT.format(date=date, uuid=uuid.uuid4()))


def serialise(root: Any, line_end: bytes = b"\n") -> bytes:
    """Return the document as UTF-8, declared as ELAN declares it; its lines end as those of the file did."""
    body = etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=False)
    content = b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"
    return content if line_end == b"\n" else content.replace(b"\n", line_end)


def xml_text(text: str) -> str:
    """Return text with what XML cannot hold (control characters) replaced by the replacement sign."""
    return _NOT_XML.sub("\ufffd", text)


def insert(parent: Any, element: Any, before: Any, depth: int) -> None:
    """Insert an element on a line of its own.

    Parameters
    ----------
    parent, element : lxml element
        Where to insert, and what.
    before : lxml element or None
        The child of `parent` to come next; None to append.
    depth : int
        How far `element` is indented, in steps of four spaces.
    """
    line = "\n" + _INDENT * depth
    etree.indent(element, space=_INDENT, level=depth)
    if before is not None:
        element.tail = line
        before.addprevious(element)
        return
    element.tail = "\n" + _INDENT * (depth - 1)
    last = next(parent.iterchildren(reversed=True), None)  # len() counts the children each time
    if last is not None:
        last.tail = line
    else:
        parent.text = line
    parent.append(element)


def insert_in_order(root: Any, element: Any) -> None:
    """Insert a child of the document where the schema wants it, after those of its kind."""
    rank = _ORDER.index(element.tag)
    later = (child for child in root if child.tag in _ORDER and _ORDER.index(child.tag) > rank)
    insert(root, element, next(later, None), depth=1)


def remove(element: Any) -> None:
    """Remove an element and its line."""
    parent, previous = element.getparent(), element.getprevious()
    if element.getnext() is None:
        if previous is not None:
            previous.tail = element.tail
        else:
            parent.text = None
    parent.remove(element)


def highest_numbers(root: Any) -> tuple[int, int]:
    """Return the highest numbers in ids such as ``a12`` and ``ts12``, whatever they identify; 0 if there is none."""
    values = chain.from_iterable(element.attrib.values() for element in root.iter("*"))
    highest = {"a": 0, "ts": 0}
    for match in filter(None, map(_NUMBERED.fullmatch, values)):
        highest[match[1]] = max(highest[match[1]], int(match[2]))
    return highest["a"], highest["ts"]
