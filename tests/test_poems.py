"""Poems as people have them: how they are read, parted, named and left out."""

import csv
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides

from tests.conftest import ROOT
from tests.test_raw_texts import POETRY, read, write
from wenmo.config.poetry import PrepareParams
from wenmo.core.errors import UserError
from wenmo.tasks import poetry
from wenmo.tasks.raw import MalformedRows
from wenmo.tasks.task import Document
from wenmo.text.cleaning import Rejected
from wenmo.text.verse import verse_lines

QUATRAIN = "雪落千山静，风来一叶轻。\n灯前翻旧信，窗外过车声。"
OTHER = "古渡秋深暮色寒，渔翁收网上沙滩。\n归来不问鱼多少，一盏孤灯对竹竿。"
SONG = (
    "雪落千山静风来。一叶轻灯前翻旧。信窗外过车声古。\n"
    "渡秋深暮色寒渔，翁收网上沙滩归。来不问鱼多少一。"
)
RIVER = (
    "雪落千山，静风来一叶轻灯。前翻旧信窗外过，车声古渡。秋深暮色寒渔翁，收网上沙滩归来。不问鱼多少一盏孤，灯对竹。\n"
    "竿雪落，千山静。风来一，叶轻灯。前翻旧信窗，外过车声。古渡秋深暮色寒，渔翁收网上沙滩。归来不问鱼多少一，盏孤灯。"
)
OLD_STYLE = (
    "岱宗夫如何，齐鲁青未了。\n造化钟神秀，阴阳割昏晓。\n"
    "荡胸生曾云，决眦入归鸟。\n会当凌绝顶，一览众山小。"
)


def prepared_poem(content: str, **known: str) -> Any:
    params = POETRY.model_copy(update={"max_lines": 25})
    return poetry.prepare(Document("poems.csv", 0, content, **known), params)


def kept(content: str, **known: str) -> str:
    (row,) = prepared_poem(content, **known).rows
    return str(row.output)


def prompt(content: str, prompts: str = "first_line", **known: str) -> str:
    params = POETRY.model_copy(update={"prompts": prompts, "max_lines": 25})
    (row,) = poetry.prepare(Document("poems.csv", 0, content, **known), params).rows
    return str(row.prompt)


def reason(content: str, **known: str) -> str:
    prepared = prepared_poem(content, **known)
    assert prepared.rows == []
    (rejected,) = prepared.rejected_rows
    return str(rejected.reason)


@pytest.mark.parametrize(
    "content",
    [
        "雪落千山静，风来一叶轻。灯前翻旧信，窗外过车声。",
        "雪落千山静，\n风来一叶轻。\n灯前翻旧信，\n窗外过车声。",
        "雪落千山静,风来一叶轻.灯前翻旧信,窗外过车声.",
        "雪落千山静，风来一叶轻．灯前翻旧信，窗外过车声．",
        "雪落千山静﹐风来一叶轻｡灯前翻旧信﹐窗外过车声｡",
        "雪落千山静\n风来一叶轻\n灯前翻旧信\n窗外过车声",
        "雪落千山静 风来一叶轻 灯前翻旧信 窗外过车声",
        "雪落千山静\u3000风来一叶轻\u3000灯前翻旧信\u3000窗外过车声",
        "雪落千山静/风来一叶轻/灯前翻旧信/窗外过车声",
        "雪落千山静 | 风来一叶轻 | 灯前翻旧信 | 窗外过车声 |",
        "雪落千山静／风来一叶轻｜灯前翻旧信／窗外过车声",
        "雪落千山静，风来一叶轻\n灯前翻旧信，窗外过车声",
        "雪落千山静\ufe00，风来一叶\U000e0101轻。灯前翻旧信，窗外过车声。",
    ],
)
def test_a_poem_is_a_couplet_per_line_however_its_lines_are_parted(content: str) -> None:
    assert kept(content) == QUATRAIN
    assert verse_lines(kept(content)) == verse_lines(content)
    assert prompt(content) == "以“雪落千山静”为首句，写一首五言绝句。"


def test_marks_of_a_poem_stay() -> None:
    assert kept("雪落千山静?风来一叶轻!灯前翻旧信;窗外过车声、") == (
        "雪落千山静？风来一叶轻！\n灯前翻旧信；窗外过车声、"
    )


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (QUATRAIN, "五言绝句"),
        (OTHER, "七言绝句"),
        (f"{QUATRAIN}\n{QUATRAIN}", "五言律诗"),
        (OLD_STYLE, "五言诗，共8句"),
        (OLD_STYLE[:26], "五言诗，共4句"),  # an old-style quatrain
        ("春归何处去，\n" * 4, "五言诗，共4句"),
        (QUATRAIN[:12], "五言诗，共2句"),
        (f"{QUATRAIN}\n{QUATRAIN[:12]}", "五言诗，共6句"),
        ("一二三四。" * 4, "四言诗，共4句"),
    ],
)
def test_a_poem_has_the_name_of_its_form_only_if_it_rhymes_level(content: str, form: str) -> None:
    first = verse_lines(content)[0]
    assert prompt(content) == f"以“{first}”为首句，写一首{form}。"


