"""Stage merge as a user runs it: what it holds out by itself, what it tells, what it refuses."""

import json
import random
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.conftest import ROOT, make_row, run_python
from wenmo.config.overrides import command
from wenmo.core.errors import UserError
from wenmo.core.records import Row, read_records, write_records
from wenmo.core.row_files import RowFiles, SourceWriter, rows_of_sources
from wenmo.text.characters import COPY_NGRAM, ngrams
from wenmo.text.leakage import measure, refuse_leakage

HAN = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜"


def passage(book: int, position: int) -> str:
    """A text of its own, hardly any n-gram of which is in another."""
    return "".join(random.Random(f"{book} {position}").choices(HAN, k=60)) + "。"


def book(name: str, rows: int) -> list[Row]:
    return [
        replace(make_row(at, passage(ord(name[-1]), at)), source=name, id=f"{name}{at}")
        for at in range(rows)
    ]


def poems(count: int) -> list[Row]:
    return [
        replace(
            row, output=f"{row.output[:5]}，{row.output[5:10]}。\n{row.output[10:15]}，雪{at}。"
        )
        for at, row in enumerate(book("poems.csv", count))
    ]


@pytest.fixture
def merge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Write rows and parameters into a folder of its own and run merge there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())

    def run(task: str, rows: list[Row], **update: object) -> subprocess.CompletedProcess[str]:
        set_params(update)
        folder = tmp_path / f"data/summarized/{task}"
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        with SourceWriter(folder) as writer:
            writer.write(rows)
        return run_python(ROOT / "stages/merge.py", task, cwd=tmp_path)

    return run


def set_params(update: dict[str, object]) -> None:
    yaml = YAML()
    content = yaml.load(Path("params.yaml").read_text(encoding="utf-8"))
    content["merge"].update(update)
    yaml.dump(content, Path("params.yaml"))


def merged(task: str, part: str) -> list[Row]:
    return read_records(Row, Path(f"data/merged/{task}/{part}.jsonl"))


