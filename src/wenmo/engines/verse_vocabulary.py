"""The tokens of a tokenizer as parts of verse: characters, marks, and bytes of characters."""

import codecs
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wenmo.text.alphabet import Alphabet, rhymes_in_any_line
from wenmo.text.certain_readings import CHARACTERS, certain_readings, certain_tones
from wenmo.text.patterns import EVEN_MARKS, LAST_MARKS, ODD_MARKS
from wenmo.text.readings import Reading
from wenmo.text.verse_state import LINE_BREAK

FEW_SINGLES = 1000
"""A tokenizer with fewer Chinese characters of a single token spells them in bytes."""

SPELT = 3
"""The bytes, hence at most the tokens, of a Chinese character or mark."""

_CHARACTERS = frozenset(CHARACTERS)
_PUNCTUATION = frozenset(ODD_MARKS + EVEN_MARKS + LAST_MARKS + LINE_BREAK)
_SPELLING = frozenset(byte for each in (*CHARACTERS, *_PUNCTUATION) for byte in each.encode())


@dataclass(frozen=True)
class Group:
    """Tokens that add characters of the same kinds, and may end in the first bytes of another one.

    `example` and `tail` are what one of them adds. `codes` are the code points of each, (tokens,
    characters), and `tails` the tokens by the bytes that they end in.
    """

    example: str
    tail: bytes
    tokens: np.ndarray
    codes: np.ndarray
    tails: list[tuple[bytes, np.ndarray]]


class VerseVocabulary:
    """What each token adds to verse. `tokens` are their bytes, `ends` those that end an answer."""

    def __init__(self, tokens: Sequence[bytes], ends: frozenset[int]) -> None:
        self.tokens, self.ends = tokens, ends
        self.by_bytes: dict[bytes, list[int]] = defaultdict(list)
        for index, each in enumerate(tokens):
            if each and index not in ends:
                self.by_bytes[each].append(index)
        self.sorted_bytes = sorted(self.by_bytes)
        self.has_bytes = all(bytes([byte]) in self.by_bytes for byte in _SPELLING)
        singles = frozenset(each for each in CHARACTERS if each.encode() in self.by_bytes)
        self.spells = self.has_bytes and len(singles) < FEW_SINGLES
        listed = (each for each in CHARACTERS if certain_readings(each))
        self.alphabet = Alphabet(frozenset(listed) if self.spells else singles)
        self.groups = _groups(self.by_bytes, self.alphabet, self.has_bytes)
        self.longest = max(len(each.example) + bool(each.tail) for each in self.groups)
        self.verse_tokens = np.concatenate([each.tokens for each in self.groups])
        self.codes = np.concatenate([_padded(each.codes, self.longest) for each in self.groups])
        self.repeats = np.array([_repeats(codes) for codes in self.codes.tolist()])
        self.tails = [each for group in self.groups for each in group.tails]

    def cost(self, text: str) -> int:
        """The most tokens that a text takes if each character is as few as possible."""
        return sum(1 if each.encode() in self.by_bytes else len(each.encode()) for each in text)

    @cached_property
    def character_cost(self) -> int:
        """The most tokens that a character of the alphabet takes."""
        return SPELT if self.spells else 1

    @cached_property
    def punctuation_cost(self) -> int:
        """The most tokens that a mark or line break takes, each place by its cheapest."""
        choices = (LINE_BREAK, ODD_MARKS, EVEN_MARKS, LAST_MARKS)
        cheapest = (min(map(self.cost, choice)) for choice in choices)
        return max(self.character_cost, *cheapest)

    @cached_property
    def continuing(self) -> list[bytes]:
        """The tokens that begin within a character."""
        return [each for each in self.sorted_bytes if 0x80 <= each[0] < 0xC0]

    @cached_property
    def words(self) -> Mapping[Reading, list[int]]:
        """The code points of all characters in tokens that have a reading in every line."""
        found: dict[Reading, list[int]] = defaultdict(list)
        codes = {int(code) for group in self.groups for code in np.unique(group.codes)}
        for code in sorted(codes | {ord(each) for each in self.alphabet.characters}):
            for reading in rhymes_in_any_line(chr(code)) if chr(code) in _CHARACTERS else ():
                found[reading].append(code)
        return found

    def starting_with(self, start: bytes) -> Iterator[bytes]:
        """The tokens that begin with these bytes."""
        for at in range(bisect_left(self.sorted_bytes, start), len(self.sorted_bytes)):
            if not self.sorted_bytes[at].startswith(start):
                return
            yield self.sorted_bytes[at]


def parted(text: bytes) -> tuple[str, bytes] | None:
    """The whole characters of a text, and the first bytes of a last one; None if it is no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        whole = decoder.decode(text)
    except UnicodeDecodeError:
        return None
    return whole, decoder.getstate()[0]


def _padded(codes: np.ndarray, length: int) -> np.ndarray:
    return np.pad(codes, ((0, 0), (0, length - codes.shape[1])))


def _repeats(codes: Sequence[int]) -> int:
    """How many Chinese characters stand in a token more than once."""
    characters = [chr(each) for each in codes if chr(each) in _CHARACTERS]
    return len(characters) - len(set(characters))


def _groups(
    by_bytes: Mapping[bytes, list[int]], alphabet: Alphabet, has_bytes: bool
) -> list[Group]:
    """The groups of all tokens that hold nothing but verse and begin with a whole character."""
    found: dict[tuple[object, object], list[tuple[str, bytes, int]]] = defaultdict(list)
    for text, tokens in by_bytes.items():
        whole, tail = parted(text) or ("", b"")
        if (not whole and not tail) or (tail and not has_bytes):
            continue
        if all(each in _CHARACTERS or each in _PUNCTUATION for each in whole):
            kinds = tuple(certain_tones(c) if c in _CHARACTERS else c for c in whole)
            found[kinds, _tail_kind(tail, alphabet)] += [(whole, tail, token) for token in tokens]
    return [_group(members) for members in found.values()]


def _tail_kind(tail: bytes, alphabet: Alphabet) -> object:
    """The tones of the characters, and the marks, that begin with these bytes."""
    marks = frozenset(each for each in _PUNCTUATION if each.encode().startswith(tail))
    return frozenset(alphabet.by_start.get(tail, {})), marks if tail else None


def _group(members: Sequence[tuple[str, bytes, int]]) -> Group:
    example, tail, _ = members[0]
    tails: dict[bytes, list[int]] = defaultdict(list)
    for _, each, token in members:
        tails[each].append(token)
    codes = np.array([[ord(each) for each in whole] for whole, _, _ in members], dtype=int)
    return Group(
        example=example,
        tail=tail,
        tokens=np.array([token for _, _, token in members]),
        codes=codes.reshape(len(members), -1),
        tails=[(each, np.array(tokens)) for each, tokens in tails.items() if each],
    )
