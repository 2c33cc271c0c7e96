"""`wenmo write`: the pipeline's own text as it comes, in a terminal, in a pipe, from a server."""

import os
import pty
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.small_demo import COMMAND, environment, small_repository
from tests.streaming_server import StreamingServer
from wenmo.config.generate import GenerateParams
from wenmo.config.params_file import TASKS
from wenmo.core.errors import ParamsError, UserError
from wenmo.engines.engine import Completion, Model
from wenmo.engines.transformers import TransformersEngine
from wenmo.tools.writing.endpoint import EndpointWriter, access_at
from wenmo.tools.writing.local import ADAPTERS, BASE, LocalWriter
from wenmo.tools.writing.requests import request
from wenmo.tools.writing.screen import printable, tones_under
from wenmo.tools.writing.writer import MODELS, Asked, ModelName, TaskParams, changed, sure_part

PATIENCE = 120
POEM_REQUEST = "以“一篙春水绿”为首句，写一首五言绝句。"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """In which the third task has not been trained."""
    folder = tmp_path_factory.mktemp("write") / "wenmo"
    return small_repository(folder, tiny_model, ["novel", "poetry"])


@pytest.fixture(scope="module")
def writer(repository: Path) -> Iterator[LocalWriter]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repository)
        writer = LocalWriter(["novel", "poetry"])
        writer.read()
        yield writer


def asked(task: str = "poetry", seed: int = 1, request: str = POEM_REQUEST, **values) -> Asked:
    sampling = changed(TaskParams.load(task).generate.sampling, **values)
    return Asked(task, request, seed, sampling)


def heard(writer: LocalWriter, model: ModelName, what: Asked) -> tuple[list[str], Completion]:
    """What was told as it came, and the whole."""
    told: list[str] = []

    def hear(text: str) -> bool:
        told.append(text)
        return True

    return told, writer.write(model, what, hear)


def by_the_pipeline(model: ModelName, what: Asked) -> Completion:
    params = TaskParams.load(what.task)
    engine_params = GenerateParams.load("generate")
    which = Model(model, BASE, ADAPTERS / what.task if model == "tuned" else None)
    with TransformersEngine(engine_params) as engine:
        (found,) = engine.generate(which, [what.prompt(params.chat)], what.sampling)
    return found


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("task", ["novel", "poetry"])
def test_a_text_is_the_one_that_the_pipeline_writes(
    writer: LocalWriter, task: str, model: ModelName
) -> None:
    what = asked(task, seed=3, repetition_penalty=1.2)
    expected = by_the_pipeline(model, what)
    # The other models come in between, so that none leaves its adapter on.
    for other in ("novel", "poetry"):
        writer.write("tuned", asked(other), lambda _: True)
    told, whole = heard(writer, model, what)
    assert whole == expected
    assert len(told) > 20
    assert all(later.startswith(earlier) for earlier, later in pairwise(told))
    assert whole.text.startswith(told[-1])


def test_base_and_tuned_and_seeds_write_different_texts(writer: LocalWriter) -> None:
    texts = [heard(writer, model, asked(seed=seed))[1].text for model in MODELS for seed in (1, 2)]
    assert len(set(texts)) == 4


def test_a_stop_string_ends_a_text_unseen(writer: LocalWriter) -> None:
    _, whole = heard(writer, "base", asked())
    end = whole.text[12:14]
    what = asked()
    what = Asked(
        what.task, what.request, what.seed, what.sampling.model_copy(update={"stop": [end]})
    )
    told, cut = heard(writer, "base", what)
    assert cut == by_the_pipeline("base", what)
    assert not any(end in text for text in told)
    assert cut.finish_reason == "stop"


@given(
    st.text(alphabet=" \nab雪夜归人😀"),
    st.lists(st.text("ab雪夜", min_size=1, max_size=3)),
    st.data(),
)
def test_what_is_shown_of_a_growing_text_will_stand(
    text: str, stop: list[str], data: st.DataObject
) -> None:
    content = text.encode()
    at = data.draw(st.integers(0, len(content)))
    found = min((at for each in stop if (at := text.find(each)) >= 0), default=None)
    shown = sure_part(content[:at].decode(errors="replace"), stop)
    assert text[:found].strip().startswith(shown)