def metrics(task: str) -> dict[str, object]:
    return dict(json.loads(Path(f"metrics/merge/{task}.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("fraction", [0.02, 0.25])
@pytest.mark.parametrize(
    ("task", "rows", "block"),
    [
        ("novel", book("甲", 3), True),
        ("novel", book("甲", 7), True),
        ("novel", book("甲", 130), True),
        ("novel", book("甲", 60) + book("乙", 60), True),
        ("poetry", poems(10), False),
        ("poetry", poems(3), False),
        ("fairytale", book("tales.json", 3), False),
    ],
    ids=[
        "three passages",
        "seven",
        "one book",
        "two books",
        "ten poems",
        "three poems",
        "three tales",
    ],
)
def test_few_texts_are_parted_without_being_asked_how(
    merge: Callable[..., subprocess.CompletedProcess[str]],
    task: str,
    rows: list[Row],
    block: bool,
    fraction: float,
) -> None:
    run = merge(task, rows, eval_fraction=fraction, max_leakage=1.0)
    assert run.returncode == 0, run.stderr
    train, held_out = merged(task, "train"), merged(task, "eval")
    assert train
    assert len(held_out) > 1
    if task == "novel":
        assert len(held_out) <= max(2, len(rows) * fraction * 1.5)
    size = metrics(task)["chosen_block_rows"]
    chosen = [
        line for line in run.stdout.splitlines() if "chosen since the texts have too few" in line
    ]
    assert bool(size) == bool(chosen)
    if block:
        assert size
        assert "by source to hold out" in chosen[0]
        blocks = [
            {(row.source, row.position // int(str(size))) for row in part}
            for part in (train, held_out)
        ]
        assert blocks[0].isdisjoint(blocks[1])


def test_two_books_are_not_parted_by_book(
    merge: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    rows = book("甲", 400) + book("乙", 400)
    run = merge("novel", rows, eval_fraction=0.2, max_train_rows=500, max_leakage=1.0)
    assert run.returncode == 0, run.stderr
    found = metrics("novel")
    assert found["chosen_block_rows"] == 20
    assert {row.source for row in merged("novel", "train")} == {"甲", "乙"}
    left_out = found["dropped"]["over_max_train_rows"]  # type: ignore[index]
    assert left_out > 0
    assert f"{left_out} rows of " in run.stdout
    assert "left out beyond merge.max_train_rows" in run.stdout


REFUSALS = {
    "a gap that takes all": (
        "novel",
        book("甲", 8),
        {"gap_rows": 9},
    ),
    "copies": (
        "novel",
        book("甲", 9)
        + [
            replace(row, source="乙", id=f"乙{row.id}", output=f"{row.output}雪落无声的夜里" * 2)
            for row in book("甲", 9)
        ],
        {"near_duplicate_jaccard": 1.0, "max_leakage": 0.0},
    ),
}


@pytest.mark.parametrize(("task", "rows", "update"), REFUSALS.values(), ids=REFUSALS)
def test_the_command_of_a_refusal_works_when_it_is_pasted(
    merge: Callable[..., subprocess.CompletedProcess[str]],
    task: str,
    rows: list[Row],
    update: dict[str, object],
) -> None:
    refused = merge(task, rows, **update)
    assert refused.returncode == 1, refused.stdout
    assert not Path(f"data/merged/{task}").exists()
    apply(refused.stderr)
    run = run_python(ROOT / "stages/merge.py", task, cwd=Path.cwd())
    assert run.returncode == 0, run.stderr


def apply(message: str) -> None:
    """Change params.yaml as the command in the message would."""
    (pasted,) = re.findall(r"`(dvc exp run .+?)`", message.splitlines()[-1])
    *words, option, override = shlex.split(pasted)
    assert (words, option) == (["dvc", "exp", "run"], "-S")
    apply_overrides(Path("params.yaml"), [override])


@pytest.mark.parametrize("own", [True, False], ids=["the task's own", "shared"])
@pytest.mark.parametrize("task", ["novel", "poetry", "fairytale"])
def test_a_command_sets_the_value_that_the_task_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, own: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    content = YAML().load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for key, value in (("group_by", "block"), ("gap_rows", 0), ("max_leakage", 0.03)):
        content[task]["merge"].pop(key, None)
        if own:
            content[task]["merge"][key] = content["merge"][key]
        YAML().dump(content, Path("params.yaml"))
        apply(f"`{command(task, f'merge.{key}', value)}`")
        changed = YAML(typ="safe").load(Path("params.yaml").read_text(encoding="utf-8"))
        assert (changed["merge"] | changed[task]["merge"])[key] == value


@pytest.mark.parametrize("rows", [1, 2])
def test_fewer_than_three_rows_cannot_be_parted(
    merge: Callable[..., subprocess.CompletedProcess[str]], rows: int
) -> None:
    """One is to be learnt from, and two are to be held out."""
    run = merge("novel", book("甲", rows))
    assert run.returncode == 1
    assert "are too few to hold two of them out" in run.stderr
    assert "add texts and run `dvc repro merge@novel`" in run.stderr


def test_a_share_that_holds_nothing_or_everything_out_is_refused_by_name(
    merge: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    for share in (0.0, 1.0):
        run = merge("novel", book("甲", 9), eval_fraction=share)
        assert run.returncode == 2
        assert f"merge.eval_fraction: {share}: Input should be" in run.stderr


TEXT = st.text("雪山人水 \n𠀀", max_size=40)


@given(st.lists(TEXT, max_size=5), st.lists(TEXT, max_size=5))
def test_leakage_is_the_share_of_n_grams_in_common(train: list[str], held_out: list[str]) -> None:
    learnt = {ngram for text in train for ngram in ngrams(text, COPY_NGRAM)}
    of_rows = [ngrams(text, COPY_NGRAM) for text in held_out]
    leaked = [sum(ngram in learnt for ngram in of_row) for of_row in of_rows]
    total = sum(map(len, of_rows))
    found = measure(map(make_row, range(9), train), list(map(make_row, range(9), held_out)))
    assert found.share == (sum(leaked) / total if total else 0.0)
    shares = [a / len(b) if b else 0.0 for a, b in zip(leaked, of_rows, strict=True)]
    assert [share for share, _ in found.by_row] == pytest.approx(shares)


def test_what_is_copied_into_training_is_measured_and_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    sentence = "雪下了一夜，山路都白了，他推开门看着院子里的灯。"
    train = [make_row(0, f"开头不同。{sentence}")]
    evaluated = [make_row(1, sentence), make_row(2, "全然不同的另一段文字，没有一句话与它相同。")]
    leakage = measure(train, evaluated)
    assert [share for share, _ in leakage.by_row] == [1.0, 0.0]
    assert leakage.share == pytest.approx(12 / 21)
    refuse_leakage(leakage, 0.6, "novel")
    complaint = r"57\.1% of the held-out .* source row 1 \(100%\).*max_leakage=0\.58"
    with pytest.raises(UserError, match=complaint):
        refuse_leakage(leakage, 0.01, "novel")


NAME = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=30)
@given(
    st.dictionaries(
        NAME.map("a{}".format).filter(lambda name: len(name.encode()) < 200),
        st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5),
        min_size=1,
        max_size=40,
    )
)
def test_rows_on_disk_are_the_rows_that_were_written(
    tmp_path_factory: pytest.TempPathFactory, books: dict[str, list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    rows = [
        replace(make_row(at, text.encode(errors="ignore").decode() + "雪"), source=source)
        for source, texts in books.items()
        for at, text in enumerate(texts)
    ]
    with SourceWriter(folder) as writer:
        writer.write(rows)
    expected = sorted(rows, key=lambda row: (f"{row.source}.jsonl", row.position))
    assert list(rows_of_sources(folder, "prepare@novel")) == expected
    on_disk = RowFiles(folder, "prepare@novel", folder)
    assert list(on_disk) == expected
    backwards = range(len(on_disk) - 1, -1, -1)
    assert list(on_disk.numbered(backwards)) == expected[::-1]
    on_disk.close()


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([make_row(0), make_row(0)], "row 2: its position 0 is not after 0"),
        ([make_row(3), make_row(2)], "row 2: its position 2 is not after 3"),
        ([make_row(0), replace(make_row(1), source="b")], "row 2: its source is 'b'"),
        ([make_row(0), make_row(1, " ")], "row 2: the output is empty"),
        ([], "no rows"),
    ],
)
def test_rows_that_prepare_does_not_write_are_refused(
    tmp_path: Path, rows: list[Row], complaint: str
) -> None:
    write_records(tmp_path / "source.jsonl", rows)
    with pytest.raises(UserError, match=rf"{complaint}.*; run `dvc repro prepare@novel`"):
        RowFiles(tmp_path, "prepare@novel", tmp_path)
