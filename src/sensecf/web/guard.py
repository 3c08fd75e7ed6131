"""Who may talk to the page: this machine, or whoever has the token; from this page, and nowhere else.

Every answer carries a strict content security policy. No request is logged.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sensecf.core.errors import InputError

#: The cookies: who is in, and what a form must know.
ENTRY, VISITOR = "sensecf_entry", "sensecf_visitor"
#: Shortest token.
MIN_TOKEN = 16
#: Paths that need no token.
OPEN_PATHS = ("/enter", "/static/")

#: A name or IPv4 address, or an IPv6 address in brackets; then nothing but a port.
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?")

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not "no-referrer": with that, a browser hides the origin of our own forms too.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(host: str, token: str | None) -> None:
    """Raise `InputError` for an address that others can reach without a token, and for a token that is too short."""
    if token is not None and len(token) < MIN_TOKEN:
        raise InputError(f"--token needs at least {MIN_TOKEN} characters; for instance {secrets.token_urlsafe(16)}")
    if token is None and not is_loopback(host):
        raise InputError(
            f"--host {host} can be reached from other machines: add --token, for instance {secrets.token_urlsafe(16)}"
        )


class Guard:
    """The outermost layer: host, token, origin and CSRF checks, security headers.

    `host`: the address the page listens on; with a wildcard address any host name is taken, and the
    token guards the page.
    """

    def __init__(self, app: ASGIApp, host: str, token: str | None) -> None:
        self._app = app
        self._token = token
        self._secret = secrets.token_bytes(32)
        self._hosts = {"localhost", "127.0.0.1", "::1", host}
        self._any_host = host in ("0.0.0.0", "::")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visitor = self._cookie(scope, VISITOR)
        fresh = len(visitor) != 32
        if fresh:
            visitor = secrets.token_hex(16)
        scope["csrf"] = self._sign("form", visitor)
        scope["guard"] = self

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if fresh:
                    headers.append("set-cookie", f"{VISITOR}={visitor}; Path=/; HttpOnly; SameSite=Strict")
            await send(message)

        problem = await self._problem(scope, receive, visitor)
        await (problem or self._app)(scope, receive, send_safely)

    async def _problem(self, scope: Scope, receive: Receive, visitor: str) -> Response | None:
        """The answer to a request that may not go on."""
        headers = Headers(scope=scope)
        if not self._known_host(headers.get("host", "")):
            return PlainTextResponse("This page is not served under that name.", 400)
        if not scope["path"].startswith(OPEN_PATHS) and not self._entered(scope):
            if scope["method"] in ("GET", "HEAD"):
                return RedirectResponse("/enter", 303)
            return PlainTextResponse("Enter the token first.", 401)
        if scope["method"] in ("GET", "HEAD"):
            return None
        if scope["method"] != "POST":
            return PlainTextResponse("Not allowed.", 405)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return PlainTextResponse("The form was sent from another page.", 403)
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("The form was sent from another page.", 403)
        sent = headers.get("x-csrf")
        if sent is not None and not hmac.compare_digest(sent.encode(), scope["csrf"].encode()):
            return PlainTextResponse("The form is too old: open the page again.", 403)
        scope["csrf_sent"] = sent is not None
        return None

    def _known_host(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        return found is not None and (self._any_host or found["name"].strip("[]").lower() in self._hosts)

    def _entered(self, scope: Scope) -> bool:
        if self._token is None:
            return True
        given = Headers(scope=scope).get("authorization", "").removeprefix("Bearer ")
        if given and hmac.compare_digest(given.encode(), self._token.encode()):
            return True
        return hmac.compare_digest(self._cookie(scope, ENTRY).encode(), self._sign("entry", self._token).encode())

    def enter(self, token: str) -> str | None:
        """The cookie of whoever knows the token, None for a wrong one."""
        if self._token is None or not hmac.compare_digest(token.encode(), self._token.encode()):
            return None
        return f"{ENTRY}={self._sign('entry', self._token)}; Path=/; HttpOnly; SameSite=Strict"

    def _sign(self, purpose: str, value: str) -> str:
        return hmac.new(self._secret, f"{purpose}:{value}".encode(), hashlib.sha256).hexdigest()

    @staticmethod
    def _cookie(scope: Scope, name: str) -> str:
        try:
            cookies = SimpleCookie(Headers(scope=scope).get("cookie", ""))
        except CookieError:
            return ""
        return cookies[name].value if name in cookies else ""


def check_form(request: Request, token: object) -> None:
    """Raise `PermissionError` for a form without the token of its page; a request that sent it as a header passes."""
    if request.scope.get("csrf_sent"):
        return
    if not isinstance(token, str) or not hmac.compare_digest(token.encode(), request.scope["csrf"].encode()):
        raise PermissionError
