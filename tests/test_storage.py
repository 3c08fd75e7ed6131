"""Tasks saved and loaded: exactly, whole, and without running a stranger's code."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import _testing

import sensecf.classifiers.storage
from sensecf.classifiers import saved_classifier
from sensecf.classifiers.fit import NAMES, fit_classifier
from sensecf.classifiers.storage import KNOWN_TYPES, data_hash, load_task, save_task
from sensecf.core.errors import InputError
from sensecf.core.schema import Feature, FeatureSchema
from sensecf.core.task import Task

CODES = ("007", "1", "NA", "None", "a,b", 'say "hi"', "two\nlines", " padded ", "µ")
SCHEMA = FeatureSchema(
    (
        Feature("steps", "integer", low=0, high=30000, step=1),
        Feature("glucose", "continuous", low=40, high=400, step=0.1, missing=True),
        Feature("code", "categorical", levels=CODES, missing=True),
        Feature("pain", "categorical", levels=(1, 2, 3), missing=True),
        Feature("smoker", "binary", levels=(False, True)),
    ),
    label="stress",
    classes=("high", "low"),
    target="low",
    person="person",
)


def table(n: int = 200, seed: int = 0) -> pd.DataFrame:
    """Rows with blanks and awkward words."""
    rng = np.random.default_rng(seed)
    glucose = rng.normal(150, 40, n)
    return pd.DataFrame(
        {
            "date": "2024-01-01",
            "person": [f"00{i % 9}" for i in range(n)],
            "steps": rng.integers(0, 20000, n),
            "glucose": np.where(rng.random(n) < 0.1, np.nan, glucose),
            "code": pd.Series(rng.choice(CODES, n)).mask(pd.Series(rng.random(n) < 0.1)),
            "pain": np.where(rng.random(n) < 0.1, np.nan, rng.integers(1, 4, n)),
            "smoker": rng.random(n) < 0.5,
            "stress": np.where(glucose + 20 * rng.normal(size=n) > 150, "high", "low"),
        }
    )


def task_of(classifier: Any, train: pd.DataFrame | None = None) -> Task:
    train = table() if train is None else train
    return Task(SCHEMA, train, fit_classifier(classifier, SCHEMA, train))


def rewrite(directory: Path, name: str, content: bytes) -> None:
    """Forge a file of a saved task together with its hash."""
    record = json.loads((directory / "task.json").read_text())
    record["sha256"][name] = hashlib.sha256(content).hexdigest()
    (directory / name).write_bytes(content)
    (directory / "task.json").write_text(json.dumps(record))


@pytest.mark.parametrize("name", NAMES)
def test_each_classifier_answers_bit_for_bit_as_before(name: str, tmp_path: Path) -> None:
    task = task_of(name)
    save_task(task, tmp_path)
    loaded = load_task(tmp_path)
    rows = Task(SCHEMA, table(300, seed=1), task.classifier).rows
    assert np.array_equal(task.judge(rows, final=True).proba, loaded.judge(rows, final=True).proba)
    assert np.array_equal(task.judge(rows, final=True).predicted, loaded.judge(rows, final=True).predicted)
    raw = table(300, seed=1)[SCHEMA.names]
    assert np.array_equal(task.classifier.predict_proba(raw), loaded.classifier.predict_proba(raw))


def test_schema_rows_labels_and_groups_come_back(tmp_path: Path) -> None:
    task = task_of("logistic")
    save_task(task, tmp_path)
    loaded = load_task(tmp_path)
    assert loaded.schema == task.schema
    assert loaded.classes == task.classes
    assert np.array_equal(loaded.rows, task.rows, equal_nan=True)
    assert np.array_equal(loaded.y, task.y)
    assert loaded.train["person"].tolist() == task.train["person"].tolist()
    assert loaded.train["code"].dropna().tolist() == task.train["code"].dropna().tolist()
    assert "date" not in loaded.train
    assert sorted(p.name for p in tmp_path.iterdir()) == ["classifier.skops", "schema.toml", "task.json", "train.csv"]


def test_a_loaded_task_saves_to_the_same_bytes(tmp_path: Path) -> None:
    save_task(task_of("xgboost"), tmp_path / "one")
    save_task(load_task(tmp_path / "one"), tmp_path / "two")
    for name in ("schema.toml", "train.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("classes", [("yes", "no"), ("1", "2"), (1, 2), (0.5, 1.5), (False, True), (3, 7, 11)])
def test_classes_keep_their_type(classes: tuple[Any, ...], tmp_path: Path) -> None:
    schema = FeatureSchema(SCHEMA.features[:2], label="y", classes=classes)
    train = table()[["steps", "glucose"]].assign(y=[classes[i % len(classes)] for i in range(200)])
    task = Task(schema, train, fit_classifier("logistic", schema, train))
    save_task(task, tmp_path)
    loaded = load_task(tmp_path)
    assert loaded.classes == task.classes
    assert [type(c) for c in loaded.classes] == [type(c) for c in task.classes]
    assert loaded.train["y"].tolist() == train["y"].tolist()


@pytest.mark.parametrize("people", [["007", "7"], [7, 8], [7.5, np.nan], ["a", None]])
def test_groups_keep_their_type(people: list[Any], tmp_path: Path) -> None:
    train = table().assign(person=people * 100)
    save_task(task_of("logistic", train), tmp_path)
    loaded = load_task(tmp_path).train["person"]
    assert pd.Series(people * 100).equals(loaded) or loaded.tolist()[0] == people[0]
    assert loaded.isna().tolist() == train["person"].isna().tolist()


numbers = st.one_of(st.just(float("nan")), st.floats(-(2.0**53) + 1, 2.0**53 - 1))  # the numbers that are taken


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(numbers, st.integers(0, 4)), min_size=2, max_size=12),
    st.lists(st.text(min_size=1, max_size=6), min_size=5, max_size=5, unique=True),
)
def test_any_number_and_any_text_reads_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[float, int]], levels: list[str]
) -> None:
    schema = FeatureSchema(
        (
            Feature("x", "continuous", low=0, high=1, step=0.1, missing=True),
            Feature("word", "categorical", levels=tuple(levels)),
        ),
        label="y",
        classes=("a", "b"),
    )
    train = pd.DataFrame({"x": [x for x, _ in cells], "word": [levels[i] for _, i in cells]})
    task = Task(schema, train.assign(y="a"), Constant())
    directory = tmp_path_factory.mktemp("task")
    sensecf.classifiers.storage._write_train(task, directory / "train.csv", None)
    back = sensecf.classifiers.storage._read_train(directory / "train.csv", task.codec, task.classes, None)
    assert back["x"].to_numpy().tobytes() == task.rows[:, 0].tobytes()
    assert back["word"].tolist() == [levels[i] for _, i in cells]


class Constant:
    """A classifier that is no estimator, so that it cannot be saved."""

    classes_ = np.array(["a", "b"])

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.tile([0.7, 0.3], (len(X), 1))

    def predict(self, X: Any) -> np.ndarray:
        return np.full(len(X), "a")


@pytest.mark.parametrize("levels", [("", "b"), ("1", 1)])
def test_levels_that_a_table_cannot_hold_are_refused(levels: tuple[Any, ...], tmp_path: Path) -> None:
    schema = FeatureSchema((Feature("word", "categorical", levels=levels),), label="y", classes=("a", "b"))
    train = pd.DataFrame({"word": pd.Series([*levels] * 3, dtype=object), "y": ["a", "b"] * 3})
    with pytest.raises(InputError, match="cannot be saved exactly"):
        save_task(Task(schema, train, Constant()), tmp_path)
    with pytest.raises(InputError, match="holds no saved task"):
        load_task(tmp_path)


class TestDataHash:
    def test_is_the_same_for_equal_content(self) -> None:
        a = pd.DataFrame({"x": [1, 2, 0], "w": ["a", None, "b"]})
        b = pd.DataFrame({"x": [1.0, 2.0, -0.0], "w": np.array(["a", np.nan, "b"], dtype=object)}, index=[7, 8, 9])
        assert data_hash(a) == data_hash(b)

    @pytest.mark.parametrize(
        "other",
        [
            {"x": [1, 2], "w": ["a", "c"]},
            {"x": [1, 3], "w": ["a", "b"]},
            {"x": [1, None], "w": ["a", "b"]},
            {"x": ["1", "2"], "w": ["a", "b"]},
            {"w": ["a", "b"], "x": [1, 2]},
            {"z": [1, 2], "w": ["a", "b"]},
            {"x": [1], "w": ["a"]},
        ],
    )
    def test_tells_any_change(self, other: dict[str, Any]) -> None:
        assert data_hash(pd.DataFrame({"x": [1, 2], "w": ["a", "b"]})) != data_hash(pd.DataFrame(other))


class TestWholeOrNotAtAll:
    @pytest.mark.parametrize("name", ["schema.toml", "train.csv", "classifier.skops"])
    def test_a_changed_file_is_refused(self, name: str, tmp_path: Path) -> None:
        save_task(task_of("logistic"), tmp_path)
        content = bytearray((tmp_path / name).read_bytes())
        content[len(content) // 2] ^= 1
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} was changed after the task was saved"):
            load_task(tmp_path)

    @pytest.mark.parametrize("name", ["schema.toml", "train.csv", "classifier.skops"])
    def test_an_absent_file_is_named(self, name: str, tmp_path: Path) -> None:
        save_task(task_of("logistic"), tmp_path)
        (tmp_path / name).unlink()
        with pytest.raises(InputError, match=f"{name} is absent"):
            load_task(tmp_path)

    @pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": 1}'])
    def test_a_damaged_record_is_refused(self, content: str, tmp_path: Path) -> None:
        (tmp_path / "task.json").write_text(content)
        with pytest.raises(InputError, match=r"task\.json"):
            load_task(tmp_path)

    def test_a_record_of_another_format_is_refused(self, tmp_path: Path) -> None:
        save_task(task_of("logistic"), tmp_path)
        record = json.loads((tmp_path / "task.json").read_text())
        (tmp_path / "task.json").write_text(json.dumps(record | {"format": 99}))
        with pytest.raises(InputError, match="has format 99"):
            load_task(tmp_path)

    @pytest.mark.parametrize("step", ["_write_train", "_describe_classifier", "write_json"])
    def test_an_interrupted_save_is_no_task_even_over_an_old_one(
        self, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save_task(task_of("logistic"), tmp_path)

        def interrupt(*_: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(sensecf.classifiers.storage, step, interrupt)
            with pytest.raises(KeyboardInterrupt):
                save_task(task_of("mlp"), tmp_path)
        with pytest.raises(InputError, match="saving it was interrupted"):
            load_task(tmp_path)
        save_task(task_of("mlp"), tmp_path)
        assert load_task(tmp_path).classes == ["high", "low"]

    def test_a_folder_without_a_task_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="holds no saved task"):
            load_task(tmp_path / "nowhere")

    def test_the_folder_of_a_run_will_do(self, tmp_path: Path) -> None:
        save_task(task_of("logistic"), tmp_path / "task")
        assert load_task(tmp_path).classes == ["high", "low"]


class TestTrust:
    @pytest.mark.parametrize("function", [os.system, _testing.check_output, eval])
    def test_a_file_that_would_run_a_program_is_refused(self, function: Any, tmp_path: Path) -> None:
        """Forged hash and all: types are judged before anything is built."""
        save_task(task_of("logistic"), tmp_path)
        evil = make_pipeline(FunctionTransformer(function), LogisticRegression())
        rewrite(tmp_path, "classifier.skops", skops.io.dumps(evil))
        with pytest.raises(InputError, match=f"not trusted: .*{function.__name__}") as caught:
            load_task(tmp_path)
        assert "\n" not in str(caught.value)

    def test_only_classes_and_one_scorer_are_trusted(self) -> None:
        import pkgutil

        import xgboost.sklearn  # noqa: F401

        for name in KNOWN_TYPES:
            # The one function: a scorer that a tuned threshold keeps; it computes a number from two arrays.
            plain = name == "sklearn.metrics._classification.balanced_accuracy_score"
            assert plain or isinstance(pkgutil.resolve_name(name), type), name

    def test_a_file_that_is_no_archive_is_refused(self, tmp_path: Path) -> None:
        save_task(task_of("logistic"), tmp_path)
        rewrite(tmp_path, "classifier.skops", b"cos\nsystem\n(S'true'\ntR.")
        with pytest.raises(InputError, match="no classifier that skops can read"):
            load_task(tmp_path)

    def test_an_archive_with_a_hole_is_refused(self, tmp_path: Path) -> None:
        save_task(task_of("logistic"), tmp_path)
        source = zipfile.ZipFile(tmp_path / "classifier.skops")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as target:
            for name in source.namelist():
                target.writestr(name, b"" if name.endswith(".npy") else source.read(name))
        rewrite(tmp_path, "classifier.skops", buffer.getvalue())
        with pytest.raises(InputError, match=r"classifier\.skops"):
            load_task(tmp_path)

    def test_nothing_is_unpickled(self, tmp_path: Path) -> None:
        found: list[Any] = []
        watching = True
        sys.addaudithook(lambda event, args: found.append(args) if watching and event == "pickle.find_class" else None)
        pickle.loads(pickle.dumps(Path))
        assert found, "the hook sees nothing"
        found.clear()
        for name in NAMES:
            save_task(task_of(name), tmp_path)
            load_task(tmp_path)
        watching = False
        assert found == []


class TestTheUsersOwn:
    @pytest.mark.parametrize(
        "model", [LogisticRegression(max_iter=9999), KNeighborsClassifier(), HistGradientBoostingClassifier()]
    )
    def test_a_pipeline_of_scikit_learn_parts_needs_no_trust(self, model: Any, tmp_path: Path) -> None:
        prepare = ColumnTransformer(
            [("n", SimpleImputer(), ["steps", "glucose"]), ("w", OneHotEncoder(sparse_output=False), ["code"])]
        )
        task = task_of(make_pipeline(prepare, model))
        save_task(task, tmp_path)
        assert np.array_equal(load_task(tmp_path).judge(task.rows).proba, task.judge(task.rows).proba)

    def test_a_model_fitted_on_arrays_is_asked_with_arrays_again(self, tmp_path: Path) -> None:
        schema = FeatureSchema(SCHEMA.features[:2], label="stress", classes=("high", "low"))
        train = table()
        model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(
            train[["steps", "glucose"]].to_numpy(), train["stress"].to_numpy()
        )
        task = Task(schema, train, model)
        save_task(task, tmp_path)
        assert np.array_equal(load_task(tmp_path).judge(task.rows).proba, task.judge(task.rows).proba)

    @pytest.fixture
    def module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """A module `own_model` in the current folder: a transformer, estimators and an object that is none."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        monkeypatch.delitem(sys.modules, "own_model", raising=False)
        (tmp_path / "own_model.py").write_text(
            textwrap.dedent(
                """
                import numpy as np
                from sklearn.base import BaseEstimator, TransformerMixin
                from sklearn.linear_model import LogisticRegression
                from sklearn.pipeline import make_pipeline

                class Fill(TransformerMixin, BaseEstimator):
                    def fit(self, X, y=None):
                        self.feature_names_in_ = np.array(X.columns, dtype=object)
                        self.n_features_in_ = X.shape[1]
                        self.low_ = float(X["glucose"].min())
                        return self
                    def transform(self, X):
                        return X[["glucose"]].fillna(self.low_).to_numpy()

                class Rule:
                    classes_ = np.array(["high", "low"])
                    limit = 150
                    def predict_proba(self, X):
                        high = (X["glucose"] > self.limit).to_numpy(float)
                        return np.column_stack([high, 1 - high])
                    def predict(self, X):
                        return self.classes_[self.predict_proba(X).argmax(axis=1)]

                pipeline = make_pipeline(Fill(), LogisticRegression())
                """
            )
        )
        import importlib

        importlib.invalidate_caches()
        return importlib.import_module("own_model")

    def test_an_own_transformer_is_loaded_when_trusted(self, module: Any, tmp_path: Path) -> None:
        task = task_of(module.pipeline)
        save_task(task, tmp_path / "task")
        with pytest.raises(InputError, match=r"not trusted: own_model\.Fill; .*trusted=\['own_model\.Fill'\]"):
            load_task(tmp_path / "task")
        loaded = load_task(tmp_path / "task", trusted=["own_model.Fill"])
        assert np.array_equal(loaded.judge(task.rows).proba, task.judge(task.rows).proba)

    def test_a_trusted_type_whose_module_is_gone_is_named(self, module: Any, tmp_path: Path) -> None:
        save_task(task_of(module.pipeline), tmp_path / "task")
        (tmp_path / "own_model.py").unlink()
        del sys.modules["own_model"]
        with pytest.raises(InputError, match="own_model:Fill: there is no module 'own_model'"):
            load_task(tmp_path / "task", trusted=["own_model.Fill"])

    @pytest.mark.parametrize("name", ["pipeline", "Rule"])
    def test_a_module_object_is_kept_by_name_and_run_only_when_trusted(
        self, module: Any, name: str, tmp_path: Path
    ) -> None:
        spec = f"own_model:{name}"
        task = task_of(spec)
        save_task(task, tmp_path / "task", classifier_spec=spec)
        assert not (tmp_path / "task" / "classifier.skops").exists()
        with pytest.raises(InputError, match=f"is the code {spec}; if you trust it"):
            load_task(tmp_path / "task")
        for loaded in (
            load_task(tmp_path / "task", trusted=[spec]),
            load_task(tmp_path / "task", classifier=spec),
            load_task(tmp_path / "task", classifier=task.classifier),
        ):
            assert np.array_equal(loaded.judge(task.rows).proba, task.judge(task.rows).proba)

    def test_a_module_object_of_scikit_learn_parts_is_saved_as_it_was_fitted(self, module: Any, tmp_path: Path) -> None:
        module.plain = make_pipeline(ColumnTransformer([("n", SimpleImputer(), ["glucose"])]), LogisticRegression())
        save_task(task_of("own_model:plain"), tmp_path / "task", classifier_spec="own_model:plain")
        assert load_task(tmp_path / "task").classes == ["high", "low"]

    def test_code_that_changed_since_is_noticed(self, module: Any, tmp_path: Path) -> None:
        save_task(task_of("own_model:Rule"), tmp_path / "task", classifier_spec="own_model:Rule")
        module.Rule.limit = 90
        with pytest.raises(InputError, match="does not answer as it did"):
            load_task(tmp_path / "task", trusted=["own_model:Rule"])

    def test_an_object_that_cannot_be_saved_must_be_given_again(self, module: Any, tmp_path: Path) -> None:
        rule = module.Rule()
        save_task(task_of(rule), tmp_path / "task")
        with pytest.raises(InputError, match=r"own_model\.Rule\) could not be saved .*classifier="):
            load_task(tmp_path / "task")
        assert load_task(tmp_path / "task", classifier=rule).classifier is rule

    def test_the_file_of_an_older_classifier_does_not_stay(self, module: Any, tmp_path: Path) -> None:
        save_task(task_of("logistic"), tmp_path / "task")
        save_task(task_of(module.Rule()), tmp_path / "task")
        assert not (tmp_path / "task" / "classifier.skops").exists()

    def test_a_classifier_of_other_classes_is_refused(self, tmp_path: Path) -> None:
        save_task(task_of("logistic"), tmp_path)
        schema = FeatureSchema(SCHEMA.features, label="stress", classes=("high", "low", "odd"), person="person")
        train = table()
        train.loc[:20, "stress"] = "odd"
        other = fit_classifier("logistic", schema, train)
        with pytest.raises(InputError, match="the classifier's classes are"):
            load_task(tmp_path, classifier=other)


