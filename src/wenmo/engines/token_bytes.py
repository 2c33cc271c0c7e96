"""The bytes that each token of a tokenizer adds to a text."""

import json
import re
from functools import cache
from typing import TYPE_CHECKING

from wenmo.core.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE = "▁"


def token_bytes(tokenizer: "PreTrainedTokenizerBase", vocabulary: int) -> list[bytes]:
    """The bytes of tokens 0 to `vocabulary` - 1; none for special and for unknown tokens.

    A tokenizer's decoder says how it writes bytes: in a byte-level one every character of a token
    stands for a byte, in one with byte fallback a token such as <0xE4> does
    (https://huggingface.co/docs/tokenizers/api/decoders). Raises UserError for other tokenizers.
    """
    if not tokenizer.is_fast:
        raise UserError("generate.verse: tokenizers without tokenizer.json are not supported")
    # The last of all: the vocabulary of a model may be larger than that of its tokenizer.
    found = [b""] * vocabulary
    decoder = json.dumps(json.loads(tokenizer.backend_tokenizer.to_str())["decoder"])
    added = tokenizer.added_tokens_decoder
    for token, index in tokenizer.get_vocab().items():
        if index >= vocabulary:
            continue
        if index in added:
            found[index] = b"" if added[index].special else token.encode()
        elif '"ByteLevel"' in decoder:
            found[index] = bytes(map(_byte_of, token))
        elif byte := _BYTE.fullmatch(token) if "ByteFallback" in decoder else None:
            found[index] = bytes([int(byte[1], 16)])
        else:
            found[index] = token.replace(_SPACE, " ").encode("utf-8", "replace")
    return found


def _byte_of(character: str) -> int:
    return _bytes_by_character()[character]


@cache
def _bytes_by_character() -> dict[str, int]:
    """The bytes as GPT-2 writes them: printable characters, so that no token has white space.

    Source: bytes_to_unicode in https://github.com/openai/gpt-2/blob/master/src/encoder.py
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in printable]
    shifted = {chr(0x100 + at): byte for at, byte in enumerate(others)}
    return {chr(byte): byte for byte in printable} | shifted
