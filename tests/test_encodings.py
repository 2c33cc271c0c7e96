"""The encodings of Chinese text: each is read right, and what is uncertain or damaged is told."""

import codecs
from pathlib import Path

import opencc
import pytest

from tests.conftest import ROOT
from tests.test_raw_texts import POEM_HEADER, read, write
from wenmo.core import encoding
from wenmo.core.encoding import read_text, text_encoding
from wenmo.core.errors import UserError
from wenmo.core.records import read_json_lines

PROSE = [book["text"][:3000] for _, book in read_json_lines(ROOT / "data/sample/novel/train.jsonl")]
TRADITIONAL = [opencc.OpenCC("s2tw").convert(text) for text in PROSE]


@pytest.mark.parametrize(
    "name", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030"]
)
@pytest.mark.parametrize("text", [PROSE[0], TRADITIONAL[0]])
def test_simplified_and_traditional_text_is_read(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, "雪.txt", text.encode(name))
    assert read_text(tmp_path / "雪.txt") == text
    assert [(each.source, each.text) for each in read("novel", tmp_path)] == [("雪", text)]


@pytest.mark.parametrize("text", TRADITIONAL)
@pytest.mark.parametrize("name", ["cp950", "big5hkscs", "gb18030"])
def test_big5_is_told_from_gb18030(
    tmp_path: Path, name: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written = text.encode(name, errors="ignore")
    write(tmp_path, "雪.txt", written)
    assert read_text(tmp_path / "雪.txt") == written.decode(name)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["gbk", "cp950"])
@pytest.mark.parametrize("text", ["雪落。\n", "呢？”", "他走了。", "我不是。\n"])
def test_a_few_characters_are_enough(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, "雪.txt", text.encode(name))
    assert read_text(tmp_path / "雪.txt") == text


def test_signs_of_hong_kong_are_read(tmp_path: Path) -> None:
    text = f"佢哋喺度嘅嘢。{TRADITIONAL[0]}".encode("big5hkscs", errors="ignore")
    write(tmp_path, "雪.txt", text)
    assert read_text(tmp_path / "雪.txt").startswith("佢哋喺度嘅嘢。")


def test_an_uncertain_encoding_is_told_once_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Few bytes are both: GB18030 for one text and Big5 for another."""
    write(tmp_path, "雪.txt", "呢？”".encode("gb18030"))
    for _ in range(2):
        read("novel", tmp_path)
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"{tmp_path / '雪.txt'}: read as ")
    assert told.endswith("which is uncertain; if its text is wrong, save the file as UTF-8")


def test_a_book_in_no_chinese_encoding_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    japanese = "これは雪国の話です。彼女は窓を開けて、外を見た。" * 20
    write(tmp_path, "雪.txt", japanese.encode("shift_jis"))
    read_text(tmp_path / "雪.txt")
    assert "雪.txt: read as GB18030, which is uncertain" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (f"雪。\n{PROSE[0]}".encode() + b"\xe9\x9b\n\xff", ": not utf-8; save the file as UTF-8"),
        (b"\xff\xfe\x00", ":1: not utf-16; save the file as UTF-8"),
        (codecs.BOM_UTF8 + "雪\n".encode() + b"\xff", ":2: not utf-8; save"),
        (
            "雪落。\n".encode("gbk") * 300 + b"\xff\n",
            ":301: not UTF-8, GB18030 or Big5, or damaged",
        ),
    ],
    ids=["utf-8", "utf-16", "a mark", "gbk"],
)
def test_damage_is_told_with_its_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    """A damaged file in UTF-8 is not taken for one in GB18030."""
    write(tmp_path, "雪.txt", content)
    with pytest.raises(UserError) as caught:
        read_text(tmp_path / "雪.txt")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["gbk", "gb18030", "cp950", "utf-16", "utf-8-sig"])
def test_tables_of_excel_are_read(tmp_path: Path, name: str) -> None:
    rows = "登高,無名,今,山高人不見。水遠鳥飛回。\n" * 200
    write(tmp_path, "a.csv", (POEM_HEADER + rows).encode(name))
    poems = read("poetry", tmp_path)
    assert len(poems) == 200
    assert {(each.title, each.text) for each in poems} == {("登高", "山高人不見。水遠鳥飛回。")}


def test_a_file_is_looked_at_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A character across two pieces is whole, and a late one tells the encoding."""
    monkeypatch.setattr(encoding, "MIB", 7)
    monkeypatch.setattr(encoding, "SAMPLE", 1001)
    path = tmp_path / "雪.txt"
    for name, found in (("gb18030", "gb18030"), ("cp950", "cp950"), ("utf-8", "utf-8")):
        path.write_bytes(b"abc\n" * 50 + TRADITIONAL[0].replace("\n", "").encode(name, "ignore"))
        encoding._encoding.cache_clear()
        assert text_encoding(path) == found
