"""How much of a text was copied from the training text. Lower is better.

Every place of a text is looked up in a suffix array of the training text: its neighbours there
are the training text's suffixes with which it shares most characters (Manber and Myers 1993,
https://doi.org/10.1137/0222058). From the lengths of these matches both scores can be read off.
White space does not count, and nothing matches across the bounds of two texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wenmo.text.characters import COPY_NGRAM, without_space

# From here on it is copying. Of 400 passages of 800 characters out of each of five old novels 0 to
# 2% are so flagged beside sixteen others (10 million characters), which quote the same proverbs and
# verse; half have no more than 9 characters on end in common with them.
COPIED_LENGTH = 30
COPIED_SHARE = 0.01

_BITS = 21  # of a character's number
_AT_ONCE = 3  # characters whose numbers fit into 64 bits


@dataclass(frozen=True)
class Copied:
    """What of a text stands in the training text.

    `longest` is the longest common substring, in characters. `coverage` is the share of the
    text's 13-grams that are found in the training text, 0 to 1 (Brown et al. 2020, appendix C,
    https://arxiv.org/abs/2005.14165, with words); a text too short for one has 0. An empty text
    has copied nothing: 0 here is a bound that is kept, and no merit.
    """

    longest: int
    coverage: float

    @property
    def flagged(self) -> bool:
        """Whether this is copying: 30 characters on end, or 1% of the 13-grams."""
        return self.longest >= COPIED_LENGTH or self.coverage >= COPIED_SHARE


def copied(texts: Sequence[str], training: Sequence[str]) -> list[Copied]:
    """What of each text stands in one of the training texts.

    The training text is sorted once for all texts: hand over those of all models together.
    """
    return [
        Copied(int(lengths.max(initial=0)), _coverage(lengths))
        for lengths in match_lengths(texts, training)
    ]


def _coverage(lengths: NDArray[np.int64]) -> float:
    starts = lengths[: 1 - COPY_NGRAM]
    return float((starts >= COPY_NGRAM).mean()) if len(starts) else 0


def match_lengths(texts: Sequence[str], training: Sequence[str]) -> list[NDArray[np.int64]]:
    """For each character of each text how many from there on stand in a training text."""
    # White space is taken out of both, so that it can end them, each in a way of its own.
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
    """Where the suffixes of a row of numbers below 2^21 - 1 start, in sorted order.

    They are sorted by their first three numbers, and those that tie by twice as many as before
    until none do (Larsson and Sadakane 2007, https://doi.org/10.1016/j.tcs.2007.07.017). Few
    suffixes of prose tie for long: 10 million characters take some 4 seconds and 500 MB. The
    compiled pydivsufsort takes half of both, which is not worth a library that every stage would
    wait for.
    """
    count, depth = len(codes), _AT_ONCE
    # A character is its number plus 1, so that 0 follows the end: a shorter suffix comes first.
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
        # A suffix's rank is the first place of those that it ties with.
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
    """How many numbers from these places on are the same; the row's last number ends any match."""
    lengths = np.zeros(len(ours), dtype=np.int64)
    going_on = np.arange(len(ours))
    while len(going_on):
        offsets = lengths[going_on]
        equal = codes[ours[going_on] + offsets] == codes[theirs[going_on] + offsets]
        going_on = going_on[equal]
        lengths[going_on] += 1
    return lengths
