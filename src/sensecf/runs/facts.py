"""What runs say of themselves in `run.json`: which entries there are, and what each holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, Required, TypedDict

from sensecf.core.cost import JuryFacts
from sensecf.core.limits import LimitsRecord
from sensecf.core.schema import Value


class TableFacts(TypedDict):
    """Rows and schema as hashes, and the versions; `queries`: of the rows asked about, where they were named."""

    format: int
    data: str
    schema: str
    sensecf: str
    queries: NotRequired[str]


class CountFacts(TypedDict):
    """Of how many people the rows asked about are, where that is known, and what a row is: "days" or "rows"."""

    people_asked: int | None
    rows_are: str


class JuryTold(JuryFacts):
    """The jury of a run, how many plans hold, and how many would not and are left out."""

    plans: int
    left_out: int
    headline: str


class ModelTold(TypedDict, total=False):
    """What a language model was asked and what that cost, see `Prompted.facts`; these are read again."""

    tokens_in: int
    tokens_out: int
    rounds: list[Mapping[str, Any]]
    cost: Mapping[str, object]


class Share(TypedDict):
    """A share of `n` requests of so many people, with its interval; None where there is none."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    people: int


class Seconds(TypedDict):
    """Seconds that the fit and the answers took."""

    fit: float
    answers: float


class Rows(TypedDict):
    """Rows put to the classifier by the fit and for the answers."""

    fit: int
    answers: int


class Control(TypedDict):
    """How many days a control turns, and of how many people as many as were wanted; `plan`: the one for everybody."""

    plan: NotRequired[str]
    turned: int
    people: int


class EverybodyFacts(TypedDict):
    """The best single plan for everybody as a control: of so many rows (`of`) how many it turns, and how many the
    answers turn (`own`)."""

    plan: str
    turned: int
    own: int
    of: int
    says: str


class PeopleFacts(TypedDict):
    """How many people have a plan, how many of their days it turns, and what the controls turn; see `runs.people`."""

    people: int
    with_plan: int
    days: int
    turned: int
    mean_share_turned: float | None
    least: float
    singly: Control
    everybody: NotRequired[Control]
    says: NotRequired[str]


class Told(TypedDict, total=False):
    """What a reader must not miss; an entry is there where it is the case.

    `generator_why`: why this generator, where none was named; `no_jury`: why there is none; `own`: what the model
    answered itself, in people; `model_alone`: what it does without search and polish; `model`: the language model, or
    the folder of a tuned one.
    """

    generator: str
    generator_why: str
    notice: str
    no_jury: str
    jury: JuryTold
    own: dict[str, int]
    model: ModelTold | str | None
    people: PeopleFacts
    everybody: EverybodyFacts
    model_alone: dict[str, Share]


class PartCounts(TypedDict):
    """What is counted of a part of a table that is answered, and summed over the parts."""

    answers: int
    rows_answered: int
    rows_in_target: int
    abstentions: int
    plausible: int
    changes: int
    classifier_rows: int
    seconds: float


class AnswerAsked(LimitsRecord):
    """What `sensecf answer` was asked: of which run (`task`, a hash), about which table (another), as what and how.

    `part`: rows in memory at a time.
    """

    n: int
    plausibility: float
    seed: int
    target: Value
    generator: str
    per: str
    days: float
    table: str
    rows: int
    people: int | None
    rows_are: str
    part: int
    format: str
    task: str
    sensecf: str


class AnswerFacts(AnswerAsked, PartCounts, total=False):
    """`run.json` of `answer`; `decimal`, `thousands`, `encoding`: how the table is written, where that was said."""

    decimal: str
    thousands: str
    encoding: str


class RunFacts(LimitsRecord, TableFacts, CountFacts, Told, total=False):
    """`run.json` of `explain`: what was asked, of what table, and what came of it.

    `target` alone is in the file of every version; what an older one lacks is told where it is read.
    """

    target: Required[Value]
    classifier: str
    classes: list[str]
    limit: int | None
    n: int
    plausibility: float
    seed: int
    prompting: Mapping[str, object]
    private: bool
    epsilon: float
    per: str
    days: float
    train_rows: int
    queries_asked: int
    versions: dict[str, str]
    seconds: Seconds
    classifier_rows: Rows
    arguments: Mapping[str, Any]
    reliability: list[Mapping[str, float | None]]
    attempts: list[Mapping[str, Any]]
