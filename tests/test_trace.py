"""`wenmo trace` on a small repository that DVC itself has run, with texts made for it."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from tests.conftest import PREPARE, digests, dvc, git, make_row
from wenmo.config.novel import PassageParams
from wenmo.core.records import Generation, Row, row_id, write_json_lines, write_records
from wenmo.scoring.overlap import without_space
from wenmo.tasks import novel
from wenmo.tasks.task import Document
from wenmo.tools import cli
from wenmo.tools.trace.neighbours import longest_run, nearest
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
HELD_OUT = 1
COPY = ROWS[2].output[4:30]

PARAMS = """
seed: 42
chat: {system_prompt: 你是一位作家。}
prepare: {to_simplified: false}
merge: {eval_fraction: 0.2}
base_model: {source: huggingface, name: Qwen/Qwen2-1.5B-Instruct, revision: abc123, path: unused}
train: {learning_rate: 4e-3, lora: {r: 16}}
generate:
  engine: transformers
  weights: merged
  sampling: {temperature: 0.7}
  vllm: {max_num_seqs: 256}
evaluate: {resamples: 10}
novel:
  prepare: {}
  merge: {}
  evaluate: {}
  train: {learning_rate: 5e-3}
  generate: {sampling: {temperature: 0.9}}
poetry:
  prepare: {columns: {title: title, author: author, dynasty: dynasty, content: content}}
  merge: {}
  train: {}
  generate: {}
  evaluate: {}
