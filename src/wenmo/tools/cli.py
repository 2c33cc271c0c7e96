"""The command `wenmo`, for what DVC has no command for: its options and their help.

The work of each command is in the module of its name. A command imports that module when it runs,
so that `wenmo --help` and completion start without pydantic, pandas, torch or gradio.
"""

import os
import shlex
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from wenmo.core.errors import UserError
from wenmo.core.language import N_, VARIABLE, gettext
from wenmo.tools.help import App, Group

COMPARISON_PAGE = Path("reports/compare.html")


class OneLineErrors(Group):
    """Ends a command that raises UserError with one line on stderr and the error's exit code.

    The option --lang may stand before the command or anywhere after it.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments that typer leaves to the command."""
        return super().parse_args(ctx, args if ctx.parent else language_first(args))

    def invoke(self, ctx: Any) -> Any:
        """The command's result."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            names, group = [ctx.invoked_subcommand], ctx
            while group.parent:
                names.insert(0, group.info_name)
                group = group.parent
            command = " ".join(map(str, names))
            typer.echo(gettext("{place}: {error}", place=command, error=error), err=True)
            raise typer.Exit(error.exit_code) from None


app = App(cls=OneLineErrors, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
batch_app = App(cls=OneLineErrors, no_args_is_help=True, rich_markup_mode=None)
app.add_typer(
    batch_app, name="batch", help="Write requests as an OpenAI batch file and read its results."
)
estimate_app = App(cls=OneLineErrors, no_args_is_help=True, rich_markup_mode=None)
app.add_typer(estimate_app, name="estimate", help="Show what a stage will take, before it is run.")

# Written out, since importing the list of tasks imports pydantic.
ONE_TASK = N_("novel, fairytale or poetry")
TaskName = Annotated[str, typer.Argument(help=ONE_TASK)]
Endpoint = Annotated[str, typer.Option(help="OpenAI-compatible server that writes instead")]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="name by which clients reach the server; repeat for several",
        show_default="loopback and --host",
    ),
]


def language_first(arguments: list[str]) -> list[str]:
    """The arguments with --lang and its value before the others, which `--` ends."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for at, each in enumerate(arguments[:end]):
        if each == "--lang" or each.startswith("--lang="):
            behind = at + (2 if each == "--lang" else 1)
            return [*arguments[at:behind], *arguments[:at], *arguments[behind:]]
    return arguments


def speak(language: str | None) -> None:
    """Have this process, and those that it starts, speak a language."""
    if language:
        os.environ[VARIABLE] = language


@app.callback()
def main(
    lang: Annotated[
        Literal["en", "zh"] | None,
        typer.Option(
            help="language of what is shown",
            show_default="WENMO_LANG, else the locale",
            is_eager=True,
            callback=speak,
        ),
    ] = None,
) -> None:
    """Look at what the pipeline made and use its models. DVC runs the pipeline: `dvc repro`."""


@app.command()
def inspect(
    task: TaskName,
    html: Annotated[
        Path | None,
        typer.Option(
            help="page to write, with all sources",
            dir_okay=False,
            show_default="reports/inspect-TASK.html",
        ),
    ] = None,
) -> None:
    """Show how the texts of a task were read, what was kept and what was left out, with examples.

    Each book, or file of tales or poems, has its encoding, the width at which its lines were
    wrapped, its chapters and what became of its characters. Reads what `dvc repro prepare@TASK`
    wrote, and the raw texts once more. Of many sources those with the fewest rows per character are
    in the terminal, and all on the page.
    """
    from wenmo.tools.inspect.facts import inspect_task
    from wenmo.tools.inspect.html_page import write_inspection
    from wenmo.tools.inspect.terminal import terminal_page

    found = inspect_task(task)
    html = html or Path(f"reports/inspect-{task}.html")
    write_inspection(html, found)
    typer.echo(terminal_page(found, html))
    typer.echo("\n" + gettext("All sources, with pictures: {page}", page=html))


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
            show_default="reports/compare.html in the repository",
        ),
    ] = None,
    texts: Annotated[int, typer.Option(help="prompts in the terminal", min=0)] = 3,
) -> None:
    """Show revisions side by side: parameters that differ, scores with intervals, texts.

    The first is what the others are compared to; one alone is compared to the workspace. After
    `dvc exp run --name steps-500 --set-param train.max_steps=500`, the command `wenmo compare main
    steps-500 --task poetry` tells whether 500 training steps write better poems than 100.

    Nothing is checked out or built: files come from git and from DVC's cache or remote. The exit
    code is 0 whatever the scores are, 1 if something cannot be read and 2 for wrong arguments.
    """
    from wenmo.tools.compare.comparison import compare_revisions
    from wenmo.tools.compare.html_page import write_comparison
    from wenmo.tools.compare.terminal import terminal_page

    found = compare_revisions(revisions, task or [])
    html = html or Path(os.path.relpath(found.root / COMPARISON_PAGE))
    write_comparison(html, found)
    typer.echo(terminal_page(found, texts))
    typer.echo("\n" + gettext("All prompts' texts: {page}", page=html))


