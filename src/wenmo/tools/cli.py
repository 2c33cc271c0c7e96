"""The command `wenmo`: what DVC has no command for.

Imports within a command are those that take the longest, for which no other command should wait:
git starts `wenmo merge-lock` in the midst of a merge.
"""

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from wenmo.config import params_file
from wenmo.config.chat import ChatParams
from wenmo.config.endpoints import endpoints
from wenmo.config.params_file import TASKS
from wenmo.config.summarize import SummarizeParams
from wenmo.core.errors import ParamsError, UserError, WrongArgumentsError
from wenmo.core.reading import read_sources
from wenmo.core.records import Row, write_json_lines
from wenmo.llm.store import Store, store_path
from wenmo.text.prosody import analyse
from wenmo.tools import batch
from wenmo.tools import serve as serving
from wenmo.tools.prosody import poem_lines, prosody_page
from wenmo.tools.push import publish
from wenmo.tools.trace.address import parse

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
BAR_WIDTH = 50
COMPARISON_PAGE = Path("reports/compare.html")
TaskName = Annotated[str, typer.Argument(help=f"one of {', '.join(TASKS)}")]


@app.callback()
def main() -> None:
    """Look at what the pipeline made. The pipeline itself is run by DVC: `dvc repro`."""


@app.command()
def inspect(task: TaskName) -> None:
    """Show a task's sources: characters read and kept, rows, and characters left out by reason.

    Below it, how long the rows are. Reads what `dvc repro prepare@TASK` wrote.
    """
    with told_in_one_line("inspect"):
        check_task(task)
        typer.echo(sources_table(task))
        typer.echo()
        typer.echo(length_bars(task))


@app.command()
def compare(
    revisions: Annotated[
        list[str],
        typer.Argument(
            metavar="REV",
            help="experiments, branches, tags or commits; workspace is the working tree",
        ),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option(help="compare this task; repeat for several", show_default="all in common"),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            help="page to write, with every prompt's texts",
            dir_okay=False,
            show_default=f"{COMPARISON_PAGE} in the repository",
        ),
    ] = None,
    texts: Annotated[int, typer.Option(help="prompts in the terminal", min=0)] = 3,
) -> None:
    """Show revisions side by side: parameters that differ, scores with intervals, texts.

    The first is what the others are compared to; one alone is compared to the workspace. After
    `dvc exp run --name steps-500 --set-param train.max_steps=500`, the command `wenmo compare main
    steps-500 --task poetry` tells whether 500 training steps write better poems than 100.

    Nothing is checked out or built: files come from git and from DVC's cache or remote. The exit
    code is 0 however the scores are, 1 where something cannot be read and 2 for wrong arguments.
    """
    from wenmo.tools.compare.comparison import compare_revisions
    from wenmo.tools.compare.html_page import write_comparison
    from wenmo.tools.compare.terminal import terminal_page

    with told_in_one_line("compare"):
        found = compare_revisions(revisions, task or [])
        html = html or Path(os.path.relpath(found.root / COMPARISON_PAGE))
        write_comparison(html, found)
        typer.echo(terminal_page(found, texts))
        typer.echo(f"\nAll prompts' texts: {html}")


@app.command()
def estimate() -> None:
    """Show what summarize would ask of its endpoint, for each task of params.yaml, and the price.

    Tokens are an upper bound: one a character. Reads what `dvc repro prepare` wrote.
    """
    import pandas as pd

    with told_in_one_line("estimate"), Store(store_path()) as store:
        tasks = listed_tasks()
        lines = {
            task: batch.estimate(prepared_rows(task), endpoint_params(task), store)
            for task in tasks
        }
        typer.echo(pd.DataFrame(lines).T.to_markdown(intfmt=",", floatfmt=",.10g"))


@app.command()
def push(
    task: TaskName,
    to: Annotated[str, typer.Option(help="repository on Hugging Face: owner/name")],
    adapter: Annotated[bool, typer.Option("--adapter", help="the adapter alone")] = False,
    private: Annotated[bool, typer.Option("--private", help="if the repository is new")] = False,
) -> None:
    """Upload a task's merged model, with its card and held-out scores, to Hugging Face.

    The token comes from HF_TOKEN in the environment or .env.
    """
    with told_in_one_line("push"):
        check_task(task)
        typer.echo(publish(task, to, adapter=adapter, private=private))


