"""A link that calls up a text again: its query has all that the text follows from."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from wenmo.config.generate import Sampling
from wenmo.core.errors import ParamsError
from wenmo.tools.writing.requests import form_named
from wenmo.tools.writing.writer import MAX_SEED, MAX_TYPED, changed

MAX_SEEN = 40
"""So much of a wrong value is shown (characters)."""

NUMBERS: dict[str, type[int] | type[float]] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "repetition_penalty": float,
    "max_new_tokens": int,
}
"""What of the sampling can be set on the page; the rest is that of params.yaml."""

RANGES: dict[str, tuple[float, float, float]] = {
    "temperature": (0, 2, 0.05),
    "top_p": (0.05, 1, 0.05),
    "top_k": (0, 200, 1),
    "repetition_penalty": (1, 2, 0.05),
    "max_new_tokens": (1, 2048, 1),
}
"""Least, most and step of what can be set."""


@dataclass(frozen=True)
class Linked:
    """What a page asks for; `models` tells weights apart, and is empty for an endpoint's."""

    task: str
    typed: str
    form: str
    seed: int
    sampling: Sampling
    models: str = ""

    def query(self) -> str:
        """As the end of an address, from the question mark on."""
        fields = {"task": self.task, "text": self.typed, "form": self.form, "seed": self.seed}
        fields |= {name: getattr(self.sampling, name) for name in NUMBERS}
        fields |= {"models": self.models} if self.models else {}
        return f"?{urlencode({name: f'{value}' for name, value in fields.items()})}"


def linked(query: Mapping[str, str], sampling: Mapping[str, Sampling]) -> Linked | None:
    """What a page's address asks for; None if it asks for nothing.

    `sampling` is that of params.yaml by task, for what the address does not say. Raises ParamsError
    for a value that is not allowed.
    """
    if "text" not in query:
        return None
    task = query.get("task", "")
    if task not in sampling:
        raise ParamsError(f"task: {task[:MAX_SEEN]!r}: allowed are {', '.join(sampling)}")
    typed = query["text"]
    if len(typed) > MAX_TYPED:
        raise ParamsError(f"text: longer than {MAX_TYPED} characters")
    found = {name: _number(query, name, kind) for name, kind in NUMBERS.items() if name in query}
    for name, value in found.items():
        least, most = RANGES[name][0], most_allowed(name, sampling[task])
        if not least <= value <= most:
            raise ParamsError(f"{name}: {value}: allowed are {least:g} to {most:g}")
    return Linked(
        task=task,
        typed=typed,
        form=form_named(query["form"]) if "form" in query else "五言绝句",
        seed=int(_number(query, "seed", int)) % MAX_SEED if "seed" in query else 0,
        sampling=changed(sampling[task], **found),
        models=query.get("models", ""),
    )


def most_allowed(name: str, sampling: Sampling) -> float:
    """The largest value of a number, which that of params.yaml may exceed."""
    return max(RANGES[name][1], float(getattr(sampling, name)))


def _number(query: Mapping[str, str], name: str, kind: type[int] | type[float]) -> float:
    try:
        return kind(query[name])
    except ValueError:
        raise ParamsError(f"{name}: {query[name][:MAX_SEEN]!r}: expected a number") from None
