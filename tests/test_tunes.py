"""Tunes: their patterns and rhymes, what is judged and scored by them, and what is impossible."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench import tunes as bench_tunes
from typer.testing import CliRunner

from tests.test_verse_state import COMMON, LISTED, alphabet, written
from wenmo.core.records import Generation
from wenmo.scoring.copying import copied
from wenmo.scoring.poetry import exact_form, rhymed, tone_share, tones_kept
from wenmo.scoring.scorecard import Setting, score
from wenmo.text.alphabet import Alphabet
from wenmo.text.asked_verse import Verse, asked_pattern, asked_tune
from wenmo.text.certain_readings import named_rhyme
from wenmo.text.faults import Rule
from wenmo.text.patterns import EITHER, couplets, pattern_lines, tune_lines, tune_pattern, tunes
from wenmo.text.prosody import analyse
from wenmo.text.readings import line_readings, own_sounds, readings
from wenmo.text.tune_rhymes import TUNE_GROUPS, tune_rhyme
from wenmo.text.verse_state import VerseMachine
from wenmo.tools import cli
from wenmo.tools.writing.wording import task_prompt

COMMONEST = (
    "浣溪沙 鹧鸪天 菩萨蛮 水调歌头 念奴娇 临江仙 减字木兰花 西江月 蝶恋花 满江红 清平乐 点绛唇"
    " 沁园春"
)
WORDS = Alphabet(frozenset(COMMON))


def poem(tune: str, seed: int = 1, **asked: object) -> str:
    """A poem that keeps all rules of a tune."""
    return written(VerseMachine(Verse("full", tunes()[tune], **asked), WORDS), seed)  # type: ignore[arg-type]


def rules(text: str, tune: str) -> set[Rule]:
    return {fault.rule for fault in analyse(tune_lines(text), tunes()[tune]).faults}


def test_the_commonest_tunes_are_known_by_all_their_names() -> None:
    assert set(COMMONEST.split()) <= tunes().keys()
    assert tune_pattern("酹江月・念奴娇") == tune_pattern("念奴嬌") == tunes()["念奴娇"]
    assert tune_pattern("雪花飘") == tune_pattern("") == ""


@pytest.mark.parametrize("name", tunes())
def test_a_pattern_can_be_read(name: str) -> None:
    lines = pattern_lines(tunes()[name])
    assert [line.ends_row for line in lines].count(True) == 1
    feet = [line for line in lines if line.rhyme]
    assert all(line.tones[-1] != EITHER for line in feet)
    letters = [line.rhyme for line in feet]
    assert all(letters.count(letter) > 1 for letter in letters)
    assert sorted(set(letters)) == list(dict.fromkeys(letters))


@pytest.mark.parametrize(
    ("name", "feet"),
    [
        ("浣溪沙", "a平 a平 a平 a平 a平"),
        ("菩萨蛮", "a仄 a仄 b平 b平 c仄 c仄 d平 d平"),
        ("减字木兰花", "a仄 a仄 b平 b平 c仄 c仄 d平 d平"),
        ("清平乐", "a仄 a仄 a仄 a仄 b平 b平 b平"),
        ("西江月", "a平 a平 a仄 a平 a平 a仄"),
        ("蝶恋花", "a仄 a仄 a仄 a仄 a仄 a仄 a仄 a仄"),
    ],
)
def test_rhymes_change_as_the_books_of_tunes_say(name: str, feet: str) -> None:
    found = [f"{line.rhyme}{line.tones[-1]}" for line in pattern_lines(tunes()[name]) if line.rhyme]
    assert " ".join(found) == feet


@pytest.mark.parametrize(
    ("together", "apart"),
    [
        ("東冬", "東江"),
        ("支微", "支開"),
        ("回時", "回開"),
        ("元山", "元魂"),
        ("魂真", "真庚"),
        ("佳麻", "街麻"),
        ("會對", "外帶"),
        ("庚蒸", "蒸侵"),
        ("月雪", "月百"),
        ("屋燭", "屋覺"),
    ],
)
def test_tunes_have_wider_rhymes_of_their_own(together: str, apart: str) -> None:
    one, other = (readings(each, tune_rhyme) for each in together)
    assert one & other
    one, other = (readings(each, tune_rhyme) for each in apart)
    assert one
    assert other
    assert not one & other


def test_all_sounds_of_the_book_are_in_a_rhyme_of_tunes() -> None:
    import tshet_uinh

    sounds = {each for c in tshet_uinh.資料.m字頭檢索 for each in own_sounds(c)}
    assert {tune_rhyme(*each)[0] for each in sounds} == set(TUNE_GROUPS)


@pytest.mark.parametrize("name", [*COMMONEST.split(), "虞美人", "贺新郎"])
def test_what_breaks_a_tune_is_told(name: str) -> None:
    text, pattern = poem(name), tunes()[name]
    assert rules(text, name) <= {Rule.REPEATED_LINE}
    assert exact_form(text, "", pattern)
    assert rhymed(text, pattern)
    assert tones_kept(text, pattern)
    assert tone_share(text, pattern) == 1
    lines = tune_lines(text)
    feet = [at for at, line in enumerate(pattern_lines(pattern)) if line.rhyme]
    last, before = feet[-1], feet[-2]

    def changed(at: int, foot: str) -> str:
        return "，".join([*lines[:at], lines[at][:-1] + foot, *lines[at + 1 :]])

    assert Rule.TUNE_LINES in rules("，".join(lines[:-1]), name)
    assert not exact_form(text.replace("\n", ""), "", pattern)
    assert Rule.TUNE_LINES in rules(text[1:], name)
    assert tone_share(text[1:], pattern) == 0
    repeated = changed(last, lines[before][-1])
    assert rules(repeated, name) & {Rule.REPEATED_FOOT, Rule.TUNE_TONE}
    assert not rhymed(repeated, pattern)
    wrong = "月" if pattern_lines(pattern)[last].tones[-1] == "平" else "天"
    fault = analyse(tune_lines(changed(last, wrong)), pattern).faults[-1]
    assert (fault.rule, fault.line, fault.character) == (
        Rule.TUNE_TONE,
        last + 1,
        len(lines[last]),
    )
    assert not tones_kept(changed(last, wrong), pattern)
    alien = "嘘" if pattern_lines(pattern)[last].tones[-1] == "平" else "鸭"
    assert not rhymed(changed(last, alien), pattern)


def test_a_caesura_ends_no_line_of_a_tune() -> None:
    text = poem("满江红")
    line = tune_lines(text)[1]
    assert exact_form(text.replace(line, f"{line[:3]}、{line[3:]}"), "", tunes()["满江红"])


def test_a_prompt_names_a_tune() -> None:
    wanted = tunes()["浣溪沙"]
    for prompt in ("以“雪”为首句，填一首《浣溪沙》。", "写一首浣溪沙，写雪。", "填一阕《浣溪沙》"):
        assert asked_tune(prompt) == asked_pattern(prompt, "一，一。") == wanted
    assert asked_tune("以《浣溪沙》为题，写一首五言绝句。") == ""
    assert asked_pattern("填一首《雪花飘》。") is None
    assert asked_pattern("填一首《雪花飘》。", "一一一一一，一一一一一。" * 2) == couplets(4, 5)
    assert task_prompt("poetry", "雪", "浣溪沙", "first_line") == "以《雪》为题，填一首《浣溪沙》。"
    first = "枯柳系舟东风里"
    assert task_prompt("poetry", first, "浣溪沙", "first_line").startswith(f"以“{first}”为首句，填")
    assert task_prompt("poetry", first, "点绛唇", "first_line").startswith(f"以《{first}》为题，填")


def test_scores_of_a_tune_are_by_its_pattern() -> None:
    good, prompt = poem("菩萨蛮"), "填一首《菩萨蛮》。"
    rows = [Generation(str(at), prompt, good, text, "stop", 1) for at, text in enumerate(
        (good, good.replace("\n", ""), poem("浣溪沙"))
    )]  # fmt: skip
    setting = Setting("poetry", 20, frozenset(), 0)
    found = score(rows, copied([each.text for each in rows], ["无"]), setting).by_row
    assert found["form"] == [1, 0, 0]
    assert found["rhyme"] == found["tones"] == [1, 1, 0]
    assert found["tone_share"] == [1, 1, 0]


def test_a_rhyme_of_a_tune_can_be_given() -> None:
    for name in ("第三部", "第三部平声", "支", "上平四支"):
        lines = tune_lines(poem("浣溪沙", rhyme=named_rhyme(name, of_tune=True)))
        ends = [line_readings(lines[at], tune_rhyme)[-1] for at in (0, 1, 2, 4, 5)]
        assert all(("第三部", "平") in end for end in ends)
    # 菩萨蛮 begins oblique: its first level rhyme is the second one.
    lines = tune_lines(poem("菩萨蛮", rhyme=named_rhyme("东", of_tune=True)))
    assert all(("第一部", "平") in line_readings(lines[at], tune_rhyme)[-1] for at in (2, 3))
    assert named_rhyme("第十五部", of_tune=True) == ("第十五部", "")


@pytest.mark.parametrize(
    ("verse", "told"),
    [
        (Verse("full", tunes()["浣溪沙"], "白日依山尽"), "not of 7 Chinese characters"),
        (Verse("full", tunes()["浣溪沙"], "白日依山山入云"), "breaks the rules"),
        (Verse("rhyme", tunes()["浣溪沙"], "白日依山尽入月"), "breaks the rules"),
        (Verse("rhyme", tunes()["蝶恋花"], rhyme=("第一部", "平")), "no rhyme such as 第一部平聲"),
        (Verse("rhyme", tunes()["浣溪沙"], "白日依山入海红", ("第二部", "平")), "another rhyme"),
        (Verse("full", tunes()["沁园春"], rhyme=("第九部", "平")), "fewer than"),
    ],
)
def test_what_no_tune_can_have_is_told_beforehand(verse: Verse, told: str) -> None:
    words = alphabet(300, 1) if told == "fewer than" else WORDS
    assert told in VerseMachine(verse, words).fault()
    if told == "breaks the rules":
        lenient = VerseMachine(replace(verse, lenient=True), words)
        assert not lenient.fault()
        assert exact_form(written(lenient, 3), "", verse.pattern)


def test_a_first_line_that_repeats_itself_leaves_fewer_repetitions_to_the_rest() -> None:
    # Eight lines rhyme, and eight of 44 characters may be repeated.
    verse = Verse("rhyme", tunes()["菩萨蛮"], "山山水水人人月")
    assert not verse.breaks_rules()
    machine = VerseMachine(verse, Alphabet(frozenset(LISTED)))
    assert not machine.fault()
    for seed in range(5):
        assert rhymed(written(machine, seed), verse.pattern)
    assert "fewer than 44 words" in VerseMachine(verse, alphabet(300, 1)).fault()


def test_a_first_line_that_rhymes_sets_the_rhyme() -> None:
    first = "白日依山入海红"
    verse = Verse("rhyme", tunes()["浣溪沙"], first)
    for seed in range(5):
        text = written(VerseMachine(verse, WORDS), seed)
        assert text.startswith(first)
        assert rhymed(text, verse.pattern)
        assert ("第一部", "平") in line_readings(tune_lines(text)[-1], tune_rhyme)[-1]


def test_prosody_judges_by_a_tune() -> None:
    text = poem("西江月")
    runner = CliRunner()
    good = runner.invoke(cli.app, ["prosody", text, "--tune", "西江月"])
    assert good.output.startswith("西江月: 8 lines")
    assert good.exit_code == (1 if rules(text, "西江月") else 0)
    bad = runner.invoke(cli.app, ["prosody", text[1:], "--tune", "西江月"])
    assert "line 1: it has 5 characters where the tune has 6" in bad.output
    assert bad.exit_code == 1
    assert runner.invoke(cli.app, ["prosody", text, "--tune", "雪花飘"]).exit_code == 2


def test_a_pattern_is_induced_from_poems_that_keep_it(tmp_path: Path) -> None:
    name = "清平乐"
    poems = [poem(name, seed) for seed in range(30)]
    (tmp_path / "宋词").mkdir()
    rows = [{"rhythmic": name, "paragraphs": each.split("\n")} for each in [*poems, "雪，落。"]]
    (tmp_path / "宋词/ci.song.0.json").write_text(json.dumps(rows), encoding="utf-8")
    texts = bench_tunes.poems_by_tune(tmp_path)[name]
    found = bench_tunes.induced(texts, bench_tunes.FIRST_STANZA[name])
    wanted, lines = pattern_lines(tunes()[name]), pattern_lines(found)
    assert [(line.tones, line.rhyme) for line in lines] == [(o.tones, o.rhyme) for o in wanted]
    assert [line.ends_row for line in lines] == [line.ends_row for line in wanted]
    row = bench_tunes.row(name, texts)
    assert row[3:6] == ["100.0%", "100.0%", "100.0%"]
