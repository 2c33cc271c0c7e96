"""ROUGE-L by rouge-score itself, which sees Chinese once it is told what a token is."""

from collections.abc import Callable

from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer


class Characters(Tokenizer):
    """Each character, white space aside, is a token."""

    def tokenize(self, text: str) -> list[str]:
        """The characters of a text."""
        return list("".join(text.split()))


def scorer() -> Callable[[str, str], float]:
    """A function of text and reference that gives the F of ROUGE-L."""
    rouge = RougeScorer(["rougeL"], tokenizer=Characters())
    return lambda text, reference: float(rouge.score(reference, text)["rougeL"].fmeasure)
