"""Copying: how much of a text occurs in the training texts. Lower is better.

Every suffix of a text is sorted among the suffixes of the training texts. Its neighbours there are
the training suffixes that share the longest prefix with it (Manber and Myers 1993,
https://doi.org/10.1137/0222058). Both scores follow from the lengths of these prefixes. White space
does not count, and no match crosses the border of two texts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wenmo.core.ordered_map import ordered_map
from wenmo.text.characters import COPY_NGRAM, without_space

# Bounds of copying. Of 400 passages of 800 characters from each of five old novels, these flag 0 to
# 2% against sixteen other novels (10 million characters), which quote the same proverbs and verse.
# Half of the passages share at most 9 consecutive characters with those.
COPIED_LENGTH = 30
COPIED_SHARE = 0.01

SORTED_TOGETHER = 2**23
"""Characters of training texts whose suffixes are sorted together, in 400 MB of memory."""

_BITS = 21  # bits of a code point
_AT_ONCE = 3  # code points that fit into 64 bits


@dataclass(frozen=True)
class Copied:
    """How much of a text occurs in the training texts.

    `longest` is the length of the longest common substring, in characters. `coverage` is the share
    of the text's 13-grams that occur in a training text, 0 to 1 (Brown et al. 2020, appendix C,
    https://arxiv.org/abs/2005.14165, count words). A text without a 13-gram has 0, and so has an
    empty one: 0 is not a merit.
    """

    longest: int
    coverage: float

    @property
    def flagged(self) -> bool:
        """Whether this is copying: 30 consecutive characters, or 1% of the 13-grams."""
        return self.longest >= COPIED_LENGTH or self.coverage >= COPIED_SHARE


def copied(texts: Sequence[str], training: Iterable[str]) -> list[Copied]:
    """How much of each text occurs in the training texts.

    The training texts are sorted once per call, so pass the texts of all models together. They are
    sorted in parts, which changes nothing, since no match crosses the border of two texts.
    """
    longest = [np.zeros(len(without_space(text)), np.int64) for text in texts]
    for found in ordered_map(partial(match_lengths, texts), _parts(training)):
        longest = [*map(np.maximum, longest, found)]
    return [Copied(int(lengths.max(initial=0)), _coverage(lengths)) for lengths in longest]


def _parts(training: Iterable[str]) -> Iterator[list[str]]:
    """The texts in order, about SORTED_TOGETHER characters at a time."""
    part, characters = list[str](), 0
    for text in training:
        part.append(text)
        characters += len(text)
        if characters >= SORTED_TOGETHER:
            yield part
            part, characters = [], 0
    yield part


def _coverage(lengths: NDArray[np.int64]) -> float:
    starts = lengths[: 1 - COPY_NGRAM]
    return float((starts >= COPY_NGRAM).mean()) if len(starts) else 0


def match_lengths(texts: Sequence[str], training: Sequence[str]) -> list[NDArray[np.int64]]:
    """For each position of each text, the number of characters from it that a training text has."""
    # Neither side holds white space, so a line break and a tab can mark the ends of texts.
    learnt = "".join(without_space(text) + "\n" for text in training)
    written = [without_space(text) + "\t" for text in texts]
    codes = np.frombuffer(
        (learnt + "".join(written)).encode("utf-32-le", "surrogatepass"), dtype=np.uint32
    )
    lengths = np.zeros(len(codes) - len(learnt), dtype=np.int64)
    if learnt:
        order = suffix_array(codes)
        of_training = order < len(learnt)
        theirs, ours = order[of_training], order[~of_training]
        following = np.searchsorted(np.flatnonzero(of_training), np.flatnonzero(~of_training))
        for neighbours in (following - 1, following):
            neighbours = theirs[neighbours.clip(0, len(theirs) - 1)]
            found = _common_prefixes(codes, ours, neighbours)
            lengths[ours - len(learnt)] = np.maximum(lengths[ours - len(learnt)], found)
    bounds = np.cumsum([0, *map(len, written)])
    return [lengths[start : end - 1] for start, end in pairwise(bounds)]


def suffix_array(codes: NDArray[np.uint32]) -> NDArray[np.int32]:
    """The starts of the suffixes of a sequence of code points below 2^21 - 1, in sorted order.

    The suffixes are sorted by their first three code points, then those that tie by twice as many,
    and so on (Larsson and Sadakane 2007, https://doi.org/10.1016/j.tcs.2007.07.017). Suffixes of
    prose seldom tie for long: 10 million characters take 4 seconds and 500 MB. The compiled
    pydivsufsort takes half of both, which does not justify another dependency.
    """
    count, depth = len(codes), _AT_ONCE
    # Code points are raised by 1, since 0 stands behind the end: a shorter suffix comes first.
    padded = np.append(codes, np.zeros(_AT_ONCE, codes.dtype))
    padded[:count] += 1
    keys = np.zeros(count, np.int64)
    for offset in range(_AT_ONCE):
        keys <<= _BITS
        keys |= padded[offset : offset + count]
    del padded
    order = np.arange(count, dtype=np.int32)
    rank = np.full(count + 1, -1, np.int32)
    places = np.arange(count, dtype=np.int32)
    while len(places):
        by_key = np.argsort(keys, kind="stable")
        suffixes = order[places][by_key]
        keys = keys[by_key]
        del by_key
        order[places] = suffixes
        opens = np.append(True, keys[1:] != keys[:-1])
        # The rank of a suffix is the first place of the suffixes that it ties with.
        group = np.maximum.accumulate(np.where(opens, places, np.int32(0)))
        rank[suffixes] = group
        tied = ~(opens & np.append(opens[1:], True))
        places, suffixes, group = places[tied], suffixes[tied], group[tied]
        keys = group.astype(np.int64)
        keys *= count + 1
        keys += rank[np.minimum(suffixes.astype(np.int64) + depth, count)] + 1
        depth *= 2
    return order


def _common_prefixes(
    codes: NDArray[np.uint32], ours: NDArray[np.int32], theirs: NDArray[np.int32]
) -> NDArray[np.int64]:
    """The length of the common prefix at each pair of places; the end mark of a text ends it."""
    lengths = np.zeros(len(ours), dtype=np.int64)
    going_on = np.arange(len(ours))
    while len(going_on):
        offsets = lengths[going_on]
        equal = codes[ours[going_on] + offsets] == codes[theirs[going_on] + offsets]
        going_on = going_on[equal]
        lengths[going_on] += 1
    return lengths
