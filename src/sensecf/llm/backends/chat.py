"""The chat format of OpenAI that most servers speak: bodies of requests and of answers."""

from __future__ import annotations

import json
from typing import Any

from sensecf.core.kept import Json
from sensecf.llm import Completion
from sensecf.llm.asking import Request, estimate_tokens

#: Places of a text where JSON may begin that are tried.
MAX_STARTS = 200


class Malformed(ValueError):
    """A body that is no answer in this format; the message says why."""


def request_body(request: Request, model: str) -> Json:
    """The body of a request. One completion each: not every server can give several, and each can be resumed."""
    body: Json = {
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


def without_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The turns with what the system says at the head of the next user's turn, for servers without that role."""
    told: list[str] = []
    turns: list[dict[str, str]] = []
    for message in messages:
        if message["role"] == "system":
            told.append(message["content"])
        elif told and message["role"] == "user":
            turns.append({**message, "content": "\n\n".join([*told, message["content"]])})
            told = []
        else:
            turns.append(message)
    return [*turns, {"role": "user", "content": "\n\n".join(told)}] if told else turns


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


def completion_in(body: Json, request: Request) -> Completion:
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
    place = ""
    if not text.strip():
        place, said = _elsewhere(message)
        text = _only_json(_text(said)) if finish != "length" else ""
    reason = ""
    if finish == "content_filter" or message.get("refusal"):
        reason = "refused"
    elif finish == "length":
        reason = "cut off at the token limit" + (f" in {place}, before an answer" if place else "")
    elif not text.strip():
        reason = "empty answer" + (f"; what stands in {place} is not one JSON object" if place else "")
    usage = body.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Completion(
        text,
        reason,
        _tokens(counts.get("prompt_tokens"), request.bound[0]),
        _tokens(counts.get("completion_tokens"), estimate_tokens(text)),
    )


def _elsewhere(message: Json) -> tuple[str, str]:
    """The place of a message beside `content` where something is written, and what; ("", "") where there is none."""
    calls = message.get("tool_calls") or [{"function": message.get("function_call")}]
    call = calls[0].get("function") if isinstance(calls, list) and isinstance(calls[0], dict) else None
    told = call.get("arguments") if isinstance(call, dict) else None
    places = {
        "tool_calls": json.dumps(told) if isinstance(told, dict) else told,
        "reasoning_content": message.get("reasoning_content"),
        "reasoning": message.get("reasoning"),
    }
    found = ((place, text) for place, text in places.items() if isinstance(text, str) and text.strip())
    return next(found, ("", ""))


def _only_json(text: str) -> str:
    """The one JSON object that a text holds, as it is written there; "" where there is none or another one too."""
    found: list[str] = []
    start = text.find("{")
    for _ in range(MAX_STARTS):
        if start < 0:
            break
        try:
            end = json.JSONDecoder().raw_decode(text, start)[1]
        except (ValueError, RecursionError):
            end = start + 1
        else:
            found.append(text[start:end])
        start = text.find("{", end)
    return found[0] if len(found) == 1 and start < 0 else ""


def _text(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, list):  # content in parts
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict) and _is_text(part))
    if not isinstance(content, str):
        raise Malformed(f"the content is {type(content).__name__}, not text")
    # Half of a surrogate pair is legal in JSON and in no file.
    return content.encode("utf-8", "replace").decode()


def _is_text(part: Json) -> bool:
    return isinstance(part.get("text") or "", str)


def _tokens(count: Any, estimated: int) -> int:
    # A server that counts nothing says 0: nothing is free, or a cap would never be reached.
    counted = isinstance(count, int) and not isinstance(count, bool) and (0 if not estimated else 1) <= count < 10**9
    return count if counted else estimated
