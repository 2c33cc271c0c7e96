"""Readings, the rules of regulated verse, and what `wenmo prosody` says about a poem."""

import csv
import random
from contextlib import suppress
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.conftest import ROOT
from wenmo.core.language import in_language
from wenmo.scoring.poetry import first_line_kept, repeated_lines, tone_share, tones_kept
from wenmo.tasks.poetry import word_prompt
from wenmo.text.certain_readings import named_rhyme
from wenmo.text.faults import TONE_RULES, Licence, Rule
from wenmo.text.prosody import analyse, recent_style, rhymes
from wenmo.text.readings import RHYME_GROUPS, line_readings, readings, rhyme_name, shown, tones
from wenmo.text.tune_rhymes import tune_rhyme_name
from wenmo.text.verse import form, verse_lines
from wenmo.tools import cli
from wenmo.tools.prosody import prosody_page

POEMS = [
    verse_lines(row["content"])
    for row in csv.DictReader((ROOT / "data/sample/poetry/poems.csv").open(encoding="utf-8"))
]

# Ten poems, each with its fault as (rule, line, character, expected, found) and the last line of
# `wenmo prosody`.
TEN = [
    (
        "古渡秋深暮色寒，渔翁收网上沙滩。归来不问鱼多少，一盏孤灯对竹竿。",
        None,
        "no faults",
    ),
    (
        "雨歇苔痕綠，鐘來竹院深。\n山僧煎早茗，一鳥落松陰。",
        None,
        "no faults",
    ),
    (
        "江头柳色青如染，溪边杏子渐垂黄。村姑采得盈筐去，笑指斜阳过短墙。",
        (Rule.OPPOSITION, 2, 2, "仄平仄", "平仄平"),
        "line 2, character 2: characters 2, 4 and 6 are 平仄平; the second line of a couplet is"
        " opposite to the first and wants 仄平仄 (失對)",
    ),
    (
        "春深小院无人到，一树梨云半落花。邻翁借得新醅酒，醉倚柴门数晚鸦。",
        (Rule.ADHESION, 3, 2, "仄平仄", "平仄平"),
        "line 3, character 2: characters 2, 4 and 6 are 平仄平; a couplet opens like the line"
        " before it and wants 仄平仄 (失粘)",
    ),
    (
        "西风吹落叶 一夜满谷秋 独客知寒早 灯前补旧裘",
        (Rule.ALTERNATION, 2, 4, "平", "仄"),
        "line 2, character 4: 谷 is oblique (仄), but characters 2 and 4 alternate in tone and"
        " want 平 here",
    ),
    (
        "雪後寒梅只一枝，清香暗度小窗時。夜深讀罷開簾看，月在疏籬人不寐。",
        (Rule.LEVEL_FOOT, 4, 7, "平", "仄"),
        "line 4, character 7: 寐 is oblique (仄), but even lines end on a level rhyme word (平)",
    ),
    (
        "孤帆随雁去，两岸荻花残。不见来时路，斜阳下远山。",  # 寒 and 刪 rhyme in Mandarin only
        (Rule.RHYME, 4, 5, "上平十四寒", "上平十五刪"),
        "line 4, character 5: 山 (上平十五刪) does not rhyme with 上平十四寒",
    ),
    (
        "东风昨夜到江津，岸柳汀兰一样新。欲折长条何处投，渡头尽是送行人。",
        (Rule.OBLIQUE_END, 3, 7, "仄", "平"),
        "line 3, character 7: 投 is level (平), but odd lines after the first end oblique (仄)",
    ),
    (
        "竹里一灯明，书声杂雨声。推窗夜色正深，萤火过空城。",
        (Rule.FORM, 3, 0, "5", "6"),
        "line 3: it has 6 characters where most lines have 5",
    ),
    (
        "沙鸥飞入蓼花红，一叶扁舟立钓翁。日暮收竿歌缓缓，沙鸥飞入蓼花红。",
        (Rule.REPEATED_LINE, 4, 0, "", "1"),
        "line 4: it repeats line 1",
    ),
]
CLEAN = TEN[0][0]
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


