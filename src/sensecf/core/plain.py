"""Small helpers that every room may use."""

from __future__ import annotations

import ipaddress
import os

import joblib

from sensecf.core.errors import InputError


def cores() -> int:
    """Threads a fit may use: `SENSECF_THREADS`, else the processors this process may run on.

    Raises `InputError` when the variable is no positive whole number.
    """
    text = os.environ.get("SENSECF_THREADS")
    if text is None:
        return int(joblib.cpu_count())
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"SENSECF_THREADS is {text!r}; set it to a positive whole number or unset it")
    return int(text)


def is_local(host: str | None) -> bool:
    """Whether a host is this machine: no host at all (a model in this process), localhost, a loopback address."""
    if host is None or host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name
        return False