@app.command()
def preset(
    name: Annotated[str, typer.Argument(help="name of a preset; without it they are listed")] = "",
) -> None:
    """Make params.yaml a published configuration, presets/NAME.yaml, and show what changed in it.

    `wenmo preset tiny` brings the default back.
    """
    from wenmo.config.all_sections import refuse_missing
    from wenmo.tools import presets

    with told_in_one_line("preset"):
        if not name:
            typer.echo(presets_table(presets.descriptions()))
            return
        changes = presets.apply(name)
        typer.echo(changes or f"params.yaml is {name} already; nothing changed\n", nl=False)
        try:
            refuse_missing(params_file.read())
        except ParamsError as missing:
            typer.echo(f"it is set, but this machine cannot train it yet: {missing}", err=True)


@app.command()
def prosody(
    poem: Annotated[str, typer.Argument(help="the poem, or - to read it from standard input")],
) -> None:
    """Show a poem's tones and rhyme by the rules of regulated verse (近体诗), and its faults.

    Lines are parted by punctuation or line breaks; simplified characters are fine. The exit code is
    0 for a poem without faults, 1 for one with faults and 2 where there is no poem.
    """
    with told_in_one_line("prosody"):
        if poem == "-":
            poem = typer.get_binary_stream("stdin").read().decode("utf-8", "surrogateescape")
        analysis = analyse(poem_lines(poem))
        typer.echo(prosody_page(analysis))
        raise typer.Exit(1 if analysis.faults else 0)


@app.command()
def trace(
    row: Annotated[
        str, typer.Argument(metavar="FILE:LINE", help="a row of a file, or PAGE#ARTICLE")
    ],
    neighbours: Annotated[int, typer.Option(help="training rows to show", min=0)] = 3,
) -> None:
    """Tell where a row comes from: `wenmo trace outputs/novel/submit.json:12`.

    It shows the row's prompt and text, the training rows nearest to it, the book and passage that
    it was cut from, the parameters and models that it was made with, and what has changed since.
    FILE is one of data/prepared, rejected, test, summarized or merged, of outputs or of reports.
    For a page, copy the address of one of its rows out of the browser:
    `wenmo trace 'reports/poetry.html#c87ecb669e29-1'`. Nothing is written.
    """
    from wenmo.tools.trace.card import trace as traced
    from wenmo.tools.trace.layout import page

    with told_in_one_line("trace"):
        address = parse(row)
        with chdir(address.root):
            sections = traced(address, neighbours)
        typer.echo(page(sections, shutil.get_terminal_size().columns))


@app.command("merge-lock")
def merge_lock(
    base: Annotated[
        Path,
        typer.Argument(
            help="the common ancestor's, empty if there was none", exists=True, dir_okay=False
        ),
    ],
    ours: Annotated[
        Path,
        typer.Argument(help="ours, over which the result is written", exists=True, dir_okay=False),
    ],
    theirs: Annotated[Path, typer.Argument(help="theirs", exists=True, dir_okay=False)],
) -> None:
    """Merge three versions of dvc.lock stage by stage: git's merge driver, which `make` sets up.

    A stage's entry is taken whole from the side that changed it. If both did and its results differ
    it is a conflict, told by name and by markers in the file; the exit code is then 1.
    """
    from wenmo.tools import merge_lock as driver

    with told_in_one_line("merge-lock"):
        driver.merge_lock(base, ours, theirs)


