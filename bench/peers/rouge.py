"""ROUGE-L by rouge-score, with characters for tokens: its own tokenizer drops all Chinese."""

from collections.abc import Callable

from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer


class Characters(Tokenizer):
    """One token per character; white space has none."""

    def tokenize(self, text: str) -> list[str]:
        """The characters of a text."""
        return list("".join(text.split()))


def scorer() -> Callable[[str, str], float]:
    """A function of text and reference that gives the F of ROUGE-L."""
    rouge = RougeScorer(["rougeL"], tokenizer=Characters())
    return lambda text, reference: float(rouge.score(reference, text)["rougeL"].fmeasure)