@app.command()
def show(
    all_commits: Annotated[
        bool, typer.Option("--all-commits", "-A", help="experiments on other commits as well")
    ] = False,
) -> None:
    """Show the experiments side by side: parameters that differ, headline scores with intervals.

    They are those of the current commit. A mark tells which scores are of other held-out rows than
    the commit's, with which they do not compare. `wenmo compare` shows more of a few.
    """
    from wenmo.tools.show import results, table

    width = shutil.get_terminal_size().columns
    typer.echo(table(results(all_commits=all_commits), width))


@estimate_app.command("summarize")
def estimate_summarize() -> None:
    """Show the requests that summarize would send for each task of params.yaml, and their price.

    A character counts as a token, which is an upper bound. Reads what `dvc repro prepare` wrote.
    """
    from wenmo.tools.batch import estimate_table

    typer.echo(estimate_table())


@estimate_app.command("train")
def estimate_train(
    cpu: Annotated[
        bool, typer.Option("--cpu", help="memory of a training on this machine's CPU")
    ] = False,
) -> None:
    """Show the device memory that training each task of params.yaml takes, and which GPUs it fits.

    Memory is in GiB, of one device at its peak, for full batches of rows of train.max_length
    tokens: the base's weights; the adapter with gradients and optimizer states; activations kept
    for the backward pass; and what is needed for a moment, such as logits and the loss. The second
    table has GPUs of 8, 16, 24 and 80 GB. Training fits one that has 1 GiB more than the total, for
    the GPU's own context. If it does not, the settings of section train that would make it fit are
    named, tried one after another: bf16, gradient_checkpointing, a batch of one row, 4 bits, half
    the length. Method grpo is reckoned up to the end of its supervised part, and a launcher of
    several devices as if each held the whole model.

    Nothing is trained or loaded: the base's config.json is enough, and for a model of Hugging Face
    it alone is fetched. So `wenmo preset novel-qwen3-8b` and `wenmo estimate train` tell whether a
    model is worth its download. It takes a few seconds per line and setting that is tried.
    """
    from wenmo.tools.estimate import training_tables

    typer.echo(training_tables(cpu))


@batch_app.command("export")
def batch_export(
    task: TaskName,
    path: Annotated[Path, typer.Argument(help="file to write", dir_okay=False)],
) -> None:
    """Write the requests about TASK that have no answer yet, for a batch or `vllm run-batch`."""
    from wenmo.tools.batch import export_batch

    for part, count in export_batch(task, path).items():
        typer.echo(gettext("{count} requests in {path}", count=count, path=part))


@batch_app.command("import")
def batch_import(
    paths: Annotated[list[Path], typer.Argument(help="results of batches")],
) -> None:
    """Store a batch's answers, so that `dvc repro summarize` does not ask for them again."""
    from wenmo.tools.batch import import_batch

    found = import_batch(paths)
    typer.echo(
        gettext(
            "{stored} answers kept, {failed} requests had failed",
            stored=found.stored,
            failed=found.failed,
        )
    )
    if found.failed:
        typer.echo(
            gettext(
                "{fault}; `wenmo batch export` writes failed and missing requests again",
                fault=found.first_fault,
            )
        )


@app.command()
def push(
    task: TaskName,
    to: Annotated[str, typer.Option(help="repository on Hugging Face: owner/name")],
    adapter: Annotated[bool, typer.Option("--adapter", help="upload the adapter alone")] = False,
    private: Annotated[
        bool, typer.Option("--private", help="make the repository private, if it is new")
    ] = False,
) -> None:
    """Upload a task's merged model, with its card and held-out scores, to Hugging Face.

    The token comes from HF_TOKEN in the environment or .env.
    """
    from wenmo.tools.push import push

    typer.echo(push(task, to, adapter=adapter, private=private))


