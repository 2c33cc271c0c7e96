"""`wenmo write`: the pipeline's own text, streamed to a terminal or a pipe, or from a server."""

import os
import pty
import select
import signal
import subprocess
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from typer.testing import CliRunner

from tests.small_demo import COMMAND, environment, small_repository
from tests.streaming_server import StreamingServer
from wenmo.config.generate import GenerateParams
from wenmo.config.params_file import TASKS
from wenmo.core.errors import UserError
from wenmo.engines.engine import Completion
from wenmo.engines.transformers import TransformersEngine
from wenmo.scoring.poetry import exact_form, rhymed, tones_kept
from wenmo.text.asked_verse import FORMS
from wenmo.text.patterns import tune_lines, tune_pattern, tunes
from wenmo.text.readings import line_readings
from wenmo.text.tune_rhymes import tune_rhyme
from wenmo.text.verse import verse_lines
from wenmo.tools import cli
from wenmo.tools.writing.endpoint import EndpointWriter, access_at
from wenmo.tools.writing.local import LocalWriter, model_of
from wenmo.tools.writing.screen import Screen, poem_facts, printable, tones_under
from wenmo.tools.writing.session import Session, Settings
from wenmo.tools.writing.wording import checked_form, task_prompt
from wenmo.tools.writing.writer import (
    MODELS,
    ModelName,
    TextRequest,
    Writer,
    WritingParams,
    sampling_with,
    stable_prefix,
)

