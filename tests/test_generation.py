"""The batch job: rows to texts in the rows' order, resumed after a kill, and submit.json."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.conftest import ROOT, digests, make_row, run_python, run_stages
from tests.small_generation import settings
from wenmo.config.chat import ChatParams
from wenmo.config.generate import GenerateParams, Length, Sampling
from wenmo.config.params_file import section
from wenmo.core.errors import ParamsError, UserError
from wenmo.core.records import Generation, HeldOutLoss, Row, read_records, write_records
from wenmo.engines import progress
from wenmo.engines.answer_length import check_answer_length, length_warning
from wenmo.engines.answering import Answerer, open_journal, submission, summary
from wenmo.engines.engine import (
    Completion,
    Model,
    OnTokens,
    Prompt,
    ignore,
    prompt_seed,
)
from wenmo.engines.journal import Journal

CHAT = ChatParams(system_prompt="你是一位诗人。")
ROWS = [make_row(n, f"第{n}首", instruction="写" + "很" * n + "长的诗。") for n in range(6)]


class Scripted:
    """A stand-in for what a real model won't write on demand, such as empty or long texts.

    It answers from last to first, and names each text after its draw.
    """

    def __init__(self, empty_rounds: int = 0, long_first: bool = False) -> None:
        self.empty_rounds = empty_rounds
        self.long_first = long_first
        self.asked: list[int] = []
        self.cost: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def generate(
        self,
        model: Model,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_tokens: OnTokens = ignore,
    ) -> Iterator[Completion]:
        self.asked.append(len(prompts))
        on_tokens(1234)
        for number, prompt in reversed(list(enumerate(prompts))):
            text = f"雪{prompt.seed % 1000}"
            if number == 0 and len(self.asked) <= self.empty_rounds:
                text = ""
            if self.long_first and number % sampling.n == 0:
                text = "长" * 100
            yield Completion(prompt.id, text, "stop", 1)


def writer(engine: Scripted, folder: Path, seed: int = 1, **update: Any) -> Answerer:
    params = settings(**update)
    return Answerer(engine, Model("base", folder), params, CHAT, seed, Journal(folder / "j", "f"))


def test_answers_come_in_the_rows_order_whatever_the_engine_s(tmp_path: Path) -> None:
    answers = writer(Scripted(), tmp_path).answer(ROWS, "test", draws=1)
    assert [each.id for each in answers] == [row.id for row in ROWS]
    assert [each.reference for each in answers] == [row.output for row in ROWS]
    assert [each.prompt for each in answers] == [row.prompt for row in ROWS]
    seeds = [prompt_seed(1, row.id) for row in ROWS]
    assert [each.text for each in answers] == [f"雪{seed % 1000}" for seed in seeds]


def test_a_row_has_as_many_texts_as_asked_for_of_which_the_first_is_that_of_one(
    tmp_path: Path,
) -> None:
    one = writer(Scripted(), tmp_path / "1").answer(ROWS, "test", draws=1)
    three = writer(Scripted(), tmp_path / "3").answer(ROWS, "test", draws=3)
    assert [each.id for each in three] == [row.id for row in ROWS for _ in range(3)]
    assert three[::3] == one
    assert len({each.text for each in three}) == 3 * len(ROWS)


def test_the_bar_shows_tokens_before_any_prompt_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0)
    writer(Scripted(), tmp_path).answer(ROWS, "tuned", 1)
    shown = [line for line in capfd.readouterr().err.split("\r") if "tokens" in line]
    assert "0/6" in shown[0]
    assert "1,234 tokens, " in shown[0]
    assert "6/6" in shown[-1]


def test_a_seed_is_a_draw_s_own() -> None:
    seeds = {prompt_seed(s, row.id, draw) for s in (1, 2) for row in ROWS for draw in (0, 1)}
    assert len(seeds) == 2 * len(ROWS) * 2


def test_only_empty_answers_are_asked_again_with_another_seed(tmp_path: Path) -> None:
    engine = Scripted(empty_rounds=2)
    answers = writer(engine, tmp_path).answer_all(ROWS, "test")
    assert engine.asked == [6, 1, 1]
    assert [each.id for each in answers] == [row.id for row in ROWS]
    assert answers[0].text == f"雪{prompt_seed(1, ROWS[0].id, 2) % 1000}"


def test_a_row_that_stays_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"source row 0 .*: empty after 3 attempts"):
        writer(Scripted(empty_rounds=9), tmp_path).answer_all(ROWS, "test")


def test_of_several_texts_one_of_the_task_s_length_is_submitted(tmp_path: Path) -> None:
    update = {"sampling": {"n": 2}, "length": {"min_chars": 2, "max_chars": 20}}
    answers = writer(Scripted(long_first=True), tmp_path / "2", **update).answer_all(ROWS, "test")
    assert [each.text for each in answers] == [
        f"雪{prompt_seed(1, row.id, 1) % 1000}" for row in ROWS
    ]
    update["sampling"] = {"n": 1}
    only = writer(Scripted(long_first=True), tmp_path / "1", **update).answer_all(ROWS, "test")
    assert {each.text for each in only} == {"长" * 100}
    assert summary(only, Length(min_chars=2, max_chars=20))["within_length"] == 0


def test_a_submission_has_a_line_a_row_with_its_keys_as_given() -> None:
    rows = [Row("1", "test", 0, "写", "山", ""), Row("2", "test", 1, "", "水", "")]
    texts = [Generation(row.id, row.prompt, "", f"诗{row.id}", "stop", 2) for row in rows]
    assert submission(rows, texts) == [
        {"instruction": "写", "input": "山", "output": "诗1"},
        {"instruction": "", "input": "水", "output": "诗2"},
    ]


def test_the_summary_counts_characters_without_white_space() -> None:
    texts = ["四个字啊", " 四 个\n字啊 ", "三个字", "有五个字啊", ""]
    ends = ["stop", "stop", "stop", "length", "stop"]
    generations = [Generation("1", "", "", *pair, 3) for pair in zip(texts, ends, strict=True)]
    assert summary(generations, Length(min_chars=4, max_chars=4)) == {
        "texts": 5,
        "tokens": 15,
        "empty": 1,
        "ended": 0.8,
        "within_length": 0.4,
    }


@pytest.mark.parametrize(
    ("update", "complaint"),
    [
        (
            {"length": {"min_chars": 9, "max_chars": 3}},
            r"length: min_chars \(9\) is over max_chars",
        ),
        ({"sampling": {"stop": [""]}}, r"sampling.stop.0: '': .* at least 1 character"),
        ({"sampling": {"top_p": 0.0}}, r"sampling.top_p: 0.0: .* greater than 0"),
        ({"sampling": {"n": 0}}, r"sampling.n: 0: .* greater than 0"),
        ({"engine": "tgi"}, r"engine: 'tgi': .*'transformers', 'vllm' or 'openai'"),
        ({"weights": "both"}, r"weights: 'both': .*'merged' or 'adapter'"),
        ({"vllm": {"quantization": "awq"}}, r"vllm.quantization: 'awq'"),
        ({"openai": {"endpoint": "localhost"}}, r"openai.endpoint: .localhost."),
    ],
    ids=str,
)
def test_a_wrong_value_is_one_line(update: dict[str, Any], complaint: str) -> None:
    content = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for key, value in update.items():
        new = content["generate"][key] | value if isinstance(value, dict) else value
        content["generate"][key] = new
    with pytest.raises(ParamsError, match=f"^params.yaml: generate.{complaint}") as failure:
        section(GenerateParams, content, "generate")
    assert "\n" not in str(failure.value)


COMPLETIONS = st.builds(
    Completion, st.text("0123456789abcdef", min_size=1), st.text(), st.just("stop"), st.integers()
)


@given(kept=st.lists(COMPLETIONS, max_size=5), cut=st.integers(0, 40))
def test_a_journal_holds_what_was_written_whole(
    tmp_path_factory: pytest.TempPathFactory, kept: list[Completion], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder, "f")
    for each in kept:
        journal.put(each)
    assert Journal(folder, "f").kept == {each.id: each for each in kept}
    assert Journal(folder, "other").kept == {}
    if journal.path.exists():
        whole = journal.path.read_bytes()
        journal.path.write_bytes(whole[: len(whole) - cut])
        lines = whole[: len(whole) - cut].count(b"\n")
        again = Journal(folder, "f")
        assert again.kept == {each.id: each for each in kept[:lines]}
        for each in kept[lines:]:
            again.put(each)
        assert journal.path.read_bytes() == whole


def test_a_journal_is_not_taken_up_where_anything_else_has_changed(
    tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)

    def path(name: str = "base", **update: Any) -> Path:
        return open_journal(tmp_path, Model(name, folder), settings(**update)).path

    first = path()
    assert path() == first
    assert path(max_attempts=9, length={"max_chars": 9}) == first
    paths = {first, path("tuned"), path(precision="bf16"), path(sampling={"top_k": 7})}
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert len(paths | {path()}) == 5


@pytest.fixture(scope="module")
def workplace(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which stages/generate.py finds all that it reads."""
    folder = tmp_path_factory.mktemp("generate")
    content = YAML().load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["generate"]["sampling"].update(max_new_tokens=100)
    content["novel"]["generate"]["length"]["min_chars"] = 60
    content["generate"]["transformers"]["batch_size"] = 8
    YAML().dump(content, folder / "params.yaml")
    (folder / "stages").symlink_to(ROOT / "stages")
    shutil.copytree(tiny_model, folder / "models/base")
    shutil.copytree(tiny_model, folder / "models/merged/novel")
    write_records(folder / "data/merged/novel/eval.jsonl", ROWS)
    write_records(
        folder / "data/test/novel.jsonl",
        [Row(f"{n:064x}", "test", n, "", f"题目{n}", "") for n in range(40)],
    )
    return folder


