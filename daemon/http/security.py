"""Who may ask: the checks before every request, and the headers of every answer.

A browser is any page's errand boy. So a request must name this host (else a name that another site
has pointed at our address would do), and must not come from a page of another site. Whoever is not
on this host shows a token; a browser's own download, which cannot, shows a ticket that our page has
asked for. Nothing of a request's headers or query goes to the log.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from camm import UsageError
from daemon.configuration import ControlSettings

_log = logging.getLogger(__name__)

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer."""

_SHORTEST_TOKEN = 16
_TOKEN = re.compile(rb"[!-~]+")
_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::\d{1,5})?")
_REMEMBERED = 1000
_TICKET = "cammcorder-ticket"
_TICKET_S = 3600
_SEALED = re.compile(r"(?P<until>\d{1,12})\.(?P<seal>[0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in."""

    status: int
    error: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Allowance:
    """How often each client may do something: `burst` times at once, `per_s` times in the long run.

    For each is kept when it will have all of its allowance again.
    """

    def __init__(self, burst: int, per_s: float, now_s: Callable[[], float]) -> None:
        self._burst_s, self._each_s = burst / per_s, 1 / per_s
        self._now_s = now_s
        self._full_at_s: dict[str, float] = {}

    def wait_s(self, client: str) -> float:
        """How long until it may do so once more; 0 where it may now."""
        debt_s = self._full_at_s.get(client, 0.0) - self._now_s()
        return max(debt_s + self._each_s - self._burst_s, 0.0)

    def spend(self, client: str) -> None:
        """It has done so."""
        now_s = self._now_s()
        full_at_s = max(self._full_at_s.pop(client, now_s), now_s) + self._each_s
        if len(self._full_at_s) >= _REMEMBERED:
            del self._full_at_s[next(iter(self._full_at_s))]  # heard of least lately
        self._full_at_s[client] = full_at_s


class Access:
    """Decides about requests. UsageError where the token file is no good."""

    def __init__(self, settings: ControlSettings, now_s: Callable[[], float]) -> None:
        name = socket.gethostname().lower()
        short = name.partition(".")[0]
        self._names = {"localhost", name, short, f"{short}.local"}
        address = settings.address()
        if address is not None and _ip(address[0]) is None:
            self._names.add(address[0].lower())
        self._requests = Allowance(200, 50.0, now_s)
        self._failures = Allowance(5, 0.1, now_s)
        self._settings = settings
        self._now_s = now_s
        self._token = read_token(settings)

    @property
    def token_wanted(self) -> bool:
        """Whether clients must show one."""
        return self._token is not None

    def give_ticket(self, path: str, response: Response) -> None:
        """Let the browser read a path of this host for an hour, in a cookie for that path alone.

        Good as long as the token is: it is a keyed hash of path and time, and kept nowhere.
        """
        if self._token is not None:
            until_s = int(self._now_s()) + _TICKET_S
            response.set_cookie(
                _TICKET,
                f"{until_s}.{_seal(self._token, path, until_s)}",
                max_age=_TICKET_S,
                path=quote(path),
                httponly=True,
                samesite="strict",
            )

    def change(self, settings: ControlSettings) -> None:
        """Another token from now on. UsageError, and no change, where its file is no good, or
        there is none any more though the address, which stays, is open to others.
        """
        self._token = read_token(replace(self._settings, token_file=settings.token_file))

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why a request may not be answered; None where it may."""
        headers = Headers(scope=scope)
        client = scope["client"][0] if scope.get("client") else ""
        if wait_s := self._requests.wait_s(client):
            return _too_often(wait_s, "too many requests")
        self._requests.spend(client)
        if not self._is_ours(headers.getlist("host"), scope):
            return Refusal(421, "this is not the host that was asked for")
        is_page = _is_page(scope["path"])
        if not _same_site(headers, is_page=is_page):
            return Refusal(403, "pages of other sites may not ask")
        if is_page or (scope["method"] in ("GET", "HEAD") and self._has_ticket(headers, scope)):
            return None
        return self._without_token(headers, client)

    def _is_ours(self, hosts: list[str], scope: Scope) -> bool:
        """Whether it was this host that was asked for: by name or by the address that took it."""
        host = _HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
        if host is None:
            return False
        name: str = host["six"] or host["name"].removesuffix(".")
        asked_of = _ip(name)
        return name in self._names if asked_of is None else asked_of == _ip(scope["server"][0])

    def _has_ticket(self, headers: Headers, scope: Scope) -> bool:
        shown = cookie_parser(headers.get("cookie", "")).get(_TICKET, "")
        found = _SEALED.fullmatch(shown)
        if self._token is None or found is None:
            return False
        until_s = int(found["until"])
        seal = _seal(self._token, scope["path"], until_s)
        return hmac.compare_digest(found["seal"], seal) and self._now_s() < until_s

    def _without_token(self, headers: Headers, client: str) -> Refusal | None:
        if self._token is None:
            return None
        if wait_s := self._failures.wait_s(client):
            return _too_often(wait_s, "too many wrong tokens")
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and shown:
            if hmac.compare_digest(shown.strip().encode("latin-1"), self._token):
                return None
            self._failures.spend(client)
            _log.warning("%s has shown a wrong token", client)
        return Refusal(401, "show the token: Authorization: Bearer", {"WWW-Authenticate": "Bearer"})


class Gate:
    """Answers for the app where `access` refuses, and adds the headers."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caching = "no-cache" if _is_page(scope["path"]) else "no-store"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", caching)
            await send(message)

        app = self._app
        if (refusal := self._access.refusal(scope)) is not None:
            app = JSONResponse({"error": refusal.error}, refusal.status, refusal.headers)
        await app(scope, receive, send_with_headers)


def read_token(settings: ControlSettings) -> bytes | None:
    """The token that clients must show, if any; UsageError where its file is no good."""
    if settings.token_file is None:
        return None
    path = Path(settings.token_file)
    try:
        token = path.read_bytes().strip()
    except OSError as error:
        raise UsageError(f"control.token_file {path}: {error.strerror}") from None
    if len(token) < _SHORTEST_TOKEN or not _TOKEN.fullmatch(token):
        raise UsageError(
            f"control.token_file {path} must hold one word of at least {_SHORTEST_TOKEN} ASCII "
            "characters: openssl rand -hex 16 makes one"
        )
    return token


def _seal(token: bytes, path: str, until_s: int) -> str:
    return hmac.digest(token, f"{until_s} {path}".encode(), "sha256").hex()


def _is_page(path: str) -> bool:
    """Whether it is for the page's own files: they hold no secret, and ask for the token."""
    return path == "/" or path.startswith("/page/")


def _same_site(headers: Headers, *, is_page: bool) -> bool:
    """Whether a person, a program or our own page asks. A link to the page may be anywhere."""
    origin = headers.get("origin")
    if origin is not None and origin.lower().partition("://")[2] != headers["host"].lower():
        return False
    return is_page or headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _too_often(wait_s: float, error: str) -> Refusal:
    seconds = int(wait_s) + 1
    return Refusal(429, f"{error}: wait {seconds} s", {"Retry-After": str(seconds)})