def regulated_poems(alphabet: str) -> st.SearchStrategy[list[str]]:
    def lines(count: int, length: int) -> st.SearchStrategy[list[str]]:
        return st.lists(st.text(alphabet, min_size=length, max_size=length), min_size=count,
                        max_size=count)  # fmt: skip

    return st.one_of(lines(4, 5), lines(4, 7), lines(8, 5), lines(8, 7))


def rules_broken(poem: str) -> set[Rule]:
    return {fault.rule for fault in analyse(verse_lines(poem)).faults}


def test_a_character_has_all_its_readings() -> None:
    assert readings("東") == {("東", "平")}
    assert readings("中") == {("東", "平"), ("東", "去")}
    assert readings("間") == readings("閒")
    assert readings("x") == frozenset()
    assert tones(readings("東")) == {"平"}
    assert tones(readings("月")) == {"仄"}
    assert tones(readings("中")) == tones(readings("x")) == {"平", "仄"}


def test_the_206_rhymes_fold_into_the_106_of_the_books() -> None:
    import tshet_uinh

    every = {reading for c in tshet_uinh.資料.m字頭檢索 for reading in readings(c)}
    names = {rhyme_name(reading) for reading in every}
    assert len(every) == len(names) == 106
    assert {group for group, _ in every} == set(RHYME_GROUPS)
    for name in ("上平一東", "上平十五刪", "下平一先", "下平十五咸", "上聲二十九豏", "去聲三十陷",
                 "入聲十七洽"):  # fmt: skip
        assert name in names


@pytest.mark.parametrize(
    ("character", "name"),
    [("天", "下平一先"), ("风", "上平一東"), ("涯", "下平六麻"), ("月", "入聲六月"),
     ("拯", "上聲二十四迥"), ("享", "上聲二十二養")],
)  # fmt: skip
def test_a_rhyme_is_called_as_in_the_books(character: str, name: str) -> None:
    assert name in map(rhyme_name, line_readings(character)[0])


def test_a_rhymes_name_is_shown_and_read_in_simplified_characters_too() -> None:
    poem = ["白云生远东", "万里起秋风", "日落江山远", "孤舟夕照寒"]
    assert "(上平十四寒) does not rhyme with 上平一東" in prosody_page(analyse(poem))
    with in_language("zh"):
        page = prosody_page(analyse(poem))
        assert "第 2 句韵脚 风：上平一东" in page and "東" not in page
        assert shown(tune_rhyme_name("第七部", "平")) == "第七部平声"
        for reading in product(RHYME_GROUPS, "平上去入"):
            with suppress(KeyError):
                assert named_rhyme(shown(rhyme_name(reading))) == reading
                assert named_rhyme(rhyme_name(reading)) == reading


@pytest.mark.parametrize(
    ("ends", "rhyming"),
    [
        ("风中", True),  # 東
        ("支之", True),  # 支脂之 are one group
        ("东江", False),  # 東 and 江 rhyme in Mandarin's ear only
        ("山寒", False),  # 刪山 and 寒桓 are two groups
        ("间山", True),  # 间 is looked up as 閒
        ("白石", True),  # an entering tone rhymes with its like; both were -k
        ("天x", False),
    ],
)
def test_rhyme_is_that_of_the_rhyme_books(ends: str, rhyming: bool) -> None:
    assert rhymes(["甲", ends[0], "乙", ends[1]]) is rhyming


# Shapes of old prints that the 廣韻 lacks, each with a word that it rhymes with.
OLD_SHAPES = (
    "顔山 鈎楼 鶑城 鎸泉 馿书 鳬湖 簑歌 髙劳 腮来 窩歌 撾花 寛残 賖花 羮城 踈书 爺家 婷星 圞残 "
    "奩帘 濵人 囘来 膓香 緡人 樗书 囬梅 頽雷 欞星"
)
LATER_READINGS = (
    "攢寒 厭檐 麽歌 歎寒 拚寒 澌时 拖歌 鐙灯 譍灯 饑时 佳花 舡天 胖寒 慷香 蜚飞 嬈桥 凹交 圈天 "
    "稍交 搴天 啞花 攏东 杆寒"
)


