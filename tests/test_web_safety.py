"""The page trusts no cell, no form, no path and no caller."""

from __future__ import annotations

import csv
import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("starlette", reason="the page's packages are not installed")

from sensecf.core.errors import InputError
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task
from sensecf.generators.search import Search
from sensecf.runs.record.written import safe_cell
from sensecf.web.app import MAX_BODY, make_app
from sensecf.web.cohort import Cohort, encode_people
from sensecf.web.export import to_csv
from sensecf.web.guard import check_address
from webpage import away, browsing, client, csrf_of, desk_of, serving, small_cohort, until, where

XSS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "<svg/onload=alert(1)>",
    "\"><script>alert(1)</script>", "'><script>alert(1)</script>", "\" onmouseover=alert(1) x=\"",
    "' onfocus=alert(1) autofocus x='", "</title><script>alert(1)</script>", "</textarea><script>alert(1)</script>",
    "</style><script>alert(1)</script>", "</script><script>alert(1)</script>", "<iframe src=javascript:alert(1)>",
    "<a href=javascript:alert(1)>x</a>", "<body onload=alert(1)>", "<details open ontoggle=alert(1)>",
    "<input onfocus=alert(1) autofocus>", "<math><mtext><script>alert(1)</script>", "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>", "<form action=javascript:alert(1)><button>", "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>", "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<video><source onerror=alert(1)>", "<marquee onstart=alert(1)>", "<select onchange=alert(1)>",
    "<template><script>alert(1)</script></template>", "{{ 7*7 }}", "{% raw %}", "{{ config }}", "${7*7}", "#{7*7}",
    "<%= 7*7 %>", "<!--<script>alert(1)</script>-->", "<![CDATA[<script>alert(1)</script>]]>",
    "&lt;script&gt;alert(1)&lt;/script&gt;", "&#60;script&#62;alert(1)", "\u003cscript\u003ealert(1)", "%3Cscript%3E",
    "<scr\x00ipt>alert(1)</scr\x00ipt>", "<script\n>alert(1)</script>", "<SCRIPT>alert(1)</SCRIPT>",
    "<sCrIpT>x</ScRiPt>",
    "\u202e<script>", "<p style=position:fixed;inset:0>", "<style>*{display:none}</style>", "`onload=alert(1)",
    "javascript:alert(1)", "data:text/html,<script>alert(1)</script>",
]  # fmt: skip
FORMULAS = [
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "=cmd|' /C calc'!A0", "=HYPERLINK(\"http://evil.example\")", "\t=1+1",
    "\r=1+1", "\n=1+1", " =1+1", "  +1", "'=1+1", "\"=1+1", "=IMPORTXML(A1)", "=DDE(\"cmd\")", "@A1", "|cmd", "%0A=1",
    "＝1+1", "\ufeff=1+1",
]  # fmt: skip
TRAVERSALS = [
    "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static/%2e%2e%2fapp.py",
    "/static/..%5capp.py", "/static/....//app.py", "/static//etc/passwd", "/static/%2fetc/passwd",
    "/static/..%252fapp.py", "/static/%c0%ae%c0%ae/app.py", "/static/../../../../../../etc/passwd",
    "/plan/../../etc/passwd", "/plan/..%2f..%2fetc%2fpasswd", "/plan/%2e%2e", "/plan/x/export/../../../etc/passwd",
    "/plan/x/export/..%2f..%2fcsv", "/person/../etc/passwd", "/person/-1", "/person/1%00",
    "/static/page.css/../../app.py",
]  # fmt: skip


def hostile_cohort() -> Cohort:
    """A table whose column names, levels, cells and classes are all attacks."""
    rng = np.random.default_rng(0)
    n, names = 200, XSS[:25]
    frame = pd.DataFrame({name: rng.normal(size=n).round(1) for name in names})
    frame["kind"] = rng.choice(XSS[25:50], n)
    frame["who"] = [XSS[k % len(XSS)] for k in range(n)]
    frame["y"] = np.where(frame[names[0]] + frame[names[1]] > 0, XSS[0], XSS[1])
    schema = FeatureSchema(
        (
            *(Feature(name, "continuous", unit=XSS[k + 1], low=-5, high=5, step=0.1) for k, name in enumerate(names)),
            Feature("kind", "categorical", levels=tuple(XSS[25:50])),
        ),
        "y",
        (XSS[0], XSS[1]),
        XSS[0],
        person="who",
    )
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    encode = ColumnTransformer([("n", "passthrough", names), ("k", OneHotEncoder(), ["kind"])])
    model = make_pipeline(encode, LogisticRegression()).fit(frame[schema.names], frame["y"])
    task = Task(schema, frame, model)
    everybody = encode_people(task, frame.head(50))
    return Cohort(task, Search(task), Search(task), XSS[0], *everybody, XSS[8], XSS[9], XSS[10])


@pytest.fixture(scope="module")
def cohort() -> Any:
    return small_cohort()


@pytest.fixture
def desk(cohort: Any, tmp_path: Path) -> Any:
    return desk_of(cohort, tmp_path)


