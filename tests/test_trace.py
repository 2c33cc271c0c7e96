"""`wenmo trace` on a small folder of outputs, with texts made for it and the dvc.lock of a run."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from tests.conftest import PREPARE, digests, make_row
from wenmo.config.novel import PassageParams
from wenmo.core.records import Generation, Row, row_id, write_json_lines, write_records
from wenmo.tasks import novel
from wenmo.tasks.task import Document
from wenmo.text.characters import without_space
from wenmo.tools import cli
from wenmo.tools.dvc_lock import md5
from wenmo.tools.trace.neighbours import nearest
from wenmo.tools.trace.origin import find_back

BOOK = """第一章 河湾
老何在河湾里修了一辈子船，只认木头，不认人。他说木头会响，人不会。
那天清早来了个穿灰布衫的客人，背着一口箱子，问他能不能修一把琴。
＊＊＊
老何把琴翻过来敲了敲，琴肚里嗡的一声，像有人在井底应他。

第二章 雪夜
　　雪下到半夜，客人还坐在火边。他说这琴是他父亲留下的，断过两回。
老何没有抬头，刨花一卷一卷落下来，落在雪水里，像小小的船。
"修好了，"他终于说，"可它以后只肯唱一支歌。"客人笑了，把箱子留给他。
"""
POEMS = [
    ("春渡", "一篙春水绿，两岸杏花齐。\n渡口无人问，黄莺自在啼。"),
    ("秋渡", "一篙秋水白，两岸荻花稀。\n渡口谁人立，寒鸦带雪归。"),
    ("夜泊", "孤灯照野渡，细雨湿蒹葭。\n醉卧不知夜，梦回听落花。"),
]
PREPARE_NOVEL = novel.PrepareParams(
    **PREPARE, include=[], exclude=[], passages=PassageParams(minimum=20, target=34, maximum=70)
)
ROWS = novel.prepare(Document("修琴记", 1, BOOK), PREPARE_NOVEL).rows
HELD_OUT = ROWS[1]
COPY = ROWS[2].output[4:30]
POEM_ROWS = [
    Row(row_id("poems.csv", poem), "poems.csv", at, f"写{title}。", "", poem)
    for at, (title, poem) in enumerate(POEMS)
]
TEST_ROWS = [
    Row(row_id(f"test/{at}", prompt), "test", at, "", prompt, "")
    for at, prompt in enumerate(["写一只船", "写一场雪"])
]

COLUMNS = {key: key for key in ("title", "content")}
PARAMS: dict[str, Any] = {
    "seed": 42,
    "chat": {"system_prompt": "你是一位作家。"},
    "prepare": PREPARE | {"quality": PREPARE["quality"].model_dump()},
    "base_model": {"source": "huggingface", "name": "Qwen/Qwen2-1.5B-Instruct"}
    | {"revision": "abc123", "path": "unused"},
    "train": {"learning_rate": 4e-3, "lora": {"r": 16}},
    "generate": {"engine": "transformers", "weights": "merged"}
    | {"sampling": {"temperature": 0.7}, "vllm": {"max_num_seqs": 256}},
    "novel": {"prepare": PREPARE_NOVEL.model_dump(), "train": {"learning_rate": 5e-3}}
    | {"generate": {"sampling": {"temperature": 0.9}}},
    "poetry": {"prepare": {"columns": COLUMNS, "max_lines": 8, "prompts": "title"}},
}
STAGES = {
    "prepare": ("texts/@", "data/prepared/@ data/test/@.jsonl data/rejected/@.jsonl"),
    "merge": ("data/prepared/@", "data/merged/@"),
    "train": ("data/merged/@ models/base", "models/adapters/@"),
    "merge_weights": ("models/base models/adapters/@", "models/merged/@"),
    "baseline": ("data/merged/@/eval.jsonl models/base", "outputs/@/eval.base.jsonl"),
    "generate": (
        "data/merged/@/eval.jsonl data/test/@.jsonl models/base models/adapters/@ models/merged/@",
        "outputs/@/eval.tuned.jsonl outputs/@/submit.json",
    ),
    "evaluate": ("outputs/@/eval.base.jsonl outputs/@/eval.tuned.jsonl", "reports/@.jsonl"),
    "report": ("reports/@.jsonl outputs/@/eval.base.jsonl", "reports/@.html"),
}
"""What each stage of a task (@) reads and writes."""


def alpaca(row: Row) -> dict[str, str]:
    return {"instruction": row.instruction, "input": row.input, "output": COPY}


def lay_out(task: str, rows: list[Row], held_out: int, test: list[Row]) -> None:
    """What the stages of a task leave behind."""
    prompted = [row if row.prompt else replace(row, input=f"写第{row.position}段") for row in rows]
    asked = prompted.pop(held_out)
    write_records(Path(f"data/prepared/{task}/{asked.source}.jsonl"), rows)
    rejected = {"source": asked.source, "document": 1, "reason": "separator", "text": "＊＊＊"}
    write_json_lines(Path(f"data/rejected/{task}.jsonl"), [rejected])
    write_records(Path(f"data/test/{task}.jsonl"), test)
    write_records(Path(f"data/merged/{task}/train.jsonl"), prompted)
    write_records(Path(f"data/merged/{task}/eval.jsonl"), [asked])
    written = {"base": ["木木木", "花花\x1b[31m花"], "tuned": [COPY, "客人笑了。"]}
    for model, (one, two) in written.items():
        first = Generation(asked.id, asked.prompt, asked.output, one, "length", 7)
        second = replace(first, text=two, finish_reason="stop")
        write_records(Path(f"outputs/{task}/eval.{model}.jsonl"), [first, second])
    write_json_lines(Path(f"outputs/{task}/submit.json"), map(alpaca, test or [asked]))
    scores = {"base": {"rouge_1": 0.25}, "tuned": {"rouge_1": 0.5}}
    write_json_lines(Path(f"reports/{task}.jsonl"), [{"id": asked.id} | scores])
    Path(f"reports/{task}.html").write_text(f'<article id="{asked.id[:12]}-1"><p id="scores">')
    for folder in ("base", f"adapters/{task}", f"merged/{task}"):
        Path(f"models/{folder}").mkdir(parents=True, exist_ok=True)
        Path(f"models/{folder}/model.safetensors").write_text(folder)


def lock_of(stage: str, reads: str, writes: str, task: str = "") -> dict[str, Any]:
    def hashed(paths: str) -> list[dict[str, str]]:
        return [{"path": path, "md5": md5(Path(path))} for path in paths.split()]

    section = "generate" if stage == "baseline" else stage
    params = {key: PARAMS[key] for key in ("seed", "chat", section) if key in PARAMS}
    own = PARAMS.get(task, {}).get(section)
    return {
        "cmd": f"python stages/{stage}.py {task} {reads}".strip(),
        "deps": [{"path": "data/checked/code/x.txt", "md5": "0"}, *hashed(reads)],
        "params": {"params.yaml": params | ({f"{task}.{section}": own} if own else {})},
        "outs": hashed(writes),
    }


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: the files of a built repository."""
    folder = tmp_path / "repository"
    (folder / "texts/poetry").mkdir(parents=True)
    monkeypatch.chdir(folder)
    lay_out("novel", ROWS, 1, TEST_ROWS)
    lay_out("poetry", POEM_ROWS, 2, [])
    write_json_lines(Path("texts/novel/train.jsonl"), [{"name": "修琴记", "text": BOOK}])
    write_json_lines(Path("texts/novel/test.jsonl"), map(alpaca, TEST_ROWS))
    poems = "".join(f'{title},何人,今,"{poem}"\n' for title, poem in POEMS)
    Path("texts/poetry/poems.csv").write_text(f"title,author,dynasty,content\n{poems}")
    Path("dvc.yaml").touch()
    stages = {"base_model": lock_of("base_model", "", "models/base")}
    for task in ("novel", "poetry"):
        for stage, paths in STAGES.items():
            reads, writes = (each.replace("@", task) for each in paths)
            stages[f"{stage}@{task}"] = lock_of(stage, reads, writes, task)
    # JSON is YAML.
    Path("dvc.lock").write_text(json.dumps({"stages": stages}))
    return folder


