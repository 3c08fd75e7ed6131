"""`sensecf finetune`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sensecf.cli.progress import progress_bars
from sensecf.cli.say import say
from sensecf.cli.shared import OutPath, Source, source_options, split_names, table_options
from sensecf.core.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from sensecf.finetune.modelcard import TunedFacts
    from sensecf.runs.experiment import Prepared

#: Writes into a run's folder what the run costs.
Spending = Callable[[Path], None]


@click.command()
@source_options()
@click.option(
    "--model",
    required=True,
    help="Folder of a language model (safetensors, tokenizer.json), or its name in the cache of Hugging Face; "
    "small:FOLDER makes a small one there first, on simulated tables.",
)
@click.option("--out", type=OutPath(), required=True, help="Folder to write, or to go on in.")
@click.option(
    "--preset",
    "preset_name",
    default="cpu-small",
    show_default=True,
    help="cpu-small, cpu-135m, gpu-135m, gpu-24, gpu-40, gpu-80, or FILE.toml#NAME for one of your own.",
)
@click.option("--pairs", type=int, help="Pairs to learn from (default: the preset's).")
@click.option("--teacher", default="search", show_default=True, help="Generator that answers the pairs.")
@click.option("--from-run", type=click.Path(path_type=Path), help="Take the pairs from a run folder of `explain`.")
@click.option(
    "--reward",
    type=click.Choice(["dpo", "grpo", "group", "none"]),
    default="dpo",
    show_default=True,
    help="Verdicts as reward after the pairs: dpo draws answers once per round and compares two, group compares all "
    "good ones with all bad ones, grpo draws anew at every step.",
)
@click.option("--full-prompts", "full", is_flag=True, help="Tune on the prompts of `prompted` instead of short ones.")
@click.option(
    "--offers/--no-offers",
    default=None,
    help="Tell the model what single changes bring, in points (default: as the preset says).",
)
@click.option("--merge", is_flag=True, help="Write the merged weights too, for servers without adapters.")
@click.option("--plausibility", type=float, default=1.0, show_default=True, help="Price of being unlike the data.")
@click.option("--private", is_flag=True, help="Learn from rows of nobody, from noisy marginals; see docs/privacy.md.")
@click.option("--epsilon", type=float, default=3.0, show_default=True, help="Of --private, by person.")
@table_options
def finetune(
    source: Source,
    model: str,
    out: Path,
    preset_name: str,
    pairs: int | None,
    teacher: str,
    from_run: Path | None,
    **settings: Any,
) -> None:
    """Tune a language model on verified counterfactuals of TABLE, then on its classifier's verdicts.

    30 % of the rows are held out as by `explain` with the same seed (by person where the schema names a
    group), and reach nothing here. An interrupted run goes on when called again. With --private, classifier, pairs
    and model are made from rows of nobody alone, which are (epsilon, 1e-5)-differentially private by person.
    """
    from dataclasses import replace

    from sensecf import generators
    from sensecf.finetune.presets import preset
    from sensecf.runs.experiment import Setup, prepared

    try:
        from sensecf.finetune import tune as tuning
        from sensecf.finetune.processes import processes, remarks
        from sensecf.finetune.supervised import quiet
    except ImportError as error:
        raise MissingExtraError(f"tuning needs {error.name}: pip install 'sensecf[finetune]'") from error

    chosen = preset(preset_name)
    if pairs is not None:
        chosen = replace(chosen, pairs=pairs)
    for remark in remarks(preset_name, chosen):
        say(remark, err=True)
    opened, seed = source.open(), source.seed
    setup = Setup(source.classifier, split_names(source.classes), seed=seed)
    made, spend = _learned_from(prepared(opened.frame, opened.schema, setup), from_run, settings)
    quiet()
    if settings["offers"] is None:
        settings["offers"] = chosen.offers and not settings["full"]
    asked = tuning.Tuning(preset_name, chosen, seed=seed, **settings)
    everyone = processes()
    with progress_bars() if everyone.is_main_process else nullcontext(lambda phase, share: None) as progress:
        if model.startswith("small:"):
            with everyone.main_process_first():
                model = _small(Path(model.removeprefix("small:")), seed, progress)
        task = made.fit(progress)
        given = None if from_run is None else _pairs_of(from_run, tuning.wording(task, asked), chosen.pairs, seed)
        context = generators.Context(seed, progress=progress)
        answering = None if teacher == "search" else generators.build(teacher, task, context)
        if everyone.is_main_process:
            spend(out)
        call = partial(tuning.finetune, card=opened.card, classifier=source.classifier, progress=progress)
        facts = call(task, model, out, asked, generator=answering, pairs=given)
    if everyone.is_main_process:
        _show(facts, out)


def _learned_from(table: Prepared, from_run: Path | None, settings: dict[str, Any]) -> tuple[Prepared, Spending]:
    """The table that is learned from, of nobody with --private; and what writes into a folder what that costs, before
    anything is learned, and says it."""
    private, epsilon = settings.pop("private"), settings.pop("epsilon")
    if not private:
        return table, lambda out: None
    if from_run is not None:
        raise InputError("--private and --from-run: the plans of a run are people's; leave one of them out")
    from sensecf.classifiers.storage import data_hash
    from sensecf.core.budget import spend
    from sensecf.runs.nobody import of_nobody

    nobody = of_nobody(table, epsilon)

    def spent(out: Path) -> None:
        total, delta = spend(out, data_hash(table.frame), nobody.spent)
        say(
            f"Learned from {len(nobody.table.train):,} rows of nobody: epsilon {epsilon:g} by person, {total:g} (delta "
            f"{delta:g}) with all runs of this table here; which cells there are is not covered.",
            err=True,
        )

    return nobody.table, spent


def _small(folder: Path, seed: int, progress: Any) -> str:
    """The folder of the small base model, made where it is not there yet."""
    from sensecf.finetune.smallbase import make_base

    if not (folder / "base.json").is_file():
        make_base(folder, seed, progress=progress)
    return str(folder)


def _pairs_of(run: Path, prompts: Any, count: int, seed: int) -> Any:
    from sensecf.data.tables import read_table
    from sensecf.finetune.text_pairs import from_table

    for name in ("counterfactuals.csv", "factuals.csv"):
        if not (run / name).is_file():
            raise InputError(f"{run} holds no {name}; name the folder of a run of `sensecf explain`")
    answers, factuals = (read_table(run / name, decimal=".") for name in ("counterfactuals.csv", "factuals.csv"))
    return from_table(prompts, answers, factuals, count, seed)


def _show(facts: TunedFacts, out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    got, wanted = facts["pairs"]["pairs"], facts["pairs"].get("wanted", 0)
    if got < wanted:
        say(f"{got} pairs instead of {wanted}: no more questions could be answered", err=True)
    shown = Table(title="What the model does alone, on validation questions", title_justify="left")
    shown.add_column("measure")
    for stage in facts["metrics"]:
        shown.add_column(stage, justify="right")
    for name in next(iter(facts["metrics"].values())):
        values = [metrics[name] for metrics in facts["metrics"].values()]
        shown.add_row(name, *("–" if value is None else f"{value:.3f}" for value in values))
    console = Console()
    console.print(shown)
    for stage, cost in facts["stages"].items():
        console.print(f"{stage}: " + ", ".join(f"{name} {value}" for name, value in cost.items()), highlight=False)
    say(f"Model card: {out / 'README.md'}")
