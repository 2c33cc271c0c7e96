"""Poems by rule beside free ones: which rules they keep, and tokens per second.

python -m bench.verse models/merged/poetry data/raw/poetry/Chinese_Poetry.csv > bench/verse.md

The first lines are those of poems that keep all rules themselves, as many of each form. Free and by
rule take turns in one process, after a batch that nobody measures.
"""

import sys
import time
from argparse import ArgumentParser
from pathlib import Path

import pandas as pd
from bench.rounds import table

# Before torch: this module sets the code path on which torch's CPU results depend.
import wenmo.core.stage  # noqa: F401
from wenmo.config.chat import ChatParams
from wenmo.config.generate import VERSE_RULES, GenerateParams, VerseRule
from wenmo.core.records import Row
from wenmo.engines.engine import Model, Prompt, prompt_seed
from wenmo.engines.transformers import TransformersEngine
from wenmo.engines.verse_requests import asked_verses
from wenmo.model.chat import prompt_messages
from wenmo.scoring.poetry import different_characters, exact_form, rhymed, tones_kept
from wenmo.tasks.poetry import word_prompt
from wenmo.text.asked_verse import FORMS
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
    """Requests by first line for poems that keep the rules, as many of each form."""
    poems = [str(each) for each in pd.read_csv(path, keep_default_na=False)["content"]]
    kept = [each for each in poems if rhymed(each) and tones_kept(each)]
    rows = []
    for name, wanted in FORMS.items():
        of_form = [each for each in kept if form(verse_lines(each)) == wanted]
        for poem in of_form[:per_form]:
            prompt = word_prompt(verse_lines(poem)[0], "", f"写一首{name}", "first_line")
            rows.append(Row(str(len(rows)), path.name, len(rows), prompt, "", poem))
    return rows


def measured(
    engine: TransformersEngine, model: Model, rows: list[Row], rule: VerseRule, temperature: float
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
    sampling = sampling_with(engine.params.sampling, temperature=temperature)
    started = time.monotonic()
    found = {each.id: each for each in engine.generate(model, prompts, sampling)}
    seconds = time.monotonic() - started
    texts = [found[prompt.id].text for prompt in prompts]
    shares = (
        sum(exact_form(text, row.output) for text, row in zip(texts, rows, strict=True)),
        sum(map(rhymed, texts)),
        sum(map(tones_kept, texts)),
        sum(map(different_characters, texts)),
    )
    rate = sum(each.tokens for each in found.values()) / seconds
    scores = (f"{share / len(rows):.3f}" for share in shares)
    return [f"{temperature}", rule, str(len(rows)), *scores, f"{rate:,.0f}"]


def main() -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("poems", type=Path)
    parser.add_argument("--per-form", type=int, default=110)
    parser.add_argument("--rules", nargs="*", choices=VERSE_RULES, default=["free", "full"])
    arguments = parser.parse_args()
    rows, model = rows_of(arguments.poems, arguments.per_form), Model("tuned", arguments.model)
    lines = []
    with TransformersEngine(GenerateParams.load("generate", "poetry")) as engine:
        for rule in arguments.rules:
            measured(engine, model, rows[:16], rule, 1.0)
        for temperature in TEMPERATURES:
            for rule in arguments.rules:
                lines.append(measured(engine, model, rows, rule, temperature))
                print(*lines[-1], file=sys.stderr)
    print(table(HEADS, lines))


if __name__ == "__main__":
    main()
