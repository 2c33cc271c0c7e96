"""Noise: lines and sentences that web copies carry and that are not the text.

A line is noise as a whole (ornament, navigation, a note), or a sentence in it is (an advert). Words
that prose has, too, such as 免费阅读, tell an advert only beside others of the kind.
"""

import re
from collections.abc import Iterator

from wenmo.text.chapters import is_heading

_HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
"""Adverts hide in full-width Latin: ｗｗｗ．"""

NUMBERED = r"\s*[号楼层组班队级区路线栋车舱]"
"""What ① numbers, so that it is no mark of a note: ①号机."""

_SEPARATOR = re.compile(r"[\s*＊\-－—─━=＝~～_＿#＃※☆★◆◇●○■□→·．.•|｜+＋]{2,}")
_NAVIGATION = re.compile(
    r"(?:上一[章页]|下一[章页]|返回(?:目录|书页|首页)|(?:加入|添加)?书签|章节目录|目录|投?推荐票|\s|[|｜])+"
)
# A line of a program or a lone word, such as zj_waps2(); an English sentence has words and spaces.
_CODE = re.compile(r"(?=.*[A-Za-z]{3})(?:\s*[!-~]*[A-Za-z0-9)};_>]\s*|.*[_(){};=<>\\|@#$%^*~].*)")
_ASCII = re.compile(r"[ -~\s]*")

_PLATFORM = r"(?:更新|发布|首发|上传|发表)"
_ENTRY = (
    rf"(?:(?:最后|最近)?{_PLATFORM}(?:时间|日期|于)\s*[：:]?\s*[\d\-/.:：年月日时分秒\s]+"
    r"|(?:本章|本书|全[文书]|总|章节)?字\s*数\s*[：:]?\s*[\d,.万]+\s*字?"
    r"|(?:本章|本书)共\s*[\d,]+\s*字"
    r"|(?:作者|书名|类别|分类|状态|来源|出处|点击|推荐|收藏)\s*[：:]\s*[^\s：:。！？]{1,20})"
)
# Data of a chapter: 更新时间：2012-03-04 本章字数：3021
_DATA = re.compile(rf"(?=.*(?:{_PLATFORM}(?:时间|日期|于)|字\s*数|本[章书]共)).{{0,3}}{_ENTRY}"
                   rf"(?:[\s|｜,，;；/]*{_ENTRY})*\W{{0,3}}")  # fmt: skip
_PAGE = re.compile(r"[（(【\[]?\s*第?\s*\d+\s*/\s*\d+\s*页\s*[）)】\]]?")
_NOTE = re.compile(
    r"[（(【\[〔]?\s*(?:"
    r"(?:作者|笔者|编者|译者)(?:君)?(?:的话|有话(?:要)?说|注|按|附言)\s*(?:[：:].*)?"
    r"|(?:注|注释|注解|译注|[Pp]\.?[Ss]\.?)\s*[：:].*"
    r"|(?:全[书文]|本[章书回卷])\s*(?:完|终)"
    r"|未完待续.{0,8}|[（(]?完[）)]?"
    r")\s*[）)】\]〕]?[。.]?"
)
# ①黉门：学宫。 explains a word; ①号机停了。 numbers a thing.
_FOOTNOTE = re.compile(rf"[①-⑳](?:(?!{NUMBERED}).*|[^，。！？：:]{{2,12}}[：:].*)")
# Web copies lose the line break behind a footnote: ①黉门：学宫。 他进了学宫。
_FOOTNOTE_END = re.compile(r"[。！？][”’」』）]*\s+(?=\S)")