@app.command()
def serve(
    task: Annotated[
        list[str] | None,
        typer.Option(help="serve this task; repeat for several", show_default="all trained"),
    ] = None,
    host: Annotated[str, typer.Option(help="address; 0.0.0.0 lets others in")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port", min=1, max=65535)] = 8000,
) -> None:
    """Serve base and tuned models over the OpenAI API, until Ctrl-C.

    Requests name them `base`, `novel`, `fairytale`, `poetry`; a tuned model expects its task's
    system prompt, shown at the start, as first message. vLLM answers many requests at a time from
    one base and its adapters. Without it `transformers serve` answers one at a time from the merged
    models. Reads what `dvc repro train` and `dvc repro merge_weights` wrote.
    """
    with told_in_one_line("serve"):
        for name in task or []:
            check_task(name)
        tasks = task or listed_tasks()
        server = serving.prepare(tasks, host, port, only_trained=not task)
        typer.echo(f"{server.name} on http://{host}:{port}/v1 with")
        for name, folder in server.models.items():
            typer.echo(served_line(name, folder))
    serving.become(server)


@app.command()
def verify(
    folder: Annotated[
        Path | None,
        typer.Option(help="clone into this new folder and keep it", show_default="one for a while"),
    ] = None,
) -> None:
    """Build everything anew in a fresh clone of the current commit and compare every hash.

    It takes as long as the first `dvc repro`: every stage runs, and nothing comes from a cache. The
    exit code is 0 if inputs and outputs have the hashes of the committed dvc.lock, else 1.
    docs/reproducibility.md tells on which machines the same bytes can be expected.
    """
    from wenmo.tools import verify

    with told_in_one_line("verify"), TemporaryDirectory() as temporary:
        if folder and folder.exists():
            raise UserError(f"{folder}: is there already; name a folder that is not")
        commit = verify.commit_of(Path())
        if not verify.is_as_committed(Path()):
            typer.echo(f"what is not committed is left out; this is about {commit}", err=True)
        clone = (folder or Path(temporary) / "clone").absolute()
        verify.rebuild(Path(), clone)
        before, after = verify.committed(clone), verify.rebuilt(clone)
        found = list(verify.differences(before, after))
        for each in found:
            told = f"committed {each.committed or 'nothing'}, now {each.rebuilt or 'nothing'}"
            typer.echo(f"{each.stage}: {each.path}: {told}")
        count = len(verify.hashes(before))
        if found:
            raise UserError(f"{len(found)} of {count} hashes are not those of commit {commit}")
        typer.echo(f"All {count} hashes of {len(before)} stages are those of commit {commit}.")


@app.command()
def write(
    prompt: Annotated[
        str,
        typer.Argument(
            help="theme, or a poem's first line or title",
            show_default="a session, or a pipe's lines",
        ),
    ] = "",
    task: Annotated[
        str | None, typer.Option(help=f"one of {', '.join(TASKS)}", show_default="poetry")
    ] = None,
    model: Annotated[str, typer.Option(help="who writes: base, tuned or both")] = "tuned",
    form: Annotated[
        str, typer.Option(help="a poem's form, 五言 or 七言 with 绝句 or 律诗")
    ] = "五言绝句",
    seed: Annotated[
        int | None,
        typer.Option(help="what the draw starts from", show_default="that of params.yaml"),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="sharpness of the draw", show_default="that of params.yaml"),
    ] = None,
    tones: Annotated[
        bool | None,
        typer.Option(help="a poem's tones under its lines", show_default="in a terminal"),
    ] = None,
    endpoint: Annotated[str, typer.Option(help="an OpenAI-compatible server to ask instead")] = "",
) -> None:
    """Write with the models: `wenmo write --task poetry 赤膊汗流浓`; the text comes as it is drawn.

    Without a prompt it is a session, in which /help tells the commands; in a pipe each line is a
    prompt, and nothing but texts is printed. Reads what `make repro` built, or asks the server at
    --endpoint, such as `wenmo serve`.
    """
    from wenmo.tools.writing import opening
    from wenmo.tools.writing.session import Choice, converse, history_file

    with told_in_one_line("write"):
        if task:
            check_task(task)
        talk = not prompt and sys.stdin.isatty()
        asked = [task] if task and not talk else listed_tasks()
        writer = opening.open_writer(endpoint, asked, only_trained=not task)
        choice = Choice(
            task=task or opening.favourite(writer.tasks),
            model=model,
            form=form,
            seed=params_file.seed() if seed is None else seed,
            temperature=temperature,
        )
        session = opening.open_session(writer, choice, tones=tones)
        session.screen.note("reading the models")
        writer.read()
        if talk:
            converse(session, history_file())
            return
        for line in [prompt] if prompt else opening.piped_lines():
            session.take(line)
            if session.stopped:
                raise typer.Exit(130)


@app.command()
def web(
    task: Annotated[
        list[str] | None,
        typer.Option(help="a tab for this task; repeat for several", show_default="all trained"),
    ] = None,
    host: Annotated[str, typer.Option(help="address; others than loopback need --auth")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int, typer.Option(help="port; if it is busy, the next free one", min=0, max=65535)
    ] = 7860,
    auth: Annotated[
        str, typer.Option(metavar="USER:VARIABLE", help="variable with the password")
    ] = "",
    endpoint: Annotated[str, typer.Option(help="an OpenAI-compatible server to ask instead")] = "",
) -> None:
    """Write with the models in a browser, base beside tuned, until Ctrl-C.

    Needs `pip install -c constraints.txt -e '.[demo]'`. Reads what `make repro` built, or asks the
    server at --endpoint, such as `wenmo serve`.
    """
    from wenmo.tools.writing import opening
    from wenmo.tools.writing import web_server as server

    with told_in_one_line("web"):
        for name in task or []:
            check_task(name)
        access = server.check_access(host, auth)
        tasks = task or listed_tasks()
        writer = opening.open_writer(endpoint, tasks, only_trained=not task)
        blocks = opening.open_page(writer)
        sock = server.listening(host, port)
        taken = sock.getsockname()[1]
        if port not in (0, taken):
            typer.echo(f"port {port} is busy; taking {taken}")
        address = f"[{host}]" if ":" in host else host
        print(f"http://{address}:{taken}", flush=True)
        # Meanwhile the browser opens the page; who asks before it is done waits for it.
        threading.Thread(target=writer.read, daemon=True).start()
        server.serve(blocks, sock, access)