@pytest.mark.parametrize("pair", OLD_SHAPES.split())
def test_a_shape_that_the_book_lacks_has_the_readings_of_its_variants(pair: str) -> None:
    assert rhymes(["甲", pair[0], "乙", pair[1]])
    assert not rhymes(["甲", pair[0], "乙", "白"])


@pytest.mark.parametrize("pair", LATER_READINGS.split())
def test_a_level_reading_of_later_books_rhymes(pair: str) -> None:
    assert rhymes(["甲", pair[0], "乙", pair[1]])


@pytest.mark.parametrize("character", "凈崦阿探瀼椹懦莉恍咬殷跳耙簌桁遲")
def test_an_oblique_reading_of_later_books_ends_an_odd_line(character: str) -> None:
    assert "仄" in tones(line_readings(character)[0])


@pytest.mark.parametrize("character", "晾□x囗")
def test_what_no_book_has_stays_unknown(character: str) -> None:
    assert not rhymes(["甲", character, "乙", "香"])


@pytest.mark.parametrize("character", "钟发坛尽历")
def test_a_simplified_character_does_not_rhyme_as_all_words_of_its_shape(character: str) -> None:
    (converted,) = line_readings(character)
    assert len({group for group, _ in converted}) == 1


def test_regulated_verse_rhymes_in_level_tones() -> None:
    assert recent_style(verse_lines(CLEAN))
    assert not recent_style(verse_lines(CLEAN.replace("竹竿", "竹影")))
    assert not recent_style(verse_lines(CLEAN[:16]))


def test_one_rhyming_line_is_no_rhyme() -> None:
    assert not rhymes(["雪落千山静", "风来一叶轻"])
    # A word does not rhyme with itself.
    assert not rhymes(["雪落千山静", "风来一叶轻", "灯前人不语", "窗外月痕轻"])
    assert not rhymes([])


def test_form_is_lines_and_characters() -> None:
    assert form(verse_lines("雪落千山静，风来一叶轻。\n灯前翻旧信，窗外过车声。")) == (4, 5)
    assert form(verse_lines("雪落，风来一叶轻。")) is None
    assert form([]) is None


@pytest.mark.parametrize(("poem", "fault", "said"), TEN, ids=lambda value: str(value)[:9])
def test_each_of_ten_poems_has_its_fault_and_no_other(
    poem: str, fault: tuple[Rule, int, int, str, str] | None, said: str
) -> None:
    found = analyse(verse_lines(poem)).faults
    told = [(each.rule, each.line, each.character, each.expected, each.found) for each in found]
    assert told == ([fault] if fault else [])
    run = CliRunner().invoke(cli.app, ["prosody", poem])
    assert run.exit_code == (1 if fault else 0)
    assert run.stdout.endswith(f"{'1 fault:' + chr(10) if fault else ''}{said}\n")
    assert tones_kept(poem) is (
        not fault or fault[0] not in {*TONE_RULES, Rule.FORM, Rule.REPEATED_LINE}
    )


def test_the_command_shows_the_tones_below_each_line_and_marks_the_fault() -> None:
    run = CliRunner().invoke(cli.app, ["prosody", "-"], input=TEN[4][0].encode())
    assert run.exit_code == 1
    assert run.stdout.startswith(
        "五言绝句: 4 lines of 5 characters\n\n 1  西风吹落叶\n    平中中仄仄\n"
        " 2  一夜满谷秋\n    仄仄仄仄平\n    　　　＾\n"
    )
    assert "\nline 2 ends in 秋: 下平十一尤\nline 4 ends in 裘: 下平十一尤\n" in run.stdout


