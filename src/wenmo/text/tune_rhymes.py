"""The rhymes of tunes (詞韻): 14 groups of level, rising and departing words, 5 of entering ones.

They are wider than the 平水 rhymes of poems. A group's rising and departing words rhyme together;
some tunes let its level words rhyme with them too.
Source: 戈載, 詞林正韻 (1821), by the 廣韻 rhymes that each group holds. The halves of 泰 and 佳 are
told by 開 and 合, as in the examples there.
"""

from collections.abc import Iterator

# The rhymes are named by their level tone. Half a rhyme has 合 behind its name.
_GROUPS = (
    "東冬鍾", "江陽唐", "支脂之微齊祭灰廢泰合", "魚虞模", "佳泰皆夬咍", "真臻文殷魂痕",
    "元寒刪山先仙", "蕭宵肴豪", "歌", "麻佳合", "庚耕清青蒸登", "尤侯幽", "侵",
    "覃談鹽添嚴咸銜凡",
)  # fmt: skip
_ENTERING_GROUPS = (
    "東冬鍾", "江陽唐", "真臻庚耕清青蒸登侵", "文殷魂痕元寒刪山先仙鹽添", "覃談嚴咸銜凡",
)  # fmt: skip
_DIGITS = "一二三四五六七八九"
_HALVES = ("泰合", "佳合")


def _rhymes(group: str) -> Iterator[str]:
    for half in _HALVES:
        if half in group:
            yield half
            group = group.replace(half, "")
    yield from group


def _name(number: int) -> str:
    tens, ones = divmod(number, 10)
    return f"第{'十' * tens}{_DIGITS[ones - 1] if ones else ''}部"


_GROUP_OF_RHYME = {
    rhyme: _name(number) for number, group in enumerate(_GROUPS, 1) for rhyme in _rhymes(group)
}
_GROUP_OF_ENTERING = {
    rhyme: _name(number)
    for number, group in enumerate(_ENTERING_GROUPS, len(_GROUPS) + 1)
    for rhyme in group
}
TUNE_GROUPS = tuple(map(_name, range(1, len(_GROUPS) + len(_ENTERING_GROUPS) + 1)))
"""第一部 to 第十九部, of which the last five are entering."""


def tune_rhyme(rhyme: str, tone: str) -> tuple[str, str]:
    """The group of a 廣韻 rhyme and tone, and whether it is level (平) or oblique (仄) there."""
    if tone == "入":
        return _GROUP_OF_ENTERING[rhyme[0]], "仄"
    group = _GROUP_OF_RHYME.get(rhyme) or _GROUP_OF_RHYME[rhyme[0]]
    return group, "平" if tone == "平" else "仄"


def tune_rhyme_name(group: str, tone: str) -> str:
    """The name of a tune's rhyme, such as 第三部平聲, 第十五部入聲 or, without a tone, 第三部."""
    entering = TUNE_GROUPS.index(group) >= len(_GROUPS)
    return f"{group}{'入' if entering else tone}聲" if tone else group
