"""Which tokens may come next in verse by rule.

A token is allowed if the characters that it adds are (`wenmo.text.verse_state`). Most tokens differ
in nothing that a rule asks for, so they are judged by groups: tokens whose characters have the same
tones, or are the same marks. Rhyme words alone are looked at one by one. A token may also hold
parts of characters: the bytes at its end are allowed if an allowed character begins with them.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from wenmo.core.language import gettext
from wenmo.engines.verse_vocabulary import SPELT, Group, VerseVocabulary, parted
from wenmo.text.alphabet import starts
from wenmo.text.asked_verse import Verse
from wenmo.text.readings import Reading
from wenmo.text.verse_state import State, VerseMachine

MOST_KEPT = 4096
"""So many masks are kept."""

_CODES = 0x10000

Mask = np.ndarray
"""Whether each token is allowed, of shape (vocabulary,)."""

Rhymes = frozenset[Reading]


class Position(NamedTuple):
    """A state of the poem, and the first bytes of a character that is not whole yet."""

    state: State
    begun: bytes


@dataclass(frozen=True)
class Judged:
    """The tokens that are allowed in states that differ in their rhyme alone.

    `mask` has those that hold no rhyme word. `tokens` are the others, each allowed if the code
    point in `feet` rhymes. `tails` are the tokens that end in the first bytes of a rhyme word.
    """

    mask: Mask
    tokens: np.ndarray
    feet: np.ndarray
    tails: list[tuple[bytes, np.ndarray]]


class MaskStore:
    """The masks of a vocabulary that poems of the same kind share."""

    def __init__(self, words: VerseVocabulary) -> None:
        self.words = words
        self.kept: OrderedDict[object, Any] = OrderedDict()

    def get(self, key: object, make: Any) -> Any:
        """What is kept by a key, made first if need be; the oldest goes if there is too much."""
        found = self.kept.get(key)
        if found is None:
            found = self.kept[key] = make()
            if len(self.kept) > MOST_KEPT:
                self.kept.popitem(last=False)
        return found


class VerseMasks:
    """The masks of one poem that is asked for."""

    def __init__(self, verse: Verse, store: MaskStore) -> None:
        self.verse, self.store, self.words = verse, store, store.words
        self.machine = VerseMachine(verse, self.words.alphabet)
        self.start = Position(self.machine.start, b"")

    def fault(self, max_new_tokens: int) -> str:
        """Why no poem can be as it is asked for, or an empty string."""
        if fault := self.machine.fault():
            return fault
        lacking = [c for c in self.verse.first_line if c.encode() not in self.words.by_bytes]
        if lacking and not self.words.has_bytes:
            return gettext(
                "the tokenizer lacks {character!r} of the first line", character=lacking[0]
            )
        needed = self.tokens_left(self.start) + 1
        if needed > max_new_tokens:
            return gettext(
                "generate.sampling.max_new_tokens is {limit}, and such a poem may need {needed}"
                " tokens",
                limit=max_new_tokens,
                needed=needed,
            )
        return ""

    def tokens_left(self, position: Position) -> int:
        """The number of tokens that suffice for the rest of the poem, without its end."""
        state, verse, words = position.state, self.verse, self.words
        if self.machine.is_finished(state):
            return 0
        characters = self.machine.characters_left(state)
        given = verse.first_line[state.place :] if state.line == 0 else ""
        marks = self.machine.left(state) - characters
        cost = (characters - len(given)) * words.character_cost + words.cost(given)
        cost += marks * words.punctuation_cost
        if not position.begun:
            return cost
        # The rest of the begun character takes a token per byte.
        is_mark = state.place >= verse.lines[state.line].length
        whole = words.punctuation_cost if is_mark else words.character_cost
        whole = words.cost(given[0]) if given else whole
        spelt = len(given[0].encode()) if given else SPELT
        return cost - whole + spelt - len(position.begun)

    def after(self, position: Position, token: int) -> Position:
        """The position after a token. Raises ValueError if the token is not allowed."""
        if self.machine.is_finished(position.state):
            return position
        found = self._after(position, self.words.tokens[token])
        if found is None:
            raise ValueError(f"token {token} is not allowed here")
        return found

    def allowed(self, position: Position, tokens_left: int) -> Mask:
        """The tokens that may come next, of which there is always one.

        `tokens_left` is how many may still be written. If they just suffice, no character that the
        tokenizer has is spelt in bytes.
        """
        state = position.state
        if self.machine.is_finished(state):
            return self.store.get("end", self._ends)  # type: ignore[no-any-return]
        if position.begun or self.machine.is_given(state):
            return self._one_by_one(position, tokens_left)
        spare = tokens_left - 1 - self.tokens_left(position)
        return self._by_groups(state, spare >= SPELT - self.words.character_cost)

    def _ends(self) -> Mask:
        mask = self._none()
        mask[sorted(self.words.ends)] = True
        return mask

    def _none(self) -> Mask:
        return np.zeros(len(self.words.tokens), dtype=bool)

    def _after(self, position: Position, token: bytes) -> Position | None:
        """The position after a token of these bytes, or None if it is not allowed."""
        parts = parted(position.begun + token)
        state = self.machine.text(position.state, parts[0]) if parts else None
        if state is None or parts is None:
            return None
        tail = parts[1]
        if tail and not (self.words.has_bytes and self.machine.may_begin(state, tail)):
            return None
        return Position(state, tail)

    def _one_by_one(self, position: Position, tokens_left: int) -> Mask:
        mask = self._none()
        for token in self._candidates(position):
            after = self._after(position, token)
            if after is not None and self.tokens_left(after) < tokens_left - 1:
                mask[self.words.by_bytes[token]] = True
        return mask

    def _candidates(self, position: Position) -> Iterator[bytes]:
        """The tokens that may fit where few do: within a character, or in a given line."""
        state, begun = position
        if not self.machine.is_given(state):
            yield from self.words.continuing
            return
        given = self.verse.first_line[state.place :].encode()[len(begun) :]
        for length in range(1, len(given)):
            if given[:length] in self.words.by_bytes:
                yield given[:length]
        yield from self.words.starting_with(given)

    def _by_groups(self, state: State, may_spell: bool) -> Mask:
        mask, slack = self._by_kind_and_rhyme(state, may_spell), self.machine.slack(state)
        if slack >= self.words.longest:
            return mask
        mask, exempt = mask.copy(), self.machine.is_foot_that_may_repeat(state)
        seen = np.zeros(_CODES, dtype=bool)
        # A given line may hold rarer characters, which the model cannot repeat.
        seen[[code for each in state.seen if (code := ord(each)) < _CODES]] = True
        codes = self.words.codes[:, 1:] if exempt else self.words.codes
        repeats = seen[codes].sum(axis=1) + self.words.repeats
        mask[self.words.verse_tokens[repeats > slack]] = False
        if not slack and not exempt:
            # Perhaps all characters that begin with some bytes stand in the poem already.
            begun = {start for each in state.seen for start in starts(each)}
            for tail, tokens in self.words.tails:
                if tail in begun:
                    mask[tokens] &= self.machine.may_begin(state, tail)
        return mask

    def _by_kind_and_rhyme(self, state: State, may_spell: bool) -> Mask:
        machine = self.machine
        key = (machine.ahead(state, self.words.longest), may_spell)
        judged: Judged = self.store.get(key, lambda: self._judge(state, may_spell))
        if not len(judged.tokens) and not judged.tails:
            return judged.mask
        rhymes = machine.rhymes(state)
        mask: Mask = self.store.get((key, rhymes), lambda: self._rhyming(judged, rhymes))
        if not state.feet and not judged.tails:
            return mask
        mask = mask.copy()
        for foot in state.feet:
            mask[judged.tokens[judged.feet == ord(foot)]] = False
        if judged.tails:
            begun = self.store.get(("starts", rhymes), lambda: self._starts(rhymes))
            used = state.feet & machine.rhyme_words(state)
            begun = begun - Counter(start for foot in used for start in starts(foot))
            for tail, tokens in judged.tails:
                mask[tokens] = begun[tail] > 0
        return mask

    def _judge(self, state: State, may_spell: bool) -> Judged:
        """Judge all groups; a token that holds two rhyme words is not allowed."""
        state = state._replace(seen=frozenset(), repeats=0)
        mask, tokens, feet, tails = self._none(), [], [], []
        for group in self.words.groups:
            if group.tail and not may_spell:
                continue
            after, at = self._walked(state, group)
            if after is None:
                continue
            if group.tail and self.machine.is_foot(after):
                if at is None:
                    tails += group.tails
            elif group.tail and not self.machine.may_begin(after, group.tail):
                continue
            elif at is None:
                mask[group.tokens] = True
            else:
                tokens.append(group.tokens)
                feet.append(group.codes[:, at])
        none = np.zeros(0, dtype=int)
        return Judged(
            mask,
            np.concatenate(tokens) if tokens else none,
            np.concatenate(feet) if feet else none,
            tails,
        )

    def _walked(self, state: State, group: Group) -> tuple[State | None, int | None]:
        """The state after a group's characters, and which of them is a rhyme word."""
        after: State | None = state
        foot = None
        for at, character in enumerate(group.example):
            if after is None or (foot is not None and self.machine.is_foot(after)):
                return None, None
            if self.machine.is_foot(after):
                foot = at
            after = self.machine.step(after, character, by_kind=True)
        return after, foot

    def _rhyming(self, judged: Judged, rhymes: Rhymes) -> Mask:
        rhyming = np.zeros(_CODES, dtype=bool)
        for each in rhymes:
            rhyming[self.words.words[each]] = True
        mask = judged.mask.copy()
        mask[judged.tokens[rhyming[judged.feet]]] = True
        return mask

    def _starts(self, rhymes: Rhymes) -> "Counter[bytes]":
        """How many rhyme words begin with which bytes."""
        words = {word for each in rhymes for word in self.words.alphabet.rhyming[each]}
        return Counter(start for word in words for start in starts(word))
