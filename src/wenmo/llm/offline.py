"""The offline stand-in for an LLM that writes prompts: no key, no network, deterministic.

Its prompt is the beginning of the passage and not a summary.
"""

import re

_NOT_TEXT = re.compile(r"[“”‘’「」『』（）《》\s]+")
_CLAUSE_END = re.compile(r"[，。！？；：、…—,.!?;:]+")


def leading_clause(text: str, max_chars: int) -> str:
    """The passage's first clause without quotation marks, cut at `max_chars` characters."""
    clauses = [clause for clause in _CLAUSE_END.split(_NOT_TEXT.sub("", text)) if clause]
    return (clauses[0] if clauses else text.strip())[:max_chars]
