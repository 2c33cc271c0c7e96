"""Prompts from endpoints: no row is lost, no answer is paid for twice, no output has the key.

The endpoint is tests/fault_server.py, a stand-in with faults that a real one won't produce on
demand.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from typer.testing import CliRunner

from tests.account import CANARY, work_in, write_limits
from tests.conftest import ROOT, dvc, make_row
from tests.endpoint_answers import FILTERED
from tests.fault_server import Faults, FaultServer
from tests.small_prompts import asks_about, bare_rows, content, settings, write
from wenmo.config.summarize import SummarizeParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row, read_json_lines, read_records, write_json_lines, write_records
from wenmo.llm.client import Usage
from wenmo.llm.dialogue import (
    Accepted,
    Failed,
    Pending,
    asked_again,
    fault_of,
    first_request,
    follow,
    prompt_in,
)
from wenmo.llm.offline import leading_clause
from wenmo.llm.prompt_writer import write_prompts
from wenmo.llm.store import Reply, Request, Store, store_path
from wenmo.tools import batch, cli
from wenmo.tools.batch import (
    batch_lines,
    export_batch,
    import_batch,
    pending_requests,
)

ALL_FAULTS = Faults(
    too_many=0.05, server_error=0.05, hang=0.01, truncated=0.05, empty=0.1, overlong=0.1
)


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work_in(tmp_path, monkeypatch)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


def test_under_all_faults_no_row_is_lost_or_paid_twice_and_their_order_stays(
    server: FaultServer,
) -> None:
    server.faults = replace(ALL_FAULTS, latency=0.2)
    rows = bare_rows(500)
    prompted, usage = write(rows, server, max_attempts=8)
    assert [row.id for row in prompted.rows] == [row.id for row in rows]
    assert all(0 < len(row.input) <= 30 for row in prompted.rows)
    assert server.paid_twice() == []
    assert prompted.asked_again > 0
    assert usage.retries > 0
    assert usage.prompt_tokens == 10 * len(server.paid)
    assert usage.money == pytest.approx(len(server.paid) * (10 * 2.0 + 5 * 8.0) / 1e6)


def test_a_second_run_sends_nothing_needs_neither_key_nor_limits_and_writes_the_same(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults = Faults(empty=0.2)
    first, _ = write(bare_rows(50), server)
    calls = server.calls
    monkeypatch.delenv("CANARY_KEY")
    Path("endpoints.yaml").unlink()
    second, usage = write(bare_rows(50), server)
    assert (server.calls, usage.calls) == (calls, 0)
    assert second == first


def test_rows_that_are_edited_or_added_cost_a_call_each(server: FaultServer) -> None:
    rows = bare_rows(20)
    write(rows, server)
    calls = server.calls
    edited = [*rows[:3], bare_rows(30)[25], *rows[3:]]
    write(edited, server)
    assert server.calls == calls + 1


def test_the_same_text_twice_is_asked_once(server: FaultServer) -> None:
    server.faults = Faults(latency=0.05)
    write(bare_rows(1) * 5, server)
    assert server.calls == 1


def test_concurrency_is_bounded(server: FaultServer) -> None:
    server.faults = Faults(latency=0.05)
    write_limits(concurrency=7)
    write(bare_rows(40), server)
    assert server.most_at_once == 7


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_ends_the_run_in_one_line_without_the_key(
    server: FaultServer, status: int
) -> None:
    server.faults = Faults(status=status)
    with pytest.raises(UserError) as caught:
        write(bare_rows(200), server)
    assert str(caught.value).startswith(f"{server.url}: {status}: ")
    assert CANARY not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.calls <= 64


def test_a_server_that_is_gone_ends_the_run_soon() -> None:
    with FaultServer() as gone:
        pass
    write_limits(max_retries=0)
    with pytest.raises(UserError, match="no answer to 10 requests in a row"):
        write(bare_rows(200), gone)


def test_a_missing_key_is_named_and_one_in_env_file_is_found(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CANARY_KEY")
    with pytest.raises(UserError, match=r"^CANARY_KEY is not set; .* or in \.env$"):
        write(bare_rows(1), server)
    Path(".env").write_text(f"CANARY_KEY={CANARY}\n")
    write(bare_rows(1), server)
    assert server.headers_seen == [f"Bearer {CANARY}"]


# The offline stand-in.


@given(st.text(), st.integers(1, 30))
def test_the_offline_stand_in_keeps_to_the_bound(text: str, max_chars: int) -> None:
    assert len(leading_clause(text, max_chars)) <= max_chars


def test_the_offline_stand_in_takes_the_first_clause() -> None:
    assert leading_clause("“下雪了，”他说。", 30) == "下雪了"
    assert leading_clause("……雪落满了整座没有人的山城", 5) == "雪落满了整"


def test_only_rows_without_a_prompt_get_one() -> None:
    offline = SummarizeParams.load("summarize", "novel", ROOT / "params.yaml")
    asked = make_row()
    bare = replace(asked, id="2", input="", output="山空，人去。")
    prompted = write_prompts([asked, bare], offline, Usage())
    assert [row.prompt for row in prompted.rows] == [asked.prompt, "山空"]
    assert (prompted.passed_through, prompted.written) == (1, 1)


# The stage, as DVC runs it.


def workspace(url: str, rows: list[Row], **update: Any) -> None:
    YAML(typ="safe").dump(content(url, **update), Path("params.yaml"))
    write_records(Path("data/prepared/novel/source.jsonl"), rows)


def start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, ROOT / "stages/summarize.py", "novel"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(run: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and stderr."""
    _, errors = run.communicate()
    return run.returncode, errors