@pytest.mark.parametrize("text", ["poem.txt", "outputs/saved/a.txt", "a, b"])
def test_a_file_given_for_a_poem_is_told_how_to_be_read(text: str) -> None:
    run = CliRunner().invoke(cli.app, ["prosody", text])
    assert run.exit_code == 2 and run.stdout == ""
    assert run.stderr.endswith(
        "no Chinese character; a poem in a file is read by `wenmo prosody - < FILE`\n"
    )


@pytest.mark.parametrize("text", [b"", b" \n", "，。".encode(), b"\xff\xfe"])
def test_a_text_without_verse_is_one_line(text: bytes) -> None:
    run = CliRunner().invoke(cli.app, ["prosody", "-"], input=text)
    assert run.exit_code == 2
    assert run.stdout == ""
    assert run.stderr.startswith("prosody: the")
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("收网上沙滩", "收网泊沙滩", None),  # 1-3-5 are free
        ("暮色寒", "暮色红", None),  # the first line need not rhyme
        ("秋深", "秋晚", Rule.ALTERNATION),
        ("对竹竿", "照酒竿", None),
        ("一盏孤灯对竹竿", "一盏孤灯竹对滩", Rule.REPEATED_FOOT),
        ("一盏孤灯对竹竿", "一盏孤灯傍柳竿", None),
        ("一盏孤灯", "一盏瘦灯", Rule.LONE_LEVEL),
        ("竹竿", "x竿", Rule.CHARACTER),
        ("竹竿", "竹晾", Rule.RHYME),  # not in the 廣韻
    ],
)
def test_one_change_to_a_poem_breaks_one_rule(old: str, new: str, rule: Rule | None) -> None:
    assert old in CLEAN
    assert rules_broken(CLEAN.replace(old, new)) == ({rule} if rule else set())


def test_three_level_tones_at_the_end_are_a_fault_but_no_tone_rule() -> None:
    poem = TEN[1][0].replace("一鳥落松陰", "一鳥啼松陰")
    assert rules_broken(poem) == {Rule.THREE_LEVEL}
    assert tones_kept(poem)


def test_licences_are_no_faults() -> None:
    # 特拗: 平平仄平仄 for 平平平仄仄.
    special = TEN[1][0].replace("山僧煎早茗", "山僧掃苔徑")
    assert analyse(verse_lines(special)).licences == {3: Licence.SPECIAL_ENDING}
    assert not rules_broken(special)
    assert rules_broken(special.replace("山僧", "野僧")) == {Rule.ALTERNATION}
    # 對句相救: the oblique 寺 is made up for by the level 聲 in the next line.
    saved = TEN[1][0].replace("雨歇苔痕綠，鐘來竹院深", "雨歇故寺綠，鐘來聲院深")
    assert analyse(verse_lines(saved)).licences == {1: Licence.NEXT_LINE}
    assert not rules_broken(saved)
    assert rules_broken(saved.replace("聲", "竹")) == {Rule.ALTERNATION}
    assert "line 1 has a licence, no fault" in prosody_page(analyse(verse_lines(saved)))


@pytest.mark.parametrize("poem", ["雪落 山静", "雪落千山 风来一叶 灯前旧信 窗外车声", "雪落千山静"])
def test_other_forms_have_no_tone_rules(poem: str) -> None:
    assert rules_broken(poem) >= {Rule.FORM}
    assert not rules_broken(poem) & TONE_RULES
    assert "no form of regulated verse" in prosody_page(analyse(verse_lines(poem)))
    assert not tones_kept(poem)
    assert tone_share(poem) == 0


@pytest.mark.parametrize(
    "text",
    ["雨停了。我把旧伞靠在门边，等它慢慢滴干。", "车站\n卖橘子的收了摊\n灯还亮着\n没有人回头"],
)
def test_free_verse_is_not_asked_to_rhyme(text: str) -> None:
    analysis = analyse(verse_lines(text))
    assert {fault.rule for fault in analysis.faults} == {Rule.FORM} and not analysis.rhymes
    assert " ends in " not in prosody_page(analysis)


