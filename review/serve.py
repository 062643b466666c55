"""A review is opened: server and page, until Ctrl-C."""

import json
import logging
import os
import secrets
import socket
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn

from review.app import make_app
from review.desk import Desk, Sources
from review.guard import Guard, host_in_url
from review.session import Session
from store.annotations import find, read
from store.errors import InputError
from store.features import FeatureStore
from store.files import require_file
from store.mismatch import HEADER_BEYOND, Clock, check_all, match_video
from store.vocabulary import Vocabulary

LOOPBACK = "127.0.0.1"


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what is broken off now is no error
        await super().shutdown(sockets)


class ReviewServer:
    """The server of one review; `address` has the token.

    Parameters
    ----------
    desk : Desk
        The review.
    host : str
        Name or address to listen on, which is also the only one that is answered to.
    port : int
        Port; 0: one that is free.

    Raises
    ------
    InputError
        If nothing can listen there, or the host stands for all addresses, which no request could be checked against.
    """

    def __init__(self, desk: Desk, host: str = LOOPBACK, port: int = 0):
        self.desk = desk
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            if address[0] in ("0.0.0.0", "::"):
                raise InputError(f"{host}: means all addresses of this machine; name the address that others use")
            self._socket = socket.socket(family, socket.SOCK_STREAM)
            if os.name != "nt":  # where it would let two programs listen at one port
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(address)
            self._socket.listen()  # whoever opens the page at once waits until it is served
        except (OSError, UnicodeError) as error:  # the latter of a name that cannot be one
            why = getattr(error, "strerror", error)
            raise InputError(f"{host}:{port}: cannot be listened on ({why}); give another --host or --port") from error
        self.port = self._socket.getsockname()[1]
        self.token = secrets.token_urlsafe(32)
        self.address = f"http://{host_in_url(host)}:{self.port}/?token={self.token}"
        guarded = Guard(make_app(desk), host, self.port, self.token)
        config = uvicorn.Config(
            guarded,
            log_level="warning",
            access_log=False,
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=1,  # seconds: a browser holds on to the video for as long as it likes
        )
        self.server = _Server(config)

    def run(self) -> None:
        """Serve until stopped."""
        self.server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Ask it to stop, from another thread."""
        self.server.should_exit = True


def review(
    video: Path,
    annotations: Path,
    *,
    vocabulary: Vocabulary | None = None,
    sources: Sources | None = None,
    host: str = LOOPBACK,
    port: int = 0,
    opened: Callable[[str], object] = webbrowser.open,
) -> None:
    """Open the page on which a video's annotations are looked at and corrected, and serve it until Ctrl-C.

    Parameters
    ----------
    video : Path
        The video.
    annotations : Path
        Its ELAN file; one that does not exist is made when it is saved.
    vocabulary : Vocabulary, optional
        The gestures to show; by default the model's, or all tiers of the file.
    sources : Sources, optional
        Model, feature store and what else there is.
    host, port : str, int
        Where to listen; by default on this machine alone, on a free port.
    opened : callable
        Told the page's address, with its token, once.

    Raises
    ------
    InputError
        If video or annotations cannot be used, do not belong together, or what else is named is not there.
    """
    require_file(video)
    sources = sources or Sources()
    find(sources.others)
    if sources.store is not None:
        FeatureStore(sources.store)
    if vocabulary is None and sources.model is not None:
        vocabulary = _vocabulary_of(sources.model)
    session = Session.open(annotations, video, vocabulary)
    try:
        desk = Desk(video, session, sources)
        if annotations.exists():
            _check_times(annotations, vocabulary, Clock(video.stem, desk.info.duration, desk.info.frame_rate))
    except BaseException:
        session.close()
        raise
    if not session.status()["writable"]:
        print(f"{annotations}: is write-protected; allow writing, or save under another name", file=sys.stderr)  # noqa: T201
    try:
        server = ReviewServer(desk, host, port)
        desk.start()
        opened(server.address)
        server.run()
    finally:
        desk.stop()


def _check_times(annotations: Path, vocabulary: Vocabulary | None, clock: Clock) -> None:
    """Refuse annotations that are plainly not the video's, by what its header says."""
    try:
        if vocabulary is None:
            check_all(read(annotations), clock, beyond=HEADER_BEYOND)
        else:
            match_video(annotations, vocabulary, clock, required=False, beyond=HEADER_BEYOND)
    except InputError as error:
        if "--offset" not in str(error):
            raise
        way_out = "here there is no --offset: synchronise the two in ELAN, or name the video that was annotated"
        raise InputError(f"{error} ({way_out})") from error


def _vocabulary_of(model: Path) -> Vocabulary:
    """Return a model's vocabulary by its description alone, without what computes."""
    description = model / "model.json"
    if not description.is_file():
        raise InputError(f"{model}: no model there (model.json is missing); make one with chironomy train")
    try:
        return Vocabulary.from_dict(json.loads(description.read_text(encoding="utf-8"))["vocabulary"], str(description))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{model}: the model is damaged ({error!r:.80}); train it again") from error