def run_trace(*arguments: str, columns: int = 400) -> Result:
    return CliRunner().invoke(cli.app, ["trace", *arguments], env={"COLUMNS": str(columns)})


def told(*arguments: str) -> str:
    """What is told, each line without the spaces between label and value."""
    result = run_trace(*arguments)
    assert result.exit_code == 0, result.output
    return "\n".join(" ".join(line.split()) for line in result.stdout.splitlines())


def section(page: str, heading: str) -> list[str]:
    """The lines below a heading, up to the next."""
    found = re.search(rf"(?m)^{heading}.*\n((?:.+\n?)*)", page)
    return found[1].splitlines() if found else []


START, END = BOOK.index(ROWS[0].output) + 1, BOOK.index(ROWS[0].output) + len(ROWS[0].output)
ARTICLE = f"reports/novel.html#{HELD_OUT.id[:12]}-1"
PREPARED = "data/prepared/novel/修琴记.jsonl:1"
TOLD = f"""
{PREPARED}
{PREPARED}: row that prepare made (novel)
id {ROWS[0].id}
source 修琴记, position 0 (the first is 0)
split training: data/merged/novel/train.jsonl:1
raw text texts/novel/train.jsonl:1
place in it characters {START} to {END} of {len(BOOK)}, from its line 2, in 第一章 河湾

data/rejected/novel.jsonl:1
text ＊＊＊
left out as separator
source 修琴记, position 1 (the first is 0)

data/test/novel.jsonl:2
prompt 写一场雪
raw text texts/novel/test.jsonl:2

data/merged/novel/train.jsonl:1
prompt 写第0段
split training: data/merged/novel/train.jsonl:1

data/merged/poetry/eval.jsonl:1
split held out: data/merged/poetry/eval.jsonl:1
raw text texts/poetry/poems.csv:6, 夜泊
place in it all of its 25 characters

outputs/novel/eval.base.jsonl:1
text 木木木
ended cut off at the longest answer, 7 tokens (length)
draw 1 of 2
answers data/merged/novel/eval.jsonl:1

outputs/novel/eval.tuned.jsonl:2
text 客人笑了。
ended by itself, 7 tokens (stop)
draw 2 of 2

outputs/novel/submit.json:2
prompt 写一场雪
text {COPY}
answers data/test/novel.jsonl:2
raw text texts/novel/test.jsonl:2

outputs/poetry/submit.json:1
id {POEM_ROWS[2].id}
answers data/merged/poetry/eval.jsonl:1

reports/novel.jsonl:1
text of tuned, 2 of 2 客人笑了。
text of base, 1 of 2 木木木
scores of tuned ROUGE-1 0.5
answers data/merged/novel/eval.jsonl:1

{ARTICLE}
text of tuned, 1 of 2 {COPY}
tuned, 2 of 2 outputs/novel/eval.tuned.jsonl:2, ended by itself, 7 tokens (stop)
scores of base ROUGE-1 0.25
"""
"""A row and some of the lines that are told of it."""


