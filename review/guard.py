"""Who may ask for what: only this page, only from this machine's browser, only with the token.

Three checks stand before every answer. The *host* that was asked for must be ours: a page elsewhere whose name
was made to point here (DNS rebinding) asks for its own. The *origin* of a request must be this page. And there
must be the *token*, made anew at each start: it is in the address that the program prints and moves into a cookie
that scripts cannot read.
"""

import secrets
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs

_HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}
_FROM_OURSELVES = ("same-origin", "none")  # of Sec-Fetch-Site; "none": typed in, or opened from outside a browser

Scope = MutableMapping[str, Any]


class Guard:
    """ASGI middleware that refuses what is not from our own page.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    host : str
        Name or address that is served, without the port.
    port : int
        Its port.
    token : str
        The secret.
    """

    def __init__(self, app: Any, host: str, port: int, token: str):
        self.app, self.token = app, token
        names = {host_in_url(host).lower()} | ({"127.0.0.1", "localhost", "[::1]"} if is_loopback(host) else set())
        self.hosts = {f"{name}:{port}" for name in names} | (names if port == 80 else set())  # browsers leave 80 out
        self.cookie = f"chironomy-{port}"  # cookies are not told apart by port

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope) if scope["type"] == "http" else (403, "not here")
        if refusal is not None:
            await _refuse(send, *refusal)
            return

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", []), *_HEADERS.items()]
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                if _opens(scope):
                    cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
                    headers.append((b"set-cookie", cookie.encode()))
                message["headers"] = headers
            await send(message)

        await self.app(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return status and reason if a request is not answered."""
        headers = _Headers(scope)
        host = (headers.only("host") or "").lower()
        if host not in self.hosts:
            return 421, "this is another host's page"
        origin = headers.only("origin")
        if origin not in (None, f"http://{host}"):
            return 403, "not from another page"
        safe = scope["method"] in ("GET", "HEAD")
        site = headers.only("sec-fetch-site")
        if not (safe and scope["path"] == "/") and site not in (None, *_FROM_OURSELVES):
            return 403, "not from another page"
        if not safe and origin is None:
            return 403, "not without an origin"
        if not self._knows(scope, headers):
            return 403, "open the address that chironomy review printed: it has the token"
        return None

    def _knows(self, scope: Scope, headers: "_Headers") -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[-1] if _opens(scope) else None
        if given is None:
            # By hand: where another program's cookie is not as it should be, SimpleCookie gives none at all.
            pairs = (pair.strip().partition("=") for pair in (headers.only("cookie") or "").split(";"))
            given = next((value for name, _, value in pairs if name == self.cookie), "")
        return secrets.compare_digest(given.encode(), self.token.encode())


class _Headers:
    def __init__(self, scope: Scope):
        self._found = [(name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]

    def only(self, name: str) -> str | None:
        """Return a header's value; nothing that could be right if it is there twice."""
        values = [value for each, value in self._found if each == name]
        return values[0] if len(values) == 1 else None if not values else ""


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine alone."""
    return host.lower() in ("localhost", "::1") or host.startswith("127.")


def host_in_url(host: str) -> str:
    """Return a host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def _opens(scope: Scope) -> bool:
    """Return whether a request brings the token in its address."""
    return scope["path"] == "/" and b"token=" in scope["query_string"]


async def _refuse(send: Any, status: int, reason: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reason.encode()})
