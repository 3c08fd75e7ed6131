"""What generators declare, and that whoever builds them hands them no more and no less."""

from __future__ import annotations

import inspect

import pytest

from fake_llm import always
from sensecf import generators
from sensecf.core.errors import InputError
from sensecf.core.task import Task
from sensecf.generators import NAMES, Context, Traits, find, traits_of
from sensecf.llm.language.prompting import Prompting


@pytest.mark.parametrize("name", NAMES)
def test_what_a_generator_takes_and_needs_are_keywords_of_its_own(name: str) -> None:
    found = pytest.importorskip(NAMES[name][0].partition(":")[0])
    made = find(name)
    keywords = inspect.signature(made).parameters
    more = found.Options.__annotations__ if "options" in keywords else ()  # **options: Unpack[Options]
    traits = traits_of(made)
    assert {*traits.takes, *traits.needs} <= {*keywords, *more}
    assert {key for key, p in keywords.items() if p.kind is p.KEYWORD_ONLY and p.default is p.empty} == {*traits.needs}
    for declared, method in (("greedy", "greedy"), ("saves", "save"), ("asks_model", "propose"), ("states", "bound")):
        assert not getattr(traits, declared) or callable(getattr(made, method))


def test_a_foreign_generator_without_traits_has_the_defaults_and_is_built_from_task_and_seed(
    numeric_task: Task,
) -> None:
    assert traits_of(object()) == Traits()
    context = Context(3, cache="x", model="y", llm=always(""), options={"effort": 1})
    assert context.settings(Traits()) == {}
    made = generators.build("handmade_generators:Two", numeric_task, context)
    assert traits_of(made) == Traits()


def test_the_language_model_and_how_it_is_asked_reach_only_a_generator_that_needs_them() -> None:
    asking = Prompting("replay:x", samples=3)
    context = Context(llm=always(""), prompting=asking)
    assert context.settings(Traits(needs=("llm",), takes=("samples",))) == {"llm": context.llm, "samples": 3}
    assert context.settings(Traits(takes=("llm", "samples"))) == {}


@pytest.mark.parametrize(("name", "option"), [("prompted", "--llm"), ("tuned", "--model")])
def test_what_a_generator_lacks_is_named_by_its_option(name: str, option: str) -> None:
    with pytest.raises(InputError, match=option):
        generators.check(name, Context())


def test_every_backend_declares_the_keywords_that_it_has() -> None:
    pytest.importorskip("openai")
    from sensecf.llm.backends.batch_file import BatchFile
    from sensecf.llm.backends.openai_compatible import OpenAICompatible
    from sensecf.llm.backends.replay import Replay

    for backend in (OpenAICompatible, Replay, BatchFile):
        keywords = [n for n, p in inspect.signature(backend).parameters.items() if p.kind is p.KEYWORD_ONLY]
        assert sorted(backend.settings) == sorted(keywords)