TIMEOUT = 120
POEM_PROMPT = "以“一篙春水绿”为首句，写一首五言绝句。"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A repository whose third task has not been trained."""
    folder = tmp_path_factory.mktemp("write") / "wenmo"
    return small_repository(folder, tiny_model, ["novel", "poetry"])


@pytest.fixture(autouse=True)
def in_repository(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)


@pytest.fixture(scope="module")
def writer(repository: Path) -> LocalWriter:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repository)
        writer = LocalWriter(["novel", "poetry"])
        writer.read()
        return writer


def text_request(task: str = "poetry", seed: int = 1, prompt: str = POEM_PROMPT, **sampling):
    params = WritingParams.load(task).generate.sampling
    return TextRequest(task, prompt, seed, sampling_with(params, **sampling))


def streamed(
    writer: Writer, model: ModelName, request: TextRequest
) -> tuple[list[str], Completion]:
    """The text each time that it had grown, and the whole."""
    parts: list[str] = []

    def on_text(text: str) -> bool:
        parts.append(text)
        return True

    return parts, writer.write(model, request, on_text)


def whole(writer: Writer, model: ModelName, request: TextRequest) -> Completion:
    return writer.write(model, request, lambda _: True)


def pipeline_text(model: ModelName, request: TextRequest) -> Completion:
    prompt = request.engine_prompt(WritingParams.load(request.task).chat)
    with TransformersEngine(GenerateParams.load("generate")) as engine:
        (found,) = engine.generate(model_of(model, request.task), [prompt], request.sampling)
    return found


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("task", ["novel", "poetry"])
def test_a_text_is_the_one_that_the_pipeline_writes(
    writer: LocalWriter, task: str, model: ModelName
) -> None:
    request = text_request(task, seed=3, repetition_penalty=1.2)
    expected = pipeline_text(model, request)
    # The other models write first, so that a remaining adapter would show.
    for other in ("novel", "poetry"):
        whole(writer, "tuned", text_request(other))
    parts, text = streamed(writer, model, request)
    assert text == expected
    assert len(parts) > 20
    assert all(later.startswith(earlier) for earlier, later in pairwise(parts))
    assert text.text.startswith(parts[-1])


def test_base_and_tuned_and_seeds_write_different_texts(writer: LocalWriter) -> None:
    requests = [text_request(seed=seed) for seed in (1, 2)]
    texts = {whole(writer, model, request).text for model in MODELS for request in requests}
    assert len(texts) == 4


def test_a_stop_string_ends_a_text_and_is_never_shown(writer: LocalWriter) -> None:
    stop = whole(writer, "base", text_request()).text[12:14]
    request = text_request(stop=[stop])
    parts, text = streamed(writer, "base", request)
    assert text == pipeline_text("base", request)
    assert not any(stop in part for part in parts)
    assert text.finish_reason == "stop"


@given(
    st.text(alphabet=" \nab雪夜归人😀"),
    st.lists(st.text("ab雪夜", min_size=1, max_size=3)),
    st.data(),
)
def test_no_later_token_changes_what_is_shown_of_a_growing_text(
    text: str, stop: list[str], data: st.DataObject
) -> None:
    content = text.encode()
    at = data.draw(st.integers(0, len(content)))
    found = min((at for each in stop if (at := text.find(each)) >= 0), default=None)
    shown = stable_prefix(content[:at].decode(errors="replace"), stop)
    assert text[:found].strip().startswith(shown)


def test_a_text_can_be_stopped_and_the_next_is_whole(writer: LocalWriter) -> None:
    expected = whole(writer, "tuned", text_request())
    part = writer.write("tuned", text_request(), lambda text: len(text) < 5)
    assert part.finish_reason == "stopped"
    assert part.text
    assert part.text != expected.text
    assert expected.text.startswith(part.text)
    assert whole(writer, "tuned", text_request()) == expected


def test_texts_that_are_written_at_the_same_time_take_turns(writer: LocalWriter) -> None:
    alone = {model: whole(writer, model, text_request()) for model in MODELS}
    both_write = threading.Barrier(2, timeout=TIMEOUT)
    order: list[ModelName] = []
    found: dict[ModelName, Completion] = {}

    def write(model: ModelName) -> None:
        def on_text(_: str) -> bool:
            if model not in order:
                order.append(model)
                both_write.wait()
            order.append(model)
            return True

        found[model] = writer.write(model, text_request(), on_text)

    threads = [threading.Thread(target=write, args=[model]) for model in MODELS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert found == alone
    # The system chooses the thread that goes on, but neither waits for the other's end.
    assert sum(one != other for one, other in pairwise(order)) > 10


@pytest.mark.parametrize(
    ("task", "typed", "form", "expected"),
    [
        ("novel", " 民国二十五年秋天 ", "五言绝句", "民国二十五年秋天"),
        ("fairytale", "一颗怕黑的星星", "五言绝句", "写一篇关于一颗怕黑的星星的童话。"),
        ("fairytale", "编一个小乌云的童话。", "五言绝句", "编一个小乌云的童话。"),
        ("poetry", "一篙春水绿", "五言绝句", POEM_PROMPT),
        ("poetry", "一篙春水绿，", "五言律诗", "以“一篙春水绿”为首句，写一首五言律诗。"),
        ("poetry", "雨歇长街唤卖花", "五言绝句", "以“雨歇长街唤卖花”为首句，写一首七言绝句。"),
        ("poetry", "《秋夜》", "七言律诗", "以《秋夜》为题，写一首七言律诗。"),
        ("poetry", "spring", "五言绝句", "以《spring》为题，写一首五言绝句。"),
        ("poetry", "，。", "五言绝句", "以《，。》为题，写一首五言绝句。"),
        ("poetry", POEM_PROMPT, "七言律诗", POEM_PROMPT),
    ],
)
def test_a_theme_becomes_a_prompt_as_the_task_words_it(
    task: str, typed: str, form: str, expected: str
) -> None:
    assert task_prompt(task, typed, form, "first_line") == expected


def test_a_model_of_a_task_that_was_not_run_names_what_brings_it_back(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_repository(tmp_path / "wenmo", tiny_model, ["poetry"]))
    params = Path("params.yaml")
    params.write_text(params.read_text("utf-8").replace("  - novel\n", "", 1), "utf-8")
    with pytest.raises(UserError, match=r"leaves novel out, and `git restore \. && dvc checkout`"):
        LocalWriter(["novel"])


class Echo:
    """Stands in for a writer: what it writes is of no matter."""

    tasks = ("poetry",)

    def write(self, _model: str, request: TextRequest, _show: object) -> Completion:
        return Completion("", request.prompt, "stop", 1)


@pytest.mark.parametrize(
    ("typed", "form", "asked"),
    [
        ("雨歇长街唤卖花", "五言绝句", "七言绝句"),
        ("一篙春水绿", "七言律诗", "五言律诗"),
        ("一篙春水绿", "五言律诗", ""),
        ("秋夜", "五言绝句", ""),
        (POEM_PROMPT, "七言律诗", ""),
    ],
)
def test_a_first_line_that_changes_the_form_is_told(
    typed: str, form: str, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings("poetry", "tuned", form, seed=1)
    # A pipe has to know, too.
    session = Session(Echo(), Screen(plain=True), settings, "first_line", with_tones=False)  # type: ignore[arg-type]
    session.answer(typed)
    told = f"the first line has {len(typed)} characters, so the form is {asked}, not {form}"
    assert (told in capsys.readouterr().err) == bool(asked)


@pytest.mark.parametrize("typed", ["a moon over the river", "江月"])
def test_a_prompt_without_chinese_is_warned_of(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings("poetry", "tuned", "五言绝句", seed=1)
    session = Session(Echo(), Screen(plain=True), settings, "first_line", with_tones=False)  # type: ignore[arg-type]
    session.answer(typed)
    told = "there is no Chinese in it, and the models were taught Chinese prompts\n"
    assert capsys.readouterr().err == (told if typed.isascii() else "")


def test_poems_that_were_trained_on_titles_or_themes_get_such_prompts() -> None:
    title = task_prompt("poetry", "一篙春水绿", "五言绝句", "title")
    assert title == "以《一篙春水绿》为题，写一首五言绝句。"
    assert task_prompt("poetry", "一篙春水绿", "五言绝句", "theme") == "一篙春水绿"


@pytest.mark.parametrize("line", ["一篙春水绿，两岸杏花齐。", "a春，绿b", "😀。𠮷"])
def test_tones_are_below_their_characters(line: str) -> None:
    tones = tones_under(line).plain
    for at, character in enumerate(line):
        if character in "春绿篙水一杏花齐":
            before = cell_len(line[:at])
            under = [place for place, _ in enumerate(tones) if cell_len(tones[:place]) == before]
            assert tones[under[0]] in "平仄中"
    assert cell_len(tones) <= cell_len(line)
    assert tones_under("，。").plain == ""


def test_a_text_cannot_control_the_terminal() -> None:
    assert printable("a\x1b[2J\x07\x9b\r雪\n\t。") == "a�[2J���雪\n\t。"


def test_a_pipe_gets_the_texts_and_nothing_else(repository: Path, writer: LocalWriter) -> None:
    run = subprocess.run(
        [*COMMAND, "write", "--task", "poetry"],
        env=environment(repository),
        input="一篙春水绿\n\n题目\n",
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert run.stderr == ""
    assert run.returncode == 0
    prompts = [POEM_PROMPT, "以《题目》为题，写一首五言绝句。"]
    texts = [whole(writer, "tuned", text_request(prompt=each, seed=42)).text for each in prompts]
    assert run.stdout == "".join(f"{printable(text)}\n" for text in texts)


ENDPOINT = ["--endpoint", "http://127.0.0.1:9/v1"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "error", "code"),
    [
        (["--task", "fairytale", "雪"], "", "models/adapters/fairytale: no model there; `make", 1),
        (["--task", "essay", "雪"], "", "'essay' is no task; allowed are novel, fair", 2),
        (["--form", "俳句", "雪"], "", "form: '俳句': allowed are 五言绝句, ", 2),
        (["--task", "诗", "雪"], "", "'诗' is no task; did you mean poetry?", 2),
        (["--task", "童话", "雪"], "", "'童话' is no task; did you mean fairytale?", 2),
        (["--form", "浣溪纱", "雪"], "", "form: '浣溪纱': did you mean 浣溪沙?", 2),
        (["--form", "六言绝句", "雪"], "", "form: '六言绝句': did you mean ", 2),
        (["--verse", "ful", "雪"], "", "verse: 'ful': did you mean full?", 2),
        (["--model", "mine", "雪"], "", "model: 'mine': allowed are base, tuned, both", 2),
        (["--temperature", "-1", "雪"], "", "temperature: -1.0: Input should be greater", 2),
        (["--endpoint", "127.0.0.1", "雪"], "", "--endpoint: '127.0.0.1': expected http", 2),
        (ENDPOINT, "/sing\n", "/sing: no such command; /help lists them", 2),
        (ENDPOINT, b"\n" + "雨\n".encode("gb18030"), "standard input:2: not UTF-8", 1),
    ],
)
def test_a_wrong_value_is_one_line(
    arguments: list[str], stdin: str | bytes, error: str, code: int
) -> None:
    run = CliRunner().invoke(cli.app, ["write", *arguments], input=stdin)
    assert run.stderr.startswith(f"write: {error}")
    assert run.stderr.count("\n") == 1
    assert (run.exit_code, run.stdout) == (code, "")


# --- A server in place of the models.


def endpoint_writer(server: StreamingServer) -> EndpointWriter:
    return EndpointWriter(server.url, TASKS)


def test_a_servers_text_comes_piece_by_piece() -> None:
    with StreamingServer() as server:
        parts, text = streamed(endpoint_writer(server), "tuned", text_request())
        assert parts[:3] == ["一篙春", "一篙春水绿，", "一篙春水绿，\n两岸杏花齐。"]
        assert text.text == parts[2]
        assert text.finish_reason == "stop"
        (body,) = server.asked
        assert (body["model"], body["stream"], body["temperature"]) == ("poetry", True, 0.8)
        assert body["messages"][0]["content"] == "你是一位诗人，按要求写古诗。"
        whole(endpoint_writer(server), "base", text_request("novel"))
        assert server.asked[-1]["model"] == "base"
        whole(endpoint_writer(server), "base", text_request())
        assert server.asked[0]["seed"] == server.asked[2]["seed"]


def test_a_character_that_a_server_cuts_in_two_is_left_out() -> None:
    with StreamingServer(pieces=("一篙春", "水\ufffd"), finish_reason="length") as server:
        parts, text = streamed(endpoint_writer(server), "tuned", text_request())
    assert (parts[-1], text.text, text.finish_reason) == ("一篙春水", "一篙春水", "length")


def test_a_stopped_text_ends_the_servers_request() -> None:
    with StreamingServer(endless=True) as server:
        part = endpoint_writer(server).write("tuned", text_request(), lambda text: len(text) < 100)
        assert part.finish_reason == "stopped"
        deadline = time.monotonic() + TIMEOUT
        while not server.left and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.left == 1


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ({"status": 401}, "401: "),
        ({"status": 500}, "500: "),
        ({"breaks_off": True}, "Does the endpoint run?"),
    ],
)
def test_a_failing_server_is_one_line_without_the_key(faults: dict[str, int], error: str) -> None:
    with StreamingServer(**faults) as server:
        writer = endpoint_writer(server)
        writer.key = writer.client.api_key = "sk-secret"
        with pytest.raises(UserError) as failure:
            whole(writer, "tuned", text_request())
        assert server.keys == ["Bearer sk-secret"]
    assert error in str(failure.value)
    assert "sk-secret" not in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_key_is_sent_to_the_address_of_its_endpoint_alone() -> None:
    assert access_at("https://api.deepseek.com/").api_key_env == "DEEPSEEK_API_KEY"
    assert access_at("https://api.deepseek.com.example.org").api_key_env == ""


def test_a_server_that_does_not_run_is_one_line() -> None:
    with pytest.raises(UserError, match="Does the endpoint run"):
        whole(EndpointWriter(ENDPOINT[1], TASKS), "base", text_request())


# --- The session, in a real terminal.


class Terminal:
    """A command in a pseudo-terminal, and the output since the last look."""

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

    def until(self, expected: str) -> str:
        """The output up to the expected text, which this waits for."""
        deadline = time.monotonic() + TIMEOUT
        while expected.encode() not in self.unseen:
            ready, _, _ = select.select([self.handle], [], [], deadline - time.monotonic())
            assert ready, f"no {expected!r} in {self.unseen.decode()!r}"
            self.unseen += os.read(self.handle, 4096)
        shown, self.unseen = self.unseen.split(expected.encode(), 1)
        return shown.decode().replace("\r\n", "\n") + expected


def test_a_session_writes_again_and_saves(repository: Path, writer: LocalWriter) -> None:
    first, second = (whole(writer, "tuned", text_request(seed=seed)).text for seed in (42, 43))
    with Terminal("write", cwd=repository) as terminal:
        assert terminal.until("poetry> ").startswith("reading the models")
        terminal.type("一篙春水绿\n")
        shown = terminal.until("poetry> ").split(POEM_PROMPT)[1].split("\n")
        lines = printable(first).split("\n")
        assert [line for line in shown if line in lines and line] == [
            line for line in lines if line
        ]
        assert tones_under(lines[0]).plain in shown
        assert any("seed 42" in line for line in shown)
        terminal.type("/again\n")
        assert printable(second).split("\n")[0] in terminal.until("poetry> ")
        for command, answer in (
            ("/save kept.txt", "saved in outputs/saved/kept.txt"),
            ("/save kept.txt", "exists already"),
            ("/temperature warm", "temperature: 'warm': expected a number"),
        ):
            terminal.type(f"{command}\n")
            terminal.until(answer)
            terminal.until("poetry> ")
        terminal.type("/task novel\n/model both\n/seed 7\n灯塔\n")
        both = terminal.until("characters, seed 7") + terminal.until("characters, seed 7")
        assert both.index("[base]") < both.index("[tuned]")
        terminal.until("novel> ")
        terminal.type("/quit\n")
        assert terminal.process.wait(TIMEOUT) == 0
    kept = (repository / "outputs/saved/kept.txt").read_text(encoding="utf-8")
    assert kept == f"{POEM_PROMPT}\nseed 43, temperature 0.8\n\n[tuned]\n{second}\n"


def test_ctrl_c_stops_the_text_and_not_the_session_whose_lines_come_back(repository: Path) -> None:
    with StreamingServer(endless=True) as server:
        command = ["write", "--endpoint", server.url, "--task", "novel"]
        with Terminal(*command, cwd=repository) as terminal:
            terminal.until("novel> ")
            terminal.type("灯塔\n")
            terminal.until("一篙春水绿，")
            terminal.process.send_signal(signal.SIGINT)  # as the terminal does at Ctrl-C
            terminal.until(", stopped")
            terminal.until("novel> ")
            server.endless = False
            terminal.type("\x10\n")  # Ctrl-P: the line before
            assert "两岸杏花齐。" in terminal.until("characters")
            terminal.until("novel> ")
            terminal.type("\x04")
            assert terminal.process.wait(TIMEOUT) == 0
        with Terminal(*command, cwd=repository) as terminal:
            terminal.until("novel> ")
            terminal.type("\x10\n")
            terminal.until("characters")
            assert server.asked[-1]["messages"][-1]["content"] == "灯塔"


@pytest.mark.parametrize("form", ["五言绝句", "七言绝句"])
def test_a_poem_by_rule_has_the_form_the_first_line_and_the_rhyme(form: str) -> None:
    first = "一篙春水绿" if form.startswith("五") else "一篙春水绿如蓝"
    arguments = ["write", first, "--task", "poetry", "--form", form, "--verse", "full"]
    result = CliRunner().invoke(cli.app, [*arguments, "--rhyme", "东", "--no-tones"])
    assert result.exit_code == 0, result.output
    lines = verse_lines(result.stdout)
    assert lines[0] == first
    assert {len(line) for line in lines} == {len(first)}
    assert tones_kept(result.stdout) and rhymed(result.stdout)
    assert all(("東", "平") in line_readings(line)[-1] for line in lines[1::2])


def test_a_poem_to_a_tune_keeps_it() -> None:
    arguments = ["write", "雪夜", "--task", "poetry", "--form", "点绛唇", "--verse", "full"]
    result = CliRunner().invoke(cli.app, [*arguments, "--rhyme", "第四部", "--no-tones"])
    assert result.exit_code == 0, result.output
    text, tune = result.stdout.strip(), tunes()["点绛唇"]
    assert exact_form(text, "", tune) and rhymed(text, tune) and tones_kept(text, tune)
    assert ("第四部", "仄") in line_readings(tune_lines(text)[-1], tune_rhyme)[-1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--form", "蝶恋花", "--verse", "full", "--rhyme", "东"], "no rhyme such as 第一部平聲"),
        (["--form", "雪花飘"], "form: '雪花飘': allowed are 五言绝句"),
        (["--verse", "sonnet"], "verse: 'sonnet': allowed are free, form, rhyme, full"),
        (["--verse", "full", "--rhyme", "x"], "rhyme: 'x': allowed are the 平水 rhymes"),
        (["--verse", "full", "--rhyme", "入声四质"], "入聲四質 is oblique"),
        (["--rhyme", "东"], "rhyme: verse is free; set it to rhyme or full"),
    ],
)
def test_a_poem_that_cannot_be_is_one_line(options: list[str], said: str) -> None:
    result = CliRunner().invoke(cli.app, ["write", "一篙春水绿", "--task", "poetry", *options])
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert not result.stdout


@pytest.mark.parametrize("form", FORMS)
def test_a_form_may_be_named_in_two_characters(form: str) -> None:
    assert checked_form(form) == checked_form(form[::2]) == form


@pytest.mark.parametrize(
    ("text", "tune", "told"),
    [
        ("春眠不觉晓，处处闻啼鸟。", "", "no form of regulated verse"),
        ("春眠不觉晓，处处闻啼。夜来风雨声，花落知多少。", "", "no form of regulated verse"),
        ("春眠不觉晓，处处闻啼鸟。", "浣溪沙", "not the lines of the tune"),
    ],
)
def test_a_text_that_has_no_form_is_told_as_that_alone(text: str, tune: str, told: str) -> None:
    assert poem_facts(text, tune_pattern(tune)) == told
