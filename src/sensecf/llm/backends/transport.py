"""How HTTP requests to a model leave this machine: to one host, with few headers, unlogged, never without end."""

from __future__ import annotations

import logging
import ssl
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2

from sensecf.core.errors import InputError
from sensecf.core.plain import is_local

#: Longest body of an answer, in bytes. A completion of 100,000 tokens has less than 1 MB.
LONGEST_BODY = 8 * 2**20

#: What a server needs to know. The client library would add the operating system, the Python version
#: and whatever the environment holds for OpenAI (OPENAI_ORG_ID, OPENAI_CUSTOM_HEADERS, ...).
_HEADERS = {"host", "authorization", "accept", "content-type", "content-length", "transfer-encoding", "connection"}

#: Their debug messages hold headers of answers, and URLs; both may hold what a log must not.
_LOGGERS = ("openai", "httpx2", "httpcore2")


class Unacceptable(httpx2.ReadError):
    """An answer that is not read to its end, and not asked for again; the message is the reason."""


def checked_url(url: str, key: bool) -> tuple[str, str]:
    """The base URL without a trailing slash, and its host. `key`: whether a secret will be sent along.

    Raises `InputError` for anything but http(s) with a host, for credentials inside of the URL, and for
    a key that would travel unencrypted to another machine.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise InputError(f"the port of the model's address is wrong ({error}); write http://host:8000/v1") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InputError(f"{url!r} is no address of a model; write http://host:port/v1 or https://host/v1")
    if parts.username is not None or parts.password is not None:
        # The URL is not repeated: it would be in logs then.
        raise InputError(f"the address of {parts.hostname} holds a password; keep it in an environment variable")
    if parts.query:
        raise InputError(f"the address of {parts.hostname} holds a query (?...); leave it out")
    if key and parts.scheme == "http" and not is_local(parts.hostname):
        raise InputError(f"the key would travel to {parts.hostname} unencrypted; use https://, or unset the key")
    proxy = _proxy(url)
    if proxy is not None and parts.scheme == "http":
        raise InputError(
            f"{parts.hostname} would be asked over plain http through the proxy {urlsplit(proxy).hostname} "
            f"(HTTP_PROXY), which could read the rows; use https://, or reach it directly: NO_PROXY={parts.hostname}"
        )
    return parts._replace(fragment="").geturl().rstrip("/"), parts.hostname


def http_client(base_url: str, trusted: ssl.SSLContext | bool) -> httpx2.AsyncClient:
    """A client of one connection that follows no redirect, uses no proxy for this machine, reads no endless answer.

    `trusted`: the certificates to trust; loading them takes a while, so clients share them. False for http.
    """
    proxy = _proxy(base_url)
    inner = httpx2.AsyncHTTPTransport(verify=trusted, limits=httpx2.Limits(max_connections=1), proxy=proxy)
    return httpx2.AsyncClient(transport=_Guarded(inner), timeout=None, follow_redirects=False, trust_env=False)


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL; this machine needs none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    direct = is_local(host) or bool(urllib.request.proxy_bypass(host))
    return None if direct else urllib.request.getproxies().get(parts.scheme)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries below from logging requests and answers while the block runs."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(max(logger.getEffectiveLevel(), logging.WARNING))
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


class _Guarded(httpx2.AsyncBaseTransport):
    """Sends what has to be sent, and stops reading at `LONGEST_BODY`."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        for name in set(request.headers) - _HEADERS:
            del request.headers[name]
        request.headers["user-agent"] = "sensecf"  # some gateways turn nameless clients away
        # Compressed, a small body could unfold to any size behind the counter.
        request.headers["accept-encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise Unacceptable("the answer is compressed, which was not asked for")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for part in self._inner:
            seen += len(part)
            if seen > LONGEST_BODY:
                raise Unacceptable(f"the answer is longer than {LONGEST_BODY} bytes")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()
