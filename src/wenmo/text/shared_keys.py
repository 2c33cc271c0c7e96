"""Which rows share a key, found with little memory: keys are grouped in parts on disk."""

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Self

import numpy as np
from numpy.typing import NDArray

PARTS = 256
"""Parts that the keys fall into by their highest 8 bits; one part at a time is in memory."""

AT_ONCE = 2**17
"""Keys that are kept in memory until they are written."""

ENTRY = np.dtype([("key", "<u8"), ("row", "<u4")])


class SharedKeys:
    """Keys of rows, 64-bit hashes, each with the number of its row.

    `folder` is where the file without a name is that holds them if they are many.
    """

    def __init__(self, folder: Path) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115
        self._bounds: list[NDArray[np.int64]] = []
        self._keys, self._rows = array("Q"), array("I")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, row: int, keys: Iterable[int]) -> None:
        """Add a row's keys. Rows come in the order of their numbers."""
        self._keys.extend(keys)
        self._rows.extend([row] * (len(self._keys) - len(self._rows)))
        self._write_if_many()

    def add_all(self, rows: list[int], keys: NDArray[np.uint64]) -> None:
        """Add the keys of many rows, a line of the table for each."""
        self._keys.frombytes(keys.tobytes())
        self._rows.frombytes(np.repeat(np.array(rows, np.uint32), keys.shape[1]).tobytes())
        self._write_if_many()

    def groups(self, kept: NDArray[np.bool_]) -> Iterator[NDArray[np.uint32]]:
        """The rows of each key that several rows share, in order, without those that are not kept.

        Rows that were added with a key twice stand in its group twice.
        """
        for entries in self._parts():
            entries = entries[kept[entries["row"]]]
            if not len(entries):
                continue
            entries = entries[np.argsort(entries["key"], kind="stable")]
            starts = np.flatnonzero(np.diff(entries["key"], prepend=entries["key"][:1] + 1))
            ends = np.append(starts[1:], len(entries))
            shared = ends - starts > 1
            for start, end in zip(starts[shared], ends[shared], strict=True):
                yield entries["row"][start:end]

    def _parts(self) -> Iterator[NDArray[np.void]]:
        if not self._bounds:
            yield self._in_memory()
            return
        self._write()
        for part in range(PARTS):
            yield np.concatenate([self._read(bounds[part : part + 2]) for bounds in self._bounds])

    def _in_memory(self) -> NDArray[np.void]:
        entries = np.empty(len(self._keys), ENTRY)
        entries["key"], entries["row"] = self._keys, self._rows
        return entries

    def _write_if_many(self) -> None:
        if len(self._keys) >= AT_ONCE:
            self._write()

    def _write(self) -> None:
        """Write what is in memory, part by part, and where each part begins and ends."""
        entries = self._in_memory()
        part_of = entries["key"] >> np.uint64(56)
        order = np.argsort(part_of, kind="stable")
        counts = np.bincount(part_of.astype(np.int64), minlength=PARTS)
        bounds = np.cumsum(np.insert(counts, 0, 0))
        begin = self._bounds[-1][-1] if self._bounds else 0
        self._bounds.append(bounds + begin)
        self._file.write(entries[order].tobytes())
        self._keys, self._rows = array("Q"), array("I")

    def _read(self, bounds: NDArray[np.int64]) -> NDArray[np.void]:
        begin, end = (int(bound) * ENTRY.itemsize for bound in bounds)
        self._file.seek(begin)
        return np.frombuffer(self._file.read(end - begin), ENTRY)


def mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The keys with all bits depending on all (the end of splitmix64, which is a bijection).

    https://doi.org/10.1145/2660193.2660195
    """
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
