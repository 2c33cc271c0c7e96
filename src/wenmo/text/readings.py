"""The readings of a character to a Tang poet: its rhymes and its tones.

Mandarin has lost both, so characters are looked up in the 廣韻 (1008). Its 206 rhymes are folded by
the historical 同用 groups into the 106 平水 rhymes that poets used.
Source of the readings: https://github.com/nk2028/tshet-uinh-js (MIT), through its Python port.
Source of the folding: 王力, 漢語詩律學 (1958), section 4.
"""

from functools import cache
from types import ModuleType

import opencc

Reading = tuple[str, str]
"""A 平水 rhyme group (one of RHYME_GROUPS) and a tone: 平, 上, 去 or 入."""

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
_DIGITS = "一二三四五六七八九"

# Pairs of shapes: a character as in opencc's traditional standard or in old prints, then as in the
# 廣韻. It lists 粗 強 歛 茆 咳 in their own shape too, but only as other words.
_SHAPES = (
    "間閒 窗窻 衆眾 魂䰟 茲兹 托託 聯聮 鞍鞌 劍劒 棋棊 樑梁 瀟潚 脈脉 廻迴 臯皐 搗擣 "
    "吊弔 煉鍊 隣鄰 崑崐 裙帬 烹亨 湧涌 樣㨾 煮煑 崙崘 槁稾 緲渺 污汙 岩巖 撐樘 粧妝 "
    "罕䍐 讐讎 着著 享亯 斾旆 皓晧 迤迆 韓𩏑 胸胷 髪髮 鏁鎖 呌叫 髭頿 秖祇 匝帀 趂趁 "
    "栢柏 玳瑇 逈迥 琉瑠 潑𣸍 恓棲 拆坼 衞衛 溯泝 輙輒 畧略 冪羃 殼㱿 徴徵 飡餐 歘欻 "
    "嶄嶃 翺翱 柿柹 恡悋 轝輿 廐廏 舃舄 穉稚 磵澗 隟隙 氊氈 峩峨 尅剋 嬝嫋 倘儻 箆篦 "
    "倂併 蒂蔕 敧攲 竃竈 挍校 抬擡 駈驅 搘榰 隲騭 葅菹 怱悤 匆悤 羗羌 勗勖 麄麤 祛袪 "
    "飚飆 飇飆 裩褌 覊羈 碗椀 哪那 灶竈 稿稾 耗秏 熳漫 磚甎 塼甎 褲袴 婿壻 咒呪 冗宂 "
    "蕚萼 廼迺 徃往 躭耽 覔覓 曽曾 乗乘 緫總 韮韭 皈歸 髩鬢 嘿默 嵓巖 埜野 湼涅 毘毗 "
    "敍敘 薫薰 潄漱 脋脅 硏研 厩廏 廄廏 逓遞 騐驗 嗅齅 舖鋪 粗麤 強彊 歛斂 茆茅 "
    "咳欬"
)
_GUANGYUN_SHAPE = {pair[0]: pair[1] for pair in _SHAPES.split()}

# Level readings of the 平水 books that the 廣韻 lacks.
_LATER_READINGS: dict[str, frozenset[Reading]] = {
    "涯": frozenset({("麻", "平")}),
    "漫": frozenset({("寒桓", "平")}),
}


@cache
def readings(character: str) -> frozenset[Reading]:
    """All readings of a traditional character; empty if the 廣韻 does not list it."""
    shapes = {character, _GUANGYUN_SHAPE.get(character, character)}
    listed = {
        _pingshui(entry.音韻地位.韻, entry.音韻地位.聲)
        for shape in shapes
        for entry in _guangyun().query字頭(shape)
    }
    return _LATER_READINGS.get(character, frozenset()) | listed


@cache
def tones(found: frozenset[Reading]) -> frozenset[str]:
    """The tones of readings as verse distinguishes them: 平 is level (平), 上去入 are oblique (仄).

    A character without a reading has both tones, so that it breaks no rule.
    """
    return frozenset(LEVEL if tone == "平" else OBLIQUE for _, tone in found) or ALL_TONES


def line_readings(line: str) -> list[frozenset[Reading]]:
    """The readings of each character of a line, in its traditional and in its given shape.

    The conversion to traditional characters needs the whole line, since 后 or 里 alone could be two
    words. If it guesses wrong, the given character's own readings still count.
    """
    # opencc refuses half of a surrogate pair, which a broken text may hold.
    traditional = _traditional().convert(line.encode("utf-8", "replace").decode("utf-8"))
    if len(traditional) != len(line):
        traditional = line
    return list(map(_either, line, traditional))


@cache
def _either(given: str, converted: str) -> frozenset[Reading]:
    return readings(given) | readings(converted)


def rhyme_name(reading: Reading) -> str:
    """The name of a reading's rhyme in the 平水 books, such as 上平一東 or 入聲四質."""
    return _rhyme_names()[reading]


@cache
def _guangyun() -> ModuleType:
    # The dictionary takes 0.2 s to load, so it is loaded only when a reading is asked for.
    import tshet_uinh

    guangyun: ModuleType = tshet_uinh.資料
    return guangyun


@cache
def _traditional() -> opencc.OpenCC:
    return opencc.OpenCC("s2t")


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


def _pingshui(rhyme: str, tone: str) -> Reading:
    """The 平水 reading of a 廣韻 rhyme and tone; 拯 and 證 of 蒸登 went into 迥 and 徑 of 青."""
    group = _GROUP_OF_RHYME[rhyme]
    return ("青" if group == "蒸登" and tone in "上去" else group, tone)


def _numeral(number: int) -> str:
    tens, ones = divmod(number, 10)
    ten = (_DIGITS[tens - 1] if tens > 1 else "") + "十" if tens else ""
    return ten + (_DIGITS[ones - 1] if ones else "")
