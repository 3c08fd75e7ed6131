"""Listening: one process, one port, nothing written about who asked what."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from sensecf.core.errors import InputError
from sensecf.web.app import make_app
from sensecf.web.desk import Desk
from sensecf.web.guard import check_address
from sensecf.web.start import PageSource, Start


def listen(
    source: PageSource, folder: Path, host: str, port: int, token: str | None, say: Callable[[str], None]
) -> None:
    """Open the page and serve it until interrupted.

    `folder` gets the log of decisions. Raises `InputError` for an address that needs a token, a port that is
    taken, and a log that is damaged.
    """
    check_address(host, token)
    start = Start(source)
    desk = Desk.open(start, folder)
    if desk.journal.notice:
        say(desk.journal.notice)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said outright, TCP is what asyncio turns Nagle's delay off for; unsaid, every answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InputError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port") from error
    taken = listener.getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    say(f"Open http://{name}:{taken}/" + (" and enter the token." if token else ""))
    say("Ctrl+C ends it.")
    start.begin()
    # No access log: what people look at is nobody's business. `server_header` would name the software.
    config = uvicorn.Config(
        make_app(desk, host, token),
        access_log=False,
        ws="none",
        log_level="warning",
        server_header=False,
        date_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])
