"""The page's texts in English and Chinese, and its examples."""

from typing import Literal

Language = Literal["en", "zh"]

CHINESE_LOCALES = ("zh", "zh-CN", "zh-HK", "zh-SG", "zh-TW")
"""Locales of Chinese that browsers name."""

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("wenmo · 文墨", "文墨 · wenmo"),
    "lead": (
        "The same request to the base model and to the one tuned on your texts.",
        "同一个题目，问原来的模型，也问用你的文本调好的模型。",
    ),
    "novel": ("Novel", "小说"),
    "fairytale": ("Fairy tale", "童话"),
    "poetry": ("Poem", "古诗"),
    "ask_novel": ("Theme of the passage", "写一段什么"),
    "ask_fairytale": ("What the tale is about", "讲一个什么童话"),
    "ask_poetry": ("First line (5 or 7 characters), or a title", "首句（五字或七字），或题目"),
    "form": ("Form", "诗体"),
    "examples": ("Examples", "试试这些"),
    "write": ("Write", "写"),
    "stop": ("Stop", "停"),
    "settings": ("Sampling", "抽样设置"),
    "temperature": ("Temperature (0: greedy)", "温度（0：贪心）"),
    "top_p": ("Top-p", "Top-p"),
    "top_k": ("Top-k (0: off)", "Top-k（0：不限）"),
    "repetition_penalty": ("Repetition penalty (1: off)", "重复惩罚（1：无）"),
    "max_new_tokens": ("Longest text (tokens)", "最长（词元）"),
    "seed": ("Seed", "种子"),
    "new_seed": ("A new seed for each text", "每次换一个种子"),
    "base": ("Base", "基座"),
    "tuned": ("Tuned", "调好的"),
    "copy": ("Copy", "复制"),
    "download": ("Download", "下载"),
    "link": ("Link to these very texts", "这两篇的链接"),
    "characters": ("{} characters", "{} 字"),
    "repetition": ("{} repeated", "重复 {}"),
    "cut": ("cut at the longest text", "到最长处截断"),
    "stopped": ("stopped", "已停"),
    "rhyme": ("rhyme {}", "押{}"),
    "no_rhyme": ("no rhyme", "不押韵"),
    "faults": ("{} faults of form and tone", "格律 {} 处不合"),
    "legend": (
        "平 level, 仄 oblique, 中 either, ？ not in the 廣韻; coloured foot: rhyme; wavy: a fault",
        "平、仄、中（可平可仄）、？（廣韻未收）；韵脚着色，波线处不合格律",
    ),
    "nothing": ("Type something first.", "请先写下题目。"),
    "too_long": ("At most {} characters, please.", "最多 {} 字。"),
    "bad_link": ("This link cannot be read: {}", "链接有误：{}"),
    "other_models": (
        "The models have changed since this link was made; the texts may differ.",
        "链接生成之后模型变了，文本可能不同。",
    ),
}

EXAMPLES: dict[str, list[str]] = {
    "novel": ["民国二十五年秋天", "守灯塔的老人收到一封没有署名的信", "第二天没亮"],
    "fairytale": [
        "写一把雨伞住在沙漠里的童话。",
        "小闹钟也想睡一次懒觉，请编成童话。",
        "一颗怕黑的星星",
    ],
    "poetry": ["一篙春水绿", "雨歇长街唤卖花", "秋夜"],
}


def translate(key: str, language: Language, *values: object) -> str:
    """A text in one language, with the values in its placeholders."""
    return TEXTS[key][language == "zh"].format(*values)


def preferred_language(accepted: str) -> Language:
    """The language of a browser's Accept-Language header, which names the preferred one first."""
    return "zh" if accepted.lower().startswith("zh") else "en"


def by_locale() -> dict[str, dict[str, str]]:
    """Every text, by locale and key."""
    english = {key: both[0] for key, both in TEXTS.items()}
    chinese = {key: both[1] for key, both in TEXTS.items()}
    return {"en": english} | dict.fromkeys(CHINESE_LOCALES, chinese)
