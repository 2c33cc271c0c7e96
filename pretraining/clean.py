"""Poems, novels and the repository's own texts become documents: corpus/train.jsonl, heldout.jsonl.

PYTHONPATH=../src python clean.py
"""

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from documents import NOVEL, STORY, Document, poem_document, write
from one_line import told_in_one_line
from wenmo.config.novel import PassageParams
from wenmo.config.params_file import Count, Fraction, PositiveInt, Section
from wenmo.core.errors import UserError
from wenmo.core.records import write_json
from wenmo.model.tiny import continuation, read_pieces
from wenmo.text.cleaning import clean, normal_form
from wenmo.text.faults import TONE_RULES, Rule
from wenmo.text.passages import passages
from wenmo.text.prosody import analyse
from wenmo.text.verse import verse_lines

POEMS, NOVELS, OWN = Path("texts/poems"), Path("texts/novels"), Path("../data/sample/general")
CORPUS, LEDGER = Path("corpus"), Path("corpus.json")
# What a poem that is read may have: Tang poems have both as well.
LICENCES = frozenset({Rule.THREE_LEVEL, Rule.LONE_LEVEL})
RHYME_RULES = frozenset({Rule.RHYME, Rule.LEVEL_FOOT, Rule.REPEATED_FOOT})
NUMBER = re.compile(r"\d+")
HAN = re.compile("[\u4e00-\u9fff]+")
SENTENCE = re.compile(r"[^\s。]{4,}。")
LONGEST_COPY = 40
"""Characters of a sentence that is copied."""
NO_THOUGHT = "<think>\n\n</think>\n\n"
"""What templates such as Qwen3's write before an answer without thinking."""
Ledger = defaultdict[str, Counter[str]]
"""Numbers of poems by kind: all, those that rhyme, and those that keep all tone rules."""


class CleanParams(Section):
    """Section `clean`."""

    passages: PassageParams
    held_out: PositiveInt
    own_repeats: PositiveInt
    title_share: Fraction
    chat_share: Fraction
    copy_share: Fraction
    think_share: Fraction
    max_poems: Count


def poems(folder: Path, ledger: Ledger) -> Iterator[Document]:
    """The poems of chinese-poetry in one of FORMS that keep all rules of regulated verse.

    They are put into simplified characters and counted in `ledger`. Raises UserError naming the
    file that is no list of poems.
    """
    found: set[str] = set()
    for path in tqdm(_numbered(folder, "poet.*.json"), desc="poems", unit="file"):
        try:
            entries = json.loads(path.read_bytes())
            texts = ["\n".join(entry["paragraphs"]) for entry in entries]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: no list of poems with paragraphs ({error!r})") from None
        for text in texts:
            lines = verse_lines(normal_form(text, to_simplified=True))
            document = poem_document(lines)
            if document is None or not all(map(HAN.fullmatch, lines)) or document.text in found:
                ledger["another form, gaps, or a repetition"]["poems"] += 1
                continue
            found.add(document.text)
            broken = {fault.rule for fault in analyse(lines).faults}
            rhymed, in_tones = not broken & RHYME_RULES, not broken & TONE_RULES
            ledger[document.kind] += Counter(poems=1, rhyme=rhymed, tones=in_tones)
            if broken <= LICENCES:
                yield document


def prose(folder: Path, params: PassageParams) -> Iterator[Document]:
    """The chapters of the novels, cut into passages."""
    chapters = sorted(folder.rglob("*.html"), key=lambda path: (path.parent.as_posix(), _key(path)))
    if not chapters:
        raise UserError(f"{folder}: no chapter (*.html) is in there")
    for path in tqdm(chapters, desc="novels", unit="chapter"):
        chapter = clean(path.read_text(encoding="utf-8"), to_simplified=True).text
        for passage in passages(chapter, params):
            if len(passage) >= params.minimum:
                yield Document(NOVEL, passage.strip())


