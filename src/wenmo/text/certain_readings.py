"""What a character sounds like in whatever line it stands, for verse that is still being written.

`readings.line_readings` converts a whole line to traditional characters before it looks them up: 发
is 發 or 髮, as its neighbours decide. While the line is unfinished, only what all conversions have
in common is certain. A finished line never has less, and more readings break no rule.
"""

from collections import defaultdict
from functools import cache, reduce
from itertools import product

from wenmo.core.errors import UserError
from wenmo.text.readings import (
    RHYME_GROUPS,
    Reading,
    RhymeBook,
    Sound,
    converter,
    folded,
    line_sounds,
    own_sounds,
    pingshui,
    rhyme_name,
    simplified,
    sounds,
    tones,
)
from wenmo.text.tune_rhymes import TUNE_GROUPS, tune_rhyme, tune_rhyme_name

CHARACTERS = "〇" + "".join(map(chr, range(0x3400, 0xA000)))
"""What a line may be made of: the Chinese characters that UTF-8 writes in three bytes."""

# A simplified character and what it becomes within some phrase of opencc's s2t (STPhrases.txt of
# 1.4.2), where the way back does not lead to it. Some stay as they are.
_WITHIN_PHRASES = (
    "复覆 里哩 了瞭 具俱 呆待 仇讎 苏甦 链鍊 斤觔 斫斲 夫伕 浚濬 戚鏚 坐座 借藉 穗繐 藤籐 琅瑯 "
    "焰燄 背揹 宁甯 檗蘗 熏薰 果菓 枪鎗 象像 澄澂 豆荳 仿彷 锄耡 拿拏 筱篠 堤隄 吣唚 耇耈 "
    "伙伙 恒恒 厘厘 佣佣 虱虱 皂皂 党党 霉霉"
)


@cache
def certain_readings(character: str, book: RhymeBook = pingshui) -> frozenset[Reading]:
    """The readings that `line_readings` gives a character in every line."""
    return frozenset.intersection(*(folded(each, book) for each in _in_any_line(character)))


@cache
def certain_tones(character: str) -> frozenset[str]:
    """The tones that a character has in every line; none if its neighbours decide."""
    return reduce(frozenset.intersection, map(tones, _in_any_line(character)))


def named_rhyme(name: str, *, of_tune: bool = False) -> Reading:
    """The 平水 rhyme of a name such as 上平一東, 一东 or 东, or the rhyme of a tune that it is in.

    A tune's rhyme has a name of its own, too: 第三部仄聲, or 第三部 with an empty tone. Simplified
    characters will do. Raises UserError if there is no rhyme of the name, or several.
    """
    wanted, given = simplified(name), {}
    if of_tune:
        for group, tone in product(TUNE_GROUPS, ("", *"平仄")):
            if wanted == simplified(tune_rhyme_name(group, tone)):
                return group, tone
    for group in RHYME_GROUPS:
        for tone in "平上去入":
            try:
                given[simplified(rhyme_name((group, tone)))] = (group, tone)
            except KeyError:
                continue
    found = [each for each in given if each.endswith(wanted)] if name else []
    if len(found) != 1:
        raise UserError(
            "rhyme: {name!r}: allowed are the 平水 rhymes, such as 东, 先 or 上平一東, and for"
            " tunes 第一部 to 第十九部",
            name=name,
        )
    group, tone = given[found[0]]
    # The first part of a group gives it its name.
    return tune_rhyme(group[0], tone) if of_tune else (group, tone)


def rhyme_names() -> list[str]:
    """The names of all rhymes of level words that poems have, and of the groups of tunes."""
    level = [reading for group in RHYME_GROUPS if (reading := (group, "平")) != ("泰", "平")]
    return [*map(rhyme_name, level), *TUNE_GROUPS]


def _in_any_line(character: str) -> list[frozenset[Sound]]:
    """What a character's sounds may be. Some phrase leaves it as it is, if it is a word so."""
    if own := own_sounds(character):
        return [own]
    return [*line_sounds(character), *map(sounds, _conversions().get(character, ()))]


@cache
def _conversions() -> dict[str, set[str]]:
    """The traditional characters that a simplified one may stand for.

    A character by itself on a line is in no phrase.
    """
    shapes = converter("t2s").convert("\n".join(CHARACTERS)).split("\n")
    found = defaultdict(set)
    for traditional, character in zip(CHARACTERS, shapes, strict=True):
        if character != traditional:
            found[character].add(traditional)
    for pair in _WITHIN_PHRASES.split():
        found[pair[0]].add(pair[1])
    return dict(found)