@pytest.mark.full
def test_killed_at_any_moment_it_ends_with_the_same_bytes_and_pays_only_what_was_under_way(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults = Faults(
        too_many=0.05, server_error=0.02, truncated=0.02, empty=0.1, overlong=0.1, latency=0.2
    )
    write_limits(concurrency=32)
    workspace(server.url, bare_rows(500), max_attempts=8)
    result = tmp_path / "data/summarized/novel/source.jsonl"
    moments = random.Random(1)
    kills = []
    for _ in range(10):
        run, paid = start(), len(server.paid)
        wait_until(lambda run=run, paid=paid: len(server.paid) > paid or run.poll() is not None)
        try:
            run.wait(moments.uniform(0, 0.4))
        except subprocess.TimeoutExpired:
            kills.append(server.now())
            run.send_signal(signal.SIGKILL)
        run.communicate()
    assert len(kills) == 10
    assert not result.exists()
    code, output = finish(start())
    assert code == 0, output[-2000:]
    twice = server.paid_twice()
    for request in twice:
        under_way = [paid for paid in server.paid if paid.request == request]
        # Half a second is for an answer that is sent, but not yet read and kept.
        assert any(p.started <= kill <= p.ended + 0.5 for p in under_way for kill in kills)
    assert len(twice) <= 10 * 32

    interrupted = result.read_bytes()
    monkeypatch.setenv("WENMO_STORE", str(tmp_path / "fresh.sqlite"))
    assert finish(start())[0] == 0
    assert result.read_bytes() == interrupted


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_ledger_is_the_same_for_the_same_answers_and_the_log_has_the_cost(
    server: FaultServer,
) -> None:
    server.faults = Faults(empty=0.2)
    workspace(server.url, bare_rows(40), max_attempts=8)
    ledgers, logs = [], []
    for _ in range(2):
        assert finish(start())[0] == 0
        ledgers.append(Path("metrics/summarize/novel.json").read_bytes())
        logs.append(json.loads(Path("logs/summarize/novel.json").read_text()))
    assert ledgers[0] == ledgers[1]
    assert json.loads(ledgers[0])["asked_again"] > 0
    assert [log["calls"] for log in logs] == [len(server.paid), 0]
    assert logs[0]["money"] > 0


def test_too_many_failures_stop_the_stage_after_the_others_were_kept(server: FaultServer) -> None:
    server.faults = Faults(empty=0.3)
    workspace(server.url, bare_rows(40), max_attempts=1)
    code, output = finish(start())
    assert code == 1
    complaint = (
        r"of 40 rows got no prompt that will do, the first being source row \d+ \(回答是空的"
    )
    assert re.search(complaint, output.splitlines()[-1])
    assert not Path("data/summarized/novel").exists()
    assert json.loads(Path("logs/summarize/novel.json").read_text())["calls"] == 40
    workspace(server.url, bare_rows(40), max_attempts=1, max_failures=40)
    assert finish(start())[0] == 0
    assert server.calls == 40
    ledger = json.loads(Path("metrics/summarize/novel.json").read_text())
    rows = read_records(Row, Path("data/summarized/novel/source.jsonl"))
    assert ledger["failed"] > 0
    assert ledger["rows"] == ledger["written"] == len(rows) == 40 - ledger["failed"]
    # No row has a placeholder for a prompt.
    assert all(row.input for row in rows)


def test_the_rows_that_failed_are_named_in_the_log(server: FaultServer) -> None:
    server.instead = lambda request: FILTERED["dashscope"]() if asks_about(request) else None
    workspace(server.url, bare_rows(6), max_failures=1)
    code, output = finish(start())
    assert code == 0, output
    log = json.loads(Path("logs/summarize/novel.json").read_text())
    assert log["failed"] == [
        "source row 3: no answer: 400: data_inspection_failed: Input data may contain inappropriate"
        " content."
    ]
    assert log["refused"] == 1


def test_ctrl_c_ends_in_one_line_and_keeps_what_has_come(server: FaultServer) -> None:
    server.faults = Faults(latency=0.1)
    write_limits(concurrency=8)
    workspace(server.url, bare_rows(2000))
    run = start()
    wait_until(lambda: len(server.paid) > 20)
    run.send_signal(signal.SIGINT)
    code, output = finish(run)
    assert code == 130
    assert output.splitlines()[-1] == "summarize: stopped"
    assert "Traceback" not in output
    with Store(store_path()) as store:
        kept = store.connection.execute("SELECT count(*) FROM answers").fetchone()[0]
    assert len(server.paid) - 8 <= kept <= len(server.paid)


def test_the_key_is_in_no_file_and_no_output(server: FaultServer, tmp_path: Path) -> None:
    output = ""
    write_limits(max_retries=1)
    for faults in (ALL_FAULTS, Faults(status=401), Faults(server_error=1.0), Faults(truncated=1.0)):
        server.faults = faults
        workspace(server.url, bare_rows(30), max_failures=30)
        output += "".join(start().communicate())
        (tmp_path / "store/answers.sqlite").replace(tmp_path / f"{len(output)}.sqlite")
    assert f"Bearer {CANARY}" in server.headers_seen
    assert CANARY not in output
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]