def test_there_are_as_many_attacks_as_promised() -> None:
    assert (len(set(XSS)), len(set(FORMULAS)), len(set(TRAVERSALS))) == (50, 20, 20)


def test_cells_names_levels_and_classes_are_only_ever_text(tmp_path: Path) -> None:
    cohort = hostile_cohort()
    desk = desk_of(cohort, tmp_path)
    with browsing() as browser, serving(make_app(desk)) as address:
        page = browser.new_page()
        alarms: list[str] = []
        page.on("dialog", lambda dialog: (alarms.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: alarms.append(request.url) if not request.url.startswith(address) else None)
        page.on("console", lambda message: alarms.append(message.text) if "Security Policy" in message.text else None)
        page.goto(address)
        assert page.locator("tbody a").count() == 50
        page.goto(address + where(cohort, away(cohort)[-1]))
        page.click("button:has-text('Ask for plans')")
        page.wait_for_selector(".card, .none")
        until(page, "document.querySelector('#ask-progress progress').hidden")
        page.locator(".try-plan").first.click()
        page.wait_for_selector("#try-words:has-text('rule is kept')")
        page.locator(".card a").first.click()
        page.fill("#who", XSS[0])
        page.fill("#note", XSS[1])
        page.click("button:has-text('Sign off')")
        page.wait_for_selector(".entries")
        page.goto(f"{address}/groups")
        page.goto(f"{address}/kept")
        found = page.locator("main").inner_text()
        assert XSS[0] in found, "what was typed is shown as it was typed"
        own = (
            "script:not([src='/static/page.js']), iframe, object, embed, base, form[action^=java], main style, main img"
        )
        assert page.locator(own).count() == 0
        assert not alarms


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_an_export_is_a_formula(text: str) -> None:
    assert safe_cell(text).startswith("'")
    record = {
        "person": text, "target": text, "probability_before": 0.1, "probability": 0.9,
        "changes": [{"feature": text, "unit": text, "before": text, "after": text, "delta": None}],
    }  # fmt: skip
    [_, row] = list(csv.reader(io.StringIO(to_csv(record))))
    assert all(cell == f"'{text}" for cell in row[:6])


def test_numbers_and_harmless_words_are_exported_as_they_are() -> None:
    assert safe_cell(-5.5) == -5.5
    assert safe_cell("deep sleep - light") == "deep sleep - light"


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_out(desk: Any, path: str) -> None:
    answer = client(make_app(desk)).get(path, follow_redirects=False)
    assert answer.status_code in (303, 400, 404)
    assert "import" not in answer.text
    assert "root:" not in answer.text


def test_a_large_upload_is_refused(desk: Any) -> None:
    page = client(make_app(desk))
    token = csrf_of(page.get("/").text)
    many = b"x" * (MAX_BODY + 1)
    assert page.post("/people/add", data={"csrf": token}, files={"table": ("t.csv", many)}).status_code == 413
    form = {"content-type": "application/x-www-form-urlencoded"}
    chunks = (b"x" * 65536 for _ in range(MAX_BODY // 65536 + 2))  # a length is not even claimed
    assert page.post("/people/add", content=chunks, headers=form | {"x-csrf": token}).status_code == 413


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"a,b\n1,2\n", b"PK\x03\x04zip", b"steps\n" + b"1\n" * 30_000],
    ids=["empty", "no text", "other columns", "a zip", "too long"],
)  # fmt: skip
def test_an_upload_that_does_not_fit_is_refused_with_a_reason(desk: Any, content: bytes) -> None:
    page = client(make_app(desk))
    token = csrf_of(page.get("/").text)
    before = len(desk.cohort)
    answer = page.post("/people/add", data={"csrf": token}, files={"table": ("../../x.csv", content)})
    assert answer.status_code == 422
    assert answer.json()["problem"]
    assert "/tmp" not in answer.text
    assert len(desk.cohort) == before


def test_people_of_a_file_join_the_list(cohort: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    desk = desk_of(replace(cohort), tmp_path)
    page = client(make_app(desk))
    table = cohort.task.codec.decode(cohort.rows[:3], nullable=True).to_csv(index=False)
    data = {"csrf": csrf_of(page.get("/").text)}
    answer = page.post("/people/add", data=data, files={"table": ("people.csv", table)})
    assert answer.status_code == 200
    assert len(desk.cohort) == len(cohort) + 3
    assert desk.cohort.persons[-1].name.endswith("(added)")
    np.testing.assert_array_equal(desk.cohort.rows[-3:], cohort.rows[:3])


def test_a_form_needs_the_token_of_its_page(desk: Any, cohort: Any) -> None:
    app = make_app(desk)
    person = cohort.person_of(away(cohort)[0]).number
    page, other = client(app), client(app)
    mine, theirs = csrf_of(page.get("/").text), csrf_of(other.get("/").text)
    for path in (f"/person/{person}/ask", f"/person/{person}/what-if", "/people/add", "/groups/ask", "/"):
        assert page.post(path).status_code == 403
        assert page.post(path, data={"csrf": theirs}).status_code == 403
        assert page.post(path, headers={"x-csrf": theirs}).status_code == 403
    assert page.post("/", data={"csrf": mine}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_a_form_of_another_site_is_refused(desk: Any, headers: dict[str, str]) -> None:
    page = client(make_app(desk))
    token = csrf_of(page.get("/").text)
    assert page.post("/", data={"csrf": token}, headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "[::1"])
def test_another_host_name_is_refused(desk: Any, host: str) -> None:
    assert client(make_app(desk)).get("/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:1", "[::1]:8000"])
def test_our_own_host_names_are_known(desk: Any, host: str) -> None:
    assert client(make_app(desk)).get("/", headers={"host": host}).status_code == 200


def test_with_a_token_nobody_gets_in_without(desk: Any) -> None:
    app = make_app(desk, "0.0.0.0", "a-long-enough-token")
    page = client(app)
    assert page.get("/", follow_redirects=False).headers["location"] == "/enter"
    assert page.post("/person/1/what-if").status_code == 401
    assert page.get("/plan/x/export/json", follow_redirects=False).status_code == 303
    token = csrf_of(page.get("/enter").text)
    assert page.post("/enter", data={"csrf": token, "token": "wrong"}).status_code == 403
    assert page.get("/", follow_redirects=False).status_code == 303
    assert page.post("/enter", data={"csrf": token, "token": "a-long-enough-token"}).status_code == 200
    assert "People" in page.get("/", follow_redirects=False).text
    assert client(app).get("/", headers={"authorization": "Bearer a-long-enough-token"}).status_code == 200


def test_another_interface_needs_a_token_and_a_token_some_length() -> None:
    for host in ("127.0.0.1", "localhost", "::1", "127.0.0.5"):
        check_address(host, None)
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org"):
        with pytest.raises(InputError, match="--token"):
            check_address(host, None)
    with pytest.raises(InputError, match="at least 16"):
        check_address("0.0.0.0", "short")


def test_every_answer_has_the_strict_policy(desk: Any) -> None:
    page = client(make_app(desk))
    for path in ("/", "/person/0", "/kept", "/static/page.css", "/nowhere", "/start"):
        headers = page.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    cookie = page.get("/").headers.get("set-cookie", "") or client(make_app(desk)).get("/").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_only_get_and_post_are_answered(desk: Any) -> None:
    page = client(make_app(desk))
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert page.request(method, "/").status_code == 405


def test_nothing_is_logged_of_whom_one_looks_at(
    desk: Any, cohort: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    person = cohort.person_of(away(cohort)[0])
    with caplog.at_level(logging.INFO), serving(make_app(desk)) as address:
        import urllib.request

        text = urllib.request.urlopen(f"{address}/person/{person.number}", timeout=30).read().decode()
    assert person.name in text
    said = caplog.text + "".join(capfd.readouterr())
    assert f"/person/{person.number}" not in said
    assert person.name not in said


def test_addresses_hold_positions_and_random_ids_only(desk: Any, cohort: Any) -> None:
    page = client(make_app(desk))
    row = away(cohort)[0]
    person = cohort.person_of(row)
    token = csrf_of(page.get("/").text)
    ids = set()
    for _ in range(2):
        data = {"csrf": token, "day": str(row)}
        answer = page.post(f"/person/{person.number}/ask", data=data, follow_redirects=False)
        assert answer.status_code == 303
        ids.add(answer.headers["location"])
    assert len(ids) == 2, "the same question has the same address: it could be guessed"
    for address in ids:
        assert not any(word in address for word in [person.name, cohort.roster.when[row], *cohort.task.schema.names])


def test_an_unexpected_failure_shows_no_insides(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("row 17: 54")

    monkeypatch.setattr("sensecf.web.views.kept_page", fail)
    page = client(make_app(desk), raise_server_exceptions=False)
    answer = page.get("/kept", headers={"accept": "text/html"})
    assert answer.status_code == 500
    assert "row 17" not in answer.text
    assert "Something went wrong on our side" in answer.text


def test_wrong_values_of_a_what_if_are_refused_in_words(desk: Any, cohort: Any) -> None:
    page = client(make_app(desk))
    headers = {"x-csrf": csrf_of(page.get("/").text)}
    person, age = cohort.person_of(away(cohort)[0]).number, cohort.task.schema.columns["age"]
    steps = cohort.task.schema.columns["steps"]
    for values, words in (
        ({f"value-{age}": "30"}, "stays as it is"), ({f"value-{steps}": "many"}, "not a number"),
        ({f"value-{steps}": "1e9"}, "outside"), ({f"value-{steps}": "nan"}, "outside"),
    ):  # fmt: skip
        answer = page.post(f"/person/{person}/what-if", data=values, headers=headers)
        assert answer.status_code == 422
        assert words in answer.json()["problem"]
    assert json.loads(page.post(f"/person/{person}/what-if", headers=headers).text)["changed"] == []