"""
STAGES = {
    "prepare": (
        ["texts/${item}"],
        ["data/prepared/${item}", "data/test/${item}.jsonl", "data/rejected/${item}.jsonl"],
    ),
    "merge": (["data/prepared/${item}"], ["data/merged/${item}"]),
    "train": (["data/merged/${item}", "models/base"], ["models/adapters/${item}"]),
    "generate": (
        [
            "data/merged/${item}/eval.jsonl",
            "data/test/${item}.jsonl",
            "models/base",
            "models/adapters/${item}",
        ],
        ["outputs/${item}"],
    ),
    "evaluate": (
        ["outputs/${item}/eval.tuned.jsonl"],
        ["reports/${item}.html", "reports/${item}.jsonl"],
    ),
}
"""What each stage reads and writes; here it copies what it writes out of a folder."""


def copying(deps: list[str], params: list[str], outs: list[str]) -> dict[str, Any]:
    commands = [
        f"mkdir -p {Path(out).parent} && cp -r made/{out} {Path(out).parent}/" for out in outs
    ]
    # Like stages/prepare.py, the first one is told its raw texts at the command's end.
    commands += [f"ls {dep}" for dep in deps if dep.startswith("texts/")]
    return {
        "cmd": " && ".join(commands),
        "deps": [*deps, *(f"made/{out}" for out in outs)],
        "params": params,
        "outs": outs,
    }


def pipeline() -> dict[str, Any]:
    stages: dict[str, Any] = {
        name: {
            "foreach": ["novel", "poetry"],
            "do": copying(deps, ["seed", "chat", name, f"${{item}}.{name}"], outs),
        }
        for name, (deps, outs) in STAGES.items()
    }
    return {
        "stages": {"base_model": copying([], ["seed", "base_model"], ["models/base"]), **stages}
    }


def written(row: Row, text: str, finish_reason: str = "stop") -> Generation:
    return Generation(row.id, row.prompt, row.output, text, finish_reason, 7)


def poem_rows() -> list[Row]:
    return [
        Row(row_id("poems.csv", poem), "poems.csv", at, f"写{title}。", "", poem)
        for at, (title, poem) in enumerate(POEMS)
    ]


def lay_out(made: Path, task: str, rows: list[Row], held_out: int, test: list[Row]) -> None:
    """What the stages of a task will write, in a folder from which they copy it."""
    prompted = [row if row.prompt else replace(row, input=f"写第{row.position}段") for row in rows]
    learnt = [row for at, row in enumerate(prompted) if at != held_out]
    asked = prompted[held_out]
    write_records(made / f"data/prepared/{task}/{rows[0].source}.jsonl", rows)
    write_json_lines(
        made / f"data/rejected/{task}.jsonl",
        [{"source": rows[0].source, "document": 0, "reason": "separator", "text": "＊＊＊"}],
    )
    write_records(made / f"data/test/{task}.jsonl", test)
    write_records(made / f"data/merged/{task}/train.jsonl", learnt)
    write_records(made / f"data/merged/{task}/eval.jsonl", [asked])
    outputs = made / f"outputs/{task}"
    base = [written(asked, "木木木", "length"), written(asked, "花花\x1b[31m花")]
    tuned = [written(asked, COPY), written(asked, "客人笑了。")]
    write_records(outputs / "eval.base.jsonl", base)
    write_records(outputs / "eval.tuned.jsonl", tuned)
    submitted = test or [asked]
    write_json_lines(
        outputs / "submit.json",
        [{"instruction": r.instruction, "input": r.input, "output": COPY} for r in submitted],
    )
    scores = {"rouge_1": 0.25}
    write_json_lines(
        made / f"reports/{task}.jsonl",
        [
            {"id": asked.id, "source": asked.source, "prompt": asked.prompt}
            | {"base": scores, "tuned": {"rouge_1": 0.5}}
        ],
    )
    page = f'<article id="{asked.id[:12]}-1">'
    (made / f"reports/{task}.html").write_text(page + '<p id="scores">', encoding="utf-8")
    adapter = made / f"models/adapters/{task}/adapter_model.safetensors"
    adapter.parent.mkdir(parents=True)
    adapter.write_text(task)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository after `dvc repro`, its lock committed after an earlier, unrelated commit."""
    root = tmp_path_factory.mktemp("trace") / "repository"
    test = [
        Row(row_id(f"test/{at}", prompt), "test", at, "", prompt, "")
        for at, prompt in enumerate(["写一只船", "写一场雪"])
    ]
    lay_out(root / "made", "novel", ROWS, HELD_OUT, test)
    lay_out(root / "made", "poetry", poem_rows(), 2, [])
    base = root / "made/models/base/config.json"
    base.parent.mkdir(parents=True)
    base.write_text("{}")
    texts = root / "texts"
    write_json_lines(texts / "novel/train.jsonl", [{"name": "修琴记", "text": BOOK}])
    write_json_lines(
        texts / "novel/test.jsonl",
        [{"instruction": "", "input": row.input, "output": ""} for row in test],
    )
    poems = "".join(f'{title},何人,今,"{poem}"\n' for title, poem in POEMS)
    (texts / "poetry").mkdir()
    (texts / "poetry/poems.csv").write_text(f"title,author,dynasty,content\n{poems}")
    (root / "params.yaml").write_text(PARAMS, encoding="utf-8")
    # JSON is YAML.
    (root / "dvc.yaml").write_text(json.dumps(pipeline()), encoding="utf-8")
    git(root, "init", "--quiet")
    dvc(root, "init", "--quiet")
    dvc(root, "config", "core.autostage", "false")
    (root / ".gitignore").write_text("/data\n/models\n/outputs\n/reports\n")
    commit(root, "Before any result")
    base_texts = root / "made/outputs/poetry/eval.base.jsonl"
    for message in ("First results", "Other texts of base"):
        run = dvc(root, "repro")
        assert run.returncode == 0, run.stdout + run.stderr
        commit(root, message)
        base_texts.write_text(base_texts.read_text(encoding="utf-8").replace("木", "林"))
    git(root, "checkout", "--quiet", "made")
    return root