def test_a_poem_is_asked_for_by_its_title_or_theme() -> None:
    assert prompt(QUATRAIN, "title", title="雪夜") == "以《雪夜》为题，写一首五言绝句。"
    assert prompt(QUATRAIN, "theme", title="雪夜") == ""


@pytest.mark.parametrize("content", [QUATRAIN, OTHER, f"{OTHER}\n{OTHER[:16]}"])
def test_a_tune_is_asked_for_as_the_tune(content: str) -> None:
    first = verse_lines(content)[0]
    assert prompt(content, tune="瑞鹧鸪") == f"以“{first}”为首句，填一首《瑞鹧鸪》。"
    assert prompt(content, "title", tune="瑞鹧鸪") == "填一首《瑞鹧鸪》。"
    assert prompt(content, "title", tune="瑞鹧鸪", title="雪夜") == (
        "以《雪夜》为题，填一首《瑞鹧鸪》。"
    )


def test_a_poem_without_a_title_cannot_be_asked_for_by_it() -> None:
    params = POETRY.model_copy(update={"prompts": "title"})
    prepared = poetry.prepare(Document("poems.csv", 0, "雪落千山静，风来一叶轻。"), params)
    assert [rejected.reason for rejected in prepared.rejected_rows] == ["untitled"]


@pytest.mark.parametrize("gap", "□■○●囗〇×*?_=…#Xx1ㄨ？〓\ue000⿰{々")
def test_whatever_is_neither_han_nor_a_mark_is_a_gap(gap: str) -> None:
    content = QUATRAIN.replace("千", gap)
    assert reason(content) == ("uneven" if gap in "?？" else "gaps or notes")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("雪落千山静，风来一叶。", "uneven"),
        ("雪落千山静，风来一叶轻，灯前翻旧信。", "uneven"),
        ("。", "uneven"),
        ("雪落千山静，风来一叶轻。（作于冬）", "gaps or notes"),
        ("一二三四五，" * 26, "long"),
    ],
)
def test_poems_that_cannot_be_learnt_from_are_counted(content: str, expected: str) -> None:
    assert prepared_poem(content).rejected_rows == [Rejected(expected, content)]
    assert reason(content) == expected


@pytest.mark.parametrize(
    ("noted", "notes"),
    [
        (f"{QUATRAIN}\n（见《湯溪縣志》卷十九）。", ["（见《湯溪縣志》卷十九）"]),
        (
            f"{QUATRAIN}（按：《全唐诗》收此诗。\n误（见前）。）。",
            ["（按：《全唐诗》收此诗。\n误（见前）。）"],
        ),
        (QUATRAIN.replace("叶", "叶（一作“夜”）"), ["（一作“夜”）"]),
        (QUATRAIN.replace("叶", "叶(夜)") + "（同前）", ["(夜)", "（同前）"]),
    ],
)
def test_an_editors_notes_leave_a_poem(noted: str, notes: list[str]) -> None:
    assert kept(noted) == QUATRAIN
    assert prepared_poem(noted).rejected_pieces == [Rejected("note", note) for note in notes]


@pytest.mark.parametrize("bracket", ["（", "）", "（见（又见《湯溪縣志》"])
def test_a_bracket_alone_is_no_note(bracket: str) -> None:
    assert reason(f"{QUATRAIN}{bracket}") == "gaps or notes"


@pytest.mark.parametrize(
    "title", ["句", "句 其一", "句　其二", "句 三", "句  其一○", "逸句", "斷句", "残句", "又句"]
)
def test_a_fragment_is_known_by_its_title(title: str) -> None:
    assert reason("雪落千山静，风来一叶轻。", title=title) == "fragment"


@pytest.mark.parametrize("title", ["绝句", "集句", "聯句", "句容道中", "戏句"])
def test_other_titles_with_the_word_are_poems(title: str) -> None:
    assert kept(QUATRAIN, title=title) == QUATRAIN


@pytest.mark.parametrize("content", ["", " \n", "\u3000"])
def test_an_empty_poem_is_counted(tmp_path: Path, content: str) -> None:
    write(tmp_path, "a.json", json.dumps([{"title": "雪", "paragraphs": [content]}]))
    write(tmp_path, "b.csv", f'content\n"{content}"\n')
    write(tmp_path, "c.json", json.dumps([{"title": "雪", "paragraphs": []}]))
    documents = read("poetry", tmp_path)
    assert len(documents) == 3
    assert [reason(document.text) for document in documents] == ["empty"] * 3


