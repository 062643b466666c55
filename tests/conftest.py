"""What several test files use."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared recordings are not on this machine")
    return folder


@pytest.fixture(scope="session")
def beat_rep_store(shared_data, tmp_path_factory) -> Path:
    """A store of two real recordings, beat_rep and pianist, extracted with random:0; not to be written to."""
    from extract.pipeline import Extractor
    from extract.weights import load_backbone

    store = tmp_path_factory.mktemp("beat_rep") / "store"
    videos = [shared_data / "annotated" / "beat_rep.mp4", shared_data / "video" / "pianist.avi"]
    outcomes = list(Extractor(store, load_backbone("random:0")).extract_all(videos))
    assert [outcome.error for outcome in outcomes] == [None, None]
    return store