@pytest.mark.full
def test_an_experiment_in_a_folder_of_its_own_pays_for_nothing_again(
    restored: Path, server: FaultServer
) -> None:
    choice = ["summarize.provider=vllm", f"endpoints.vllm.base_url={server.url}"]
    arguments = [part for each in choice for part in ("--set-param", each)]
    run = dvc(restored, "exp", "run", *arguments, "summarize@novel")
    assert run.returncode == 0, run.stderr[-2000:]
    rows = json.loads((restored / "metrics/summarize/novel.json").read_text())["written"]
    assert server.calls == rows > 0
    arguments += ["--set-param", "summarize.max_failures=1"]
    run = dvc(restored, "exp", "run", "--temp", *arguments, "summarize@novel")
    assert run.returncode == 0, run.stderr[-2000:]
    assert "Running stage 'summarize@novel'" in run.stdout
    assert server.calls == rows


# What makes a prompt.

PASSAGE = "雨下到第三天，桥边的石阶没了两级，老周把船拴得更高些。"


@pytest.mark.parametrize(
    ("text", "finish_reason", "fault"),
    [
        ("连日大雨，老船夫守着渡口", "stop", None),
        ("  连日大雨，老船夫守着渡口\n", "stop", None),
        ("", "stop", "回答是空的"),
        ("老船夫\n守着渡口", "stop", "写了不止一行"),
        ("长" * 31, "stop", "有31字，超过30字"),
        ("连日大雨，老船", "length", "没有写完"),
        ("抱歉，我无法完成", "stop", "拒绝了要求"),
        ("作为一个语言模型，我写不出", "stop", "拒绝了要求"),
        ("船夫对妻子说一声对不起", "stop", None),
        ("我不能忘记的那个雪夜", "stop", None),
        ("示例：老船夫守着渡口", "stop", "带有多余的标签"),
        ("- 老船夫守着渡口", "stop", "带有多余的标签"),
        ("桥边的石阶没了两级，老周把船拴得更高", "stop", "照抄了原文"),
        ("“桥边的石阶没了两级”", "stop", "照抄了原文"),
        ("“老周”把船拴高", "stop", "以引号开头"),
        ("“老周”与“船”", "stop", "以引号开头"),
        ('"老周"与"船"', "stop", "以引号开头"),
        ("“老船夫守着渡口”。", "stop", "以引号开头"),
        ("“”", "stop", "回答是空的"),
        ("“", "stop", "以引号开头"),
        ("《渡口》的雨夜", "stop", None),
        ("老船夫守着渡口", "content_filter", "没有通过内容审查"),
        ("", "sensitive", "没有通过内容审查"),
        ("", "length", "没有写完"),
        ("<think>\n写谁？", "length", "思考没有结束，没有写完"),
        ("<think>\n写谁？", "stop", "思考没有结束，没有写完"),
        ("<think>写谁？</think>", "stop", "回答是空的"),
        ("<think>写谁？</think>\n老船夫\n守着渡口", "stop", "写了不止一行"),
    ],
)
def test_an_answer_is_checked(text: str, finish_reason: str, fault: str | None) -> None:
    assert fault_of(Reply(text, finish_reason, 1, 1), PASSAGE, 30) == fault


