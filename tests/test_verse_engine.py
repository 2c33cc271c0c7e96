"""Poems by rule through the default engine: every one keeps the rules, whatever its batch."""

from pathlib import Path

import pytest

from tests.conftest import make_row
from tests.small_generation import completions, settings
from tests.test_verse_state import FIRST_LINES, check
from wenmo.config.generate import GenerateParams
from wenmo.core.errors import ParamsError, UserError
from wenmo.core.records import Generation, Row, read_records, write_records
from wenmo.engines.engine import Completion, Model, Prompt, prompt_seed
from wenmo.engines.transformers import TransformersEngine
from wenmo.engines.verse_requests import asked_verses
from wenmo.model.chat import prompt_messages
from wenmo.tasks.poetry import word_prompt
from wenmo.text.asked_verse import FORMS
from wenmo.text.patterns import couplets, tunes


def asked(count: int, rule: str = "full") -> list[Prompt]:
    """Prompts of four forms by first lines, some of which break rules themselves."""
    rows = []
    for at, first in enumerate(FIRST_LINES[:count]):
        lines = 4 if at % 2 else 8
        name = next(name for name, each in FORMS.items() if each == (lines, len(first)))
        prompt = word_prompt(first, "", f"写一首{name}", "first_line")
        rows.append(Row(str(at), "poems", at, "", prompt, ""))
    verses = asked_verses("poetry", rows, rule)
    return [
        Prompt(prompt_messages("", row.prompt), prompt_seed(1, row.id), verses.get(row.id))
        for row in rows
    ]


def to_tunes(rule: str = "full") -> list[Prompt]:
    """Prompts of each tune, without a first line."""
    rows = [
        Row(name, "poems", at, "", word_prompt("", "", f"填一首《{name}》", "title"), "")
        for at, name in enumerate(tunes())
    ]
    verses = asked_verses("poetry", rows, rule)
    return [Prompt(prompt_messages("", row.prompt), 1, verses[row.id]) for row in rows]


def by_rule(**update: object) -> GenerateParams:
    sampling = {"max_new_tokens": 200, "temperature": 1.0, "top_p": 1.0, "top_k": 0}
    return settings(**{"sampling": sampling, **update})


def answers(folder: Path, params: GenerateParams, prompts: list[Prompt]) -> dict[str, Completion]:
    with TransformersEngine(params) as engine:
        return completions(engine, Model("base", folder), prompts, params.sampling)


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0])
def test_every_poem_keeps_what_is_asked_for(tiny_model: Path, temperature: float) -> None:
    prompts = asked(24)
    sampling = {"max_new_tokens": 160, "temperature": temperature, "repetition_penalty": 1.2}
    found = answers(tiny_model, settings(sampling=sampling), prompts)
    for prompt in prompts:
        assert prompt.verse and found[prompt.id].finish_reason == "stop"
        check(prompt.verse, found[prompt.id].text)


def test_every_poem_to_a_tune_keeps_it(tiny_model: Path) -> None:
    prompts = to_tunes()[::3]
    sampling = {"max_new_tokens": 440, "temperature": 1.0}
    found = answers(tiny_model, settings(sampling=sampling), prompts)
    for prompt in prompts:
        assert prompt.verse and found[prompt.id].finish_reason == "stop"
        check(prompt.verse, found[prompt.id].text)


def test_a_poem_by_rule_is_the_same_alone_and_in_any_batch(tiny_model: Path) -> None:
    prompts = asked(20)
    together = answers(tiny_model, by_rule(), prompts)
    few = by_rule(transformers={"batch_size": 7, "threads": 2})
    assert answers(tiny_model, few, prompts[::-1]) == together
    for prompt in prompts[::6]:
        assert answers(tiny_model, by_rule(), [prompt]) == {prompt.id: together[prompt.id]}


def test_prompts_without_rules_keep_their_texts_beside_poems_by_rule(tiny_model: Path) -> None:
    free, poems = asked(9, "free"), asked(9, "rhyme")
    alone = answers(tiny_model, by_rule(), free)
    assert set(alone).isdisjoint(each.id for each in poems)
    both = answers(tiny_model, by_rule(), [*free, *poems])
    assert {key: both[key] for key in alone} == alone


def test_what_is_impossible_is_told_before_any_text(tiny_model: Path) -> None:
    with pytest.raises(UserError, match=r"max_new_tokens is 20, and such a poem may need \d+"):
        answers(tiny_model, by_rule(sampling={"max_new_tokens": 20}), asked(2))


def test_rows_ask_for_their_reference_s_form_or_for_the_prompt_s(
    capsys: pytest.CaptureFixture[str],
) -> None:
    poem = Row(
        "a", "poems", 1, "", "写一首诗。", "白日依山尽，黄河入海流。\n一二三四五，六七八九十。"
    )
    named = Row("b", "test", 2, "", "以《春》为题，写一首七言律诗。", "")
    broken = Row("c", "test", 3, "", "以“东江东江东”为首句，写一首五言绝句。", "")
    found = asked_verses("poetry", [poem, named, broken], "full")
    forms = [(4, 5), (8, 7), (4, 5)]
    assert [each.pattern for each in found.values()] == [couplets(*form) for form in forms]
    assert [each.lenient for each in found.values()] == [False, False, True]
    assert "1 of 3 first lines break rules themselves" in capsys.readouterr().err
    assert asked_verses("novel", [make_row(1, "春")], "full") == {}
    assert asked_verses("poetry", [make_row(1, "春")], "free") == {}
    for prompt, told in (
        ("写一首关于春天的诗。", "test row 4 .* names no form and no known tune"),
        ("填一首《雪花飘》。", "names no form and no known tune"),
        ("以“白日依山”为首句，填一首《浣溪沙》。", "not of 7 Chinese characters"),
        ("以“白日依山”为首句，写一首五言绝句。", "test row 4 .*not of 5 Chinese characters"),
    ):
        with pytest.raises(UserError, match=told):
            asked_verses("poetry", [Row("d", "test", 4, "", prompt, "")], "form")


def test_a_text_carries_the_rule_that_it_was_decoded_by(tmp_path: Path) -> None:
    free = Generation("a", "p", "r", "t", "stop", 3)
    ruled = Generation("b", "p", "r", "t", "stop", 3, "rhyme")
    write_records(tmp_path / "texts.jsonl", [free, ruled])
    first, second = (tmp_path / "texts.jsonl").read_text().splitlines()
    assert "verse" not in first
    assert second.endswith('"verse": "rhyme"}')
    assert read_records(Generation, tmp_path / "texts.jsonl") == [free, ruled]


def test_an_endpoint_decodes_by_no_rule() -> None:
    with pytest.raises(ParamsError, match="needs engine transformers or vllm"):
        settings(engine="openai", verse="full")
    assert "verse" not in settings().text_settings()
    assert settings(verse="form").text_settings()["verse"] == "form"