class TestStrangers:
    """Folders that this user neither wrote nor looked into: the note of it is in a cache of the test's own."""

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("SENSECF_CACHE", str(tmp_path / "cache"))
        return tmp_path / "cache" / "classifiers"

    @pytest.mark.parametrize(("field", "value"), [("left_child", 10**6), ("right_child", 0), ("feature", 99)])
    def test_a_tree_whose_nodes_lead_out_of_it_is_refused(self, field: str, value: int, tmp_path: Path) -> None:
        directory = tmp_path / "task"
        model = make_pipeline(
            ColumnTransformer([("n", SimpleImputer(), ["steps", "glucose"])]), DecisionTreeClassifier()
        )
        save_task(task_of(model), directory)
        source, buffer = zipfile.ZipFile(directory / "classifier.skops"), io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as target:
            for name in source.namelist():
                content = source.read(name)
                if name.endswith(".npy") and field in (np.load(io.BytesIO(content)).dtype.names or ()):
                    nodes, changed = np.load(io.BytesIO(content)), io.BytesIO()
                    nodes[field][0] = value
                    np.save(changed, nodes)
                    content = changed.getvalue()
                target.writestr(name, content)
        rewrite(directory, "classifier.skops", buffer.getvalue())
        with pytest.raises(InputError, match=r"a tree (has an edge|asks about a column)") as caught:
            load_task(directory)
        assert "\n" not in str(caught.value)

    def test_what_unpacks_beyond_measure_is_refused_before_it_is_read(self, tmp_path: Path) -> None:
        save_task(task_of("logistic"), tmp_path / "task")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("schema.json", b" " * (300 << 20))
        rewrite(tmp_path / "task", "classifier.skops", buffer.getvalue())
        with pytest.raises(InputError, match=r"unpacks from .* which no saved classifier does"):
            load_task(tmp_path / "task")

    def test_one_that_is_sound_is_looked_into_once(self, cache: Path, tmp_path: Path) -> None:
        save_task(task_of("xgboost"), tmp_path / "task")
        (note,) = cache.iterdir()
        note.unlink()
        load_task(tmp_path / "task")
        assert list(cache.iterdir()) == [note]

    def test_what_cannot_be_looked_into_needs_trust(self, cache: Path, tmp_path: Path) -> None:
        model = make_pipeline(ColumnTransformer([("n", SimpleImputer(), ["steps", "glucose"])]), KNeighborsClassifier())
        save_task(task_of(model), tmp_path / "task")
        next(cache.iterdir()).unlink()
        with pytest.raises(InputError, match=r"cannot be looked into: sklearn\.neighbors.*--trust"):
            load_task(tmp_path / "task")
        assert load_task(tmp_path / "task", trust=True).classes == ["high", "low"]

    def test_the_trees_of_a_booster_are_followed(self) -> None:
        task = task_of("xgboost")
        booster = task.classifier[-1].model_.get_booster()  # type: ignore[index]
        saved_classifier.check_contents(task.classifier)
        for key, value in (("left_children", 10**6), ("right_children", 0), ("split_indices", 77)):
            grown = json.loads(bytes(booster.save_raw(raw_format="json")))
            grown["learner"]["gradient_booster"]["model"]["trees"][0][key][0] = value
            changed = json.dumps(grown).encode()
            stand_in = type(
                "Booster", (), {"save_raw": lambda self, raw_format, c=changed: c, "__module__": "xgboost.core"}
            )
            with pytest.raises(InputError, match="a booster"):
                saved_classifier.check_contents([stand_in()])
