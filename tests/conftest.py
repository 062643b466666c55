"""What several test files use."""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("CHIRONOMY_TRACKING", "off")  # tests/test_tracking.py switches it on; the rest is quicker without

# How long an example takes says something about the machine alone.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

ELAN_SAMPLES = (
    "childproject.eaf",
    "gesture-vocabularies.eaf",
    "golden.eaf",
    "sample_2.8.eaf",
    "tla-example.eaf",
    "turkish-v2.6.eaf",
)

# From more than a minute down to some ten seconds.
LONGEST = (
    "faults",
    "search",
    "runs",
    "runtimes",
    "remote_faults",
    "reproduction",
    "many",
    "demo_run",
    "pipeline",
    "torchvision_backbones",
    "places",
    "review_page",
    "extraction",
    "cli",
    "export",
    "onnx_weights",
    "training",
    "tracking",
    "guide",
    "checkpoint",
    "model",
    "recognizer",
    "resume",
    "report",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first, so that no process is left alone with one of them at the end."""
    place = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.fixture(scope="module", autouse=True)
def _memory_is_given_back() -> Iterator[None]:
    """What a file's tests have freed goes back to the system: by the last file it would be several gigabytes."""
    yield
    gc.collect()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared recordings are not on this machine")
    return folder


@pytest.fixture(params=ELAN_SAMPLES)
def elan_sample(request, shared_data) -> Path:
    """Each of the real ELAN files in turn."""
    return shared_data / "elan" / request.param


@pytest.fixture(scope="module")
def one_thread():
    """Two threads that wait for each other are far slower than one where tests share the cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Iterator[Path]:
    """The backbone ``tiny`` is known, from this folder, and what is downloaded has a folder of its own."""
    from tiny_backbone import added

    family = tmp_path_factory.mktemp("family")
    with pytest.MonkeyPatch.context() as patch, added(family):
        patch.setenv("CHIRONOMY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield family


@pytest.fixture(scope="session")
def beat_rep_store(shared_data, tmp_path_factory) -> Path:
    """A store of two real recordings, beat_rep and pianist, extracted with random:0; not to be written to.

    The first process of the run that needs it makes it, for all.
    """
    from filelock import FileLock

    from extract.jobs import Job
    from extract.many import Recipe, extract_all

    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    store = folder / "beat_rep" / "store"
    with FileLock(folder / "beat_rep.lock"):
        if not store.exists():
            store.parent.mkdir(exist_ok=True)
            videos = [shared_data / "annotated" / "beat_rep.mp4", shared_data / "video" / "pianist.avi"]
            outcomes = list(extract_all(Recipe(str(store), "random:0"), [Job(video) for video in videos]))
            assert [outcome.error for outcome in outcomes] == [None, None]
    return store
