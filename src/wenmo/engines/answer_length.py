"""Whether answers may be as long as the texts that they are compared with, by the tokenizer."""

import sys
from collections.abc import Sequence
from pathlib import Path

from wenmo.config.generate import GenerateParams
from wenmo.core.errors import UserError
from wenmo.core.language import N_, gettext
from wenmo.core.records import Row
from wenmo.model.loading import load_tokenizer
from wenmo.text.characters import without_space

TOO_SHORT = N_(
    "generate.sampling.max_new_tokens ({limit}) holds about {characters:.0f} characters of this"
    " tokenizer ({density:.2f} per token); generate.length.min_chars is {least}: set it to"
    " {enough}"
)

ROUND = 10
"""A number of tokens to set is a multiple of this."""


def check_answer_length(rows: Sequence[Row], folder: Path, params: GenerateParams) -> None:
    """Warn on stderr if answers will be cut before they are as long as the rows' own texts.

    `folder` has the model's tokenizer; that of an endpoint is not known, and nothing is checked.
    Raises UserError if no answer can have the least length that is asked for.
    """
    if params.engine == "openai":
        return
    tokenizer = load_tokenizer(folder)
    texts = [row.output for row in rows]
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    # An answer's end takes a token too.
    if warning := length_warning(texts, [len(each) + 1 for each in ids], params):
        print(gettext("warning: {warning}", warning=warning), file=sys.stderr)


def length_warning(texts: Sequence[str], tokens: Sequence[int], params: GenerateParams) -> str:
    """One line about answers that will be cut, with the value that would do, or an empty string.

    `tokens` are those of each text with its end. Raises UserError if even text as dense as the
    densest of `texts` (characters per token) is cut before `length.min_chars`.
    """
    limit, least = params.sampling.max_new_tokens, params.length.min_chars
    characters = [len(without_space(text)) for text in texts]
    density = sum(characters) / sum(tokens)
    densest = max(count / of_text for count, of_text in zip(characters, tokens, strict=True))
    over = sum(of_text > limit for of_text in tokens)
    enough = max(*tokens, -(-least // density)) if density else max(tokens)
    values = {
        "limit": limit,
        "characters": limit * density,
        "density": density,
        "least": least,
        "enough": -(-int(enough) // ROUND) * ROUND,
    }
    if limit * densest < least:
        raise UserError(TOO_SHORT, **values)
    if limit * density < least:
        return gettext(TOO_SHORT, **values)
    if not over:
        return ""
    longer = N_(
        "generate.sampling.max_new_tokens ({limit}) holds about {characters:.0f} characters of"
        " this tokenizer ({density:.2f} per token); {over} of {count} held-out texts are longer:"
        " set it to {enough}"
    )
    return gettext(longer, over=over, count=len(texts), **values)