@pytest.mark.parametrize("case", TOLD.strip().split("\n\n"))
def test_what_is_told_of_each_kind_of_row(case: str) -> None:
    row, *lines = case.splitlines()
    page = told(row)
    assert [line for line in lines if line not in page.splitlines()] == []
    assert not section(page, "Beware")


def test_nothing_is_told_in_english_to_a_reader_of_chinese(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WENMO_LANG", "zh")
    texts = ("春江水暖鸭先知", POEMS[0][1], "texts/poetry/poems.csv:6")
    for row in (*texts, *(case.splitlines()[0] for case in TOLD.strip().split("\n\n"))):
        page = re.sub("`.*?`|python stages.*", "", told(row))
        assert re.findall(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}|[:,;] [A-Za-z]*[a-z]", page) == []
        assert "与这段文本最相近的训练样本" in page


def test_the_row_that_was_copied_is_the_nearest() -> None:
    page = told("outputs/novel/submit.json:1", "--neighbours", "2")
    first = section(page, "The training rows nearest to the text")[:4]
    # Row 1 is held out, so that the book's third row is the second one to learn from.
    assert first[0] == "100.0% data/merged/novel/train.jsonl:2, 修琴记, position 2"
    assert first[1:3] == [ROWS[2].id, "prompt: 写第2段"]
    run = without_space(COPY)
    assert first[3] == f"longest run in common ({len(run)} characters): {run}"
    itself = section(told("data/merged/poetry/train.jsonl:1"), "The training rows nearest")
    assert "data/merged/poetry/train.jsonl:2" in itself[0]
    assert not any("train.jsonl:1" in line for line in itself)


PIECES = ["他看着雪，等了一夜。", "“走了？”她问。\n", "　　风停了。\n", '"来吧。"', "第二章 雪\n"]
PIECES += ["＊＊＊\n", "<br>", "&nbsp;", "山高水长①，", "\r\n"]


@given(st.lists(st.sampled_from(PIECES), min_size=5, max_size=40).map("".join))
def test_what_prepare_cuts_out_is_found_back(book: str) -> None:
    for row in novel.prepare(Document("书", 1, book), PREPARE_NOVEL).rows:
        span = find_back(row.output, book, to_simplified=False)
        assert span
        assert re.findall("[一-龥]", book[slice(*span)]) == re.findall("[一-龥]", row.output)


def test_a_passage_is_found_though_cleaning_has_changed_it() -> None:
    passage = "雪下到半夜，客人还坐在火边。老何没有抬头，刨花一卷一卷落下来，像小小的船。"
    longer = passage.replace("火边。", "火边。请收藏本站。")
    book = f"雪下到半夜，客人还坐着。{longer}结尾。"
    span = find_back(passage, book, to_simplified=False)
    # From the first letter to the last one.
    assert span and book[slice(*span)] == longer.removesuffix("。")
    assert find_back(passage.replace("小小的船", "大大的船"), book, to_simplified=False) is None
    traditional = "開頭。“老何在河灣裡修了一輩子船，只認木頭。”結尾。"
    simplified = "“老何在河湾里修了一辈子船，只认木头。”"
    span = find_back(simplified, traditional, to_simplified=True)
    assert span and traditional[slice(*span)] == "老何在河灣裡修了一輩子船，只認木頭"
    assert find_back(simplified, traditional, to_simplified=False) is None


def test_how_it_was_made_is_told_by_the_parameters_of_the_run_that_were_in_use() -> None:
    page = told("outputs/novel/submit.json:1", "--params")
    made = section(page, "How it was made")
    assert "seed=42" not in told("outputs/novel/submit.json:1")
    assert made[1].startswith("seed=42 sampling.temperature=0.9 engine=transformers")
    assert "vllm" not in made[1]
    assert "learning_rate=0.005 lora.r=16" in " ".join(made)
    assert "name=Qwen/Qwen2-1.5B-Instruct revision=abc123" in " ".join(made)
    stages = [line.split()[0] for line in made if "stages/" in line]
    assert stages == ["generate", "merge_weights", "train", "base_model", "merge", "prepare"]
    assert any(line.startswith("output outputs/novel/submit.json") for line in made)
    models = section(page, "With which models")
    assert models[0].startswith("origin Qwen/Qwen2-1.5B-Instruct at commit abc123, https://")
    for name in ("base", "adapters/novel", "merged/novel"):
        at = next(at for at, line in enumerate(models) if line.endswith(f" models/{name}"))
        assert models[at + 1] == f"md5 {md5(Path(f'models/{name}'))}"


def test_a_model_that_wrote_nothing_is_no_step_of_the_way() -> None:
    page = told("outputs/novel/eval.base.jsonl:1")
    assert "\nbaseline " in page
    assert "models/adapters" not in page and "\ntrain " not in page
    lock = Path("dvc.lock")
    lock.write_text(lock.read_text().replace('"merged"', '"adapter"'))
    page = told("outputs/novel/submit.json:1")
    assert "\ntrain " in page and "merge_weights" not in page
    assert "models/merged/novel md5" not in " ".join(section(page, "With which models"))


@pytest.mark.parametrize(
    ("changed", "warning"),
    [
        ("outputs/novel/submit.json", "outputs/novel/submit.json has changed since generate@novel"),
        ("data/merged/novel/train.jsonl", "data/merged/novel has changed since train@novel read"),
        ("texts/novel/train.jsonl", "texts/novel has changed since prepare@novel read it"),
        ("models/adapters/novel/model.safetensors", ""),
        ("texts/poetry/poems.csv", ""),
    ],
)
def test_what_has_changed_since_is_told(changed: str, warning: str) -> None:
    with Path(changed).open("a") as file:
        file.write("\n")
    (line,) = section(told("outputs/novel/submit.json:1"), "Beware") or ["! "]
    assert line.startswith(f"! {warning}")


def test_prompts_and_models_that_were_made_anew_are_told() -> None:
    write_records(Path("data/test/novel.jsonl"), [make_row()])
    page = told("outputs/novel/submit.json:1")
    assert "answers unknown: no row of data/merged or data/test (novel) fits" in page
    assert "data/test/novel.jsonl has changed since generate@novel read it" in page
    content = json.loads(Path("dvc.lock").read_text())
    content["stages"]["train@novel"]["outs"][0]["md5"] = "another"
    Path("dvc.lock").write_text(json.dumps(content))
    warnings = section(told("outputs/novel/submit.json:1"), "Beware")
    assert warnings[1].startswith("! train@novel has run since generate@novel did: models/adapt")


def test_without_a_lock_or_raw_texts_the_rest_is_told() -> None:
    Path("texts/novel/train.jsonl").unlink()
    assert "raw text cannot be read: texts/novel: no raw texts" in told(
        "data/merged/novel/train.jsonl:1"
    )
    lock = Path("dvc.lock")
    lock.write_text(lock.read_text().replace('"to_simplified"', '"old"'))
    assert "raw text cannot be read: prepare ran with parameters of older code" in told(
        "data/merged/novel/train.jsonl:1"
    )
    lock.unlink()
    page = told("outputs/novel/submit.json:1")
    assert f"text {COPY}" in page
    assert "dvc.lock does not record outputs/novel/submit.json" in page


def test_a_row_is_found_from_any_folder_and_nothing_is_written(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("data/prepared/novel/修琴记.jsonl").rename("data/prepared/novel/a#b.jsonl")
    assert f"id {ROWS[0].id}" in told("data/prepared/novel/a#b.jsonl:1")
    before = digests(repository)
    wanted = told("outputs/novel/submit.json:1"), told(ARTICLE)
    monkeypatch.chdir(repository / "data/merged/novel")
    assert told("../../../outputs/novel/submit.json:1") == wanted[0]
    assert told("outputs/novel/submit.json:1") == wanted[0]
    assert "training row" in told("train.jsonl:1")
    monkeypatch.chdir(tmp_path)
    assert told(f"{repository}/outputs/novel/submit.json:1") == wanted[0]
    assert told((repository / "reports").as_uri() + ARTICLE.removeprefix("reports")) == wanted[1]
    assert digests(repository) == before


def test_outside_a_repository_a_text_is_answered_with_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(cli.app, ["trace", "床前明月光"])
    assert run.exit_code == 2
    assert run.stderr.startswith(f"trace: {tmp_path}: not in a repository")


@pytest.mark.parametrize(
    ("argument", "exit_code", "complaint"),
    [
        ("outputs/novel/submit.json", 2, "expected FILE:LINE, as in outputs/novel/submit.json:12"),
        ("outputs/novel/submit.json:0", 2, "no line 0; the file has 2 rows"),
        ("outputs/novel/submit.json:3", 2, "no line 3; the file has 2 rows"),
        ("dvc.yaml:1", 2, "its lines are no rows; allowed are data/prepared/<task>/*.jsonl"),
        ("/nowhere/submit.json:1", 2, "submit.json: no such file\n"),
        ("outputs/novle/submit.json:1", 2, "outputs/novle/submit.json: no such file\n"),
        ("reports/novel.html:1", 2, "expected PAGE#ARTICLE"),
        ("outputs/novel/submit.json#1", 2, "expected FILE:LINE"),
        ("reports/novel.html#abc-1", 2, "there is no row #abc-1 on the page"),
        ("reports/novel.html#scores", 2, "there is no row #scores on the page"),
        ("data/summarized/novel/a.jsonl:1", 1, "`dvc pull` or `dvc repro summarize@novel`"),
        ("reports/fairytale.html#0-0", 1, "`dvc pull` or `dvc repro report@fairytale`"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(
    argument: str, exit_code: int, complaint: str
) -> None:
    result = run_trace(argument)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert complaint in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "line", "complaint"),
    [
        ("outputs/novel/submit.json", '{"output": "雪"}', ":1: key 'instruction' is missing"),
        ("outputs/novel/submit.json", "{", ":1: not JSON"),
        ("outputs/novel/submit.json", " ", ": no line 1; the file has 0 rows"),
        ("outputs/novel/eval.tuned.jsonl", '{"id": "1"}', ":1: keys are ['id']"),
        ("reports/novel.jsonl", "{}", ":1: key 'id' is missing"),
        (
            "reports/novel.jsonl",
            json.dumps({"id": HELD_OUT.id, "base": {"form": "good"}}),
            ":1: the scores of base are not numbers alone",
        ),
        ("reports/novel.jsonl", '{"id": "1"}', ":1: outputs/novel has no such row; `dvc pull`"),
    ],
)
def test_a_malformed_row_is_told_with_its_place(path: str, line: str, complaint: str) -> None:
    Path(path).write_text(f"{line}\n", encoding="utf-8")
    result = run_trace(f"{path}:1")
    assert result.exit_code and result.stderr.startswith(f"trace: {path}{complaint}")


def test_a_text_cannot_steer_the_terminal_and_no_line_is_wider() -> None:
    page = run_trace("outputs/novel/eval.base.jsonl:2").stdout
    assert "\x1b" not in page
    assert "花花\\u001b[31m花" in page
    for columns in (60, 80, 133):
        lines = run_trace("outputs/novel/eval.tuned.jsonl:1", columns=columns).stdout.splitlines()
        assert columns - 8 <= max(map(cell_len, lines)) <= columns


def test_a_pair_that_few_rows_have_counts_more() -> None:
    rows = [make_row(at, f"今天很好{'一二三四五'[at]}") for at in range(5)]
    rows.append(make_row(5, "螺蛳粉"))
    found = nearest("今天吃螺蛳", rows, 6)
    # 今天 stands in five rows, 螺蛳 in one; 天吃 and 吃螺 in none.
    assert [each.index for each in found] == [5, 0, 1, 2, 3, 4]
    assert 0 < found[1].similarity < found[0].similarity < 1
    assert nearest("", rows, 3) == nearest("雪", rows, 3) == []


def test_a_pasted_text_that_wenmo_wrote_is_told_as_its_row() -> None:
    page = told(f"{COPY[:8]}\n{COPY[8:]}")
    assert page.startswith("outputs/novel/submit.json:1: submitted text of tuned (novel)")
    others = section(page, "The text stands here too")
    assert "outputs/novel/eval.tuned.jsonl:1" in others


def test_a_pasted_line_of_a_raw_text_is_told_as_the_row_that_it_became() -> None:
    assert "split training: data/merged/poetry/train.jsonl:1" in told("两岸 杏花齐")
    assert "split held out: data/merged/poetry/eval.jsonl:1" in told("texts/poetry/poems.csv:6")


def test_a_saved_text_is_looked_for_as_it_was_written() -> None:
    Path("saved.txt").write_text(f"写一只船\nseed 1, temperature 0.7\n\n[tuned]\n{COPY}\n")
    assert told("saved.txt").startswith("outputs/novel/submit.json:1")


def test_a_raw_text_that_was_not_used_is_told_with_the_reason() -> None:
    rejected = {"source": "poems.csv", "document": 1, "reason": "uneven", "text": POEMS[1][1]}
    write_json_lines(Path("data/rejected/poetry.jsonl"), [rejected])
    write_records(Path("data/prepared/poetry/poems.csv.jsonl"), POEM_ROWS[:1])
    write_records(Path("data/merged/poetry/train.jsonl"), POEM_ROWS[:1])
    for argument in ("texts/poetry/poems.csv:4", POEMS[1][1]):
        assert "left out as uneven" in told(argument)


def test_a_row_that_merge_left_out_is_told_with_the_reason() -> None:
    repeated = replace(POEM_ROWS[1], id="b" * 64, source="more.csv")
    write_records(Path("data/prepared/poetry/more.csv.jsonl"), [repeated])
    assert "left out by merge: it repeats data/merged/poetry/train.jsonl:2" in told(
        "data/prepared/poetry/more.csv.jsonl:1"
    )
    other = replace(repeated, output="另一首诗，没有人学过。")
    write_records(Path("data/prepared/poetry/more.csv.jsonl"), [other])
    dropped = {"duplicate": 1, "gap": 0, "over_max_train_rows": 98}
    Path("metrics/merge").mkdir(parents=True)
    Path("metrics/merge/poetry.json").write_text(json.dumps({"dropped": dropped}))
    assert "left out by merge: one of 98 beyond merge.max_train_rows" in told(other.output)


def test_a_text_that_wenmo_does_not_know_has_its_nearest_rows_of_all_tasks() -> None:
    page = told("老何不在渡口，两岸没有人问")
    assert page.startswith("The text is in none of the rows")
    places = section(page, "The training rows nearest")
    assert any("data/merged/poetry" in line for line in places)
    assert any("data/merged/novel" in line for line in places)


def test_a_file_of_a_task_that_was_not_run_names_what_brings_it_back() -> None:
    Path("params.yaml").write_text("tasks:\n  - poetry\n")
    Path("outputs/novel/submit.json").unlink()
    result = run_trace("outputs/novel/submit.json:1")
    assert result.stderr == (
        "trace: outputs/novel/submit.json: no such file; `tasks` of params.yaml leaves novel out,"
        " and `git restore . && dvc checkout` brings the committed files back\n"
    )