def written(folder: Path) -> dict[str, str]:
    """What stage generate writes."""
    made = digests(folder / "outputs") | digests(folder / "metrics")
    return {name: digest for name, digest in made.items() if "base" not in name}


@pytest.fixture(scope="module")
def uninterrupted(workplace: Path) -> dict[str, str]:
    """What the stage writes if nothing disturbs it, after base's texts and losses."""
    run_stages(workplace, "baseline.py novel", "generate.py novel")
    # Without a journal, another run generates anew.
    assert not (workplace / "journals/generate/novel").exists()
    return written(workplace)


def test_the_stage_writes_a_valid_submission(
    workplace: Path, uninterrupted: dict[str, str]
) -> None:
    assert list(uninterrupted) == [
        "novel/eval.tuned.jsonl",
        "novel/loss.tuned.jsonl",
        "novel/submit.json",
        "generate/novel.json",
    ]
    test = read_records(Row, workplace / "data/test/novel.jsonl")
    lines = (workplace / "outputs/novel/submit.json").read_text(encoding="utf-8").splitlines()
    answers = [json.loads(line) for line in lines]
    assert [list(each) for each in answers] == [["instruction", "input", "output"]] * len(test)
    assert [each["input"] for each in answers] == [row.input for row in test]
    assert all(each["output"].strip() for each in answers)
    metrics = json.loads((workplace / "metrics/generate/novel.json").read_text())
    assert list(metrics) == ["tuned", "submit"]
    assert metrics["submit"]["texts"] == len(test)
    lengths = [len("".join(each["output"].split())) for each in answers]
    within = sum(60 <= length <= 300 for length in lengths) / len(lengths)
    assert metrics["submit"]["within_length"] == pytest.approx(within, abs=1e-4)
    log = json.loads((workplace / "logs/generate/novel.json").read_text())
    assert log["tuned"]["prompts"] == len(ROWS) + len(test)


