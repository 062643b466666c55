"""What the page asks for, and the answers."""

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from review.desk import Desk
from review.marks import Change
from review.session import ConflictError
from store.errors import InputError

PAGE = Path(str(resources.files("review") / "page"))
_LARGEST_REQUEST = 64 * 2**20  # bytes: far more than any change


def make_app(desk: Desk) -> FastAPI:
    """Return the application that serves one review (which `review.guard` must stand before)."""
    app = FastAPI(title="chironomy review", docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(InputError)
    async def refuse(_: Request, error: InputError) -> Response:
        return _json({"error": str(error)}, 409 if isinstance(error, ConflictError) else 400)

    @app.get("/")
    def page() -> Response:
        return FileResponse(PAGE / "index.html")

    @app.get("/video")
    def video() -> Response:
        if not desk.shown.is_file():
            raise InputError("the video is being prepared")
        kind = "video/webm" if desk.shown.suffix.lower() == ".webm" else "video/mp4"
        return FileResponse(desk.shown, media_type=kind, headers={"cache-control": "private, no-cache"})

    _add_state(app, desk)
    _add_edits(app, desk)
    app.mount("/page", StaticFiles(directory=PAGE))
    return app


def _add_state(app: FastAPI, desk: Desk) -> None:
    """Add what is only read."""

    @app.get("/api/state")
    def state() -> Response:
        return _json(desk.state())

    @app.get("/api/status")
    def status() -> Response:
        return _json(desk.status())

    @app.get("/api/sound")
    def sound() -> Response:
        if desk.sound is None:
            raise InputError("the sound is not there yet")
        return _bytes(desk.sound.tobytes())

    @app.get("/api/frames")
    def frames() -> Response:
        return _bytes(desk.frame_times().astype("<f8").tobytes())

    @app.get("/api/curves")
    def curves() -> Response:
        return _bytes(desk.curves())


def _add_edits(app: FastAPI, desk: Desk) -> None:
    """Add what changes something; each takes a JSON object and gives one."""
    session = desk.session

    def add(name: str, act: Callable[[dict[str, Any]], Any]) -> None:
        async def answer(request: Request) -> Response:
            # In a thread: saving may take a while, and the video goes on playing.
            return _json(await run_in_threadpool(act, await _content(request)))

        app.post(f"/api/{name}")(answer)

    add("edit", lambda content: session.edit(_revision(content), Change.from_json(content)))
    add("undo", lambda content: session.undo(_revision(content)))
    add("redo", lambda content: session.redo(_revision(content)))
    add("save", lambda content: session.save(_revision(content)))
    add("save-as", lambda content: session.save_as(str(content.get("name"))))
    add("reload", lambda _: session.reload())
    add("thresholds", lambda content: desk.by_thresholds(_thresholds(content)).to_json())
    add("learn", lambda _: desk.learn())
    add("stop-learning", lambda _: desk.stop_learning())


def _thresholds(content: dict[str, Any]) -> dict[str, float]:
    wanted = content.get("thresholds")
    if not isinstance(wanted, dict) or not wanted or not all(isinstance(each, int | float) for each in wanted.values()):
        raise InputError("thresholds are numbers, by class")
    return wanted


async def _content(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request."""
    if int(request.headers.get("content-length") or _LARGEST_REQUEST + 1) > _LARGEST_REQUEST:
        raise InputError("the request is too long")
    try:
        content = json.loads(await request.body())
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise InputError("not a JSON object")
    return content


def _revision(content: dict[str, Any]) -> int:
    revision = content.get("revision")
    if not isinstance(revision, int):
        raise InputError("the revision is missing; reload the page")
    return revision


def _json(content: Any, status: int = 200) -> Response:
    # FastAPI's own conversion looks at every value, which takes seconds for 20,000 annotations.
    return Response(json.dumps(content, ensure_ascii=False), status, media_type="application/json")


def _bytes(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream")
