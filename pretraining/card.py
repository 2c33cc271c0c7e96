"""The model with its card, as it goes to ../pretrained: grown/.

PYTHONPATH=../src python card.py
"""

import csv
import hashlib
import json
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from transformers import AutoModelForCausalLM, AutoTokenizer

from documents import learnt_lines, read
from one_line import told_in_one_line
from sampling import scores, write_poems
from wenmo.config.params_file import read as read_params
from wenmo.core.records import write_text

MODEL, GROWN, NAME = Path("model"), Path("grown"), "wenmo-3m"
SEED = 7


def measured(
    model: Any, tokenizer: Any, count: int, collection: dict[str, dict[str, int]]
) -> dict[str, dict[str, float]]:
    """Per form: the scores of `count` poems by the model, and the shares of the collection's."""
    learnt = learnt_lines(read(Path("corpus/train.jsonl")))
    rows = {}
    for kind, poems in write_poems(model, tokenizer, count, SEED).items():
        human = collection[kind]
        rows[kind] = scores({kind: poems}, learnt) | {
            "human_rhyme": round(human["rhyme"] / human["poems"], 4),
            "human_tones": round(human["tones"] / human["poems"], 4),
            "human_poems": human["poems"],
        }
    return rows


def write_card() -> None:
    """Copy the model and write README.md beside it."""
    params = read_params()
    corpus = json.loads(Path("corpus.json").read_bytes())
    with Path("curve.csv").open(encoding="utf-8") as file:
        curve = list(csv.DictReader(file))
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    weights = (MODEL / "model.safetensors").read_bytes()
    shutil.rmtree(GROWN, ignore_errors=True)
    shutil.copytree(MODEL, GROWN)
    # The card is Markdown, which has nothing to escape.
    environment = Environment(loader=FileSystemLoader("."), undefined=StrictUndefined)  # noqa: S701
    environment.filters["basename"] = lambda path: PurePosixPath(path).name
    card = environment.get_template("card.md.jinja").render(
        name=NAME,
        p=params["pretrain"],
        clean=params["clean"],
        sources=params["sources"],
        corpus=corpus,
        parameters=model.num_parameters(),
        tokens=int(curve[-1]["tokens"]),
        megabytes=len(weights) / 1e6,
        sha256=hashlib.sha256(weights).hexdigest(),
        curve=curve,
        count=params["card"]["poems"],
        measured=measured(model, tokenizer, params["card"]["poems"], corpus["collection"]),
    )
    write_text(GROWN / "README.md", card)


if __name__ == "__main__":
    with told_in_one_line("card"):
        write_card()