@app.command()
def export(
    task: TaskName,
    output: Annotated[
        Path | None,
        typer.Option(help="folder to write into", file_okay=False, show_default="exports/TASK"),
    ] = None,
    weight_type: Annotated[
        Literal["f16", "bf16", "f32", "q8_0"],
        typer.Option("--type", help="number format of the weights; q8_0 is half as large as f16"),
    ] = "f16",
) -> None:
    """Write a task's merged model as a GGUF file for llama.cpp, and a Modelfile for Ollama.

    Both hold the task's system prompt, the chat format and the tokens that end an answer. After
    `wenmo export poetry`:

    llama-cli -m exports/poetry/poetry-f16.gguf --jinja

    ollama create wenmo-poetry -f exports/poetry/Modelfile

    ollama run wenmo-poetry

    Reads what `dvc repro merge_weights` wrote.
    """
    from wenmo.tools.export.export import export

    weights, modelfile = export(task, output or Path("exports") / task, weight_type)
    written = gettext(
        "{weights} and {modelfile} are written; to write with them:",
        weights=weights,
        modelfile=modelfile,
    )
    typer.echo(written)
    typer.echo(f"  llama-cli -m {shlex.quote(str(weights))} --jinja")
    typer.echo(f"  ollama create wenmo-{task} -f {shlex.quote(str(modelfile))}")
    typer.echo(f"  ollama run wenmo-{task}")


@app.command()
def preset(
    name: Annotated[
        str, typer.Argument(help="preset; without it they are listed", show_default=False)
    ] = "",
    pin: Annotated[
        bool,
        typer.Option("--pin", help="enter the commits at which the hub has model and datasets now"),
    ] = False,
) -> None:
    """Lay a preset, presets/NAME.yaml, over params.yaml and show what changed in it.

    `wenmo preset embedded` brings the default back. `wenmo preset --pin` sets no preset and pins
    the model and the datasets that params.yaml names, each at its revision or, without one, at the
    main branch.
    """
    from wenmo.tools import presets

    if not name and not pin:
        typer.echo(presets.table())
        return
    if name:
        changes = presets.apply(name)
        same = gettext("params.yaml is {name} already; nothing changed", name=name)
        typer.echo(changes or f"{same}\n", nl=False)
        if changes:
            typer.echo(presets.kept())
    if pin:
        pinned = gettext("every revision is a commit already")
        typer.echo(presets.pin() or f"{pinned}\n", nl=False)
    if name and (missing := presets.missing_libraries()):
        cannot = N_("it is set, but this machine cannot train it yet: {missing}")
        typer.echo(gettext(cannot, missing=missing), err=True)


@app.command()
def prosody(
    poem: Annotated[str, typer.Argument(help="the poem, or - to read it from standard input")],
    tune: Annotated[
        str, typer.Option(help="the tune that it is to, such as 浣溪沙", show_default="none")
    ] = "",
) -> None:
    """Show a poem's tones and rhyme by the rules of regulated verse (近体诗), and its faults.

    With --tune the rules are the pattern of that tune (词牌).

    Punctuation or line breaks separate the lines; simplified characters are fine. The exit code is
    0 for a poem without faults, 1 for one with faults and 2 if there is no poem.
    """
    from wenmo.text.patterns import tune_pattern
    from wenmo.text.prosody import analyse
    from wenmo.tools.prosody import poem_lines, prosody_page

    if poem == "-":
        poem = typer.get_binary_stream("stdin").read().decode("utf-8", "surrogateescape")
    analysis = analyse(poem_lines(poem, tune), tune_pattern(tune))
    typer.echo(prosody_page(analysis, tune))
    raise typer.Exit(1 if analysis.faults else 0)


@app.command()
def trace(
    row: Annotated[
        str,
        typer.Argument(metavar="ROW", help="file:line, page#article, a text, or - to read one"),
    ],
    neighbours: Annotated[int, typer.Option(help="training rows to show", min=0)] = 3,
    params: Annotated[
        bool, typer.Option("--params", help="show the parameters of each stage as well")
    ] = False,
) -> None:
    """Tell where a row comes from: `wenmo trace outputs/novel/submit.json:12`.

    It shows the row's prompt and text, the training rows nearest to it, the book and passage that
    it was cut from, the models that it was made with, and what has changed since.
    The file lies in data (prepared, rejected, test, summarized or merged), outputs or reports.
    For a page, copy the address of one of its rows out of the browser:
    `wenmo trace 'reports/poetry.html#c87ecb669e29-1'`. Nothing is written.

    A text, such as a pasted line, a raw text (data/raw/poetry/poems.csv:12) or a file of /save, is
    looked for in what wenmo wrote, learnt and left out. One that is nowhere has its nearest rows.
    """
    from wenmo.tools.trace.address import located, parse
    from wenmo.tools.trace.card import trace as traced
    from wenmo.tools.trace.layout import page
    from wenmo.tools.trace.pasted import pasted_text, trace_text

    if text := pasted_text(row):
        with chdir(located("")[0]):
            sections = trace_text(text, neighbours, params=params)
    else:
        address = parse(row)
        with chdir(address.root):
            sections = traced(address, neighbours, params=params)
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
    from wenmo.tools.merge_lock import merge_lock

    merge_lock(base, ours, theirs)


