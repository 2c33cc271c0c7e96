"""The split into training rows and held-out rows.

Related rows form a group: passages of a book, poems that share a line, near-duplicates. A group is
held out whole or not at all. Whether it is depends only on a hash of the seed and the group's key,
so that an added book moves no other row.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wenmo.config.merge import MergeParams
from wenmo.core.errors import UserError
from wenmo.core.records import Row
from wenmo.text.near_duplicates import near_duplicates
from wenmo.text.verse import verse_lines


@dataclass(frozen=True)
class Split:
    """Training rows, held-out rows, number of groups, and number of rows left out by reason."""

    train: list[Row]
    eval: list[Row]
    groups: int
    dropped: dict[str, int]


def split(rows: Sequence[Row], params: MergeParams, seed: int) -> Split:
    """Split the rows. Raises UserError if either part would be empty."""
    unique = list({row.output: row for row in reversed(rows)}.values())[::-1]
    pairs = list(near_duplicates([row.output for row in unique], params.near_duplicate_jaccard))
    dropped = Counter(duplicate=len(rows) - len(unique), near_duplicate=0)
    if params.drop_near_duplicates:
        repeated = {later for _, later in pairs}
        dropped["near_duplicate"] = len(repeated)
        unique = [row for at, row in enumerate(unique) if at not in repeated]
        pairs = []
    groups = group_keys(unique, params, pairs)
    is_held_out = {group: draw(seed, group) < params.eval_fraction for group in set(groups)}
    held_out = [row for row, group in zip(unique, groups, strict=True) if is_held_out[group]]
    learnt = [row for row, group in zip(unique, groups, strict=True) if not is_held_out[group]]
    apart = without_neighbours(learnt, held_out, params.gap_rows) if params.gap_rows else learnt
    dropped["gap"] = len(learnt) - len(apart)
    train = first_drawn(apart, params.max_train_rows, seed)
    held_out_kept = first_drawn(held_out, params.max_eval_rows, seed)
    dropped["over_max_train_rows"] = len(apart) - len(train)
    dropped["over_max_eval_rows"] = len(held_out) - len(held_out_kept)
    if not train or not held_out_kept:
        part = "learnt from" if not train else "held out"
        raise UserError(
            f"none of {len(is_held_out)} groups is {part}; change merge.eval_fraction"
            f" ({params.eval_fraction}), merge.group_by ({params.group_by}) or the seed"
        )
    return Split(train, held_out_kept, len(is_held_out), dict(dropped))


def group_keys(
    rows: Sequence[Row], params: MergeParams, pairs: Iterable[tuple[int, int]]
) -> list[str]:
    """The key of each row's group. Rows that share a link are of one group, and so are `pairs`.

    The key is the group's link with the lowest hash, so that it changes only if the group does.
    """
    links = [links_of(row, params) for row in rows]
    parent: dict[str, str] = {link: link for of_row in links for link in of_row}

    def root(link: str) -> str:
        while parent[link] != link:
            parent[link] = parent[parent[link]]
            link = parent[link]
        return link

    def join(one: str, other: str) -> None:
        low, high = sorted((root(one), root(other)), key=lambda link: (fraction(link), link))
        parent[high] = low

    for of_row in links:
        for link in of_row[1:]:
            join(of_row[0], link)
    for earlier, later in pairs:
        join(links[earlier][0], links[later][0])
    return [root(of_row[0]) for of_row in links]


def links_of(row: Row, params: MergeParams) -> list[str]:
    """A row's links to other rows: its book, its block of the book, its verse lines, or none."""
    match params.group_by:
        case "source":
            return [row.source]
        case "block":
            return [f"{row.source}/{row.position // params.block_rows}"]
        case "verse_line":
            return verse_lines(row.output)
        case "row":
            return [row.id]


def without_neighbours(learnt: list[Row], held_out: list[Row], gap: int) -> list[Row]:
    """The rows that are more than `gap` positions from any held-out row of their source."""
    near = {
        (row.source, row.position + offset) for row in held_out for offset in range(-gap, gap + 1)
    }
    return [row for row in learnt if (row.source, row.position) not in near]


def first_drawn(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """At most `count` of the rows, drawn by seed and id, in order of source and position."""
    drawn = sorted(rows, key=lambda row: draw(seed, row.id))[:count]
    return sorted(drawn, key=lambda row: (row.source, row.position))


def draw(seed: int, key: str) -> float:
    """A number from 0 to 1 that depends on seed and key alone."""
    return fraction(f"{seed}/{key}")


def fraction(key: str) -> float:
    """The sha256 of a key as a number from 0 to 1."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
