"""Rhyme by the Tang rules.

Classical rhyme cannot be read off Mandarin, so characters are looked up in the 廣韻 (1008), whose
206 rhymes are folded by the historical 同用 groups into the 平水 rhymes that poets went by.
Source of the readings: https://github.com/nk2028/tshet-uinh-js (MIT), through its Python port.
"""

from functools import cache

import opencc
import tshet_uinh

# 平水 rhymes as groups of 廣韻 rhymes that poets were allowed to use together (同用).
# 祭, 泰, 夬 and 廢 have the departing tone alone; 泰 stands by itself.
RHYME_GROUPS = (
    "東", "冬鍾", "江", "支脂之", "微", "魚", "虞模", "齊祭", "泰", "佳皆夬", "灰咍廢", "真臻諄",
    "文殷", "元魂痕", "寒桓", "刪山", "先仙", "蕭宵", "肴", "豪", "歌戈", "麻", "陽唐", "庚耕清",
    "青", "蒸登", "尤侯幽", "侵", "覃談", "鹽添嚴", "咸銜凡",
)  # fmt: skip
_GROUP_OF_RHYME = {rhyme: group for group in RHYME_GROUPS for rhyme in group}

# Frequent characters that the 廣韻 lists in another shape than opencc's traditional standard.
_GUANGYUN_SHAPE = str.maketrans(
    "間窗衆魂茲托聯鞍劍棋樑瀟脈廻臯搗吊煉隣崑裙烹湧樣煮崙槁緲污岩撐粧罕讐着",
    "閒窻眾䰟兹託聮鞌劒棊梁潚脉迴皐擣弔鍊鄰崐帬亨涌㨾煑崘稾渺汙巖樘妝䍐讎著",
)

Reading = tuple[str, str]
"""A 平水 rhyme group (one of RHYME_GROUPS) and a tone: 平, 上, 去 or 入."""


@cache
def _traditional() -> opencc.OpenCC:
    return opencc.OpenCC("s2t")


@cache
def readings(character: str) -> frozenset[Reading]:
    """All readings of one traditional character; empty where the 廣韻 does not list it."""
    entries = tshet_uinh.資料.query字頭(character)
    if not entries:
        entries = tshet_uinh.資料.query字頭(character.translate(_GUANGYUN_SHAPE))
    places = (entry.音韻地位 for entry in entries)
    return frozenset((_GROUP_OF_RHYME[place.韻], place.聲) for place in places)


def line_end_readings(lines: list[str]) -> list[frozenset[Reading]]:
    """The readings of each line's last character, in traditional and in given shape.

    The conversion to traditional characters sees the whole line, since 后 or 里 alone could be
    two words; where it guesses wrong, the given character's own readings still count.
    """
    ends = []
    for line in lines:
        traditional = _traditional().convert(line)
        ends.append(readings(traditional[-1]) | readings(line[-1]))
    return ends


def rhymes(lines: list[str]) -> bool:
    """Whether every even line ends in the same 平水 rhyme, all level or all oblique of one tone.

    The first line may rhyme or not. Any reading of a character may satisfy the rule. One rhyming
    line alone, or a line-end that the 廣韻 does not list, does not rhyme.
    """
    rhyming = line_end_readings(lines)[1::2]
    return len(rhyming) >= 2 and bool(frozenset.intersection(*rhyming))