@app.command()
def serve(
    task: Annotated[
        list[str] | None,
        typer.Option(help="serve this task; repeat for several", show_default="all trained"),
    ] = None,
    host: Annotated[
        str, typer.Option(help="address to listen on; 0.0.0.0 accepts other machines")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on", min=1, max=65535)] = 8000,
    allow_host: AllowHost = None,
) -> None:
    """Serve base and tuned models over the OpenAI API, until Ctrl-C.

    Requests name them `base`, `novel`, `fairytale`, `poetry`; a tuned model expects its task's
    system prompt, shown at the start, as first message. vLLM answers many requests at a time from
    one base and its adapters. Without it `transformers serve` answers one at a time from the merged
    models. Reads what `dvc repro train` and `dvc repro merge_weights` wrote.
    """
    from wenmo.tools.serve import serve

    serve(task or [], host, port, allow_host or [])


@app.command()
def verify(
    folder: Annotated[
        Path | None,
        typer.Option(
            help="clone into this new folder and keep it", show_default="a temporary folder"
        ),
    ] = None,
) -> None:
    """Build everything anew in a fresh clone of the current commit and compare every hash.

    It takes as long as the first `dvc repro`: every stage runs, and nothing comes from a cache. The
    exit code is 0 if inputs and outputs have the hashes of the committed dvc.lock, else 1.
    docs/reproducibility.md tells on which machines the same bytes can be expected.
    """
    from wenmo.tools.verify import verify

    verify(folder)


@app.command()
def write(
    prompt: Annotated[
        str,
        typer.Argument(
            help="theme, or a poem's first line or title",
            show_default="a session, or a pipe's lines",
        ),
    ] = "",
    task: Annotated[str | None, typer.Option(help=ONE_TASK, show_default="poetry")] = None,
    model: Annotated[str, typer.Option(help="model that writes: base, tuned or both")] = "tuned",
    form: Annotated[
        str,
        typer.Option(
            help="a poem's form: 五言 or 七言 (lines of 5 or 7 characters) with 绝句 or 律诗 (4 or"
            " 8 lines), or a tune (词牌) such as 浣溪沙"
        ),
    ] = "五言绝句",
    seed: Annotated[
        int | None,
        typer.Option(help="seed of sampling", show_default="that of params.yaml"),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="temperature of sampling; 0 is greedy", show_default="that of params.yaml"
        ),
    ] = None,
    tones: Annotated[
        bool | None,
        typer.Option(help="a poem's tones under its lines", show_default="in a terminal"),
    ] = None,
    endpoint: Endpoint = "",
    verse: Annotated[
        str | None,
        typer.Option(
            help="what a poem keeps: free, form, rhyme or full",
            show_default="generate.verse of params.yaml",
        ),
    ] = None,
    rhyme: Annotated[
        str | None,
        typer.Option(
            help="a poem's rhyme by its head word, such as 东; of a tune also 第三部 (group 3)",
            show_default="the model chooses",
        ),
    ] = None,
) -> None:
    """Write with the models, token by token: `wenmo write --task poetry 赤膊汗流浓`.

    Without a prompt it is a session, in which /help shows the commands; in a pipe each line is a
    prompt, and nothing but texts is printed. Reads what `make repro` built, or asks the server at
    --endpoint, such as `wenmo serve`.
    """
    from wenmo.tools.writing.write import write

    if not write(prompt, task, model, form, seed, temperature, tones, endpoint, verse, rhyme):
        raise typer.Exit(130)


@app.command()
def web(
    task: Annotated[
        list[str] | None,
        typer.Option(help="a tab for this task; repeat for several", show_default="all trained"),
    ] = None,
    host: Annotated[
        str, typer.Option(help="address to listen on; other than loopback it needs --auth")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="port; if it is busy, the next free one", min=0, max=65535)
    ] = 7860,
    auth: Annotated[
        str, typer.Option(metavar="USER:VARIABLE", help="variable with the password")
    ] = "",
    allow_host: AllowHost = None,
    endpoint: Endpoint = "",
) -> None:
    """Write with the models in a browser, base beside tuned, until Ctrl-C.

    Needs `pip install -c constraints.txt -e '.[demo]'`. Reads what `make repro` built, or asks the
    server at --endpoint, such as `wenmo serve`.
    """
    from wenmo.tools.writing.web import web

    web(task or [], host, port, auth, endpoint, allow_host or [])
