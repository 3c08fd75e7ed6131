"""The command line from outside: what it says, how it ends, and what it leaves behind.

Wrong input ends with exit status 2 and one line on stderr that says what is wrong, where, and what
to do; no traceback (an exception would fail the test) and nothing left behind.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from command import CLASS, PROBA, QUICK, SCHEMA, SCRIPT, call, explain, make_schema, outcome, people, refused


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with a table and its schema; modules imported from it do not outlive the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    people().to_csv("table.csv", index=False)
    Path("schema.toml").write_text(SCHEMA, encoding="utf-8")


TABLE = Path("table.csv")


def with_text(old: str, new: str) -> Callable[[str], str]:
    """An edit of a text; what is replaced must be there."""

    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


# --- tables -----------------------------------------------------------------------------------

CSV = people().to_csv(index=False)
DEEP = str(people()["deep_sleep_min"].iloc[3])

BAD_TABLES: dict[str, tuple[str, bytes | str, tuple[str, ...]]] = {
    "empty": ("t.csv", "", ("t.csv is empty", "needs a header line and rows")),
    "only line ends": ("t.csv", "\n\n\n", ("t.csv is empty",)),
    "header only": ("t.csv", CSV.splitlines()[0] + "\n", ("t.csv has a header but no rows", "add the rows")),
    "binary": ("t.csv", bytes(range(128, 256)) * 20, ("t.csv is not UTF-8 text", "byte 0", "save it as UTF-8")),
    "zero bytes": ("t.csv", "a,b\n1,\0\n", ("t.csv holds a zero byte (line 2)",)),
    "Latin-1": (
        "t.csv", CSV.replace("ring", "Gerät").encode("latin1"),
        ("not UTF-8 text", "line ", "--encoding cp1252 reads 'Gerät' there"),
    ),
    "half of UTF-16": ("t.csv", CSV.encode("utf-16")[:-1], ("not UTF-16 text", "save it as UTF-8")),
    "no Parquet": ("t.parquet", "nonsense", ("t.parquet is no readable Parquet file", "use CSV")),
    "a spreadsheet": ("t.xlsx", "nonsense", ("'.xlsx' is unknown", "save the table as .csv or .parquet")),
    "no suffix": ("t", CSV, ("the suffix '' is unknown",)),
    "a short line": ("t.csv", CSV + "1,2\n", ("t.csv, line 122", "2 field(s) where the header has 5", "mend the line")),
    "an open quote": ("t.csv", CSV + '"1,2,3,4,low\n', ("t.csv, line 122", "check the quotes")),
    "a duplicated column": ("t.csv", CSV.replace("age", "steps", 1), ("'steps' occurs more than once",)),
    "a column without a name": ("t.csv", CSV.replace("age", "", 1), ("column 3 has no name",)),
    "numbers mixed with text": (
        "t.csv", CSV.replace(f",{DEEP},", ",much,", 1), ("'deep_sleep_min'", "row 3", "'much'", "mend or blank"),
    ),
    "an infinite value": (
        "t.csv", CSV.replace(f",{DEEP},", ",inf,", 1), ("'deep_sleep_min'", "row 3", "infinite", "mend or blank"),
    ),
    "one class": ("t.csv", CSV.replace("high", "low"), ("'stress' has one class only ('low')", "add rows")),
    "no label in any row": (
        "t.csv", CSV.replace(",high\n", ",\n").replace(",low\n", ",\n"), ("'stress' has no value in any row",),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "says"), BAD_TABLES.values(), ids=BAD_TABLES.keys())
def test_a_table_that_cannot_be_used(name: str, content: bytes | str, says: tuple[str, ...]) -> None:
    path = Path(name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(call("schema", path, "--label", "stress"), *says)
    refused(explain(path, Path("schema.toml"), Path("out")), *says)


def test_a_table_that_is_not_there_or_is_a_folder() -> None:
    Path("folder.csv").mkdir()
    for path, says in (("nothing.csv", "nothing.csv does not exist"), ("folder.csv", "is a folder")):
        refused(call("schema", path, "--label", "stress"), says)
        refused(explain(Path(path), Path("schema.toml"), Path("out")), says)


BAD_LABELS = {
    "stres": ("no column 'stres'", "did you mean 'stress'?"),
    "zzzz": ("no column 'zzzz'", "the columns are steps, deep_sleep_min, age, device, stress"),
    "deep_sleep_min": ("is a measurement", "make classes of it first"),
}


@pytest.mark.parametrize(("label", "says"), BAD_LABELS.items(), ids=BAD_LABELS.keys())
def test_a_label_that_is_none(label: str, says: tuple[str, ...]) -> None:
    refused(call("schema", TABLE, "--label", label), *says)


def test_a_label_that_is_free_text() -> None:
    people().assign(stress=lambda f: [f"note {i}" for i in f.index]).to_csv("notes.csv", index=False)
    refused(call("schema", "notes.csv", "--label", "stress"), "120 distinct values", "name another column")


def test_a_group_that_is_none() -> None:
    refused(call("schema", TABLE, "--label", "stress", "--group", "who"), "no column 'who'", "the columns are")
    refused(call("schema", TABLE, "--label", "stress", "--group", "stress"), "both the label and the person")


def test_a_table_without_a_feature() -> None:
    people()[["stress"]].to_csv("labels.csv", index=False)
    people()[["stress"]].assign(patient_id=range(120), date="2024-01-01").to_csv("ids.csv", index=False)
    refused(call("schema", "labels.csv", "--label", "stress"), "there is none beside the label", "add columns")
    refused(call("schema", "ids.csv", "--label", "stress"), "patient_id: an identifier", "date: a date", "add columns")


def test_a_group_that_cannot_be_split() -> None:
    Path("schema.toml").write_text(SCHEMA.replace(TARGET, f'{TARGET}\ngroup = "who"'))
    for who, says in (
        ("all", "group 'who' has one value"),
        (people()["stress"], "class 'high' occurs in one who only"),
        ([None, *range(119)], "column 'who' is blank in 1 rows"),
    ):
        people().assign(who=who).to_csv("table.csv", index=False)
        refused(explain(TABLE, Path("schema.toml"), Path("out")), says)


def test_a_column_that_takes_the_name_of_a_verdict() -> None:
    people().rename(columns={"age": "rank"}).to_csv("rank.csv", index=False)
    refused(call("schema", "rank.csv", "--label", "stress"), "'rank'", "rename the column")


# --- schemas ----------------------------------------------------------------------------------


def rule(text: str) -> Callable[[str], str]:
    """A schema with one more rule."""
    return lambda schema: f"{schema}\n[[rules]]\n{text}\n"


STEPS = 'unit = "steps"'
LEVELS = 'levels = ["band", "ring", "watch"]'
TARGET = 'target = "low"'

BAD_SCHEMAS: dict[str, tuple[Callable[[str], str], tuple[str, ...]]] = {
    "empty": (lambda text: "", ("no 'label'", "make one with: sensecf schema")),
    "no TOML": (with_text("name = ", "name "), ("is not valid TOML", "line 2")),
    "a missing column": (with_text('"steps"', '"stepz"'), ("no column 'stepz'", "mend the schema or the table")),
    "another label": (with_text('"stress"', '"mood"'), ("no column 'mood'",)),
    "another group": (with_text(TARGET, f'{TARGET}\ngroup = "who"'), ("no column 'who'",)),
    "an impossible range": (with_text("low = 1000", "low = 99999"), ("'steps'", "low 99999 > high 15000")),
    "a range of text": (with_text("low = 1000", 'low = "1000"'), ("'steps'", "finite number as low")),
    "a range that is no number": (with_text("low = 1000", "low = nan"), ("'steps'", "finite number as low")),
    "no step": (with_text("step = 1\n", "step = 0\n"), ("'steps'", "step 0 must be positive")),
    "a broken step": (with_text("step = 1\n", "step = 0.5\n"), ("'steps'", "whole step")),
    "an unknown field": (with_text(STEPS, 'unti = "steps"'), ("'steps'", "unknown field 'unti'", "use causes")),
    "an unknown field above": (with_text(TARGET, "targte = 1"), ("unknown field 'targte'", "the fields of a schema")),
    "an unknown role": (with_text('"actionable"', '"changeable"'), ("'steps'", "role 'changeable'", "actionable")),
    "an unknown kind": (with_text('"integer"', '"int"'), ("'steps'", "kind 'int' is unknown", "use continuous")),
    "an unknown direction": (with_text(STEPS, 'direction = "up"'), ("'steps'", "direction 'up'", "increase")),
    "no room to change": (with_text(STEPS, "max_change = 0"), ("'steps'", "max_change", "immutable")),
    "a level twice": (with_text(LEVELS, 'levels = ["band", "band"]'), ("'device'", "listed twice")),
    "a level too few": (
        with_text(LEVELS, 'levels = ["band", "ring"]'), ("'device'", "row ", "'watch'", "add the level to the schema"),
    ),
    "a feature twice": (lambda text: text + text[text.index("[[features]]") :], ("lists", "'steps'", "more than once")),
    "no features": (lambda text: text.split("[[features]]")[0] + "features = []", ("no features",)),
    "one class": (with_text('["high", "low"]', '["low"]'), ("needs at least two classes",)),
    "a class of no row": (
        with_text('["high", "low"]', '["high", "low", "none"]'), ("class 'none' has no row", "name another --target"),
    ),
    "rows of no class": (
        with_text('["high", "low"]', '["tense", "low"]'), ("'stress', row ", "'high' is none of the schema's classes"),
    ),
    "an unknown target": (with_text(TARGET, 'target = "lo"'), ("target 'lo' is no class", "are high, low")),
    "no target": (with_text(TARGET, ""), ("name a target class (--target)", "are high, low")),
    "a rule over nothing": (rule('type = "order"\nfeatures = ["age", "hope"]'), ("'age <= hope'", "no feature")),
    "a rule over words": (rule('type = "order"\nfeatures = ["age", "device"]'), ("'device'", "not a number")),
    "a rule of no kind": (rule('type = "ordre"\nfeatures = ["age", "steps"]'), ("rule type 'ordre'", "use order")),
    "a rule without features": (rule('type = "order"'), ("'features'", "docs/schema.md")),
    "a rule of an unknown level": (
        rule('type = "implication"\nif = {feature = "device", op = "==", value = "phone"}\n'
             'then = {feature = "age", op = ">", value = 1}'),
        ("'phone' is no level of 'device'", "['band', 'ring', 'watch']"),
    ),
    "a rule of an unknown comparison": (
        rule('type = "implication"\nif = {feature = "device", op = "=", value = "ring"}\n'
             'then = {feature = "age", op = ">", value = 1}'),
        ("'=' is no comparison", "use < <= > >= == != in"),
    ),
    "one rule instead of a list": (lambda text: text + '\n[rules]\ntype = "order"\n', ("[[rules]]",)),
}  # fmt: skip

#: Fields of the wrong type, by what the schema says of them.
WRONG_TYPES: dict[str, Callable[[str], str]] = {
    "features that are text": lambda text: text.split("[[features]]")[0] + 'features = "steps"',
    "levels that are a number": with_text(LEVELS, "levels = 3"),
    "levels that are lists": with_text(LEVELS, 'levels = [["band"], ["ring"]]'),
    "classes that are a number": with_text('["high", "low"]', "2"),
    "a class twice": with_text('["high", "low"]', '["high", "low", "low"]'),
    "a protection that is text": with_text(STEPS, 'protected = "yes"'),
    "a largest change that is text": with_text(STEPS, 'max_change = "much"'),
    "a budget that is text": with_text(TARGET, f'{TARGET}\nmax_changes = "few"'),
    "ignored columns that are text": with_text(TARGET, f'{TARGET}\nignored = "age"'),
    "an order of numbers": rule('type = "order"\nfeatures = [1, 2]'),
    "a tolerance that is text": rule('type = "total"\nparts = ["age", "steps"]\nwhole = 3\ntolerance = "some"'),
    "weights without numbers": rule('type = "linear"\nweights = ["age"]\nop = "<="\nbound = 1'),
    "a bound that is text": rule('type = "linear"\nweights = {age = 1}\nop = "<="\nbound = "1"'),
}


@pytest.mark.parametrize(("edit", "says"), BAD_SCHEMAS.values(), ids=BAD_SCHEMAS.keys())
def test_a_schema_that_cannot_be_used(edit: Callable[[str], str], says: tuple[str, ...]) -> None:
    Path("schema.toml").write_text(edit(SCHEMA), encoding="utf-8")
    options = ("--target", "none") if "class 'none'" in says[0] else ()
    refused(explain(TABLE, Path("schema.toml"), Path("out"), *options), *says)


@pytest.mark.parametrize("edit", WRONG_TYPES.values(), ids=WRONG_TYPES.keys())
def test_a_schema_with_a_field_of_the_wrong_type(edit: Callable[[str], str]) -> None:
    Path("schema.toml").write_text(edit(SCHEMA), encoding="utf-8")
    refused(explain(TABLE, Path("schema.toml"), Path("out"), "--limit", "1"), "schema.toml")


def test_a_schema_that_is_no_file_of_text() -> None:
    Path("folder").mkdir()
    Path("latin.toml").write_bytes("name = 'Gerät'".encode("latin1"))
    for name, says in (
        ("nothing.toml", "nothing.toml does not exist"),
        ("folder", "folder cannot be read"),
        ("latin.toml", "latin.toml is not UTF-8 text"),
        ("table.csv", "table.csv is not valid TOML"),
    ):
        refused(explain(TABLE, Path(name), Path("out")), says)


# --- options ----------------------------------------------------------------------------------

BAD_OPTIONS = {
    "-n 0": ("-n must be at least 1, not 0",),
    "-n -2": ("-n must be at least 1",),
    "-n two": ("'two' is not a valid integer", "explain --help"),
    "--limit 0": ("--limit must be at least 1, not 0",),
    "--max-changes 0": ("max_changes must be a whole number of at least 1, not 0",),
    "--plausibility -1": ("--plausibility must be 0 or a positive number, not -1.0",),
    "--plausibility nan": ("--plausibility must be 0 or a positive number, not nan",),
    "--plausibility inf": ("--plausibility", "not inf"),
    "--seed -1": ("--seed must lie between 0 and 4294967295, not -1",),
    "--seed 4294967296": ("--seed must lie between",),
    "--lock shoe_size": ("'shoe_size' is no feature", "the features are steps, deep_sleep_min, age, device"),
    "--lock steps,stress": ("'stress' is no feature",),
    "--target medium": ("target 'medium' is no class of 'stress'", "are high, low"),
    "--classifier forest": ("classifier 'forest' is unknown", "use xgboost, random-forest, svm, mlp, logistic"),
    "--generator tuned": ("generator 'tuned' needs 'model'; name it with --model",),
    "--generator prompted": ("generator 'prompted' asks a language model; name one with --llm",),
    "--generator magic": ("generator 'magic' is unknown", "use tiny, search, nearest, ", " or module:Class"),
    "--speed 9": ("No such option '--speed'", "explain --help"),
    "more": ("unexpected extra argument (more)", "explain --help"),
}


@pytest.mark.parametrize(("options", "says"), BAD_OPTIONS.items(), ids=BAD_OPTIONS.keys())
def test_an_option_that_no_run_can_have(options: str, says: tuple[str, ...]) -> None:
    refused(explain(TABLE, Path("schema.toml"), Path("out"), *options.split()), *says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("explain table.csv --out out", "Missing option '--schema'"),
        ("explain table.csv --schema schema.toml", "Missing option '--out'"),
        ("explain --schema schema.toml --out out", "Missing argument 'TABLE'"),
        ("schema table.csv", "Missing option '--label'"),
        ("explane", "No such command 'explane'"),
    ],
)
def test_a_command_that_lacks_something(arguments: str, says: str) -> None:
    refused(call(*arguments.split()), says, "--help")


def test_without_a_command_the_help_is_shown() -> None:
    ended = call()
    assert ended.status == 2
    assert "Commands:" in ended.out + ended.err


# --- queries ----------------------------------------------------------------------------------

ASKED = people(8, seed=5).drop(columns="stress")

BAD_QUERIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "empty": ("", ("queries.csv is empty",)),
    "header only": (ASKED.head(0).to_csv(index=False), ("queries.csv has a header but no rows",)),
    "a column too few": (ASKED.drop(columns="age").to_csv(index=False), ("queries", "no column 'age'")),
    "outside the range": (
        ASKED.assign(steps=99_000).to_csv(index=False),
        ("queries", "row 0", "'steps'", "99,000", "outside the schema's range 1,000 to 15,000", "8 rows", "widen"),
    ),
    "an unknown level": (ASKED.assign(device="phone").to_csv(index=False), ("'device'", "row 0", "'phone'", "level")),
    "text for a number": (ASKED.assign(steps="many").to_csv(index=False), ("'steps'", "row 0", "'many'", "number")),
    "an infinite value": (ASKED.assign(steps=np.inf).to_csv(index=False), ("'steps'", "row 0", "infinite")),
}


@pytest.mark.parametrize(("content", "says"), BAD_QUERIES.values(), ids=BAD_QUERIES.keys())
def test_queries_that_cannot_be_asked(content: str, says: tuple[str, ...]) -> None:
    Path("queries.csv").write_text(content)
    refused(explain(TABLE, Path("schema.toml"), Path("out"), "--queries", "queries.csv"), *says)


def test_queries_that_are_not_there() -> None:
    refused(explain(TABLE, Path("schema.toml"), Path("out"), "--queries", "no.csv"), "no.csv does not exist")


# --- the user's own code ----------------------------------------------------------------------

PREDICT = "return self.classes_[self.predict_proba(rows).argmax(axis=1)]"

BAD_CLASSIFIERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "no module": ("", "nowhere:own", ("nowhere:own", "there is no module 'nowhere'")),
    "no object": (CLASS, ":other", ("has no 'other'",)),
    "no name": (CLASS, ":", ("names no object", "write it as module:object")),
    "an error on import": ("1 / 0", ":own", ("importing", "its own code", "ZeroDivisionError")),
    "an exit on import": ("import sys; sys.exit(7)", ":own", ("importing", "SystemExit: 7")),
    "a syntax error": ("def (", ":own", ("importing", "SyntaxError")),
    "a missing import": ("import nowhere_at_all", ":own", ("importing", "nowhere_at_all")),
    "a factory that fails": ("def own(): raise OSError('no licence')", ":own", ("calling it", "no licence")),
    "no predict_proba": (CLASS.replace("predict_proba", "proba"), ":own", ("(Own) has no predict_proba", "wrap it")),
    "no classes": (CLASS.replace("classes_ =", "names ="), ":own", ("(Own) has no classes_",)),
    "other classes": (CLASS.replace('"high"', '"tense"'), ":own", ("'high' is no class of the classifier",)),
    "an error when asked": (CLASS.replace(PROBA, "return rows['hope']"), ":own", ("fails in predict_proba", "'hope'")),
    "no number": (CLASS.replace(PROBA, "return np.full((len(rows), 2), np.nan)"), ":own", ("nan as probabilities",)),
    "a score": (CLASS.replace("/ 16_000, 0, 1)", ", -9, 9)"), ":own", ("-8 to 9 as probabilities", "0 to 1")),
    "one column": (CLASS.replace(PROBA, "return low"), ":own", ("of shape (36,)", "np.column_stack")),
    "three columns": (
        CLASS.replace(PROBA, "return np.full((len(rows), 3), 1 / 3)").replace(PREDICT, "return ['low'] * len(rows)"),
        ":own", ("shape (36, 3) for 36 rows and 2 classes",),
    ),
    "an unknown class": (CLASS.replace(PREDICT, "return ['calm'] * len(rows)"), ":own", ("'calm', which is none",)),
    "one answer for all": (CLASS.replace(PREDICT, "return ['low']"), ":own", ("gave 1 classes", "one class per row")),
    "a different answer each time": (
        CLASS.replace(PREDICT, "return np.random.default_rng().choice(self.classes_, len(rows))"),
        ":own", ("answers differently when asked twice", "fix its seed"),
    ),
    "no encoding of words": (
        "from sklearn.linear_model import LogisticRegression\nown = LogisticRegression()",
        ":own", ("cannot be fitted on the raw rows", "could not convert string to float", "Pipeline"),
    ),
    "a regressor": (
        "from sklearn.linear_model import LinearRegression\nown = LinearRegression()", ":own", ("no predict_proba",),
    ),
    "nobody to ask": (
        CLASS.replace(PROBA, "return np.tile([0.2, 0.8], (len(rows), 1))"),
        ":own", ("nobody to ask about", "every held-out row in 'low' already", "name --queries"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("code", "spec", "says"), BAD_CLASSIFIERS.values(), ids=BAD_CLASSIFIERS.keys())
def test_a_classifier_that_cannot_be_used(
    code: str, spec: str, says: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    module = f"bad_{list(BAD_CLASSIFIERS).index(request.node.callspec.id)}"
    Path(f"{module}.py").write_text(code)
    name = module + spec if spec.startswith(":") else spec
    refused(explain(TABLE, Path("schema.toml"), Path("out"), "--classifier", name), *says)


BAD_GENERATORS = {
    "nowhere:Own": "there is no module 'nowhere'",
    "bad_generators:Nothing": "has no 'Nothing'",
    "bad_generators:Mute": "has no method propose",
    "bad_generators:Narrow": "cannot be built as Narrow(task, seed)",
}


@pytest.mark.parametrize(("spec", "says"), BAD_GENERATORS.items(), ids=BAD_GENERATORS.keys())
def test_a_generator_that_cannot_be_used(spec: str, says: str) -> None:
    Path("bad_generators.py").write_text(
        "class Mute: pass\nclass Narrow:\n    def propose(self, query, rng): raise NotImplementedError\n"
    )
    refused(explain(TABLE, Path("schema.toml"), Path("out"), "--generator", spec), spec, says)


# --- the script itself ------------------------------------------------------------------------


def test_the_installed_script_from_table_to_report() -> None:
    schema = subprocess.run(
        [SCRIPT, "schema", "table.csv", "--label", "stress"], capture_output=True, text=True, timeout=120
    )
    assert schema.returncode == 0
    assert "looks like the class to reach" in schema.stderr
    Path("made.toml").write_text(schema.stdout)
    ended = subprocess.run(
        [
            SCRIPT,
            "explain",
            "table.csv",
            "--schema",
            "made.toml",
            "--out",
            "out",
            *QUICK,
            "--limit",
            "4",
            "--hold",
            "0",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"Boundary answers towards 'low' \(the first \d+ of \d+\)", ended.stdout)
    assert "out/report.html" in ended.stdout
    assert "not a proven effect" in " ".join(ended.stdout.split())


def test_the_installed_script_refuses_with_one_line() -> None:
    ended = subprocess.run(
        [SCRIPT, "explain", "nothing.csv", "--schema", "schema.toml", "--out", "out"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    refused(outcome(ended), "nothing.csv does not exist")
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("package", "arguments", "says"),
    [
        (
            "torch",
            "explain table.csv --schema schema.toml --generator tiny --out out",
            ("sensecf[tiny]", "--generator search"),
        ),
        ("pyarrow", "schema table.parquet --label stress", ("sensecf[parquet]", "save the table as CSV")),
    ],
)
def test_an_extra_that_is_not_installed_is_named(package: str, arguments: str, says: tuple[str, ...]) -> None:
    pytest.importorskip("pyarrow")
    people().to_parquet("table.parquet")
    code = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from sensecf.cli import main
main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments.split()], capture_output=True, text=True, timeout=120
    )
    refused(outcome(ended), package, "pip install", *says)


def test_help_and_version() -> None:
    for arguments in (["--help"], ["-h"], ["explain", "--help"], ["schema", "-h"], ["demo", "-h"], ["--version"]):
        ended = call(*arguments)
        assert ended.status == 0
        assert ended.out.strip()
    assert make_schema(TABLE, Path("again.toml")).exists()


@pytest.mark.parametrize(
    "wrapped", ["raise KeyboardInterrupt", "raise RuntimeError('made of a class') from KeyboardInterrupt()"]
)
def test_an_interrupt_that_meets_an_import_is_one_line_and_130(wrapped: str) -> None:
    code = f"""
import sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "sensecf.cli.app":
            {wrapped}

sys.meta_path.insert(0, Interrupt())
from sensecf.cli import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 130
    assert ended.stderr == "sensecf: interrupted; the same command goes on where it stopped\n"
