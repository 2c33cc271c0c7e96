"""The readings of a character to a Tang poet: its rhymes and its tones.

Mandarin has lost both, so characters are looked up in the 廣韻 (1008). Its 206 rhymes are folded by
the historical 同用 groups into the 106 平水 rhymes that poets used, or into the wider groups of
tunes (`wenmo.text.tune_rhymes`).
Source of the readings: https://github.com/nk2028/tshet-uinh-js (MIT), through its Python port.
Source of variant characters, such as 顔 for 顏: https://github.com/nk2028/yitizi (MIT).
What both lack is in `wenmo.text.later_readings`.
Source of the folding: 王力, 漢語詩律學 (1958), section 4.
"""

from collections.abc import Callable, Iterable
from functools import cache
from types import ModuleType

import opencc
import yitizi

from wenmo.core.language import language
from wenmo.text.later_readings import LATER_READINGS, SHAPES
from wenmo.text.tune_rhymes import TUNE_GROUPS, tune_rhyme_name

Sound = tuple[str, str]
"""A 廣韻 rhyme by the name of its level tone, and a tone: 平, 上, 去 or 入.

泰 and 佳 have 合 behind their name in rounded syllables, which tunes rhyme with others.
"""

Reading = tuple[str, str]
"""A 平水 rhyme group (one of RHYME_GROUPS) and a tone: 平, 上, 去 or 入.

By the rhymes of tunes it is one of TUNE_GROUPS, and the tone is 平 or 仄.
"""

RhymeBook = Callable[[str, str], Reading]
"""Which readings rhyme: `pingshui` or `tune_rhyme`."""

LEVEL, OBLIQUE = "平", "仄"
ALL_TONES = frozenset({LEVEL, OBLIQUE})

# Each group has the 廣韻 rhymes that poets were allowed to use together, named by their level tone,
# and the group's names in the 平水 books in the tones 平, 上, 去 and 入; "-" if there is none.
# 祭, 泰, 夬 and 廢 have the departing tone alone, and 泰 is a group by itself.
_GROUPS = (
    ("東", "東董送屋"), ("冬鍾", "冬腫宋沃"), ("江", "江講絳覺"), ("支脂之", "支紙寘-"),
    ("微", "微尾未-"), ("魚", "魚語御-"), ("虞模", "虞麌遇-"), ("齊祭", "齊薺霽-"),
    ("泰", "--泰-"), ("佳皆夬", "佳蟹卦-"), ("灰咍廢", "灰賄隊-"), ("真臻諄", "真軫震質"),
    ("文殷", "文吻問物"), ("元魂痕", "元阮願月"), ("寒桓", "寒旱翰曷"), ("刪山", "刪潸諫黠"),
    ("先仙", "先銑霰屑"), ("蕭宵", "蕭篠嘯-"), ("肴", "肴巧效-"), ("豪", "豪皓號-"),
    ("歌戈", "歌哿箇-"), ("麻", "麻馬禡-"), ("陽唐", "陽養漾藥"), ("庚耕清", "庚梗敬陌"),
    ("青", "青迥徑錫"), ("蒸登", "蒸--職"), ("尤侯幽", "尤有宥-"), ("侵", "侵寢沁緝"),
    ("覃談", "覃感勘合"), ("鹽添嚴", "鹽儉豔葉"), ("咸銜凡", "咸豏陷洽"),
)  # fmt: skip
_TONES = "平上去入"
_NO_RHYME = "-"
RHYME_GROUPS = tuple(group for group, _ in _GROUPS)
_GROUP_OF_RHYME = {rhyme: group for group in RHYME_GROUPS for rhyme in group}
_FIRST_OF_LOWER_LEVEL = "先"
_HALVED = "泰佳"
_DIGITS = "一二三四五六七八九"

_LATER_SHAPE = {pair[0]: pair[1] for pair in SHAPES.split()}


@cache
def sounds(character: str) -> frozenset[Sound]:
    """All sounds of a traditional character; empty if neither it nor a variant of it has any.

    Only a character without a sound of its own has those of its variants, or else of theirs.
    """
    own = own_sounds(character)
    near = yitizi.get(character)
    return own or _union(near) or _union(other for each in near for other in yitizi.get(each))


def pingshui(rhyme: str, tone: str) -> Reading:
    """The 平水 reading of a 廣韻 rhyme and tone; 拯 and 證 of 蒸登 went into 迥 and 徑 of 青."""
    group = _GROUP_OF_RHYME[rhyme[0]]
    return ("青" if group == "蒸登" and tone in "上去" else group, tone)


