"""Fairy tales: how easy a tale is for a child, and whether it has an ending."""

import re

from wenmo.scoring.ending import ends_with_a_sentence
from wenmo.text.characters import without_space
from wenmo.text.sentences import sentences

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# GB 2312-80 lists its 3,755 first-level characters in rows 16 to 55, the last of which is shorter.
_COMMON = frozenset(
    bytes((row, cell)).decode("gb2312")
    for row in range(0xB0, 0xD8)
    for cell in range(0xA1, 0xFF if row < 0xD7 else 0xFA)
)
LAST_SENTENCES = 2
_ENDING = re.compile(
    # Aftermath: what became of them, and when.
    r"[从自]此|[从打自]那(?:天|时)|再也[没不]|永远|至今|到今天|后来|如今|现在|以后|之后"
    r"|第二天|每[天年到次当逢]|那年|那一?[夜晚天]|天亮|多年"
    # Feelings.
    r"|幸福|快乐|高兴|团圆|笑"
    # Lessons.
    r"|终于|明白了|懂得|懂了|道理|告诉我们|学会了"
)


def sentence_length(text: str) -> float:
    """Characters per sentence, without white space; 0 for an empty text.

    Neither direction is better: compare it with the references (18.9 in the sample tales). Sentence
    length is the first factor of readability formulas (Flesch 1948,
    https://doi.org/10.1037/h0057532).
    """
    count = sum(1 for sentence in sentences(text) if sentence.strip())
    return len(without_space(text)) / count if count else 0.0


def common_share(text: str) -> float:
    """Share of common characters among the Han characters, 0 to 1; higher is easier.

    Common characters are the 3,755 of the first level of GB 2312-80, which Python's codec has. The
    newer 通用规范汉字表 (2013) has 3,500 in its first level, most of them the same. Traditional
    characters do not count as common. The sample tales have 0.989, the sample poems 0.977. A text
    without Han characters has 0.
    """
    characters = _HAN.findall(text)
    return sum(character in _COMMON for character in characters) / len(characters or [0])


def has_ending(text: str) -> bool:
    """Whether the last two sentences are whole and tell of an aftermath, a feeling or a lesson.

    Words cannot show whether a plot is resolved, but tales tend to close with words for what became
    of their people (从此, 后来, 高兴, 懂得了). 48% of the sample tales have such words in their
    last two sentences, and 15% of other pairs of sentences do. The score is a sign, not a proof:
    higher is better up to the references' share.
    """
    closing = [sentence for sentence in sentences(text) if sentence.strip()][-LAST_SENTENCES:]
    return ends_with_a_sentence(text) and bool(_ENDING.search("".join(closing)))
