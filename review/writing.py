"""Between an ELAN file's bytes and the sheet: read, and written back with nothing changed but what was edited."""

from pathlib import Path

from review.marks import Sheet
from store.annotations import EafDocument, is_predicted, media_for

ANNOTATOR = "chironomy"


def document_of(content: bytes | None, path: Path, video: Path) -> EafDocument:
    """Return the document that a file's bytes hold; a new one, linked to the video, if there is no file.

    Raises
    ------
    InputError
        If they are not an ELAN file's.
    """
    if content is None:
        return EafDocument.new(path, [media_for(video, path)])
    return EafDocument.from_bytes(content, path)


def content_with(document: EafDocument, before: Sheet, sheet: Sheet) -> bytes:
    """Return an ELAN file's bytes with the tiers as a sheet has them.

    What is not different stays as it is, its bytes, ids and attributes; if nothing is, so are all the bytes.

    Parameters
    ----------
    document : EafDocument
        The file, which is changed.
    before, sheet : Sheet
        What it holds, and what it shall hold.

    Raises
    ------
    InputError
        If ELAN could not hold it, or something else in the file depends on an annotation that is gone.
    """
    changed = [tier for tier, marks in sheet.tiers.items() if marks != before.tiers.get(tier, [])]
    if not any(is_predicted(tier) for tier in before.tiers):  # as labelling writes the first ones
        fresh = [tier for tier in changed if is_predicted(tier)]
        found = [each for tier in fresh for each in sheet.intervals(tier)]
        document.replace_predicted(found, ANNOTATOR, tiers=fresh)
        changed = [tier for tier in changed if tier not in fresh]
    document.set_tiers({tier: sheet.intervals(tier) for tier in changed})
    return document.content()
