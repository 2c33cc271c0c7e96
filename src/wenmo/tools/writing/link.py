"""A link that shows a text again: its query holds all that the text depends on."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from wenmo.config.generate import VERSE_RULES, Sampling, VerseRule
from wenmo.core.choices import not_allowed
from wenmo.core.errors import ParamsError
from wenmo.text.certain_readings import rhyme_names
from wenmo.text.readings import shown, simplified
from wenmo.tools.writing.wording import DEFAULT_FORM, checked_form
from wenmo.tools.writing.writer import MAX_SEED, sampling_with

DEFAULT_RULE: VerseRule = "free"
"""What poems keep unless the page is asked for more."""

MAX_TYPED = 500
"""Longest theme that the page accepts (characters)."""

MAX_QUOTED = 40
"""Longest part of a wrong value that an error quotes (characters)."""

NUMBERS: dict[str, type[int] | type[float]] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "repetition_penalty": float,
    "max_new_tokens": int,
}
"""The values of the sampling that the page can set; the others are those of params.yaml."""

RANGES: dict[str, tuple[float, float, float]] = {
    "temperature": (0, 2, 0.05),
    "top_p": (0.05, 1, 0.05),
    "top_k": (0, 200, 1),
    "repetition_penalty": (1, 2, 0.05),
    "max_new_tokens": (1, 2048, 1),
}
"""Minimum, maximum and step of each."""


@dataclass(frozen=True)
class PageLink:
    """A request for a text as typed; `weights_digest` is empty if the weights are not known."""

    task: str
    typed: str
    form: str
    seed: int
    sampling: Sampling
    weights_digest: str = ""
    verse: VerseRule = DEFAULT_RULE
    rhyme: str = ""

    def query(self) -> str:
        """The end of an address, from the question mark on."""
        fields = {"task": self.task, "text": self.typed, "form": self.form, "seed": self.seed}
        fields |= {name: getattr(self.sampling, name) for name in NUMBERS}
        if self.verse != DEFAULT_RULE:
            fields |= {"verse": self.verse, "rhyme": self.rhyme}
        fields |= {"models": self.weights_digest} if self.weights_digest else {}
        return f"?{urlencode({name: f'{value}' for name, value in fields.items()})}"


def read_link(query: Mapping[str, str], sampling: Mapping[str, Sampling]) -> PageLink | None:
    """The request in a page's address; None if there is none.

    `sampling` is that of params.yaml by task, for values that the address leaves out. Raises
    ParamsError for a value that is not allowed.
    """
    if "text" not in query:
        return None
    task = query.get("task", "")
    if task not in sampling:
        raise not_allowed("task", task[:MAX_QUOTED], sampling)
    typed = query["text"]
    if len(typed) > MAX_TYPED:
        raise ParamsError("text: longer than {most} characters", most=MAX_TYPED)
    found = {name: _number(query, name, kind) for name, kind in NUMBERS.items() if name in query}
    for name, value in found.items():
        least, most = RANGES[name][0], maximum(name, sampling[task])
        if not least <= value <= most:
            raise ParamsError(
                "{key}: {value}: allowed are {least:g} to {most:g}",
                key=name,
                value=value,
                least=least,
                most=most,
            )
    return PageLink(
        task=task,
        typed=typed,
        form=checked_form(query["form"]) if "form" in query else DEFAULT_FORM,
        seed=int(_number(query, "seed", int)) % MAX_SEED if "seed" in query else 0,
        sampling=sampling_with(sampling[task], **found),
        weights_digest=query.get("models", ""),
        verse=_verse_rule(query.get("verse", DEFAULT_RULE)),
        rhyme=_rhyme(query.get("rhyme", "")),
    )


def maximum(name: str, sampling: Sampling) -> float:
    """The largest value that the page accepts: that of RANGES or, if larger, of params.yaml."""
    return max(RANGES[name][1], float(getattr(sampling, name)))


def _verse_rule(name: str) -> VerseRule:
    for rule in VERSE_RULES:
        if name == rule:
            return rule
    raise not_allowed("verse", name[:MAX_QUOTED], VERSE_RULES)


def _rhyme(name: str) -> str:
    names = {simplified(each): each for each in rhyme_names()}
    if name and simplified(name) not in names:
        raise not_allowed("rhyme", name[:MAX_QUOTED], [*map(shown, rhyme_names())])
    return names.get(simplified(name), "")


def _number(query: Mapping[str, str], name: str, kind: type[int] | type[float]) -> float:
    try:
        return kind(query[name])
    except ValueError:
        raise ParamsError(
            "{key}: {value!r}: expected a number", key=name, value=query[name][:MAX_QUOTED]
        ) from None
