"""Groups of related rows: those that share a link, and near-duplicates of one another.

A group is held out whole or not at all.
"""

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wenmo.core.records import Row
from wenmo.core.row_files import Rows
from wenmo.text.shared_keys import SharedKeys
from wenmo.text.verse import verse_lines

AT_ONCE = 2**16
"""Places of a mask that are looked at together."""


@dataclass(frozen=True)
class Unit:
    """What is held out as a whole; `block_rows` is the size of a block."""

    group_by: Literal["source", "block", "verse_line", "row"]
    block_rows: int

    def links(self, row: Row) -> list[str]:
        """A row's links to other rows: its book, its block of the book, its verse lines or none."""
        match self.group_by:
            case "source":
                return [row.source]
            case "block":
                return [f"{row.source}/{row.position // self.block_rows}"]
            case "verse_line":
                return verse_lines(row.output)
            case "row":
                return [row.id]

    def key(self, row: Row) -> str:
        """The row's link with the lowest hash."""
        return min(self.links(row), key=lambda link: (hash64(link), link))


class Groups:
    """Disjoint sets of rows (union-find with path halving, https://doi.org/10.1145/62.2160).

    A group's root is the row with the link of the lowest hash among the group's, so that its key
    changes only if the group does. A row takes 12 bytes, and 4 once roots are asked for.
    """

    def __init__(self, rows: Rows, kept: NDArray[np.bool_], unit: Unit, folder: Path) -> None:
        self._lowest = array("Q", bytes(8 * len(rows)))
        self._parent = array("I", range(len(rows)))
        with SharedKeys(folder) as links:
            for number in numbers(kept):
                hashes = {hash64(link) for link in unit.links(rows[number])}
                self._lowest[number] = min(hashes)
                links.add(number, hashes)
            for group in links.groups(kept):
                first, *others = group.tolist()
                for other in others:
                    self.join(first, other)

    def root(self, row: int) -> int:
        """The row that stands for this row's group."""
        parent = self._parent
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    def are_one(self, one: int, other: int) -> bool:
        """Whether two rows are of one group."""
        return self.root(one) == self.root(other)

    def join(self, one: int, other: int) -> None:
        """Make one group of two rows' groups."""
        low, high = sorted(
            (self.root(one), self.root(other)), key=lambda row: (self._lowest[row], row)
        )
        self._parent[high] = low

    def roots(self) -> NDArray[np.uint32]:
        """For each row the root of its group. No rows can be joined after that."""
        self._lowest = array("Q")
        for row in range(len(self._parent)):
            self._parent[row] = self.root(row)
        return np.frombuffer(self._parent, np.uint32)


def numbers(mask: NDArray[np.bool_]) -> Iterator[int]:
    """The numbers of the rows that are in a mask, with little memory."""
    for start in range(0, len(mask), AT_ONCE):
        yield from (np.flatnonzero(mask[start : start + AT_ONCE]) + start).tolist()


def hash64(text: str) -> int:
    """The first 64 bits of a text's sha256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