def test_a_line_too_long_leaves_the_rhyme_known() -> None:
    told = prosody_page(analyse(verse_lines("雪落千山静，风来一叶寒。灯前翻着旧信，窗外月光残。")))
    assert "line 2 ends in 寒: 上平十四寒\nline 4 ends in 残: 上平十四寒" in told


@given(ANY_TEXT)
def test_any_text_can_be_analysed(text: str) -> None:
    lines = verse_lines(text)
    analysis = analyse(lines)
    assert [len(line) for line in analysis.tones] == [len(line) for line in lines]
    assert 0 <= tone_share(text) <= 1
    assert 0 <= repeated_lines(text) <= 1
    if lines:
        assert prosody_page(analysis)


@given(regulated_poems("东风明月一山看不x晾"))
@example(["xxxxxxx", "xxxxxxx", "xxxxx一x", "xxxxxxx"])
def test_faults_say_what_the_rules_say(lines: list[str]) -> None:
    analysis = analyse(lines)
    rhyme = analysis.rhymes[2]
    at_feet = {Rule.RHYME, Rule.LEVEL_FOOT} if rhyme and rhyme[1] == "平" else {
        Rule.RHYME
    }  # fmt: skip
    found = {fault.rule for fault in analysis.faults}
    feet = [line[-1] for line in lines[1::2]]
    assert rhymes(lines) is (len(set(feet)) == len(feet) and not found & at_feet)
    # The whole pattern follows from one tone, that of the first line's second character.
    fits = any(
        all(
            ("平仄"[(opens + (number + 1) // 2 + place) % 2])
            in analysis.tones[number][2 * place + 1]
            for number, place in product(range(len(lines)), range(len(lines[0]) // 2))
        )
        for opens in (0, 1)
    )
    pattern = {Rule.ALTERNATION, Rule.OPPOSITION, Rule.ADHESION}
    assert (not found & pattern and not analysis.licences) is fits
    assert (tone_share("，".join(lines)) == 1) is tones_kept("，".join(lines))


@given(regulated_poems("東月中寒"))
def test_characters_of_the_same_readings_are_the_same(lines: list[str]) -> None:
    same = str.maketrans("東月中寒", "同鉞衷丹")
    for one, other in zip("東月中寒", "同鉞衷丹", strict=True):
        assert readings(one) == readings(other)
    translated = analyse([line.translate(same) for line in lines]).faults
    assert [replace(each, found=each.found.translate(same)) for each in analyse(lines).faults] == [
        replace(each, found=each.found.translate(same)) for each in translated
    ]


def test_the_first_line_kept_is_that_of_the_prompt() -> None:
    lines = verse_lines(CLEAN)
    prompt = word_prompt(lines[0], "晚渡", "写一首七言绝句", "first_line")
    assert first_line_kept(prompt, CLEAN) is True
    assert first_line_kept(prompt, "。".join(lines[1:])) is False
    assert first_line_kept(prompt, "") is False
    assert first_line_kept(word_prompt(lines[0], "", "填一首《浣溪沙》", "title"), CLEAN) is None


def test_repeated_lines_are_counted() -> None:
    assert repeated_lines(CLEAN) == 0
    assert repeated_lines(TEN[-1][0]) == 0.25
    assert repeated_lines("") == 1


def test_every_sample_poem_rhymes_and_shuffled_ones_do_not() -> None:
    assert all(rhymes(poem) for poem in POEMS)
    quatrains = [poem for poem in POEMS if form(poem) == (4, 7)]
    lines = [line for poem in quatrains for line in poem]
    random.Random(0).shuffle(lines)
    shuffled = [lines[at : at + 4] for at in range(0, len(lines), 4)]
    assert sum(map(rhymes, shuffled)) / len(shuffled) < 0.1
    assert sum(tones_kept("，".join(poem)) for poem in quatrains) / len(quatrains) > 0.95
    assert sum(tones_kept("，".join(poem)) for poem in shuffled) / len(shuffled) < 0.15
