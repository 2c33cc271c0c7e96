"""The sample texts are what the README says: enough, in form, and each kept to its own task."""

import csv
import json
import re
from itertools import combinations

import pytest

from tests.conftest import PREPARE, ROOT
from wenmo.config.params_file import TASKS
from wenmo.model.tiny import read_pieces
from wenmo.tasks import fairytale
from wenmo.tasks.raw import MalformedRows
from wenmo.text.chapters import chapters
from wenmo.text.sentences import quotes_balance
from wenmo.text.verse import form, verse_lines

SAMPLE = ROOT / "data/sample"
BOOKS = [
    json.loads(line) for line in (SAMPLE / "novel/train.jsonl").read_text("utf-8").splitlines()
]
POEMS = list(csv.DictReader((SAMPLE / "poetry/poems.csv").open(encoding="utf-8")))
TALES = list(
    fairytale.read(
        SAMPLE / "fairytale",
        fairytale.PrepareParams(**PREPARE, min_tale_chars=1, max_tale_chars=999),
        MalformedRows(),
    )
)


def length(text: str) -> int:
    return len("".join(text.split()))


def test_novels_have_chapters_and_dialogue() -> None:
    assert len(BOOKS) >= 3
    assert sum(length(book["text"]) for book in BOOKS) >= 18000
    for book in BOOKS:
        assert len(list(chapters(book["text"]))) >= 5
        assert book["text"].count("“") > 50
        assert all(quotes_balance(line) for line in book["text"].splitlines())


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_prompts_that_a_reader_would_type(task: str) -> None:
    prompts = (SAMPLE / task / "test.jsonl").read_text("utf-8").splitlines()
    assert len(set(prompts)) >= 20


def test_tales_have_200_to_370_characters_and_come_in_two_formats() -> None:
    assert len(TALES) >= 270
    assert {tale.source for tale in TALES} == {"tales.csv", "tales.json"}
    for tale in TALES:
        assert 200 <= length(tale.text) <= 370
        assert quotes_balance(tale.text)


def test_poems_are_quatrains_and_regulated_verse() -> None:
    forms = [form(verse_lines(poem["content"])) for poem in POEMS]
    assert len(forms) >= 400
    assert set(forms) == {(4, 5), (4, 7), (8, 5), (8, 7)}
    assert all(poem["title"] and poem["author"] and poem["dynasty"] for poem in POEMS)


def test_the_general_text_has_prose_and_verse() -> None:
    pieces = read_pieces(SAMPLE / "general/prose.txt") + read_pieces(SAMPLE / "general/verse.txt")
    assert sum(map(length, pieces)) >= 100_000


def test_no_sentence_stands_in_two_tasks() -> None:
    """So that a task's text never rebuilds the base model, nor is known to it beforehand."""
    texts = {
        "novel": "".join(book["text"] for book in BOOKS),
        "fairytale": "".join(tale.text for tale in TALES),
        "poetry": "".join(poem["content"] for poem in POEMS),
        "general": "".join(path.read_text("utf-8") for path in (SAMPLE / "general").iterdir()),
    }
    sentences = {
        task: {part for part in re.split(r"[，。！？；：“”\n]+", text) if len(part) >= 7}
        for task, text in texts.items()
    }
    for one, other in combinations(sentences, 2):
        assert not sentences[one] & sentences[other], (one, other)
