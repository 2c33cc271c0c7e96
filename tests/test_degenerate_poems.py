"""A gallery of degenerate poems: no trick scores above the human poems that it is made from."""

import csv
from collections.abc import Callable, Sequence
from random import Random
from statistics import fmean

import pytest

from tests.conftest import ROOT
from tests.test_tunes import poem as tune_poem
from wenmo.config.train import TrainParams
from wenmo.core.records import Generation
from wenmo.scoring.copying import copied
from wenmo.scoring.evaluation import HEADLINE
from wenmo.scoring.rewards import rewards_of
from wenmo.scoring.scorecard import Setting, score
from wenmo.tasks.poetry import form_name, word_prompt
from wenmo.text.faults import LEAST_DIFFERENT, Rule
from wenmo.text.patterns import tune_lines
from wenmo.text.prosody import analyse
from wenmo.text.verse import form, verse_lines
from wenmo.tools.prosody import prosody_page

Lines = list[str]

with (ROOT / "data/sample/poetry/poems.csv").open(encoding="utf-8", newline="") as file:
    POEMS = [verse_lines(row["content"]) for row in csv.DictReader(file)]
HUMAN = [poem for poem in POEMS if form(poem) in ((4, 5), (4, 7), (8, 5), (8, 7))]


def lines_of(poem: Lines) -> Lines:
    """All lines of human poems of the same length, in an order of their own."""
    lines = [line for each in HUMAN for line in each if len(line) == len(poem[0])]
    Random("".join(poem)).shuffle(lines)
    return lines


GALLERY: dict[str, Callable[[Lines], Lines]] = {
    "one character repeated": lambda poem: ["摇" * len(line) for line in poem],
    "one character of either tone repeated": lambda poem: ["中" * len(line) for line in poem],
    "one couplet twice": lambda poem: poem[:2] * (len(poem) // 2),
    "one line repeated": lambda poem: poem[:1] * len(poem),
    "rhyme words alone": lambda poem: [
        ("".join(each[-1] for each in poem[1::2]) * 7)[at : at + len(line)]
        for at, line in enumerate(poem)
    ],
    "rhyme words after one character": lambda poem: [
        "摇" * (len(line) - 1) + line[-1] for line in poem
    ],
    "first line, then one character": lambda poem: [
        poem[0],
        *("摇" * (len(line) - 1) + line[-1] for line in poem[1:]),
    ],
    "shuffled lines": lambda poem: lines_of(poem)[: len(poem)],
    "nothing": lambda poem: [],
}


def text(lines: Lines) -> str:
    couplets = zip(lines[::2], lines[1::2], strict=True)
    return "\n".join(f"{one}，{two}。" for one, two in couplets)


def written(trick: Callable[[Lines], Lines]) -> list[Generation]:
    """What a trick makes of each human poem, with the poem's own prompt."""
    return [
        Generation(
            str(at),
            word_prompt(poem[0], "", f"写一首{form_name(poem)}", "first_line"),
            text(poem),
            text(trick(poem)),
            "stop",
            1,
        )
        for at, poem in enumerate(HUMAN)
    ]


def scores(
    trick: Callable[[Lines], Lines], learnt: frozenset[str] = frozenset()
) -> dict[str, float]:
    """The scores of what a trick makes of each human poem."""
    setting = Setting("poetry", 20, learnt, 0)
    generations = written(trick)
    copies = copied([each.text for each in generations], ["无"])
    return score(generations, copies, setting).scores


PRIMARY = [name for name in HEADLINE if name != "loss_per_character"]
OF_HUMANS = scores(lambda poem: poem)


@pytest.mark.parametrize("name", GALLERY)
def test_no_trick_scores_above_human_poems(name: str) -> None:
    found = scores(GALLERY[name])
    for primary in PRIMARY:
        assert found[primary] <= OF_HUMANS[primary], primary
    told = min(found[primary] / OF_HUMANS[primary] for primary in PRIMARY)
    assert told < 0.5, "no primary score tells this trick from a poem"


def sung(trick: Callable[[Lines], Lines]) -> dict[str, float]:
    """The scores of what a trick makes of poems that keep their tunes."""
    rows = []
    for name in ("浣溪沙", "菩萨蛮", "西江月", "满江红"):
        song = tune_poem(name)
        stanza = sum(song.partition("\n")[0].count(mark) for mark in "，；。？！")
        lines = trick(tune_lines(song))
        rows_of_text = (lines[:stanza], lines[stanza:])
        tricked = "\n".join("，".join(each) + "。" for each in rows_of_text if each)
        prompt = word_prompt(tune_lines(song)[0], "", f"填一首《{name}》", "first_line")
        rows.append(Generation(name, prompt, song, tricked, "stop", 1))
    copies = copied([each.text for each in rows], ["无"])
    return score(rows, copies, Setting("poetry", 20, frozenset(), 0)).scores


@pytest.mark.parametrize("name", GALLERY)
def test_no_trick_scores_above_poems_that_keep_their_tune(name: str) -> None:
    found, good = sung(GALLERY[name]), sung(lambda poem: poem)
    assert [good[each] for each in ("form", "rhyme", "tones", "first_line")] == [1] * 4
    assert min(found[each] for each in ("form", "rhyme", "tones", "first_line")) < 0.5


def mean_reward(trick: Callable[[Lines], Lines], training: Sequence[str] = ()) -> float:
    """The mean of what training by rewards would give for a trick, by default weights."""
    weights = TrainParams.load("train", "poetry", ROOT / "params.yaml").grpo.rewards
    return fmean(map(rewards_of("poetry", training, weights).total, written(trick)))


@pytest.mark.parametrize("name", GALLERY)
def test_no_trick_is_rewarded_as_human_poems_are(name: str) -> None:
    assert mean_reward(GALLERY[name]) < 0.9 * mean_reward(lambda poem: poem)


def test_what_is_copied_is_rewarded_less_than_what_is_not() -> None:
    # A copied poem loses copied_lines alone: one of the thirteen parts of the weight.
    training = [text(poem) for poem in HUMAN]
    assert mean_reward(lambda poem: poem, training) < 0.95 * mean_reward(lambda poem: poem)


def test_what_is_copied_scores_as_the_human_poem_and_is_told_by_its_lines() -> None:
    lines = frozenset(line for poem in HUMAN for line in poem)
    found = scores(lambda poem: poem, lines)
    assert all(found[primary] == OF_HUMANS[primary] for primary in PRIMARY)
    assert (OF_HUMANS["copied_lines"], found["copied_lines"]) == (0, 1)


def test_characters_that_stand_in_a_poem_too_often_are_a_fault() -> None:
    swaying = ["祖摇摇摇摇", "扑摇摇摇东", "今摇摇摇摇", "唯摇摇摇红"]
    faults = [each for each in analyse(swaying).faults if each.rule is Rule.REPEATED_CHARACTERS]
    assert [(each.line, each.character, each.found) for each in faults] == [(0, 0, "摇")]
    assert "too many characters stand in it more than once: 摇" in prosody_page(analyse(swaying))
    common = [
        Rule.REPEATED_CHARACTERS in {each.rule for each in analyse(poem).faults} for poem in HUMAN
    ]
    assert sum(common) / len(common) < 0.05
    assert OF_HUMANS["different_characters"] > 0.9 > LEAST_DIFFERENT