@cache
def folded(found: frozenset[Sound], book: RhymeBook) -> frozenset[Reading]:
    """The readings of sounds by a rhyme book."""
    return frozenset(book(*each) for each in found)


def readings(character: str, book: RhymeBook = pingshui) -> frozenset[Reading]:
    """The readings of a traditional character's sounds."""
    return folded(sounds(character), book)


@cache
def tones(found: frozenset[Reading]) -> frozenset[str]:
    """The tones of readings as verse distinguishes them: 平 is level (平), 上去入 are oblique (仄).

    A character without a reading has both tones, so that it breaks no rule.
    """
    return frozenset(LEVEL if tone == "平" else OBLIQUE for _, tone in found) or ALL_TONES


def line_readings(line: str, book: RhymeBook = pingshui) -> list[frozenset[Reading]]:
    """The readings of each character of a line, in its traditional and in its given shape."""
    return [folded(each, book) for each in line_sounds(line)]


def line_sounds(line: str) -> list[frozenset[Sound]]:
    """The sounds of each character of a line, in its traditional and in its given shape.

    The conversion to traditional characters needs the whole line, since 后 or 里 alone could be two
    words. If it guesses wrong, the given character's own sounds still count.
    """
    # opencc refuses half of a surrogate pair, which a broken text may hold.
    traditional = converter("s2t").convert(line.encode("utf-8", "replace").decode("utf-8"))
    if len(traditional) != len(line):
        traditional = line
    return list(map(_either, line, traditional))


@cache
def _either(given: str, converted: str) -> frozenset[Sound]:
    # Variants of a simplified character may be several words, as 鐘 and 鍾 are of 钟.
    return own_sounds(given) | sounds(converted)


@cache
def own_sounds(character: str) -> frozenset[Sound]:
    """The sounds that the 廣韻 or a later book has for the character, without its variants."""
    shapes = {character, _LATER_SHAPE.get(character, character)}
    entries = (entry.音韻地位 for shape in shapes for entry in _guangyun().query字頭(shape))
    listed = {(_rhyme(each.韻, each.呼), each.聲) for each in entries}
    return frozenset(listed).union(_later_sounds().get(character, ()))


def _rhyme(name: str, rounding: str | None) -> str:
    return f"{name}合" if name in _HALVED and rounding == "合" else name


@cache
def _later_sounds() -> dict[str, frozenset[Sound]]:
    found: dict[str, set[Sound]] = {}
    for rhyme, tone, characters in LATER_READINGS:
        for character in characters:
            found.setdefault(character, set()).add((rhyme, tone))
    return {character: frozenset(each) for character, each in found.items()}


def _union(characters: Iterable[str]) -> frozenset[Sound]:
    return frozenset().union(*map(own_sounds, characters))


def rhyme_name(reading: Reading) -> str:
    """The name of a reading's rhyme in the 平水 books, such as 上平一東; of tunes 第一部平聲."""
    if reading[0] in TUNE_GROUPS:
        return tune_rhyme_name(*reading)
    return _rhyme_names()[reading]


def shown(name: str) -> str:
    """A traditional name as readers see it: those of Chinese expect simplified characters."""
    return simplified(name) if language() == "zh" else name


@cache
def simplified(name: str) -> str:
    """A rhyme's or a rule's name in simplified characters, whatever it is in."""
    # 筱 is how lists of rhymes in simplified characters have 篠.
    return str(converter("t2s").convert(name)).replace("筿", "筱")


@cache
def _guangyun() -> ModuleType:
    # The dictionary takes 0.2 s to load, so it is loaded only when a reading is asked for.
    import tshet_uinh

    guangyun: ModuleType = tshet_uinh.資料
    return guangyun


@cache
def converter(name: str) -> opencc.OpenCC:
    """Of opencc: s2t makes traditional characters, t2s simplified ones."""
    return opencc.OpenCC(name)


@cache
def _rhyme_names() -> dict[Reading, str]:
    """The name of each of the 106 rhymes: volume, number in the volume, and head character."""
    names = {}
    for at, tone in enumerate(_TONES):
        volume, number = ("上平" if tone == "平" else f"{tone}聲"), 0
        for group, heads in _GROUPS:
            head = heads[at]
            if head == _FIRST_OF_LOWER_LEVEL:
                volume, number = "下平", 0
            if head != _NO_RHYME:
                number += 1
                names[group, tone] = f"{volume}{_numeral(number)}{head}"
    return names


def _numeral(number: int) -> str:
    tens, ones = divmod(number, 10)
    ten = (_DIGITS[tens - 1] if tens > 1 else "") + "十" if tens else ""
    return ten + (_DIGITS[ones - 1] if ones else "")