@pytest.mark.parametrize(
    "text",
    [
        "老船夫守着渡口",
        "“老船夫守着渡口”",
        "「老船夫守着渡口」\n",
        "『老船夫守着渡口』",
        '"老船夫守着渡口"',
        "'老船夫守着渡口'",
        "‘老船夫守着渡口’",
        "＂老船夫守着渡口＂",
        "“ 老船夫守着渡口 ”",
        "<think>\n写谁？\n写船夫。\n</think>\n\n老船夫守着渡口",
        "<think>\n\n</think>\n\n“老船夫守着渡口”",
        "写谁？\n</think>\n\n老船夫守着渡口",
        "<thinking>写谁？</thinking>老船夫守着渡口",
        "[THINK]写谁？[/THINK]老船夫守着渡口",
        "<think>先想<think>再想</think>三想</think>老船夫守着渡口",
        "好的。<think>写谁？</think>老船夫守着渡口",
    ],
)
def test_thinking_and_one_pair_of_quotation_marks_are_no_part_of_a_prompt(text: str) -> None:
    reply = Reply(text, "stop", 1, 1)
    assert fault_of(reply, PASSAGE, 30) is None
    assert prompt_in(reply) == "老船夫守着渡口"


def test_quotation_marks_within_a_prompt_stay() -> None:
    assert prompt_in(Reply("“老周说“走”便走”", "stop", 1, 1)) == "老周说“走”便走"
    assert prompt_in(Reply("老周说“走”", "stop", 1, 1)) == "老周说“走”"


