"""The page's texts, which the browser shows in its own language, and its examples."""

import gradio as gr

from wenmo.core.language import N_, in_language, translations
from wenmo.text.certain_readings import rhyme_names
from wenmo.text.readings import shown
from wenmo.tools.task_names import NAMES

_CHINESE_LOCALES = ("zh", "zh-CN", "zh-HK", "zh-SG", "zh-TW")
"""Locales of Chinese that browsers name."""

TEXTS = {
    "lead": N_("The same request to the base model and to the one tuned on your texts."),
    **NAMES,
    "ask_novel": N_("Theme of the passage"),
    "ask_fairytale": N_("What the tale is about"),
    "ask_poetry": N_("First line, or a title"),
    "form": N_("Form or tune"),
    "verse": N_("Rules that it must keep"),
    "verse_free": N_("none"),
    "verse_form": N_("lines and characters"),
    "verse_rhyme": N_("rhyme as well"),
    "verse_full": N_("tones as well"),
    "rhyme": N_("Rhyme"),
    "any_rhyme": N_("any"),
    "examples": N_("Examples"),
    "write": N_("Write"),
    "stop": N_("Stop"),
    "settings": N_("Sampling"),
    "temperature": N_("Temperature (0: greedy)"),
    "top_p": N_("Top-p"),
    "top_k": N_("Top-k (0: off)"),
    "repetition_penalty": N_("Repetition penalty (1: off)"),
    "max_new_tokens": N_("Longest text (tokens)"),
    "seed": N_("Seed"),
    "new_seed": N_("A new seed for each text"),
    "base": N_("Base"),
    "tuned": N_("Tuned"),
    "copy": N_("Copy"),
    "download": N_("Download"),
    "link": N_("Link to these very texts"),
    "legend": N_(
        "平 level, 仄 oblique, 中 either, ？ unknown. Rhyme words are coloured; a wavy line marks a"
        " fault, a dotted one a character that the rules forced on the model."
    ),
}

EXAMPLES = {
    "novel": ["民国二十五年秋天", "守灯塔的老人收到一封没有署名的信", "第二天没亮"],
    "fairytale": [
        "写一把雨伞住在沙漠里的童话。",
        "小闹钟也想睡一次懒觉，请编成童话。",
        "一颗怕黑的星星",
    ],
    "poetry": ["一篙春水绿", "雨歇长街唤卖花", "秋夜"],
}

_RHYMES = {name: name for name in rhyme_names()}
_CHINESE = {key: translations()[text] for key, text in TEXTS.items()}
with in_language("zh"):
    _CHINESE |= {name: shown(name) for name in _RHYMES}

translated = gr.I18n(en=TEXTS | _RHYMES, **dict.fromkeys(_CHINESE_LOCALES, _CHINESE))
"""The text of a key in the browser's language."""
