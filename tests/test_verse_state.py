"""Verse by rule: whatever the state machine lets through passes the judge, and can be finished."""

import random
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from wenmo.core.errors import UserError
from wenmo.scoring.poetry import exact_form, first_line_kept, rhymed, tones_kept
from wenmo.text.alphabet import Alphabet
from wenmo.text.asked_verse import Verse, asked_first_line, asked_form
from wenmo.text.certain_readings import CHARACTERS, certain_readings, certain_tones, named_rhyme
from wenmo.text.faults import Rule
from wenmo.text.patterns import couplets, tunes
from wenmo.text.prosody import analyse
from wenmo.text.readings import line_readings, tones
from wenmo.text.verse import verse_lines
from wenmo.text.verse_state import VerseMachine

FORMS = [couplets(*each) for each in ((4, 5), (4, 7), (8, 5), (8, 7), (12, 5), (4, 6), (2, 7))]
PATTERNS = [*FORMS, *tunes().values()]
LISTED = [each for each in CHARACTERS if certain_readings(each)]
SAMPLE = (ROOT / "data/sample/poetry/poems.csv").read_text(encoding="utf-8")
COMMON = sorted({each for each in SAMPLE if each in CHARACTERS})
FEW = "".join(COMMON[::5])
FIRST_LINES = sorted(
    {line for line in verse_lines(SAMPLE) if len(line) in (5, 7) and set(line) <= set(COMMON)}
)[::3]
VERSES = st.builds(
    Verse, st.sampled_from(["form", "rhyme", "full"]), st.sampled_from([*FORMS * 3, *PATTERNS])
)


@cache
def alphabet(size: int, seed: int) -> Alphabet:
    """Characters of which few rhyme, and some without a reading; common ones stand in phrases."""
    known = random.Random(seed).sample(COMMON if seed % 2 else LISTED, size)
    return Alphabet(frozenset(known) | frozenset(CHARACTERS[::997]))


def written(machine: VerseMachine, seed: int) -> str:
    """A poem by a writer who takes any character that is allowed, and finds no dead end."""
    choose, state, text = random.Random(seed), machine.start, ""
    candidates = [*sorted(machine.alphabet.characters), *"，；。？！\n 、x"]
    while not machine.is_finished(state):
        left = machine.left(state)
        choose.shuffle(candidates)
        # A writer who repeats what is there as long as it is allowed.
        candidates.sort(key=lambda each: each not in state.seen)
        tried = machine.verse.first_line[state.place] if machine.is_given(state) else candidates
        steps = ((each, machine.step(state, each)) for each in tried)
        character, after = next((pair for pair in steps if pair[1]), ("", None))
        assert after is not None, f"a dead end after {text!r}"
        assert all(machine.may_begin(state, character.encode()[:cut]) for cut in (1, 2))
        text, state = text + character, after
        assert machine.left(state) == left - 1
    return text


def check(verse: Verse, text: str) -> None:
    """The judge's verdict on a poem that was asked for."""
    tune = verse.pattern if verse.is_tune else ""
    assert exact_form(text, "，".join("一" * line.length for line in verse.lines), tune)
    assert text.startswith(verse.first_line)
    if verse.feet and not verse.lenient:
        assert rhymed(text, tune)
    if verse.has_tones and not verse.lenient:
        assert tones_kept(text, tune)
        broken = {fault.rule for fault in analyse(verse_lines(text), tune).faults}
        assert broken <= {Rule.REPEATED_LINE}


@settings(max_examples=150, deadline=None)
@given(verse=VERSES, size=st.sampled_from([150, 300, 900]), seed=st.integers(0, 10**6))
# A character of uncertain tone stands where the pattern wants an oblique one.
@example(verse=Verse("full", couplets(8, 7)), size=900, seed=43)
def test_what_is_let_through_to_its_end_passes_the_judge(
    verse: Verse, size: int, seed: int
) -> None:
    machine = VerseMachine(verse, alphabet(size, seed % 8))
    if not machine.fault():
        check(verse, written(machine, seed))