batch_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(
    batch_app, name="batch", help="Write requests as an OpenAI batch file and read its results."
)


@batch_app.command("export")
def batch_export(
    task: TaskName,
    path: Annotated[Path, typer.Argument(help="file to write", dir_okay=False)],
) -> None:
    """Write the requests about TASK that have no answer yet, for a batch or `vllm run-batch`."""
    with told_in_one_line("batch export"), Store(store_path()) as store:
        check_task(task)
        requests = batch.pending_requests(prepared_rows(task), endpoint_params(task), store)
        lines = list(batch.batch_lines(requests))
        try:
            write_json_lines(path, lines)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; name another file") from None
        typer.echo(f"{len(lines)} requests in {path}")


@batch_app.command("import")
def batch_import(path: Annotated[Path, typer.Argument(help="results of a batch")]) -> None:
    """Keep a batch's answers; `dvc repro summarize` then finds them and asks nothing again."""
    with told_in_one_line("batch import"), Store(store_path()) as store:
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        kept, failed = batch.import_results(path, store)
        typer.echo(f"{kept} answers kept, {failed} requests had failed")


@contextmanager
def told_in_one_line(command: str) -> Iterator[None]:
    """A UserError ends the command in one line and with its exit code."""
    try:
        yield
    except UserError as error:
        typer.echo(f"{command}: {error}", err=True)
        raise typer.Exit(error.exit_code) from None


def endpoint_params(task: str) -> SummarizeParams:
    """Section `summarize` of a task. Raises UserError if its provider is no endpoint."""
    summarize = SummarizeParams.load("summarize", task)
    if summarize.provider is None:
        raise UserError(
            "summarize.provider is offline and costs nothing; set it to one of "
            + ", ".join(endpoints(params_file.read()))
        )
    return summarize


def prepared_rows(task: str) -> list[Row]:
    """What prepare wrote. Raises UserError if it has not run."""
    sources = read_sources(Path(f"data/prepared/{task}"), f"prepare@{task}")
    return [row for of_source in sources.values() for row in of_source]


def listed_tasks() -> list[str]:
    """The tasks of params.yaml. Raises ParamsError if it has no list of them."""
    listed = params_file.value(params_file.read(), "tasks", list)
    return [task for task in TASKS if task in listed]


def check_task(task: str) -> None:
    """Raise WrongArgumentsError for an unknown task."""
    if task not in TASKS:
        raise WrongArgumentsError(f"{task!r} is no task; allowed are {', '.join(TASKS)}")


def served_line(name: str, folder: Path) -> str:
    """A model's name, folder and, as JSON, the system prompt that it was trained with."""
    line = f"{name:<10}{folder}"
    if name in TASKS:
        prompt = ChatParams.load("chat", name).system_prompt
        line += f"  system prompt {json.dumps(prompt, ensure_ascii=False)}"
    return line


def presets_table(described: dict[str, str]) -> str:
    """A preset a line, with what it is."""
    width = max(map(len, described))
    return "\n".join(f"{name:<{width}}  {what}" for name, what in described.items())


def sources_table(task: str) -> str:
    """Markdown: a source a row and their sum; characters without white space."""
    sources = _read(Path(f"metrics/prepare/{task}.csv"), "source", task).set_index("source")
    sources.loc["sum"] = sources.sum()
    shown = sources.map(lambda count: f"{count:,}")
    return str(
        shown.to_markdown(disable_numparse=True, colalign=["left"] + ["right"] * len(shown.T))
    )


def length_bars(task: str) -> str:
    """A bar for each step of length, in characters."""
    lengths = _read(Path(f"plots/prepare/{task}.csv"), "characters", task)
    most = lengths["rows"].max()
    lines = (
        f"{characters:>6} {rows:>7,} {'█' * -(-rows * BAR_WIDTH // most)}"
        for characters, rows in lengths.itertuples(index=False)
    )
    return "\n".join(["  from    rows", *lines])


def _read(path: Path, first: str, task: str) -> "pd.DataFrame":
    """A table of whole numbers, but for the column `first`, that prepare wrote."""
    import pandas as pd

    fault = "no such file"
    if path.is_file():
        fault = "not the table that prepare wrote"
        try:
            table = pd.read_csv(path)
        except ValueError:  # of what is no table all of pandas' complaints are such
            table = pd.DataFrame()
        numbers = table.drop(columns=first, errors="ignore").dtypes
        if first in table and len(numbers) and all(map(pd.api.types.is_integer_dtype, numbers)):
            return table
    raise UserError(f"{path}: {fault}; run `dvc repro prepare@{task}` first")