def own_texts(folder: Path) -> Iterator[Document]:
    """The repository's own prose and verse."""
    for piece in read_pieces(folder / "prose.txt"):
        yield Document(STORY, piece)
    for piece in read_pieces(folder / "verse.txt"):
        if poem := poem_document(verse_lines(piece)):
            yield poem


def worded(document: Document, params: CleanParams, draw: random.Random) -> Iterator[Document]:
    """A document as it is read, and what is read beside it."""
    if document.kind not in (NOVEL, STORY):
        yield titled(document) if draw.random() < params.title_share else document
        return
    conversations = []
    if draw.random() < params.chat_share:
        conversations.append(as_answer(document))
    else:
        yield document
    if draw.random() < params.copy_share:
        conversations += copies(document, draw)
    for each in conversations:
        thinks = draw.random() < params.think_share
        yield replace(each, text=NO_THOUGHT + each.text) if thinks else each


def titled(poem: Document) -> Document:
    """The poem with its first line as its title, as poems without a title are known."""
    first_line, _, _ = poem.text.partition("，")
    return replace(poem, title=first_line, copied=first_line)


def as_answer(document: Document) -> Document:
    """A piece of prose as what follows its first sentence."""
    request, rest = continuation(document.text)
    return replace(document, text=rest.strip(), opening=request) if rest.strip() else document


def copies(document: Document, draw: random.Random) -> list[Document]:
    """One of a piece's sentences as the answer to a request to copy it, if one is short enough."""
    sentences = [each for each in SENTENCE.findall(document.text) if len(each) <= LONGEST_COPY]
    if not sentences:
        return []
    sentence = draw.choice(sentences)
    return [Document(document.kind, sentence, opening=f"抄写：{sentence}", copied=sentence)]


def build(params: CleanParams) -> None:
    """Write the corpus and its ledger."""
    draw = random.Random(0)
    collection: Ledger = defaultdict(Counter)
    verse = list(poems(POEMS, collection))
    if 0 < params.max_poems < len(verse):
        verse = draw.sample(verse, params.max_poems)
    foreign = [*verse, *prose(NOVELS, params.passages)]
    own = list(own_texts(OWN))
    kinds: dict[str, list[Document]] = {}
    for document in foreign + own:
        kinds.setdefault(document.kind, []).append(document)
    held_out: set[Document] = set()
    for documents in kinds.values():
        held_out.update(draw.sample(documents, min(params.held_out, len(documents) // 10)))
    # A shuffled file is the same mixture at any place, so that pre-training can stop anywhere.
    learnt = [each for each in foreign + own * params.own_repeats if each not in held_out]
    learnt = [every for each in learnt for every in worded(each, params, draw)]
    draw.shuffle(learnt)
    CORPUS.mkdir(exist_ok=True)
    write(CORPUS / "train.jsonl", learnt)
    write(CORPUS / "heldout.jsonl", sorted(held_out, key=lambda each: (each.kind, each.text)))
    characters = Counter[str]()
    for each in learnt:
        characters[each.kind] += len(each.text)
    write_json(
        LEDGER,
        {
            "documents": dict(sorted(Counter(each.kind for each in learnt).items())),
            "characters": dict(sorted(characters.items())),
            "held_out": len(held_out),
            "collection": {kind: dict(count) for kind, count in sorted(collection.items())},
        },
    )


def _numbered(folder: Path, pattern: str) -> list[Path]:
    found = sorted(folder.rglob(pattern), key=lambda path: (path.name.split(".")[1], _key(path)))
    if not found:
        raise UserError(f"{folder}: no {pattern} is in there")
    # The folder of the collection has corrections of some files, which repeat their poems.
    return [path for path in found if path.parent.name != "error"]


def _key(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in NUMBER.findall(path.name))


if __name__ == "__main__":
    with told_in_one_line("clean"):
        build(CleanParams.load("clean"))
