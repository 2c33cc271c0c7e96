"""What is said of a name that is not known."""

from collections.abc import Collection
from difflib import get_close_matches

from wenmo.core.errors import ParamsError
from wenmo.core.language import gettext

# Ratios of difflib. A tune of three characters may have one that is wrong; `lr` is not lora.
LIKE, SHORT = 0.7, 0.6


def choices(name: object, known: Collection[str]) -> str:
    """The known name that is nearest to it, or all of them if none is near."""
    return nearest(name, known) or gettext("allowed are {names}", names=gettext(", ").join(known))


def nearest(name: object, known: Collection[str]) -> str:
    """The known name that is nearest to it; empty if none is near."""
    near = get_close_matches(str(name), known, n=1, cutoff=LIKE if str(name).isascii() else SHORT)
    return gettext("did you mean {name}?", name=near[0]) if near else ""


def not_allowed(key: str, value: str, allowed: Collection[str]) -> ParamsError:
    """The refusal of a value that is none of the allowed ones."""
    return ParamsError(
        "{key}: {value!r}: {choices}", key=key, value=value, choices=choices(value, allowed)
    )