@settings(max_examples=60, deadline=None)
@given(
    rule=st.sampled_from(["form", "rhyme", "full"]),
    first=st.sampled_from(FIRST_LINES),
    lines=st.sampled_from([4, 8]),
    lenient=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_a_given_first_line_is_kept(
    rule: str, first: str, lines: int, lenient: bool, seed: int
) -> None:
    verse = Verse(rule, couplets(lines, len(first)), first, lenient=lenient)
    machine = VerseMachine(verse, alphabet(900, 1))
    if not machine.fault():
        text = written(machine, seed)
        check(verse, text)
        assert first_line_kept(f"以“{first}”为首句，写一首诗。", text)
        assert "first line" not in machine.fault()


@settings(max_examples=20, deadline=None)
@given(verse=VERSES, cut=st.integers(0, 100), seed=st.integers(0, 10**6))
def test_a_text_that_the_judge_would_refuse_is_stopped_before_its_end(
    verse: Verse, cut: int, seed: int
) -> None:
    machine = VerseMachine(verse, alphabet(900, 1))
    text = written(machine, seed)
    cut %= len(text) - 1
    for mangled in (
        text[:-1],
        text + "山",
        text[:cut] + text[cut + 1 :],
        text[:cut] + "、" + text[cut:],
        text.replace("。", "，").replace("？", "，").replace("！", "，").replace("；", "，"),
    ):
        after = machine.text(machine.start, mangled)
        assert after is None or not machine.is_finished(after)


def test_a_rhyme_can_be_given() -> None:
    words = Alphabet(frozenset(COMMON))
    for name in ("东", "東", "一东", "上平一東"):
        assert named_rhyme(name) == ("東", "平")
    machine = VerseMachine(Verse("full", couplets(8, 7), rhyme=named_rhyme("先")), words)
    for seed in range(10):
        feet = [line_readings(line)[-1] for line in verse_lines(written(machine, seed))[1::2]]
        assert all(("先仙", "平") in foot for foot in feet)
    for wrong in ("", "山", "平", "东东"):
        with pytest.raises(UserError, match="allowed are"):
            named_rhyme(wrong)


@pytest.mark.parametrize(
    ("verse", "words", "fault"),
    [
        (Verse("form", couplets(4, 5), "白日依山尽黄"), COMMON, "not of 5 Chinese characters"),
        (Verse("form", couplets(4, 5), "白日x山尽"), COMMON, "not of 5 Chinese characters"),
        (Verse("full", couplets(4, 5), "东江东江东"), COMMON, "breaks the rules"),
        (Verse("full", couplets(4, 5), rhyme=("東", "入")), COMMON, "is oblique"),
        (Verse("full", couplets(8, 5), rhyme=("江", "平")), FEW, "fewer than 4 words in 上平三江"),
        (Verse("rhyme", couplets(4, 5)), "东水", "too few Chinese characters"),
        (Verse("form", couplets(4, 5)), "水日", "too few Chinese characters"),
        (Verse("form", couplets(0, 5)), COMMON, "a poem has lines"),
    ],
)
def test_what_is_impossible_is_told_beforehand(verse: Verse, words: str, fault: str) -> None:
    assert fault in VerseMachine(verse, Alphabet(frozenset(words))).fault()


@settings(deadline=None)
@given(st.text("".join(COMMON) + "".join(LISTED[::50]), min_size=1, max_size=12))
def test_a_character_has_its_certain_readings_in_any_line(line: str) -> None:
    for character, found in zip(line, line_readings(line), strict=True):
        assert certain_readings(character) <= found
        assert certain_tones(character) <= tones(found)


@pytest.mark.parametrize(
    ("phrase", "character"),
    [
        ("头发", "发"),
        ("发财", "发"),
        ("复活苏醒", "苏"),
        ("合作伙伴", "伙"),
        ("皇后", "后"),
    ],
)
def test_a_character_of_several_words_has_what_they_share(phrase: str, character: str) -> None:
    found = line_readings(phrase)[phrase.index(character)]
    assert certain_readings(character) <= found
    assert certain_tones(character) <= tones(found)


def test_a_prompt_names_form_and_first_line() -> None:
    assert asked_form("以“白日依山尽”为首句，写一首五言绝句。") == (4, 5)
    assert asked_form("以《春》为题，写一首七言律诗。") == (8, 7)
    assert asked_form("以“白日依山尽”为首句，写一首五言诗，共12句。") == (12, 5)
    assert asked_form("以“六言句子在此”为首句，写一首六言诗，共4句。") == (4, 6)
    assert asked_form("写一首五言绝句。", "白日依山尽，黄河入海流。") == (2, 5)
    assert asked_form("写一首关于春天的诗。") is None
    assert asked_first_line("以“白日依山尽”为首句，写一首五言绝句。") == "白日依山尽"
    assert asked_first_line("以《春》为题，写一首七言律诗。") is None
