"""The chat format of OpenAI that most servers speak: bodies of requests and of answers."""

from __future__ import annotations

import json
from typing import Any

from sensecf.llm import Completion
from sensecf.llm.asking import Request, estimate_tokens


class Malformed(ValueError):
    """A body that is no answer in this format; the message says why."""


def request_body(request: Request, model: str) -> dict[str, Any]:
    """The body of a request. One completion each: not every server can give several, and each can be resumed."""
    body: dict[str, Any] = {
        "model": model,
        "messages": request.messages,
        "temperature": request.temperature,
        "seed": request.draw,
        "max_tokens": request.max_tokens,
        "stream": False,
    }
    if request.schema is not None:
        form = {"name": "answer", "schema": request.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return body


def read_answer(content: bytes, request: Request) -> Completion:
    """The completion in the body of an answer. Raises `Malformed` for anything else.

    A refusal, an answer that was cut off and an empty one are completions with a reason. Of several
    choices the first counts. Where the server does not count tokens they are estimated.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not JSON in UTF-8") from error
    if not isinstance(body, dict):
        raise Malformed("the body is no JSON object")
    return completion_in(body, request)


def completion_in(body: dict[str, Any], request: Request) -> Completion:
    """The completion in a body that has been parsed. Raises `Malformed`."""
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Malformed("the body has no choices")
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise Malformed("the choice has no message")
    text = _text(message.get("content"))
    finish = choice.get("finish_reason")
    reason = ""
    if finish == "content_filter" or message.get("refusal"):
        reason = "refused"
    elif finish == "length":
        reason = "cut off at the token limit"
    elif not text.strip():
        reason = "empty answer"
    usage = body.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Completion(
        text,
        reason,
        _tokens(counts.get("prompt_tokens"), request.bound[0]),
        _tokens(counts.get("completion_tokens"), estimate_tokens(text)),
    )


def _text(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, list):  # content in parts
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict) and _is_text(part))
    if not isinstance(content, str):
        raise Malformed(f"the content is {type(content).__name__}, not text")
    # Half of a surrogate pair is legal in JSON and in no file.
    return content.encode("utf-8", "replace").decode()


def _is_text(part: dict[str, Any]) -> bool:
    return isinstance(part.get("text") or "", str)


def _tokens(count: Any, estimated: int) -> int:
    counted = isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 10**9
    return count if counted else estimated