def test_a_text_can_be_stopped_and_the_next_is_whole(writer: LocalWriter) -> None:
    whole = heard(writer, "tuned", asked())[1]
    part = writer.write("tuned", asked(), lambda text: len(text) < 5)
    assert part.finish_reason == "stopped"
    assert part.text
    assert part.text != whole.text
    assert whole.text.startswith(part.text)
    assert heard(writer, "tuned", asked())[1] == whole


def test_texts_that_are_written_at_once_take_turns_and_stay_the_same(writer: LocalWriter) -> None:
    alone = {model: heard(writer, model, asked())[1] for model in MODELS}
    both_write = threading.Barrier(2, timeout=PATIENCE)
    order: list[ModelName] = []
    found: dict[ModelName, Completion] = {}

    def write(model: ModelName) -> None:
        def hear(_: str) -> bool:
            if model not in order:
                order.append(model)
                both_write.wait()
            order.append(model)
            return True

        found[model] = writer.write(model, asked(), hear)

    threads = [threading.Thread(target=write, args=[model]) for model in MODELS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert found == alone
    # Who gets the next turn is the system's affair, but nobody waits for the other's end.
    assert sum(one != other for one, other in pairwise(order)) > 10


@pytest.mark.parametrize(
    ("task", "typed", "form", "expected"),
    [
        ("novel", " 民国二十五年秋天 ", "五言绝句", "民国二十五年秋天"),
        ("fairytale", "一颗怕黑的星星", "五言绝句", "写一篇关于一颗怕黑的星星的童话。"),
        ("fairytale", "编一个小乌云的童话。", "五言绝句", "编一个小乌云的童话。"),
        ("poetry", "一篙春水绿", "五言绝句", POEM_REQUEST),
        ("poetry", "一篙春水绿，", "五言律诗", "以“一篙春水绿”为首句，写一首五言律诗。"),
        ("poetry", "雨歇长街唤卖花", "五言绝句", "以“雨歇长街唤卖花”为首句，写一首七言绝句。"),
        ("poetry", "题目", "七言律诗", "以《题目》为题，写一首七言律诗。"),
        ("poetry", "《秋夜》", "五言绝句", "以《秋夜》为题，写一首五言绝句。"),
        ("poetry", "spring", "五言绝句", "以《spring》为题，写一首五言绝句。"),
        ("poetry", POEM_REQUEST, "七言律诗", POEM_REQUEST),
        ("poetry", "，。", "五言绝句", "以《，。》为题，写一首五言绝句。"),
    ],
)
def test_a_theme_becomes_the_request_that_the_task_knows(
    task: str, typed: str, form: str, expected: str
) -> None:
    assert request(task, typed, form, "first_line") == expected


def test_poems_that_were_asked_for_by_title_or_theme_still_are() -> None:
    assert request("poetry", "一篙春水绿", "五言绝句", "title") == (
        "以《一篙春水绿》为题，写一首五言绝句。"
    )
    assert request("poetry", "一篙春水绿", "五言绝句", "theme") == "一篙春水绿"


@pytest.mark.parametrize("line", ["一篙春水绿，两岸杏花齐。", "a春，绿b", "😀。𠮷"])
def test_tones_stand_under_their_characters(line: str) -> None:
    tones = tones_under(line).plain
    for at, character in enumerate(line):
        if character in "春绿篙水一杏花齐":
            before = cell_len(line[:at])
            under = [place for place, _ in enumerate(tones) if cell_len(tones[:place]) == before]
            assert tones[under[0]] in "平仄中"
    assert cell_len(tones) <= cell_len(line)
    assert tones_under("，。").plain == ""


def test_a_text_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2J\x07\x9b\r雪\n\t。") == "a�[2J���雪\n\t。"


def wenmo(*arguments: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(cwd),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_a_pipe_gets_the_texts_and_nothing_else(
    repository: Path, writer: LocalWriter, tmp_path: Path
) -> None:
    run = wenmo("write", "--task", "poetry", cwd=repository, stdin="一篙春水绿\n\n题目\n")
    assert run.stderr == ""
    assert run.returncode == 0
    requests = [POEM_REQUEST, "以《题目》为题，写一首五言绝句。"]
    texts = [heard(writer, "tuned", asked(request=each, seed=42))[1].text for each in requests]
    assert run.stdout == "".join(f"{printable(text)}\n" for text in texts)


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [
        (
            ["--task", "fairytale", "雪"],
            "write: models/adapters/fairytale: no model there; `make",
            1,
        ),
        (["--task", "essay", "雪"], "write: 'essay' is no task; allowed are novel, fair", 2),
        (["--form", "俳句", "雪"], "write: form: '俳句': allowed are 五言绝句, ", 2),
        (["--model", "mine", "雪"], "write: model: 'mine': allowed are base, tuned, both", 2),
        (["--temperature", "-1", "雪"], "write: temperature: -1.0: Input should be greater", 2),
        (["--endpoint", "127.0.0.1", "雪"], "write: --endpoint: '127.0.0.1': expected http", 2),
    ],
)
def test_what_cannot_be_is_one_line(
    repository: Path, arguments: list[str], told: str, code: int
) -> None:
    run = wenmo("write", *arguments, cwd=repository)
    assert run.stderr.startswith(told)
    assert run.stderr.count("\n") == 1
    assert (run.returncode, run.stdout) == (code, "")


def test_without_models_it_says_make_repro(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((repository / "params.yaml").read_bytes())
    run = wenmo("write", "雪", cwd=tmp_path)
    assert run.stderr == "write: models/base: no model there; `make repro` builds it\n"
    assert run.returncode == 1


def test_a_line_that_is_no_utf8_is_named(repository: Path) -> None:
    with StreamingServer() as server:
        run = subprocess.run(
            [*COMMAND, "write", "--endpoint", server.url],
            cwd=repository,
            env=environment(repository),
            input="雪\n".encode() + "雨\n".encode("gb18030"),
            capture_output=True,
            timeout=PATIENCE,
        )
    assert run.stderr.decode() == "write: standard input:2: not UTF-8\n"
    assert run.returncode == 1


# --- A server in place of models.


def endpoint(server: StreamingServer) -> EndpointWriter:
    return EndpointWriter(server.url, TASKS)


@pytest.fixture
def in_repository(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)


@pytest.mark.usefixtures("in_repository")
def test_a_servers_text_is_heard_piece_by_piece() -> None:
    with StreamingServer() as server:
        told, whole = heard(endpoint(server), "tuned", asked())
        assert told[:3] == ["一篙春", "一篙春水绿，", "一篙春水绿，\n两岸杏花齐。"]
        assert whole.text == "一篙春水绿，\n两岸杏花齐。"
        assert whole.finish_reason == "stop"
        (body,) = server.asked
        assert (body["model"], body["stream"], body["temperature"]) == ("poetry", True, 0.7)
        assert body["messages"][0]["content"] == "你是一位诗人，按要求写古诗。"
        heard(endpoint(server), "base", asked("novel"))
        assert server.asked[-1]["model"] == "base"
        assert heard(endpoint(server), "base", asked())[1].text == whole.text
        assert server.asked[0]["seed"] == server.asked[2]["seed"]


@pytest.mark.usefixtures("in_repository")
def test_a_server_that_is_left_hears_of_it() -> None:
    with StreamingServer(endless=True) as server:
        part = endpoint(server).write("tuned", asked(), lambda text: len(text) < 100)
        assert part.finish_reason == "stopped"
        deadline = time.monotonic() + PATIENCE
        while not server.left and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        assert server.left == 1


@pytest.mark.usefixtures("in_repository")
@pytest.mark.parametrize(
    ("faults", "told"),
    [({"status": 401}, "401: "), ({"status": 500}, "500: "), ({"breaks_off": True}, "server run?")],
)
def test_a_server_that_fails_is_one_line_without_the_key(faults: dict[str, int], told: str) -> None:
    with StreamingServer(**faults) as server:
        writer = endpoint(server)
        writer.key = "sk-secret"
        writer.client.api_key = "sk-secret"
        with pytest.raises(UserError) as failure:
            heard(writer, "tuned", asked())
        assert server.keys == ["Bearer sk-secret"]
    assert told in str(failure.value)
    assert "sk-secret" not in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.usefixtures("in_repository")
def test_a_key_is_sent_to_the_address_of_its_endpoint_alone() -> None:
    assert access_at("https://api.deepseek.com/").api_key_env == "DEEPSEEK_API_KEY"
    assert access_at("https://api.deepseek.com.example.org").api_key_env == ""


@pytest.mark.usefixtures("in_repository")
def test_no_server_is_one_line() -> None:
    with StreamingServer() as server:
        address = server.url
    with pytest.raises(UserError, match="Does the server run"):
        EndpointWriter(address, TASKS).write("base", asked(), lambda _: True)


# --- The session, in a real terminal.


class Terminal:
    """A command in a pseudo-terminal, and what it has shown since the last look."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        here, there = pty.openpty()
        self.handle = here
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=cwd,
            env=environment(cwd),
            stdin=there,
            stdout=there,
            stderr=there,
            start_new_session=True,
            preexec_fn=lambda: os.set_inheritable(there, True),
        )
        os.close(there)
        self.unseen = b""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.handle)

    def type(self, line: str) -> None:
        os.write(self.handle, line.encode())

    def interrupt(self) -> None:
        """What the terminal does at Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def until(self, expected: str) -> str:
        """All that is shown up to the expected text, which is waited for."""
        deadline = time.monotonic() + PATIENCE
        while expected.encode() not in self.unseen:
            ready, _, _ = select.select([self.handle], [], [], deadline - time.monotonic())
            assert ready, f"no {expected!r} in {self.unseen.decode()!r}"
            self.unseen += os.read(self.handle, 4096)
        shown, self.unseen = self.unseen.split(expected.encode(), 1)
        return shown.decode().replace("\r\n", "\n") + expected


def test_a_session_writes_again_saves_and_remembers(repository: Path, writer: LocalWriter) -> None:
    texts = [printable(heard(writer, "tuned", asked(seed=seed))[1].text) for seed in (42, 43)]
    with Terminal("write", cwd=repository) as terminal:
        terminal.until("poetry> ")
        terminal.type("一篙春水绿\n")
        first = terminal.until("poetry> ")
        assert POEM_REQUEST in first
        lines = texts[0].split("\n")
        shown = first.split(POEM_REQUEST)[1].split("\n")
        assert [line for line in shown if line in lines and line] == [
            each for each in lines if each
        ]
        assert tones_under(lines[0]).plain in shown
        assert "seed 42" in first
        terminal.type("/again\n")
        assert texts[1].split("\n")[0] in terminal.until("poetry> ")
        terminal.type("/save kept.txt\n")
        terminal.until("in kept.txt")
        terminal.until("poetry> ")
        terminal.type("/save kept.txt\n")
        terminal.until("is there already")
        terminal.until("poetry> ")
        terminal.type("/temperature warm\n")
        terminal.until("temperature: 'warm': expected a number")
        terminal.until("poetry> ")
        terminal.type("/task novel\n/model both\n/seed 7\n灯塔\n")
        both = terminal.until("characters, seed 7") + terminal.until("characters, seed 7")
        assert both.index("[base]") < both.index("[tuned]")
        terminal.until("novel> ")
        terminal.type("/quit\n")
        assert terminal.process.wait(PATIENCE) == 0
    kept = (repository / "kept.txt").read_text(encoding="utf-8")
    assert kept.startswith(f"{POEM_REQUEST}\nseed 43, temperature 0.7\n\n[tuned]\n")
    assert heard(writer, "tuned", asked(seed=43))[1].text in kept


def test_ctrl_c_stops_the_text_and_not_the_session(repository: Path) -> None:
    with StreamingServer(endless=True) as server:
        command = ["write", "--endpoint", server.url, "--task", "novel"]
        with Terminal(*command, cwd=repository) as terminal:
            terminal.until("novel> ")
            terminal.type("灯塔\n")
            terminal.until("一篙春水绿，")
            terminal.interrupt()
            terminal.until(", stopped")
            terminal.until("novel> ")
            server.endless = False
            # The line before comes back by Ctrl-P.
            terminal.type("\x10\n")
            assert "两岸杏花齐。" in terminal.until("characters")
            terminal.until("novel> ")
            terminal.type("\x04")
            assert terminal.process.wait(PATIENCE) == 0
        with Terminal(*command, cwd=repository) as terminal:
            terminal.until("novel> ")
            terminal.type("\x10\n")
            terminal.until("characters")
            assert server.asked[-1]["messages"][-1]["content"] == "灯塔"


def test_an_unknown_command_is_told(repository: Path) -> None:
    with StreamingServer() as server:
        run = wenmo("write", "--endpoint", server.url, cwd=repository, stdin="/sing\n")
    assert run.stderr == "write: /sing: no such command; /help lists them\n"
    assert run.returncode == ParamsError.exit_code
