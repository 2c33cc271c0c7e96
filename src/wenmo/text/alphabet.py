"""The characters that a writer of verse has, by what the rules ask of them."""

from collections.abc import Iterator
from functools import cached_property

from wenmo.text.certain_readings import CHARACTERS, certain_readings, certain_tones
from wenmo.text.readings import LEVEL, OBLIQUE, Reading, pingshui
from wenmo.text.tune_rhymes import tune_rhyme

_CHARACTERS = frozenset(CHARACTERS)


class Alphabet:
    """The characters that a writer has, by reading, tones and the bytes that they begin with."""

    def __init__(self, characters: frozenset[str]) -> None:
        self.characters = characters & _CHARACTERS
        rhyming: dict[Reading, set[str]] = {}
        self.by_start: dict[bytes, dict[frozenset[str], list[str]]] = {}
        for character in sorted(self.characters):
            for reading in rhymes_in_any_line(character):
                rhyming.setdefault(reading, set()).add(character)
            for start in starts(character):
                kinds = self.by_start.setdefault(start, {})
                kinds.setdefault(certain_tones(character), []).append(character)
        self.rhyming = {reading: frozenset(found) for reading, found in rhyming.items()}

    @cached_property
    def fewest(self) -> int:
        """The number of characters for a level place or for an oblique one, whichever is less."""
        has = [certain_tones(each) for each in self.characters]
        return min(sum(tone in each for each in has) for tone in (LEVEL, OBLIQUE))


def rhymes_in_any_line(character: str) -> frozenset[Reading]:
    """The readings that a character has in every line, by the rhymes of poems and of tunes."""
    return certain_readings(character, pingshui) | certain_readings(character, tune_rhyme)


def starts(character: str) -> Iterator[bytes]:
    """The bytes that a character begins with, without its last one."""
    encoded = character.encode()
    return (encoded[:length] for length in range(1, len(encoded)))