def journalled(folder: Path) -> int:
    """How many completions the journals hold."""
    journals = folder.glob("journals/generate/novel/*.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in journals)


@pytest.mark.full
def test_killed_in_the_middle_it_goes_on_and_writes_the_same_bytes(
    workplace: Path, uninterrupted: dict[str, str]
) -> None:
    submitted = workplace / "outputs/novel/submit.json"
    tuned = (workplace / "outputs/novel").glob("*.tuned.jsonl")
    for path in (submitted, workplace / "metrics/generate/novel.json", *tuned):
        path.unlink()
    process = subprocess.Popen(
        [sys.executable, ROOT / "stages/generate.py", "novel"],
        cwd=workplace,
        env={"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while journalled(workplace) < 15:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)  # or else the test takes the core that the stage needs
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = journalled(workplace)
    assert not submitted.exists()
    run_stages(workplace, "generate.py novel")
    assert written(workplace) == uninterrupted
    log = json.loads((workplace / "logs/generate/novel.json").read_text())
    assert log["tuned"]["prompts"] == len(ROWS) + 40 - kept


def test_base_answers_and_is_measured_on_the_held_out_rows(
    workplace: Path, uninterrupted: dict[str, str]
) -> None:
    outputs = workplace / "outputs/novel"
    texts = read_records(Generation, outputs / "eval.base.jsonl")
    losses = read_records(HeldOutLoss, outputs / "loss.base.jsonl")
    assert [each.id for each in texts] == [each.id for each in losses] == [row.id for row in ROWS]
    assert all(each.loss_per_character > 0 for each in losses)


def lengths(
    max_new_tokens: int, min_chars: int = 1, engine: str = "transformers"
) -> GenerateParams:
    return settings(
        sampling={"max_new_tokens": max_new_tokens}, length={"min_chars": min_chars}, engine=engine
    )


def test_texts_that_would_be_cut_are_told_with_the_number_of_tokens_that_would_do() -> None:
    texts, tokens = ["雪 落\n" * 300, "雪落" * 300], [705, 695]  # 600 characters each
    holds = r"generate.sampling.max_new_tokens (320) holds about 274 characters of this tokenizer"
    least = f"{holds} (0.86 per token); generate.length.min_chars is 600: set it to 710"
    with pytest.raises(UserError, match=f"^{re.escape(least)}$"):
        length_warning(texts, tokens, lengths(320, 600))
    assert length_warning(texts, tokens, lengths(698, 600)).endswith("is 600: set it to 710")
    assert length_warning(texts, tokens, lengths(320)) == (
        f"{holds} (0.86 per token); 2 of 2 held-out texts are longer: set it to 710"
    )
    assert length_warning(texts, tokens, lengths(700)).endswith(
        "1 of 2 held-out texts are longer: set it to 710"
    )
    for enough in (705, 710):
        assert length_warning(texts, tokens, lengths(enough, 600)) == ""


@given(
    st.lists(st.tuples(st.integers(1, 900), st.integers(1, 900)), min_size=1, max_size=5),
    st.integers(1, 1000),
    st.integers(0, 2000),
)
def test_the_number_of_tokens_that_would_do_does(
    rows: list[tuple[int, int]], limit: int, least: int
) -> None:
    texts, tokens = ["雪" * characters for characters, _ in rows], [each for _, each in rows]
    try:
        warning = length_warning(texts, tokens, lengths(limit, least))
    except UserError as error:
        warning = str(error)
    if warning:
        enough = int(warning.rpartition(" ")[2])
        assert enough > limit
        assert length_warning(texts, tokens, lengths(enough, least)) == ""


def test_the_tokenizer_of_the_model_measures_the_rows(
    tiny_model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = [make_row(0, "雪落千山静，风来万树轻。"), make_row(1, "龘" * 20)]  # a character in bytes
    check_answer_length(rows, tiny_model, lengths(64))
    assert capsys.readouterr().err == ""
    check_answer_length(rows, tiny_model, lengths(24))
    assert "1 of 2 held-out texts are longer: set it to 50" in capsys.readouterr().err
    check_answer_length(rows, tmp_path, lengths(24, engine="openai"))
    assert capsys.readouterr().err == ""


PIECES = """
import resource
from pathlib import Path
import wenmo.core.stage
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM
from wenmo.core.errors import UserError
from wenmo.model.answer_loss import AnswerLoss

VOCABULARY, PROMPT, ANSWER = 150_000, 30, 200
torch.manual_seed(1)
config = Qwen2Config(
    vocab_size=VOCABULARY, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
    num_attention_heads=1, num_key_value_heads=1, max_position_embeddings=256,
)
model = Qwen2ForCausalLM(config).eval()
ids = torch.randint(VOCABULARY, (PROMPT + ANSWER,)).tolist()
for room in (2**40, 100 * 2**20, 0):
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, -1))
    loss = AnswerLoss(model)
    try:
        print(loss.nats(ids[:PROMPT], ids[PROMPT:]), loss.positions)
    except UserError as error:
        print(error)
"""


def test_scores_that_do_not_fit_into_memory_are_computed_in_pieces() -> None:
    """The process's memory is limited, so that an allocation really fails.

    glibc would otherwise keep freed memory for the next allocation, outside of what is limited.
    """
    run = run_python("-c", PIECES, environment={"MALLOC_MMAP_THRESHOLD_": "65536"})
    whole, pieces, none = run.stdout.splitlines()
    assert run.stderr.startswith("out of memory with the scores of 200 tokens; going on with 100")
    (expected, _), (found, positions) = whole.split(), pieces.split()
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    assert int(positions) < 100
    assert none.startswith("out of memory for the held-out loss of a text of 200 tokens; set")
