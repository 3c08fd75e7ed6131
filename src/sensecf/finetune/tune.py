"""Fine-tuning: pairs, then a LoRA adapter, then the classifier's verdicts as reward, then a card.

A folder is complete when `tuned.json` is there. Until then `unfinished/` holds the stages, each a
function of the adapter before it and the seed, so that the same call goes on after an interrupt and ends with
the same weights.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np

from sensecf.core.budget import BUDGET
from sensecf.core.candidates import Candidates
from sensecf.core.errors import InputError
from sensecf.core.files import write_json
from sensecf.core.folder import named
from sensecf.core.kept import Json, is_whole, read_bytes, read_record, with_hash
from sensecf.core.task import Task
from sensecf.core.version import __version__
from sensecf.data.privacy_gate import withheld
from sensecf.finetune.memorisation import CANARIES, PAIRS_EACH, canaries, copies, exposure
from sensecf.finetune.modelcard import Learned, Origin, TunedFacts, averages, measure, write_card
from sensecf.finetune.presets import Preset
from sensecf.finetune.processes import processes
from sensecf.finetune.supervised import Facts, Logged, Progress, Trained, Training, supervise
from sensecf.finetune.text_pairs import Pairs, draw
from sensecf.generators import Generator
from sensecf.generators.tuned import table_shape, worded
from sensecf.llm import Prompt
from sensecf.llm.ask import ALONE
from sensecf.llm.client import Client
from sensecf.llm.language.prompts import Prompts
from sensecf.llm.tokens import Learner, encode, load

if TYPE_CHECKING:
    from sensecf.data.card import Card

#: What an unfinished folder was asked for.
NOTE = "request.json"
#: Share of the pairs that validate.
VALIDATION = 0.1
#: What verdicts are turned into, and the name of a round of it.
ROUNDS = {"dpo": "preferences", "grpo": "grpo", "group": "alignment"}


@dataclass(frozen=True)
class Tuning:
    """What is tuned: `preset`, its name, the wording (`full`: that of `prompted`; `offers`: what single changes
    bring, see `offered.Offered`; else the short one), the seed.

    `reward`: "dpo", "grpo", "group" (group-averaged alignment) or "none". `merge`: write the merged weights too.
    """

    name: str
    preset: Preset
    full: bool = False
    offers: bool = False
    reward: str = "dpo"
    merge: bool = False
    plausibility: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.reward not in (*ROUNDS, "none"):
            raise InputError(f'the reward is "dpo", "grpo", "group" or "none", not {self.reward!r}')
        if self.full and self.offers:
            raise InputError("offers are a wording of their own; leave full prompts or offers out")
        if self.reward != "none" and self.preset.samples < 2:
            raise InputError(
                f"answers are compared with each other, so samples must be at least 2, not {self.preset.samples}"
            )


def wording(task: Task, tuning: Tuning) -> Prompts:
    """The prompts of a tuned model: those of `prompted`, or short ones."""
    return worded(tuning.full, tuning.offers)(task, withheld=withheld(task.schema))


def finetune(
    task: Task,
    model: str | Path,
    out: str | Path,
    tuning: Tuning,
    *,
    generator: Generator | None = None,
    pairs: Pairs | None = None,
    card: Card | None = None,
    classifier: str = "",
    device: str | None = None,
    progress: Progress = lambda phase, share: None,
    callbacks: Sequence[Any] = (),
) -> TunedFacts:
    """Tune the model of a folder (or of the cache of Hugging Face) on a task; returns the facts of `tuned.json`.

    `generator`: who answers the pairs instead of the search; `pairs`: pairs that are there already.
    Writes the adapter (safetensors; those of the single stages below `stages`), `pairs.jsonl` and `pairs.json`,
    `history.json`, `tuned.json` and the model's card, `README.md`.
    Raises `InputError` when the folder holds something else, or for an unusable model.

    >>> sensecf.finetune.finetune(task, "model", "tuned", tuning)  # doctest: +SKIP
    """
    out, preset = named(out), tuning.preset
    work = out / "unfinished"
    request = _request({"task": _identity(task), "model": str(model), "tuning": asdict(tuning), "sensecf": __version__})
    everyone = processes(device)
    _check_free(out, work, request)
    everyone.wait_for_everyone()

    def opened(adapter: Path | None) -> Learner:
        size = 64 if everyone.device.type == "cpu" else 256
        return load(model, adapter=adapter, four_bit=preset.four_bit, device=device, batch_size=size)

    learner = opened(None)
    if everyone.is_main_process:
        write_json(work / NOTE, {"request": request})
    training = Training(preset, tuning.seed, tuning.plausibility, progress, callbacks)
    prompts = wording(task, tuning)
    pairs = _drawn(prompts, training, generator) if pairs is None else pairs
    if everyone.is_main_process:
        pairs.save(out)
    lessons = _lessons(prompts, pairs, tuning)
    done = _in_turn(_stages(lessons, tuning, training), lessons, learner, opened, work)
    learner = opened(done.adapter)
    classifier = classifier or type(task.classifier).__name__
    facts: TunedFacts = {**_origin(model, learner), "classifier": classifier, **_facts(lessons, tuning, done, learner)}
    if everyone.is_main_process:
        _write(out, done, facts, card)
        if tuning.merge:
            _merge(learner, out / "merged")
        # Last: with it the folder is complete.
        write_json(out / "tuned.json", facts)
        shutil.rmtree(work)
    everyone.wait_for_everyone()
    return facts


def _drawn(prompts: Prompts, training: Training, generator: Generator | None) -> Pairs:
    """Pairs to learn from, answered by `generator` or the search."""
    return draw(
        prompts,
        training.preset.pairs,
        training.seed,
        slack=training.preset.slack,
        plausibility=training.plausibility,
        generator=generator,
        progress=lambda share: training.progress("search", share),
    )


class _Lessons(NamedTuple):
    """Pairs to learn from and to validate on, and secrets with the answers that could have been planted (see
    `memorisation.canaries`): how much a model knows by heart is measured by them."""

    prompts: Prompts
    pairs: Pairs
    learned: Pairs
    validation: Pairs
    secrets: list[Prompt]
    texts: list[list[str]]
    seed: int

    def measure(self, learner: Learner) -> tuple[dict[str, float | None], Candidates]:
        """What the model does alone on the validation questions, and what it drew."""
        found, drawn = measure(self.prompts, Client(learner.local), self.validation.query, 4, self.seed)
        return averages(found), drawn.candidates


def _lessons(prompts: Prompts, pairs: Pairs, tuning: Tuning) -> _Lessons:
    learned, validation = pairs.split(VALIDATION)
    if not len(learned) or not len(validation):
        raise InputError(f"{len(pairs)} pairs are of one day; ask for more, to learn from some and validate on others")
    validation = validation.take(np.arange(min(tuning.preset.validation, len(validation))))
    secrets = max(1, min(CANARIES, len(learned) // PAIRS_EACH))
    return _Lessons(prompts, pairs, learned, validation, *canaries(prompts, tuning.seed, secrets), tuning.seed)


Stage = Callable[[Learner, Path], Trained]


def _stages(lessons: _Lessons, tuning: Tuning, training: Training) -> dict[str, Stage]:
    """What is learned one after the other, by name: pairs, then rounds of verdicts as reward."""

    def first(learner: Learner, folder: Path) -> Trained:
        found = encode(learner, lessons.learned.prompts, lessons.learned.completions)
        found += encode(learner, lessons.secrets, [answers[0] for answers in lessons.texts])
        checked = encode(learner, lessons.validation.prompts, lessons.validation.completions)
        return supervise(
            learner,
            found,
            checked,
            lambda: _judged(lessons.prompts, learner, lessons.validation, tuning),
            folder,
            training,
        )

    stages: dict[str, Stage] = {"lora": first}
    for turn in range(tuning.preset.rounds if tuning.reward in ROUNDS else 0):
        stages[f"{ROUNDS[tuning.reward]} {turn + 1}"] = _round(lessons, tuning.reward, turn, training)
    return stages


def _round(lessons: _Lessons, reward: str, turn: int, training: Training) -> Stage:
    """A round of verdicts as reward over questions drawn for it, half of them put as where nobody checks answers."""
    from sensecf.finetune.alignment import align
    from sensecf.finetune.grpo import reinforce
    from sensecf.finetune.preference import prefer

    learn = {"dpo": prefer, "grpo": reinforce, "group": align}[reward]

    def run(learner: Learner, folder: Path) -> Trained:
        rng = np.random.default_rng([training.seed, 61, turn])
        count = min(training.preset.preference_queries, len(lessons.learned))
        at = np.sort(rng.choice(len(lessons.learned), count, replace=False))
        lead = np.where(rng.integers(0, 2, len(at)) == 1, ALONE, 0.0)
        asked = lessons.learned.take(at).firmer(lessons.prompts, lead)
        return learn(lessons.prompts, learner, asked, folder, replace(training, seed=training.seed + 1000 * (turn + 1)))

    return run


@dataclass
class _Done:
    """What the stages came to: figures by stage, and the one with the most valid answers, whose adapter is kept."""

    folders: dict[str, Path]
    metrics: dict[str, dict[str, float | None]]
    costs: dict[str, Facts]
    history: list[Logged]
    best: str = ""

    @property
    def adapter(self) -> Path | None:
        return self.folders[self.best] / "adapter" if self.best else None


def _in_turn(
    stages: dict[str, Stage],
    lessons: _Lessons,
    learner: Learner,
    opened: Callable[[Path | None], Learner],
    work: Path,
) -> _Done:
    """Each stage begins with the best adapter before it; those that are done already are not done again."""
    everyone = processes()
    folders = {name: work / name.replace(" ", "-") for name in stages}
    done = _Done(folders, {"pretrained": lessons.measure(learner)[0]}, {}, [])
    most = 0.0
    for name, stage in stages.items():
        folder = folders[name]
        everyone.wait_for_everyone()
        record = _finished(folder)
        if record is None:
            learner = opened(done.adapter)  # from the file also where it is in memory: a resumed run does the same
            trained = stage(learner, folder)
            learner.network.eval()
            if everyone.is_main_process:
                made = {"facts": trained.facts, "history": trained.history, "metrics": lessons.measure(learner)[0]}
                write_json(folder / "stage.json", with_hash({**made, "adapter": _adapter_hash(folder)}))
            everyone.wait_for_everyone()
            record = _finished(folder)
            assert record is not None
        done.costs[name], done.metrics[name] = record["facts"], record["metrics"]
        done.history += record["history"]
        valid = done.metrics[name]["greedy_valid"] or 0.0
        if valid >= most:
            done.best, most = name, valid
    return done


def _origin(model: str | Path, learner: Learner) -> Origin:
    """What `tuned.json` says of where the model comes from."""
    base = str(Path(model).resolve()) if Path(model).is_dir() else str(model)
    return {"sensecf": __version__, "base": base, "base_name": learner.local.model.partition(" with ")[0]}


def _facts(lessons: _Lessons, tuning: Tuning, done: _Done, learner: Learner) -> Learned:
    """What `tuned.json` says of pairs, stages and memory."""
    task, card = lessons.prompts.task, lessons.pairs.card
    _, drawn = lessons.measure(learner)
    return {
        "full": tuning.full,
        "offers": tuning.offers,
        "wording": str(card["wording"]),
        "table": task.schema.name,
        "schema": table_shape(task.schema),
        "preset": tuning.name,
        "seed": tuning.seed,
        "pairs": {name: value for name, value in card.items() if name != "rows_seen"},
        "stages": done.costs,
        "kept": done.best,
        "metrics": done.metrics,
        "memorisation": {
            "answers": copies(task, lessons.validation.query.rows, drawn),
            "canaries": exposure(learner, lessons.secrets, lessons.texts),
        },
    }


def _judged(prompts: Prompts, learner: Learner, validation: Pairs, tuning: Tuning) -> dict[str, float]:
    """What became of one greedy answer to each validation question; "score" is what the best model has most of.

    The score is the validity, less a hundredth of the price of an answer: the cheaper of equals is better.
    """
    from sensecf.finetune.preference import BAD, prices
    from sensecf.llm.ask import ask

    network = learner.network
    training = network.training
    network.eval()
    answers = ask(prompts, Client(learner.local), validation.query)
    network.train(training)
    price = prices(prompts, validation.query, answers, tuning.plausibility)[:, 0]
    valid = float((price < BAD).mean())
    return {"validity": valid, "price": float(price.mean()), "score": valid - float(price.mean()) / 100}


class _Stage(TypedDict):
    """`stage.json` of a stage that is done; `adapter` is the hash of what it learned."""

    facts: Facts
    history: list[Logged]
    metrics: dict[str, float | None]
    adapter: str


def _finished(folder: Path) -> _Stage | None:
    """The record of a stage; None where it is absent, or not as it was written: it is done again."""
    try:
        record = read_record(folder / "stage.json", _Stage)
        return record if is_whole(record) and record["adapter"] == _adapter_hash(folder) else None
    except InputError:
        return None


def _adapter_hash(folder: Path) -> str:
    return hashlib.sha256(read_bytes(folder / "adapter" / "adapter_model.safetensors", 2**36)).hexdigest()


def _request(asked: Mapping[str, object]) -> str:
    """A name for everything that was asked for."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _check_free(out: Path, work: Path, request: str) -> None:
    """Raise `InputError` unless the folder is new, empty, or of the same request, unfinished."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder with --out")
    if (out / "tuned.json").exists():
        raise InputError(f"{out} holds a tuned model already; choose another --out, or remove it")
    if (work / NOTE).exists():
        if read_record(work / NOTE, Json).get("request") != request:
            raise InputError(f"{out} holds an unfinished tuning of another request; choose another --out, or remove it")
    elif out.exists() and any(path.name != BUDGET for path in out.iterdir()):
        raise InputError(f"{out} is not empty; name a new folder with --out")


def _write(out: Path, done: _Done, facts: TunedFacts, card: Card | None) -> None:
    """Write what belongs to the model but `tuned.json`."""
    for name, folder in done.folders.items():
        shutil.copytree(folder / "adapter", out / "stages" / name, dirs_exist_ok=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copyfile(out / "stages" / done.best / name, out / name)
    write_json(out / "history.json", done.history)
    if card is not None:
        card.save(out)
    write_card(out, facts, card)


def _merge(learner: Learner, folder: Path) -> None:
    """Write the weights with the adapter in them."""
    learner.network.merge_and_unload().save_pretrained(str(folder))
    learner.tokenizer.save_pretrained(str(folder))


def _identity(task: Task) -> str:
    """A name for everything about a task that tuning depends on."""
    digest = hashlib.sha256(task.schema.to_toml().encode())
    digest.update(np.ascontiguousarray(task.rows).tobytes() + task.y.tobytes())
    digest.update(task.judge(task.rows[: min(len(task.rows), 500)]).proba.round(6).tobytes())
    return digest.hexdigest()
