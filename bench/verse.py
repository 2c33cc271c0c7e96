"""Poems by rule beside free ones: which rules they keep, and tokens per second.

python -m bench.verse models/merged/poetry data/raw/poetry/Chinese_Poetry.csv
python -m bench.verse models/merged/poetry data/raw/chinese-poetry --per-form 13     the tunes

The first lines are those of poems that keep all rules themselves, as many of each form or tune. The
poems are a CSV with a column `content`, or a clone of the chinese-poetry collection for the tunes.
Free and by rule take turns in one process, after a batch that nobody measures. A model of a shape
in bench.random_weights, such as `rehearsal`, has a tokenizer whose tokens hold several characters.
"""

import sys
import time
from argparse import ArgumentParser
from itertools import islice
from pathlib import Path

import pandas as pd
from bench.rounds import table
from bench.tunes import poems_by_tune

# Before torch: this module sets the code path on which torch's CPU results depend.
import wenmo.core.stage  # noqa: F401
from wenmo.config.chat import ChatParams
from wenmo.config.generate import VERSE_RULES, GenerateParams, VerseRule
from wenmo.core.records import Row
from wenmo.engines.answering import load_engine
from wenmo.engines.engine import Engine, Model, Prompt, prompt_seed
from wenmo.engines.verse_requests import asked_verses
from wenmo.model.chat import prompt_messages
from wenmo.scoring.poetry import different_characters, exact_form, rhymed, tones_kept
from wenmo.tasks.poetry import word_prompt
from wenmo.text.asked_verse import FORMS, asked_tune
from wenmo.text.patterns import of_pattern, tune_lines, tunes, with_marks
from wenmo.text.verse import form, verse_lines
from wenmo.tools.writing.writer import sampling_with

TEMPERATURES = (0.3, 0.7, 1.0)
HEADS = (
    "temperature",
    "decoding",
    "poems",
    "form",
    "rhyme",
    "all tone rules",
    "different",
    "tokens/s",
)


def rows_of(path: Path, per_form: int) -> list[Row]:
    """Requests by first line for poems that keep the rules, as many of each form or tune."""
    return _tune_rows(path, per_form) if path.is_dir() else _form_rows(path, per_form)


def _form_rows(path: Path, per_form: int) -> list[Row]:
    poems = [str(each) for each in pd.read_csv(path, keep_default_na=False)["content"]]
    kept = [each for each in poems if rhymed(each) and tones_kept(each)]
    rows = []
    for name, wanted in FORMS.items():
        of_form = [each for each in kept if form(verse_lines(each)) == wanted]
        for poem in of_form[:per_form]:
            prompt = word_prompt(verse_lines(poem)[0], "", f"写一首{name}", "first_line")
            rows.append(Row(str(len(rows)), path.name, len(rows), prompt, "", poem))
    return rows


def _tune_rows(folder: Path, per_tune: int) -> list[Row]:
    rows = []
    found = poems_by_tune(folder)
    for name, pattern in tunes().items():
        own = [text for text in found[name] if of_pattern(tune_lines(text), pattern)]
        kept = (text for text in own if rhymed(text, pattern) and tones_kept(text, pattern))
        for text in islice(kept, per_tune):
            poem = with_marks(text, pattern)
            prompt = word_prompt(tune_lines(poem)[0], "", f"填一首《{name}》", "first_line")
            rows.append(Row(str(len(rows)), folder.name, len(rows), prompt, "", poem))
    return rows


def measured(
    engine: Engine,
    model: Model,
    rows: list[Row],
    rule: VerseRule,
    temperature: float,
    params: GenerateParams,
) -> list[str]:
    """A line of the table."""
    chat, verses = ChatParams.load("chat", "poetry"), asked_verses("poetry", rows, rule)
    prompts = [
        Prompt(
            prompt_messages(chat.system_prompt, row.prompt),
            prompt_seed(1, row.id),
            verses.get(row.id),
        )
        for row in rows
    ]
    sampling = sampling_with(params.sampling, temperature=temperature)
    started = time.monotonic()
    found = {each.id: each for each in engine.generate(model, prompts, sampling)}
    seconds = time.monotonic() - started
    texts = [found[prompt.id].text for prompt in prompts]
    asked = [(text, asked_tune(row.prompt)) for text, row in zip(texts, rows, strict=True)]
    shares = (
        sum(exact_form(text, o.output, tune) for (text, tune), o in zip(asked, rows, strict=True)),
        sum(rhymed(text, tune) for text, tune in asked),
        sum(tones_kept(text, tune) for text, tune in asked),
        sum(map(different_characters, texts)),
    )
    rate = sum(each.tokens for each in found.values()) / seconds
    scores = (f"{share / len(rows):.3f}" for share in shares)
    return [f"{temperature}", rule, str(len(rows)), *scores, f"{rate:,.0f}"]


def main() -> None:
    """Print the table; bench/verse.md has several."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("poems", type=Path, help="a CSV, or a clone of chinese-poetry for tunes")
    parser.add_argument("--max-new-tokens", type=int, default=160)
    parser.add_argument("--per-form", type=int, default=110)
    parser.add_argument("--engine", choices=["transformers", "vllm"], default="transformers")
    parser.add_argument("--rules", nargs="*", choices=VERSE_RULES, default=["free", "full"])
    arguments = parser.parse_args()
    rows, model = rows_of(arguments.poems, arguments.per_form), Model("tuned", arguments.model)
    params = GenerateParams.load("generate", "poetry")
    sampling = sampling_with(params.sampling, max_new_tokens=arguments.max_new_tokens)
    # vLLM takes what masks verse by rule when it is loaded, and leaves free prompts as they are.
    update = {"engine": arguments.engine, "sampling": sampling, "verse": arguments.rules[-1]}
    params = params.model_copy(update=update)
    lines = []
    with load_engine(params, [model]) as engine:
        for rule in arguments.rules:
            measured(engine, model, rows[:16], rule, 1.0, params)
        for temperature in TEMPERATURES:
            for rule in arguments.rules:
                lines.append(measured(engine, model, rows, rule, temperature, params))
                print(*lines[-1], file=sys.stderr)
    print(table(HEADS, lines))


if __name__ == "__main__":
    main()