@pytest.mark.parametrize("blank", ["\n\n", "\n \u3000\n", "\r\n\r\n", "\n\n\n"])
def test_quatrains_parted_by_a_blank_line_are_two_poems(tmp_path: Path, blank: str) -> None:
    write(tmp_path, "a.csv", f'title,content\n雪,"{QUATRAIN}{blank}{QUATRAIN}"\n晴,"{OTHER}"\n')
    documents = read("poetry", tmp_path)
    assert [(each.position, each.title) for each in documents] == [(0, "雪"), (1, "雪"), (2, "晴")]
    assert [kept(each.text) for each in documents] == [QUATRAIN, QUATRAIN, OTHER]


def test_couplets_parted_by_a_blank_line_and_halves_of_a_tune_are_one_poem(tmp_path: Path) -> None:
    couplets = QUATRAIN.replace("\n", "\n\n")
    write(tmp_path, "a.csv", f'content\n"{couplets}"\n')
    for name, tune in (("b", "瑞鹧鸪"), ("c", "玉楼春")):
        song = {"rhythmic": tune, "paragraphs": [OTHER, "", OTHER]}
        write(tmp_path, f"{name}.json", json.dumps([song]))
    poem, unknown, known = read("poetry", tmp_path)
    assert kept(poem.text) == QUATRAIN
    assert prompt(unknown.text, tune=unknown.tune).endswith("填一首《瑞鹧鸪》。")
    assert prompt(known.text, tune=known.tune).endswith("填一首《玉楼春》。")
    assert kept(known.text, tune=known.tune).count("\n") == 1


@pytest.mark.parametrize(
    "header", ["content", "content,title", "title,author,content", "id,content"]
)
def test_a_csv_needs_its_content_alone(tmp_path: Path, header: str) -> None:
    names = header.split(",")
    row = ",".join(QUATRAIN.replace("\n", "") if name == "content" else "雪" for name in names)
    write(tmp_path, "a.csv", f"{header}\n{row}\n")
    (document,) = read("poetry", tmp_path)
    assert kept(document.text) == QUATRAIN
    assert document.title == ("雪" if "title" in names else "")


@pytest.mark.parametrize("key", ["paragraphs", "content", "para"])
@pytest.mark.parametrize("is_list", [True, False])
def test_the_keys_of_the_collection_are_read(tmp_path: Path, key: str, is_list: bool) -> None:
    write(tmp_path, "a.json", json.dumps([{key: QUATRAIN.split("\n") if is_list else QUATRAIN}]))
    write(tmp_path, "b.jsonl", json.dumps({key: QUATRAIN}) + "\n")
    assert [kept(each.text) for each in read("poetry", tmp_path)] == [QUATRAIN] * 2


def test_poems_come_from_other_columns(tmp_path: Path) -> None:
    columns = poetry.Columns(title="题目", content="内容")
    params = POETRY.model_copy(update={"columns": columns})
    write(tmp_path, "a.csv", '题目,内容\n雪,"雪落，\n风来。"\n')
    write(tmp_path, "b.json", json.dumps([{"title": "雪", "paragraphs": ["雪落，", "风来。"]}]))
    documents = poetry.read(tmp_path, params, MalformedRows())
    assert [(each.title, each.text) for each in documents] == [("雪", "雪落，\n风来。")] * 2


@pytest.mark.parametrize(
    "header", ["标题,作者,内容", "诗题,作者,正文", "標題,作者,內容", "作者,朝代,内容"]
)
def test_chinese_names_of_columns_are_known(tmp_path: Path, header: str) -> None:
    write(tmp_path, "a.csv", f'{header}\n雪,何人,"雪落，\n风来。"\n')
    (document,) = read("poetry", tmp_path)
    assert document.text == "雪落，\n风来。"
    assert document.title == ("" if "作者,朝代" in header else "雪")


@pytest.mark.parametrize("name", ["诗", "poem text", '他的"诗"'])
def test_other_names_of_columns_are_told_with_a_command_that_works(
    tmp_path: Path, name: str
) -> None:
    with (tmp_path / "a.csv").open("w", encoding="utf-8") as file:
        csv.writer(file).writerows([["名", name], ["雪", "雪落，风来。"]])
    with pytest.raises(
        UserError, match=r"a\.csv:1: no column 'content'; found .*: run `"
    ) as caught:
        read("poetry", tmp_path)
    command = str(caught.value).partition("run `")[2].removesuffix("`")
    *words, override = shlex.split(command)
    assert words == ["dvc", "exp", "run", "-S"]
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    apply_overrides(tmp_path / "params.yaml", [override])
    columns = PrepareParams.load("prepare", "poetry", tmp_path / "params.yaml").columns
    assert columns.content == name