@pytest.fixture
def repository(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to change, which is the current folder."""
    folder = tmp_path / "repository"
    shutil.copytree(built, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def commit(root: Path, message: str) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", message)


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


HELD_OUT_ROW, POEM = ROWS[HELD_OUT], poem_rows()[2]


@pytest.mark.parametrize(
    ("row", "lines"),
    [
        (
            "data/prepared/novel/修琴记.jsonl:1",
            [
                "data/prepared/novel/修琴记.jsonl:1: row that prepare made (novel)",
                f"id {ROWS[0].id}",
                "source 修琴记, position 0: data/prepared/novel/修琴记.jsonl:1, which has"
                f" {len(ROWS)} rows",
                "split training: data/merged/novel/train.jsonl:1",
                "raw text texts/novel/train.jsonl:1, 修琴记",
                "commit {first} First results",
            ],
        ),
        (
            "data/rejected/novel.jsonl:1",
            ["text ＊＊＊", "left out as separator", "source 修琴记"],
        ),
        (
            "data/test/novel.jsonl:2",
            [
                "prompt 写一场雪",
                "raw text texts/novel/test.jsonl:2",
                "answered in outputs/novel/submit.json:2",
            ],
        ),
        (
            "data/merged/novel/train.jsonl:1",
            [
                "data/merged/novel/train.jsonl:1: training row (novel)",
                "prompt 写第0段",
                "split training: data/merged/novel/train.jsonl:1",
            ],
        ),
        (
            "data/merged/poetry/eval.jsonl:1",
            [
                "split held out: data/merged/poetry/eval.jsonl:1",
                "raw text texts/poetry/poems.csv:6, 《夜泊》, 何人 (今)",
                "place in it all of its 25 characters",
                "answered in outputs/poetry/submit.json:1",
                "outputs/poetry/eval.base.jsonl:1",
            ],
        ),
        (
            "outputs/novel/eval.base.jsonl:1",
            [
                "text 木木木",
                "ended cut off at the longest answer, 7 tokens (length)",
                "draw 1 of 2",
                "answers data/merged/novel/eval.jsonl:1",
            ],
        ),
        (
            "outputs/novel/eval.tuned.jsonl:2",
            ["text 客人笑了。", "ended by itself, 7 tokens (stop)", "draw 2 of 2"],
        ),
        (
            "outputs/novel/submit.json:2",
            [
                "prompt 写一场雪",
                f"text {COPY}",
                "answers data/test/novel.jsonl:2",
                "raw text texts/novel/test.jsonl:2",
                "commit {first} First results",
            ],
        ),
        (
            "outputs/poetry/submit.json:1",
            [
                f"id {POEM.id}",
                "answers data/merged/poetry/eval.jsonl:1",
                "ended by itself, 7 tokens (stop) (the same text is"
                " outputs/poetry/eval.tuned.jsonl:1)",
                "commit {second} Other texts of base",
            ],
        ),
        (
            "reports/novel.jsonl:1",
            [
                f"text of tuned, 1 of 2 {COPY}",
                "text of tuned, 2 of 2 客人笑了。",
                "text of base, 1 of 2 木木木",
                "scores of tuned rouge_1 0.5 (means of 2 texts)",
                "tuned, 1 of 2 outputs/novel/eval.tuned.jsonl:1, ended by itself, 7 tokens (stop)",
                "answers data/merged/novel/eval.jsonl:1",
            ],
        ),
        (
            f"reports/novel.html#{HELD_OUT_ROW.id[:12]}-1",
            [
                f"text of tuned, 1 of 2 {COPY}",
                "text of tuned, 2 of 2 客人笑了。",
                "tuned, 2 of 2 outputs/novel/eval.tuned.jsonl:2, ended by itself, 7 tokens (stop)",
                "base, 1 of 2 outputs/novel/eval.base.jsonl:1, ended cut off at the longest answer,"
                " 7 tokens (length)",
            ],
        ),
        ("texts/novel/train.jsonl:1", ["title 修琴记", "held out data/merged/novel/eval.jsonl:1"]),
        ("texts/novel/test.jsonl:1", ["answered in outputs/novel/submit.json:1"]),
        (
            "texts/poetry/poems.csv:3",
            [
                "title 《春渡》, 何人 (今)",
                "rows data/prepared/poetry/poems.csv.jsonl:1",
                "learnt data/merged/poetry/train.jsonl:1",
            ],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_told_of_each_kind_of_row(
    row: str, lines: list[str], built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built)
    second, first = git(built, "log", "--format=%h %as", "-2").splitlines()
    page = told(row)
    for line in lines:
        assert line.format(first=first, second=second) in page.splitlines()
    assert not section(page, "Beware")


@pytest.mark.parametrize("draws", [1, 3])
def test_an_article_is_found_by_the_number_of_its_row(draws: int, repository: Path) -> None:
    rows = poem_rows()[:2]
    for model in ("base", "tuned"):
        path = Path(f"outputs/poetry/eval.{model}.jsonl")
        path.unlink()
        write_records(
            path,
            [
                written(row, f"{model}{row.position}第{draw}次")
                for row in rows
                for draw in range(draws)
            ],
        )
    page = Path("reports/poetry.html")
    page.unlink()
    # As side_by_side numbers them.
    page.write_text("".join(f'<article id="{row.id[:12]}-{at}">' for at, row in enumerate(rows, 1)))
    found = told(f"reports/poetry.html#{rows[1].id[:12]}-2")
    for draw in range(draws):
        label = "text of tuned" if draws == 1 else f"text of tuned, {draw + 1} of {draws}"
        assert f"{label} tuned1第{draw}次" in found.splitlines()
    assert "tuned0" not in found


def test_the_row_that_was_copied_is_the_nearest(repository: Path) -> None:
    page = told("outputs/novel/submit.json:1", "--neighbours", "2")
    first = section(page, "The training rows nearest to the text")[:4]
    # Row 1 is held out, so that the book's third row is the second one to learn from.
    assert first[0] == "100.0% data/merged/novel/train.jsonl:2, 修琴记 position 2"
    assert first[1:3] == [ROWS[2].id, "prompt: 写第2段"]
    run = without_space(COPY)
    assert first[3] == f"longest run in common ({len(run)} characters): {run}"


def test_a_training_row_is_no_neighbour_of_itself(repository: Path) -> None:
    page = told("data/merged/poetry/train.jsonl:1")
    nearest_rows = section(page, "The other training rows nearest to the text")
    assert "data/merged/poetry/train.jsonl:2" in nearest_rows[0]
    assert not any("train.jsonl:1" in line for line in nearest_rows)
    assert not section(told("data/merged/poetry/train.jsonl:1", "--neighbours", "0"), "The other")


def test_a_passage_is_found_at_its_place_in_the_book(repository: Path) -> None:
    page = told("data/prepared/novel/修琴记.jsonl:1")
    found = re.search(
        r"characters ([\d,]+) to ([\d,]+) of (\d+), from its line (\d+), in (.+)", page
    )
    assert found
    start, end, length, line = (int(each) for each in found.groups()[:4])
    assert BOOK[start - 1 : end] == ROWS[0].output
    assert (length, line, found[5]) == (len(BOOK), 2, "第一章 河湾")


@given(
    st.lists(
        st.sampled_from(
            [
                "他看着雪，等了一夜。",
                "“走了？”她问。\n",
                "　　风停了。\n",
                '"来吧。"',
                "第二章 雪\n",
                "＊＊＊\n",
                "<br>",
                "&nbsp;",
                "山高水长①，",
                "\r\n",
            ]
        ),
        min_size=5,
        max_size=40,
    ).map("".join)
)
def test_what_prepare_cuts_out_is_found_back(book: str) -> None:
    for row in novel.prepare(Document("书", 1, book), PREPARE_NOVEL).rows:
        span = find_back(row.output, book, to_simplified=False)
        assert span and span.whole
        assert han(book[span.start : span.end]) == han(row.output)


def test_a_passage_is_found_though_words_were_taken_out_of_it() -> None:
    passage = "雪下到半夜，客人还坐在火边。老何没有抬头，刨花一卷一卷落下来，像小小的船。"
    book = f"开头。{passage.replace('火边。', '火边。请收藏本站。')}结尾。" * 2
    span = find_back(passage, book, to_simplified=False)
    assert span and not span.whole
    assert book[span.start : span.end] == book[3 : len(book) // 2 - 3]
    assert find_back(passage.replace("小小的船", "大大的船"), book, to_simplified=False) is None


def test_a_passage_is_found_though_the_book_is_in_traditional_characters() -> None:
    raw = "開頭。“老何在河灣裡修了一輩子船，只認木頭。”結尾。"
    span = find_back("“老何在河湾里修了一辈子船，只认木头。”", raw, to_simplified=True)
    assert span
    assert raw[span.start : span.end] == raw[3:-3]
    assert find_back("老何在河湾里修了一辈子船", raw, to_simplified=False) is None


def test_a_text_without_letters_and_one_that_a_refrain_opens_are_found_back() -> None:
    span = find_back("* * *", "一行。\n* * *\n两行。\n* * *\n", to_simplified=False)
    assert span and (span.start, span.end, span.times) == (4, 9, 2)
    refrain = "月亮出来亮堂堂对面的姑娘"
    passage = f"{refrain}她撑船过河去看灯，船头坐着一只白鹅，鹅也看灯。"
    filling = "。".join(f"第{number}段他修船她看鹅" for number in "一二三四五六七八九十")
    raw = f"{refrain}{filling}{passage.replace('过河', '过河（广告）')}结尾。"
    found = find_back(passage, raw, to_simplified=False)
    assert found and raw[found.start : found.end].startswith(f"{refrain}她撑船")
    assert raw[found.end :] == "结尾。"


def test_base_wrote_without_an_adapter(repository: Path) -> None:
    page = told("outputs/novel/eval.base.jsonl:1")
    assert "models/adapters" not in page
    assert not any(line.startswith("train ") for line in page.splitlines())
    assert "models/adapters/novel" in told("outputs/novel/eval.tuned.jsonl:1")


def test_a_merged_model_that_wrote_nothing_is_no_step_of_the_way(repository: Path) -> None:
    lock = Path("dvc.lock")
    content = YAML(typ="safe").load(lock.read_text())
    stages, merged = content["stages"], {"path": "models/merged/novel", "md5": "0"}
    stages["merge_weights@novel"] = {"cmd": "merge", "outs": [merged]}
    stages["generate@novel"]["deps"].append(merged)
    lock.write_text(json.dumps(content))
    assert "\nmerge_weights merge" in told("outputs/novel/submit.json:1")
    for params in stages["generate@novel"]["params"].values():
        params["generate"]["weights"] = "adapter"
    lock.write_text(json.dumps(content))
    page = told("outputs/novel/submit.json:1")
    assert "merge_weights" not in page
    assert "\ntrain " in page


def test_the_parameters_are_those_of_the_run_and_in_use(repository: Path) -> None:
    params = Path("params.yaml").read_text(encoding="utf-8")
    Path("params.yaml").write_text(params.replace("0.9", "0.1"), encoding="utf-8")
    made = section(told("outputs/novel/submit.json:1"), "How it was made")
    generate = next(at for at, line in enumerate(made) if line.startswith("generate "))
    assert generate == 0
    assert made[1].startswith("seed=42 sampling.temperature=0.9 engine=transformers")
    assert "vllm" not in made[1]
    assert "learning_rate=0.005 lora.r=16" in " ".join(made)
    stages = [line.split()[0] for line in made if "cp -r" in line]
    assert stages == ["generate", "train", "base_model", "merge", "prepare"]
    assert "name=Qwen/Qwen2-1.5B-Instruct revision=abc123" in " ".join(made)


def test_the_models_are_told_with_the_hashes_of_the_run(repository: Path) -> None:
    lock = Path("dvc.lock").read_text()
    models = section(told("outputs/poetry/submit.json:1"), "With which models")
    assert models[0].startswith("base Qwen/Qwen2-1.5B-Instruct at commit abc123, https://")
    for name in ("base", "adapters/poetry"):
        found = re.search(rf"path: models/{name}\n\s+hash: md5\n\s+md5: (\S+)", lock)
        assert found
        at = next(at for at, line in enumerate(models) if line.endswith(f"models/{name}"))
        assert models[at + 1] == f"md5 {found[1]}"


def han(text: str) -> str:
    return "".join(each for each in text if "一" <= each <= "龥")


def edit(path: str) -> None:
    content = Path(path).read_text(encoding="utf-8")
    # DVC gives out read-only links of its cache if told to; a new file is always right.
    Path(path).unlink()
    Path(path).write_text(content + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("changed", "warning"),
    [
        ("outputs/novel/eval.base.jsonl", "outputs/novel has changed since generate@novel made it"),
        (
            "data/merged/novel/train.jsonl",
            "data/merged/novel has changed since train@novel read it",
        ),
        ("texts/novel/train.jsonl", "texts/novel has changed since prepare@novel read it"),
        ("models/adapters/novel/adapter_model.safetensors", ""),
        ("texts/poetry/poems.csv", ""),
    ],
)
def test_what_has_changed_since_is_told(changed: str, warning: str, repository: Path) -> None:
    edit(changed)
    warnings = section(told("outputs/novel/submit.json:1"), "Beware")
    assert [line.partition(";")[0] for line in warnings] == ([f"! {warning}"] if warning else [])


def test_a_stage_that_ran_again_is_told(repository: Path) -> None:
    edit("made/models/adapters/novel/adapter_model.safetensors")
    assert dvc(repository, "repro", "--single-item", "train@novel").returncode == 0
    warnings = section(told("outputs/novel/submit.json:1"), "Beware")
    assert warnings == [
        "! train@novel has run since generate@novel did: models/adapters/novel is another one now"
    ]


def test_an_output_that_is_in_no_commit_is_told(repository: Path) -> None:
    edit("made/outputs/novel/submit.json")
    assert dvc(repository, "repro", "generate@novel").returncode == 0
    page = told("outputs/novel/submit.json:1")
    assert "commit not committed: HEAD's dvc.lock does not record this output" in page
    assert "commit not committed" not in told("outputs/poetry/submit.json:1")
    commit(repository, "Now it is")
    assert re.search(r"commit \S+ \S+ Now it is", told("outputs/novel/submit.json:1"))


def test_an_output_of_an_older_commit_is_not_that_of_this_one(repository: Path) -> None:
    Path("dvc.lock").write_text(git(repository, "show", "HEAD~1:dvc.lock"))
    page = told("outputs/poetry/submit.json:1")
    assert "commit not committed: HEAD's dvc.lock does not record this output" in page
    assert section(page, "Beware")[0].startswith("! outputs/poetry has changed")


def test_in_a_shallow_clone_the_oldest_commit_is_not_taken_for_the_first(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "note").write_text("later")
    commit(repository, "Something else")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth", "1", repository.as_uri(), str(clone))
    monkeypatch.chdir(clone)
    shutil.copytree(repository / "outputs", clone / "outputs")
    head = git(clone, "rev-parse", "--short", "HEAD").strip()
    page = told("outputs/novel/submit.json:1")
    assert f"commit {head} or before: this clone has no older history" in page


def test_the_first_commit_of_all_is_told_whatever_git_is_set_to(repository: Path) -> None:
    shutil.rmtree(".git")
    git(repository, "init", "--quiet")
    git(repository, "config", "log.showRoot", "false")
    commit(repository, "Everything")
    assert re.search(r"commit \S+ \S+ Everything", told("outputs/novel/submit.json:1"))


def test_what_git_complains_of_is_told(repository: Path) -> None:
    git(repository, "config", "core.repositoryformatversion", "99")
    page = told("outputs/novel/submit.json:1")
    assert "no repository here" not in page
    assert re.search(r"commit unknown: git: fatal: .* repo version", page)


def test_without_git_and_without_a_lock_the_rest_is_told(repository: Path) -> None:
    shutil.rmtree(".git")
    page = told("outputs/novel/submit.json:1")
    assert "commit unknown: git: fatal: not a git repository" in page
    Path("dvc.lock").unlink()
    page = told("outputs/novel/submit.json:1")
    assert f"text {COPY}" in page
    assert "dvc.lock does not record outputs/novel/submit.json" in page


def test_of_a_repository_that_was_never_built_no_reason_is_made_up(repository: Path) -> None:
    shutil.rmtree("data")
    assert (
        "rows unknown: data/prepared/novel is not there; `dvc pull` or `dvc repro prepare@novel`"
        in told("texts/novel/train.jsonl:1")
    )


@pytest.mark.parametrize(
    ("row", "recorded", "complaint"),
    [
        ("outputs/novel/submit.json:1", "revision: abc123", "base_model: no 'revision'"),
        ("data/prepared/novel/修琴记.jsonl:1", "to_simplified: false", "no 'to_simplified'"),
        ("texts/poetry/poems.csv:3", "columns:", "prepare@poetry: no 'columns'"),
    ],
)
def test_a_lock_of_older_code_is_told(
    row: str, recorded: str, complaint: str, repository: Path
) -> None:
    lock = Path("dvc.lock")
    assert recorded in lock.read_text()
    lock.write_text(lock.read_text().replace(recorded, f"old_{recorded}"))
    result = run_trace(row)
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert complaint in " ".join(result.output.split())
    assert "was written by older code; run `dvc repro`" in " ".join(result.output.split())


def test_a_stage_may_have_several_commands(repository: Path) -> None:
    lock = Path("dvc.lock")
    content = YAML(typ="safe").load(lock.read_text())
    for stage in content["stages"].values():
        stage["cmd"] = stage["cmd"].split(" && ")
    lock.write_text(json.dumps(content))
    assert "raw text texts/novel/train.jsonl:1, 修琴记" in told(
        "data/prepared/novel/修琴记.jsonl:1"
    )


def test_a_book_called_test_is_no_test_prompt(repository: Path) -> None:
    for path in ("data/prepared/novel/修琴记.jsonl", "data/merged/novel/eval.jsonl"):
        text = Path(path).read_text(encoding="utf-8")
        Path(path).unlink()
        renamed = Path(path).with_name(Path(path).name.replace("修琴记", "test"))
        renamed.write_text(text.replace('"修琴记"', '"test"'), encoding="utf-8")
    raw = Path("texts/novel/train.jsonl")
    raw.write_text(raw.read_text(encoding="utf-8").replace('"修琴记"', '"test"'))
    for row in ("data/prepared/novel/test.jsonl:1", "outputs/novel/eval.tuned.jsonl:1"):
        page = told(row)
        assert "raw text texts/novel/train.jsonl:1, test" in page
        assert "place in it characters" in page


def test_a_malformed_test_prompt_leaves_the_others_explained(repository: Path) -> None:
    raw = Path("texts/novel/test.jsonl")
    raw.write_text("{\n" + raw.read_text(encoding="utf-8"), encoding="utf-8")
    assert "raw text texts/novel/test.jsonl:3" in told("outputs/novel/submit.json:2")


def test_a_file_name_may_hold_a_number_sign(repository: Path) -> None:
    Path("data/prepared/novel/修琴记.jsonl").rename("data/prepared/novel/a#b.jsonl")
    assert f"id {ROWS[0].id}" in told("data/prepared/novel/a#b.jsonl:1")


def test_an_end_that_is_neither_by_itself_nor_by_length_is_told_as_it_is(
    repository: Path,
) -> None:
    path = Path("outputs/novel/eval.tuned.jsonl")
    text = path.read_text(encoding="utf-8")
    path.unlink()
    path.write_text(text.replace('"stop"', '"content_filter"'), encoding="utf-8")
    page = told("outputs/novel/eval.tuned.jsonl:1")
    assert "ended for another reason, 7 tokens (content_filter)" in page


def test_nothing_is_written(repository: Path) -> None:
    before = digests(repository)
    for row in ("outputs/novel/submit.json:1", "data/merged/novel/train.jsonl:1"):
        told(row)
    assert digests(repository) == before


def test_a_row_is_found_from_any_folder(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    article = f"reports/novel.html#{HELD_OUT_ROW.id[:12]}-1"
    wanted = told("outputs/novel/submit.json:1"), told(article)
    monkeypatch.chdir(repository / "data/merged/novel")
    assert told("../../../outputs/novel/submit.json:1") == wanted[0]
    assert told("outputs/novel/submit.json:1") == wanted[0]
    assert "training row" in told("train.jsonl:1")
    monkeypatch.chdir(tmp_path)
    assert told(f"{repository}/outputs/novel/submit.json:1") == wanted[0]
    assert told((repository / "reports").as_uri() + article.removeprefix("reports")) == wanted[1]


@pytest.mark.parametrize(
    ("argument", "exit_code", "complaint"),
    [
        ("outputs/novel/submit.json", 2, "expected FILE:LINE, as in outputs/novel/submit.json:12"),
        ("outputs/novel/submit.json:0", 2, "no line 0; the file has 2, counted from 1"),
        ("outputs/novel/submit.json:3", 2, "no line 3; the file has 2, counted from 1"),
        ("params.yaml:1", 2, "its lines are no rows; allowed are data/prepared/<task>/*.jsonl"),
        ("/nowhere/submit.json:1", 2, "its lines are no rows"),
        ("reports/novel.html:1", 2, "expected PAGE#ARTICLE"),
        ("outputs/novel/submit.json#1", 2, "expected FILE:LINE"),
        ("reports/novel.html#abc-1", 2, "there is no #abc-1 on this page"),
        ("reports/novel.html#scores", 2, "no such row in outputs/novel/eval.base.jsonl"),
        ("texts/poetry/poems.csv:1", 2, "no text stands there"),
        ("//[a:1", 2, "its lines are no rows"),
        ("file://[a:1", 2, "expected FILE:LINE"),
        ("data/summarized/novel/修琴记.jsonl:1", 1, "`dvc pull` or `dvc repro summarize@novel`"),
        ("reports/fairytale.jsonl:1", 1, "`dvc pull` or `dvc repro evaluate@fairytale`"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(
    argument: str, exit_code: int, complaint: str, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built)
    result = run_trace(argument)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "line", "complaint"),
    [
        ("outputs/novel/submit.json", '{"output": "雪"}', "key 'instruction' is missing"),
        ("outputs/novel/submit.json", "{", "not JSON"),
        ("outputs/novel/submit.json", " ", "the line is blank"),
        ("outputs/novel/eval.tuned.jsonl", '{"id": "1"}', "keys are ['id']"),
        ("data/merged/novel/train.jsonl", "[]", "expected an object"),
        ("reports/novel.jsonl", "{}", "key 'id' is missing"),
    ],
)
def test_a_malformed_row_is_told_with_its_place(
    path: str, line: str, complaint: str, repository: Path
) -> None:
    Path(path).unlink()
    Path(path).write_text(f"{line}\n", encoding="utf-8")
    result = run_trace(f"{path}:1")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"trace: {path}:1: {complaint}")


def test_prompts_that_changed_since_leave_a_submitted_text_unexplained(repository: Path) -> None:
    edit("data/test/novel.jsonl")
    write_records(Path("data/test/novel.jsonl"), [make_row()])
    page = told("outputs/novel/submit.json:1")
    assert "answers unknown: line 1 of data/test/novel.jsonl" in page
    assert "data/test/novel.jsonl has changed since generate@novel read it" in page


def test_no_line_is_wider_than_the_terminal(repository: Path) -> None:
    for columns in (60, 80, 133):
        lines = run_trace("outputs/novel/eval.tuned.jsonl:1", columns=columns).stdout.splitlines()
        assert columns - 8 <= max(map(cell_len, lines)) <= columns


def test_a_text_cannot_steer_the_terminal(repository: Path) -> None:
    page = run_trace("outputs/novel/eval.base.jsonl:2").stdout
    assert "\x1b" not in page
    assert "花花\\u001b[31m花" in page


def test_a_pair_that_few_rows_have_counts_more() -> None:
    rows = [make_row(at, f"今天很好{'一二三四五'[at]}") for at in range(5)]
    rows.append(make_row(5, "螺蛳粉"))
    found = nearest("今天吃螺蛳", rows, 6)
    # 今天 stands in five rows, 螺蛳 in one; 天吃 and 吃螺 in none.
    assert [each.index for each in found] == [5, 0, 1, 2, 3, 4]
    assert 0 < found[1].similarity < found[0].similarity < 1
    assert nearest("", rows, 3) == nearest("雪", rows, 3) == []


@given(st.text("雪夜船 \n", max_size=12), st.text("雪夜船 \n", max_size=12))
def test_the_longest_run_is_the_longest_that_both_have(text: str, other: str) -> None:
    ours, theirs = without_space(text), without_space(other)
    runs = [ours[a:b] for a in range(len(ours)) for b in range(a + 1, len(ours) + 1)]
    common = [each for each in runs if each in theirs]
    run = longest_run(text, other)
    assert len(run) == max(map(len, common), default=0)
    assert run in ours and run in theirs