_STRONG = re.compile(
    r"https?://|w\s*w\s*w\s*[.。．·,]|\.\s*(?:com|net|org|cn|cc|info)(?![a-z])"
    r"|[wω]{3}\s*[.。．·,]|手机用户请|无弹窗|(?:txt|电子书)\s*下载|全文免费阅读"
    r"|(?:请|敬请|就)(?:大家|您|先)?(?:收藏|记住)本[站书]|本书(?:首发|来自)|无广告|一秒(?:钟)?记住"
    r"|记住(?:本站|我们)?(?:的)?(?:地址|网址|域名)|本站(?:的)?(?:地址|网址|域名)"
    r"|本[小]?[章节](?:内容)?(?:还)?未完|(?:章|节)(?:还)?没有结束.{0,4}(?:请|点)"
    r"|(?:点击|点|翻到?|进入)下一页(?:继续|阅读|看|后面)|请(?:点击|翻到?)下一[页章]"
    r"|章节(?:后面|错误).{0,8}(?:还有|举报)"
    r"|手打(?:更新|首发|上传|完毕|发布|全文字|小组)"
    r"|(?:会员|网友|书友|吧友|小组|团队)\S{0,6}手打"
    r"|(?:书友|读者|粉丝|交流|讨论|vip|q|qq|扣扣)\s*(?:交流|讨论)?\s*群\s*号?\s*(?:是|为)?\s*[：:]?\s*\d{5,}"
    r"|群\s*号?\s*[：:]\s*\d{5,}|(?:微信)?公众号\s*[：:]|欢迎(?:广大)?书友|更新最快|最快更新"
    r"|正版(?:订阅|阅读)请|请(?:支持正版|到.{1,8}(?:阅读|订阅))",
    re.IGNORECASE,
)
_WEAK = re.compile(
    r"手机阅读|(?:最新|全部)章节|全文(?:阅读|免费)|免费(?:阅读|小说)|小说网|中文网|书友群"
    r"|求(?:推荐票|推荐|月票|收藏|订阅|打赏|红票|鲜花|点击)|支持正版|下一页|继续阅读|首发"
    r"|加入书架|推荐票|打赏|更多精彩|精彩小说",
)
# Every advert has one of these. Looking for them first is faster.
_CUE = re.compile(
    "[A-Za-zＡ-Ｚａ-ｚω]|手机[用阅]|弹窗|广告|下载|全文|本[站书]|记住|未完|没有结束|一页|下一章|手打|群"
    "|公众号|书友|更新最快|最快更新|正版|章节|免费|阅读|小说网|中文网|求[推月收订打红鲜点]|首发|书架"
    "|推荐票|打赏|更多精彩|精彩小说"
)

_SHORT_PLEA = 4
"""Characters beside a plea's own: 求推荐票！ is one, 他在街上求收藏古画的人。 is none."""

_PERSON = re.compile("[我你他她它谁们]")
_SENTENCE = re.compile(r"[^。！？!?]*[。！？!?]*[”’」』）】]*")

# An author adds it to a heading: 第三章 雪（求月票）. （夜半三更） and （求婚） belong to a title.
_PLEA_IN_BRACKETS = re.compile(
    r"[（(【\[](?:[^（(【\[]{0,10}(?:"
    r"求(?:推荐|月票|票|收藏|收|订|打赏|支持|红票|鲜花|点击|评|保底|包养|首订|全订|追读)"
    r"|第[一二三四五六七八九十两\d]{1,2}更|[加补双爆]更|更新|[一二三四五六七八九十\d]更(?=[，,！!、求])"
    r"|(?:感谢|多谢|谢谢|鸣谢)|盟主|万字大章|为.{1,10}加)[^（(【\[]{0,20}"
    r"|[一二两三四五六七八九十\d]更)[）)】\]]$"
)

# Lines that are left out whole: reason, pattern, and greatest length in characters.
_NO_TEXT = (
    ("separator", _SEPARATOR, 200),
    ("site", _NAVIGATION, 200),
    ("site", _DATA, 100),
    ("site", _PAGE, 20),
    ("note", _NOTE, 1000),
    ("note", _FOOTNOTE, 1000),
)


def noise_line(line: str) -> str:
    """The reason to leave a whole line out; empty if there is none."""
    if _ASCII.fullmatch(line) and not is_heading(line) and _CODE.fullmatch(line):
        return "site"
    for reason, pattern, longest in _NO_TEXT:
        if len(line) <= longest and pattern.fullmatch(line):
            return reason
    return ""


def parted_footnote(line: str) -> tuple[str, str]:
    """A footnote that begins the line, and the text behind it; ("", line) if there is no such."""
    end = _FOOTNOTE_END.search(line)
    if end and _FOOTNOTE.fullmatch(line[: end.start()]):
        return line[: end.end()].rstrip(), line[end.end() :]
    return "", line


def without_plea(heading: str) -> tuple[str, str]:
    """A heading without what an author asks for at its end, and that; as it is if it is none."""
    found = _PLEA_IN_BRACKETS.search(heading)
    title = heading[: found.start()].rstrip() if found else heading
    return (title, found[0]) if found and is_heading(title) else (heading, "")


def sentences_with_adverts(line: str) -> Iterator[tuple[str, bool]]:
    """The sentences of a line, and whether each is an advert."""
    if not _CUE.search(line):
        yield line, False
        return
    plain = line.translate(_HALF_WIDTH)
    for found in _SENTENCE.finditer(line):
        if found[0]:
            yield found[0], _is_advert(plain[found.start() : found.end()])


def _is_advert(sentence: str) -> bool:
    if _STRONG.search(sentence):
        return True
    weak = _WEAK.findall(sentence)
    others = len(sentence) - sum(map(len, weak))
    is_short = others <= _SHORT_PLEA and not _PERSON.search(sentence)
    return len(set(weak)) > 1 or (len(weak) == 1 and is_short)