def test_a_title_that_begins_with_a_tune_is_a_tune(tmp_path: Path) -> None:
    titles = ["木兰花令·拟古决绝词", "拋毬樂 一", "浣溪沙（春日）", "雪夜", "玉楼春晓"]
    write(tmp_path, "a.json", json.dumps([{"title": each, "para": [OTHER]} for each in titles]))
    songs = [("浣溪沙（春日）", SONG), ("滿江紅·雪", RIVER), ("雪夜", SONG), ("清平乐", SONG)]
    rows = [{"title": title, "para": song.split("\n")} for title, song in songs]
    write(tmp_path, "b.json", json.dumps(rows))
    tunes = [each.tune for each in read("poetry", tmp_path)]
    assert tunes == ["木兰花令", "拋毬樂", "", "", "", "浣溪沙", "滿江紅", "", ""]


def test_a_poem_to_a_tune_is_a_row_by_stanzas() -> None:
    assert kept(SONG.replace("\n", ""), tune="浣溪沙") == SONG
    assert prompt(SONG, tune="浣溪沙").endswith("为首句，填一首《浣溪沙》。")
    bare = RIVER.replace("，", " ").replace("。", " ")
    assert kept(bare, tune="滿江紅") == RIVER
    assert prompt(RIVER, tune="滿江紅") == "以“雪落千山”为首句，填一首《滿江紅》。"
    caesura = RIVER.replace("静风来", "静风来、")
    assert "、" in caesura
    assert kept(caesura, tune="满江红") == caesura
    for other in (SONG, QUATRAIN, OTHER, RIVER[:-6]):
        assert reason(other, tune="满江红") == "other form of the tune"
    assert reason(RIVER * 2, tune="雪花飘") == "uneven"
    params = POETRY.model_copy(update={"max_lines": 5})
    (rejected,) = poetry.prepare(Document("a", 0, SONG, tune="浣溪沙"), params).rejected_rows
    assert rejected.reason == "long"


def test_the_collection_is_read_as_it_is_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    poem = {"title": "雪", "author": "我", "paragraphs": QUATRAIN.split("\n"), "id": "1"}
    files: dict[str, Any] = {
        "全唐诗/poet.tang.0.json": [poem, poem | {"paragraphs": []}],
        "全唐诗/authors.tang.json": [{"name": "我", "desc": "诗人。", "id": "1"}],
        "全唐诗/表面结构字.json": {"{上/貝}": "?"},
        "全唐诗/error/poet.tang.0.json": [poem | {"error_type": ["内容含符号"]}],
        "宋词/ci.song.0.json": [{"rhythmic": "玉楼春", "author": "我", "paragraphs": [OTHER]}],
        "宋词/author.song.json": [{"name": "我", "description": "词人。"}],
        "诗经/shijing.json": [{"title": "雪", "chapter": "国风", "content": [QUATRAIN]}],
        "纳兰性德/纳兰性德诗集.json": [{"title": "雪", "para": [QUATRAIN[:-1]]}],
        "五代诗词/nantang/poetrys.json": [{"rhythmic": "浣溪沙", "paragraphs": [OTHER]}],
        "五代诗词/nantang/intro.json": {"title": "南唐", "desc": "十国之一。"},
        "rank/poet/poet.tang.rank.0.json": [{"title": "雪", "baidu": 1}],
        "strains/json/poet.tang.0.json": [{"id": "1", "strains": ["平平"]}],
        "蒙学/qianjiashi.json": {"title": "千家诗", "content": [{"type": "五言"}]},
        "四书五经/daxue.json": {"chapter": "大学", "paragraphs": ["大学之道。"]},
        ".git/x.json": "none",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write((tmp_path / name).parent, Path(name).name, json.dumps(content))
    documents = read("poetry", tmp_path)
    assert sorted({each.source for each in documents}) == [
        "五代诗词·nantang·poetrys.json",
        "全唐诗·poet.tang.0.json",
        "宋词·ci.song.0.json",
        "纳兰性德·纳兰性德诗集.json",
        "诗经·shijing.json",
    ]
    assert [each.text for each in documents].count("") == 1
    assert {each.tune for each in documents} == {"", "玉楼春", "浣溪沙"}
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    for name in ("2 author*.json", "1 表面结构字.json", "1 strains/*", "1 rank/*", "1 error/*"):
        assert name in told


def test_the_sample_poems_are_named_as_before() -> None:
    documents = list(poetry.read(ROOT / "data/sample/poetry", POETRY, MalformedRows()))
    prompts = [prompt(document.text) for document in documents]
    assert len(prompts) >= 400
    assert all("绝句" in each or "律诗" in each for each in prompts)
