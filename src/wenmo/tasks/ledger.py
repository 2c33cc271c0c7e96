"""What prepare read, kept and left out, source by source: every character is accounted for."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wenmo.tasks.task import Prepared
from wenmo.text.characters import without_space
from wenmo.text.sentences import quotes_balance

LENGTH_STEP = 20


@dataclass
class SourceLedger:
    """The account of one document, or of all documents of a source.

    Characters are counted without white space. `balanced` counts the rows whose quotes balance.
    """

    documents: int = 0
    characters_read: int = 0
    rows: int = 0
    characters: int = 0
    balanced: int = 0
    dropped_rows: Counter[str] = field(default_factory=Counter)
    dropped_characters: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: "SourceLedger") -> "SourceLedger":
        self.documents += other.documents
        self.characters_read += other.characters_read
        self.rows += other.rows
        self.characters += other.characters
        self.balanced += other.balanced
        self.dropped_rows.update(other.dropped_rows)
        self.dropped_characters.update(other.dropped_characters)
        return self


def entry(prepared: Prepared) -> SourceLedger:
    """The account of one prepared document."""
    dropped: Counter[str] = Counter()
    for rejected in prepared.rejected_pieces + prepared.rejected_rows:
        dropped[rejected.reason] += len(without_space(rejected.text))
    return SourceLedger(
        documents=1,
        characters_read=prepared.characters_read,
        rows=len(prepared.rows),
        characters=sum(len(without_space(row.output)) for row in prepared.rows),
        balanced=sum(quotes_balance(row.output) for row in prepared.rows),
        dropped_rows=Counter(rejected.reason for rejected in prepared.rejected_rows),
        dropped_characters=dropped,
    )


def metrics(sources: Mapping[str, SourceLedger], malformed: int) -> dict[str, Any]:
    """The sum over all sources, as metrics/prepare/<task>.json holds it."""
    total = SourceLedger()
    for ledger in sources.values():
        total += ledger
    return {
        "sources": sum(ledger.rows > 0 for ledger in sources.values()),
        "documents": total.documents,
        "malformed": malformed,
        "characters_read": total.characters_read,
        "characters": total.characters,
        "rows": total.rows,
        "balanced_quotes": round(total.balanced / total.rows, 4) if total.rows else 0.0,
        "dropped_rows": dict(sorted(total.dropped_rows.items())),
        # A unary plus leaves out reasons by which white space alone was dropped.
        "dropped_characters": dict(sorted((+total.dropped_characters).items())),
    }


def table(sources: Mapping[str, SourceLedger]) -> list[dict[str, Any]]:
    """A line per source with a column per reason, as metrics/prepare/<task>.csv holds it."""
    reasons = sorted(
        {reason for ledger in sources.values() for reason in ledger.dropped_characters}
    )
    return [
        {
            "source": source,
            "documents": ledger.documents,
            "characters_read": ledger.characters_read,
            "rows": ledger.rows,
            "characters": ledger.characters,
            **{reason: ledger.dropped_characters[reason] for reason in reasons},
        }
        for source, ledger in sources.items()
    ]


def lengths(steps: Mapping[int, int]) -> list[dict[str, int]]:
    """The number of rows by their length in characters, in steps of LENGTH_STEP, without gaps.

    `steps` are the numbers of rows by length divided by LENGTH_STEP.
    """
    return [
        {"characters": step * LENGTH_STEP, "rows": steps.get(step, 0)}
        for step in range(min(steps), max(steps) + 1)
    ]