def test_a_fault_is_named_to_the_model_and_the_dialogue_follows_from_the_answers() -> None:
    settled = settings("http://127.0.0.1:1/v1", max_attempts=2)
    answers: dict[str, Reply] = {}

    def answer(request: Request) -> Reply | None:
        return answers.get(request.key)

    opening = follow(PASSAGE, settled, answer)
    assert opening == Pending(first_request(PASSAGE, settled))
    answers[first_request(PASSAGE, settled).key] = Reply("长" * 31, "stop", 1, 1)
    again = follow(PASSAGE, settled, answer)
    assert isinstance(again, Pending)
    assert "有31字，超过30字" in again.request["messages"][-1]["content"]
    answers[again.request.key] = Reply("", "stop", 1, 1)
    assert follow(PASSAGE, settled, answer) == Failed("回答是空的")
    answers[again.request.key] = Reply("老船夫守着渡口", "stop", 1, 1)
    assert follow(PASSAGE, settled, answer) == Accepted("老船夫守着渡口", 2)


# The store.


def test_answers_that_were_paid_for_are_found_by_every_later_version() -> None:
    """Neither requests nor keys may change, or users would pay for all stored answers again."""
    wording = {
        "system": "不超过{n}字",
        "again": "{fault}，不超过{n}字",
        "examples": [{"text": "雨", "prompt": "写雨"}],
    }
    settled = settings("http://127.0.0.1:1/v1", wording=wording, temperature=0.3, max_tokens=100)
    first = first_request("雪落了。", settled)
    again = asked_again(first, Reply("", "stop", 1, 1), "回答是空的", settled)
    assert [first.key, again.key] == [
        "a91244f8ac1e19a6441075d4d74c1ead0126973aa51ce626bc52a4c5eb614eaf",
        "242dba1fdf97a73b84fd204af433e81e95e45692b6ae0745628c77d62aa1c555",
    ]


def test_processes_that_start_at_once_share_one_store(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from wenmo.llm.store import Reply, Store\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "with Store(Path(sys.argv[1])) as store:\n"
        "    for n in range(200): store.put(f'{n % 150}', 'm', Reply('雪', 'stop', 1, 1))\n"
    )
    path = tmp_path / "shared.sqlite"
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, path],
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    for run in runs:
        run.communicate()
    assert [run.returncode for run in runs] == [0] * len(runs)
    with Store(path) as store:
        assert store.connection.execute("SELECT count(*) FROM answers").fetchone() == (150,)


def test_a_store_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/a\.sqlite: .*; set WENMO_STORE to another file"):
        Store(tmp_path / "file/a.sqlite")


# Batches and estimates.


def test_a_batch_goes_out_and_comes_back(server: FaultServer, tmp_path: Path) -> None:
    rows = bare_rows(5)
    settled = settings(server.url)
    with Store(store_path()) as store:
        lines = list(batch_lines(pending_requests(rows, settled, store)))
        assert {(line["method"], line["url"]) for line in lines} == {
            ("POST", "/v1/chat/completions")
        }
        results = [
            {
                "custom_id": line["custom_id"],
                "response": {"status_code": 200, "body": server._completion(line["body"])},
            }
            for line in lines
        ]
        results[0] = {"custom_id": lines[0]["custom_id"], "response": None, "error": {"code": "x"}}
        write_json_lines(tmp_path / "results.jsonl", results)
        imported = import_batch([tmp_path / "results.jsonl"])
        assert (imported.stored, imported.failed) == (4, 1)
        assert imported.first_fault.endswith('results.jsonl:1: {"code": "x"}')
        assert len(list(pending_requests(rows, settled, store))) == 1
    write(rows, server)
    assert server.calls == 1


