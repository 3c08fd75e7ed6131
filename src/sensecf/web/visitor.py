"""Who looks at the page: the name they gave and the words they want, in cookies that end with the session."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response

from sensecf.data.infer.terms import REGISTERS, Register
from sensecf.runs.record.journal import MAX_NAME

#: The cookies.
NAME, WORDS = "sensecf_name", "sensecf_words"


@dataclass(frozen=True)
class Visitor:
    """`name`: as typed, "" where none was; `register`: in whose words the page speaks."""

    name: str = ""
    register: Register = "clinical"

    @classmethod
    def of(cls, request: Request) -> Visitor:
        """The visitor of a request; what is unknown is as if it were not there."""
        name = " ".join(unquote(request.cookies.get(NAME, "")).split())[:MAX_NAME]
        words = request.cookies.get(WORDS, "")
        return cls(name, next((r for r in REGISTERS if r == words), "clinical"))

    def remember(self, response: Response) -> None:
        """Set the cookies."""
        for name, value in ((NAME, quote(self.name)), (WORDS, self.register)):
            response.set_cookie(name, value, path="/", httponly=True, samesite="strict")
