"""What LLaMA-Factory and ms-swift would print for the same texts, to compare with their tables.

In per cent, higher is closer to the reference. Both cut texts into words with jieba, average over
rows and take BLEU-4 with nltk's smoothing method 3; they differ in what else they count. Their
ROUGE takes each different n-gram once, so it is no usual ROUGE. These numbers move with jieba's
dictionary, and no score of this pipeline depends on them: extra `compat`.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import Any

import platformdirs

from wenmo.core.errors import UserError

NAMES = ("rouge-1", "rouge-2", "rouge-l", "bleu-4")

Scores = dict[str, float]


def llama_factory(texts: Sequence[str], references: Sequence[str]) -> Scores:
    """As LLaMA-Factory 0.9.5 does: ROUGE by jieba's words, BLEU-4 by character.

    ROUGE is rouge-chinese's, whose ROUGE-L is by sentence. A row where text or reference is blank
    has ROUGE 0 and counts. Source: ComputeSimilarity in src/llamafactory/train/sft/metric.py; its
    scripts/eval_bleu_rouge.py does the same.
    """
    jieba, rouge = _words(), _rouge("rouge_chinese")
    rows = []
    for text, reference in zip(texts, references, strict=True):
        ours, theirs = " ".join(jieba.cut(text)), " ".join(jieba.cut(reference))
        row = _f_scores(rouge, ours, theirs) if ours.split() and theirs.split() else _zeros()
        rows.append(row | {"bleu-4": _bleu(list(text), list(reference))})
    return _means({name: round(100 * value, 4) for name, value in row.items()} for row in rows)


def ms_swift(texts: Sequence[str], references: Sequence[str], skip_empty: bool = False) -> Scores:
    """As ms-swift 4.6.0 does: ROUGE and BLEU-4 by jieba's words.

    ROUGE is pltrdy's. An empty text counts as 0; releases up to 4.5.0 left it out, which
    `skip_empty` does (older ones of 3.x took BLEU-4 by character, which is not rebuilt here). A
    row without a reference is always left out. Source: compute_rouge_bleu in swift/metrics/nlg.py.
    """
    jieba, rouge = _words(), _rouge("rouge.rouge")
    rows = []
    for text, reference in zip(texts, references, strict=True):
        ours, theirs = (
            [stripped for word in jieba.cut(each) if (stripped := word.strip(" "))]
            for each in (text, reference)
        )
        if not theirs or (skip_empty and not ours):
            continue
        row = _zeros()
        # This ROUGE splits at full stops of English and fails where nothing else is.
        if "".join(ours).strip(".") and "".join(theirs).strip("."):
            with _deep_recursion(len(ours) + len(theirs)):
                row = _f_scores(rouge, " ".join(ours), " ".join(theirs))
        rows.append(row | {"bleu-4": _bleu(ours, theirs)})
    return {name: round(100 * value, 6) for name, value in _means(rows).items()}


@contextmanager
def _deep_recursion(words: int) -> Iterator[None]:
    """Let pltrdy's ROUGE-L call itself once a word, which is too often for Python in long texts."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + words)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _means(rows: Iterable[Scores]) -> Scores:
    rows = list(rows)
    return {name: fmean(row[name] for row in rows) if rows else 0.0 for name in NAMES}


def _zeros() -> Scores:
    return dict.fromkeys(NAMES, 0.0)


def _f_scores(rouge: Any, text: str, reference: str) -> Scores:
    (scores,) = rouge.get_scores(text, reference)
    return {name: score["f"] for name, score in scores.items()}


def _bleu(text: list[str], reference: list[str]) -> float:
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    smoothing = SmoothingFunction().method3
    return float(sentence_bleu([reference], text, smoothing_function=smoothing))


def _words() -> ModuleType:
    jieba = _module("jieba")
    # It reports on stderr how long its dictionary took.
    jieba.setLogLevel("WARNING")
    # What it makes of its dictionary it keeps in /tmp, where other versions and users do too.
    folder = (
        Path(platformdirs.user_cache_dir("wenmo", appauthor=False)) / f"jieba-{version('jieba')}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    jieba.dt.tmp_dir = str(folder)
    return jieba


def _rouge(module: str) -> Any:
    return _module(module).Rouge()


def _module(name: str) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise UserError(
            f"compat scores need {error.name}, which is not installed here;"
            " pip install -c constraints.txt -e '.[compat]'"
        ) from error
