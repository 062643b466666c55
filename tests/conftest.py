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
    from extract.jobs import Job
    from extract.many import Recipe, extract_all

    store = tmp_path_factory.mktemp("beat_rep") / "store"
    videos = [shared_data / "annotated" / "beat_rep.mp4", shared_data / "video" / "pianist.avi"]
    outcomes = list(extract_all(Recipe(str(store), "random:0"), [Job(video) for video in videos]))
    assert [outcome.error for outcome in outcomes] == [None, None]
    return store
