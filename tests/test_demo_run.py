"""The whole path on drawn performances, as `chironomy demo` runs it."""

from pathlib import Path

import pytest
from lxml import etree

from demo.run import run_demo
from store import annotations
from store.annotations import is_predicted

SECONDS = 14


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return run_demo(tmp_path_factory.mktemp("demo"), SECONDS)


@pytest.mark.slow
def test_every_file_is_there(finished: dict) -> None:
    files = finished["files"]
    assert all(Path(path).exists() for path in files.values())
    assert Path(files["figure"]).read_bytes().startswith(b"\x89PNG")
    assert Path(files["report"]).stat().st_size < 5_000_000


@pytest.mark.slow
def test_scores_stand_beside_their_baselines(finished: dict) -> None:
    assert set(finished["scores"]) == {"random split", "blocked split", "never annotated"}
    for scores in finished["scores"].values():
        for name in ("macro_f1", "probe_macro_f1", "always_macro_f1", "chance_macro_f1"):
            assert 0 <= scores[name] <= 1
        assert scores["clips"] > 0


@pytest.mark.slow
def test_the_rest_is_labelled_and_the_annotated_half_left_alone(finished: dict, shared_data: Path) -> None:
    labelled = Path(finished["files"]["labelled ELAN"])
    before = annotations.read(labelled.parents[1] / "annotated" / labelled.name)
    after = annotations.read(labelled)
    human = [interval for interval in after.intervals if not is_predicted(interval.tier)]
    found = [interval for interval in after.intervals if is_predicted(interval.tier)]
    assert human == list(before.intervals)
    assert all(interval.begin >= SECONDS / 2 for interval in found)
    schema = etree.XMLSchema(etree.parse(shared_data / "elan" / "EAFv3.0.xsd"))
    document = etree.parse(labelled)
    schema.assertValid(document)
    (link,) = document.findall("HEADER/MEDIA_DESCRIPTOR")
    assert (labelled.parent / link.get("RELATIVE_MEDIA_URL")).is_file()