def test_a_batch_has_the_fields_of_the_entry_where_a_server_looks_for_them() -> None:
    fields = {"omit": ["temperature"], "extra_body": {"enable_thinking": False}}
    settled = settings("http://127.0.0.1:1/v1", fields=fields)
    with Store(store_path()) as store:
        (line,) = batch_lines(pending_requests(bare_rows(1), settled, store))
    assert set(line["body"]) == {"model", "messages", "max_tokens", "enable_thinking"}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{}", ":1: expected custom_id and response"),
        ('{"custom_id": "1", "response": {"status_code": 200, "body": {}}}', ":1: response.body"),
        ("{", ":1: not JSON"),
    ],
)
def test_a_line_that_is_no_result_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    (tmp_path / "results.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match=complaint):
        import_batch([tmp_path / "results.jsonl"])


def results_of(paths: Iterable[Path], server: FaultServer) -> list[dict[str, object]]:
    """What a queue makes of request files."""
    return [
        {
            "custom_id": line["custom_id"],
            "response": {"status_code": 200, "body": server._completion(line["body"])},
        }
        for path in paths
        for _, line in read_json_lines(path)
    ]


@pytest.mark.parametrize(("requests", "size"), [(3, 10**9), (10**9, 3000), (10**9, 1)])
def test_requests_are_split_by_the_limits_of_a_queue_and_come_back_in_any_order_and_in_parts(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, requests: int, size: int
) -> None:
    monkeypatch.setattr(batch, "REQUESTS", requests)
    monkeypatch.setattr(batch, "BYTES", size)
    monkeypatch.setattr("wenmo.llm.store.TOGETHER", 2)
    workspace(server.url, bare_rows(10))
    parts = export_batch("novel", Path("out.jsonl"))
    assert [path.name for path in parts][:3] == ["out.jsonl", "out.2.jsonl", "out.3.jsonl"]
    for path, count in parts.items():
        assert len(path.read_text("utf-8").splitlines()) == count <= requests
        assert path.stat().st_size <= size or count == 1
    assert sum(parts.values()) == 10
    results = results_of(parts, server)
    assert len({result["custom_id"] for result in results}) == 10
    with pytest.raises(
        UserError, match=r"out\..*jsonl: from an earlier export; remove it, or name"
    ):
        export_batch("novel", Path("out.jsonl"))

    random.Random(1).shuffle(results)
    lost = {result["custom_id"] for result in results[7:]}
    for name, part in (("a.jsonl", results[:4]), ("b.jsonl", results[2:7])):
        write_json_lines(Path(name), part)
    assert import_batch([Path("b.jsonl"), Path("a.jsonl")]).stored == 9
    again = export_batch("novel", Path("again.jsonl"))
    assert {result["custom_id"] for result in results_of(again, server)} == lost
    write_json_lines(Path("c.jsonl"), results[7:])
    import_batch([Path("c.jsonl")])
    assert export_batch("novel", Path("none.jsonl")) == {Path("none.jsonl"): 0}


def test_the_results_before_a_line_that_is_none_are_kept(server: FaultServer) -> None:
    workspace(server.url, bare_rows(3))
    results = results_of(export_batch("novel", Path("out.jsonl")), server)
    write_json_lines(Path("results.jsonl"), [results[0], {}, *results[1:]])
    with pytest.raises(UserError, match=r"results\.jsonl:2: expected custom_id"):
        import_batch([Path("results.jsonl")])
    assert export_batch("novel", Path("again.jsonl")) == {Path("again.jsonl"): 2}


def test_equal_passages_are_asked_about_once(server: FaultServer) -> None:
    rows = bare_rows(4)
    same = [replace(row, output=rows[0].output) for row in rows]
    with Store(store_path()) as store:
        assert len(list(pending_requests(same, settings(server.url), store))) == 1


def test_the_commands_estimate_export_and_import(server: FaultServer) -> None:
    workspace(server.url, bare_rows(12))
    run = CliRunner().invoke
    estimated = run(cli.app, ["estimate", "summarize"])
    assert estimated.exit_code == 0, estimated.output
    cells = [cell.strip() for cell in estimated.output.splitlines()[-1].split("|")]
    assert cells[1:6] == ["novel", "12", "12", "0", "12"]
    exported = run(cli.app, ["batch", "export", "novel", "out.jsonl"])
    assert exported.output == "12 requests in out.jsonl\n"
    missing = run(cli.app, ["batch", "import", "none.jsonl"])
    assert (missing.exit_code, missing.stderr) == (1, "batch import: none.jsonl: no such file\n")
    assert server.calls == 0
    workspace(server.url, bare_rows(1), provider="offline")
    offline = run(cli.app, ["estimate", "summarize"])
    assert offline.exit_code == 1
    assert "offline and costs nothing; set it to one of server\n" in offline.stderr
