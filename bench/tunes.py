"""The patterns of the commonest tunes (詞牌), induced from their poems and tried on held-out ones.

python -m bench.tunes data/raw/chinese-poetry --write     into src/wenmo/text/data/tunes.txt
python -m bench.tunes data/raw/chinese-poetry > bench/tunes.md

The folder is a clone of https://github.com/chinese-poetry/chinese-poetry. Of each tune, every fifth
poem is held out. A pattern has the line lengths that most other poems have; a tone where CLEAR of
these have it; a rhyme between line ends that share a rhyme of tunes in AGREEING of them; the marks
of the majority. A tune whose rhyme words are of either tone is left out. The collection does not
part stanzas: FIRST_STANZA has the lines of each tune's first one.
Source of the stanzas: 欽定詞譜 (1715).
"""

import json
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from string import ascii_lowercase

from bench.rounds import table

from wenmo.core.errors import UserError
from wenmo.scoring.poetry import rhymed
from wenmo.text.faults import TONE_RULES, is_chinese
from wenmo.text.patterns import EITHER, TUNES_FILE, Pattern, pattern_lines, tune_lines, tune_pattern
from wenmo.text.patterns import tunes as known_tunes
from wenmo.text.prosody import analyse
from wenmo.text.readings import line_readings, tones
from wenmo.text.tune_rhymes import tune_rhyme
from wenmo.text.verse import marked_lines

POEMS = "宋词/ci.song.*.json"
FIRST_STANZA = {
    "浣溪沙": 3, "水调歌头": 9, "鹧鸪天": 4, "菩萨蛮": 4, "满江红": 8, "念奴娇": 10, "西江月": 4,
    "临江仙": 5, "蝶恋花": 5, "减字木兰花": 4, "贺新郎": 10, "沁园春": 13, "点绛唇": 4, "清平乐": 4,
    "满庭芳": 10, "玉楼春": 4, "虞美人": 4, "好事近": 4, "水龙吟": 11, "渔家傲": 5, "南歌子": 4,
    "朝中措": 4, "卜算子": 4, "谒金门": 4, "踏莎行": 5, "南乡子": 5, "柳梢青": 6, "望江南": 5,
    "生查子": 4, "蓦山溪": 9, "鹊桥仙": 5, "浪淘沙": 5,
}  # fmt: skip
CLEAR, AGREEING, FIFTH = 0.9, 0.7, 5
HEADS = ("tune", "poems", "form", "rhyme", "all tones", "tones by place", "rhyme, shuffled")

Poem = Sequence[str]


def poems_by_tune(folder: Path) -> dict[str, list[str]]:
    """The texts of each tune's poems that have Chinese characters alone."""
    files = sorted(folder.glob(POEMS))
    if not files:
        raise UserError(f"{folder}: no {POEMS}; give a clone of chinese-poetry")
    found: dict[str, list[str]] = {name: [] for name in FIRST_STANZA}
    for path in files:
        for row in json.loads(path.read_bytes()):
            text = "".join(row["paragraphs"])
            for name in found.keys() & set(row["rhythmic"].split("・")):
                if text and is_chinese("".join(tune_lines(text))):
                    found[name].append(text)
    return found


def induced(texts: Sequence[str], first_stanza: int) -> Pattern:
    """The pattern of a tune; empty if a rhyme word's tone is not clear."""
    poems = [tune_lines(text) for text in texts]
    lengths = _usual([tuple(map(len, poem)) for poem in poems])
    chosen = [at for at, poem in enumerate(poems) if tuple(map(len, poem)) == lengths]
    marks = [[mark for _, mark in marked_lines(texts[at].replace("、", ""))] for at in chosen]
    columns = [[poems[at][line] for at in chosen] for line in range(len(lengths))]
    letters, pattern = _letters(columns), ""
    for number, (lines, letter) in enumerate(zip(columns, letters, strict=True), 1):
        line = _tones(lines)
        if letter and line[-1] == EITHER:
            return ""
        ends = _usual(["，" if each[number - 1] == "，" else "。" for each in marks])
        ends_stanza = number in (first_stanza, len(lengths))
        pattern += line + letter + ("。" if ends_stanza else ends)
        pattern += "\n" if number == first_stanza else ""
    return pattern


def _tones(lines: Sequence[str]) -> str:
    """The tone of each character that is clear."""
    columns = zip(*([tones(each) for each in line_readings(line)] for line in lines), strict=True)
    shares = [{tone: sum(tone in e for e in c) / len(lines) for tone in "平仄"} for c in columns]
    best = [max(each, key=each.__getitem__) for each in shares]
    return "".join(
        tone if share[tone] >= CLEAR else EITHER for tone, share in zip(best, shares, strict=True)
    )


def _letters(columns: Sequence[Sequence[str]]) -> list[str]:
    """The rhyme's letter of each line, or an empty string."""
    ends = [[{g for g, _ in line_readings(line, tune_rhyme)[-1]} for line in c] for c in columns]
    letters, left = [""] * len(ends), iter(ascii_lowercase)
    for at, own in enumerate(ends):
        rhyming = [at, *(o for o in range(at + 1, len(ends)) if _agree(own, ends[o]) >= AGREEING)]
        if not letters[at] and len(rhyming) > 1:
            letter = next(left)
            for each in rhyming:
                letters[each] = letter
    return letters


def _agree(one: Sequence[set[str]], other: Sequence[set[str]]) -> float:
    return sum(bool(a & b) for a, b in zip(one, other, strict=True)) / len(one)


def _usual(values: Sequence):  # type: ignore[no-untyped-def,type-arg]
    return Counter(values).most_common(1)[0][0]


def write_patterns(found: dict[str, list[str]]) -> None:
    """Write the patterns, the tune with most poems first."""
    by_count = sorted(found, key=lambda name: -len(found[name]))
    learnt = {n: [t for at, t in enumerate(found[n]) if at % FIFTH] for n in by_count}
    patterns = {name: induced(learnt[name], FIRST_STANZA[name]) for name in by_count}
    paragraphs = [f"{name}\n{pattern}" for name, pattern in patterns.items() if pattern]
    about = "# By `python -m bench.tunes FOLDER --write`. wenmo.text.patterns says how to read it."
    TUNES_FILE.write_text("\n\n".join([about, *paragraphs]) + "\n", encoding="utf-8")


def row(name: str, texts: Sequence[str]) -> list[str]:
    """A line of the table: how far held-out poems of a tune agree with its pattern."""
    pattern = tune_pattern(name)
    lengths = [line.length for line in pattern_lines(pattern)]
    own = [t for t in texts if [*map(len, tune_lines(t))] == lengths]
    shifted = ["，".join(_shifted(list(map(tune_lines, own)), at)) for at in range(len(own))]
    analyses = [analyse(tune_lines(text), pattern) for text in own]
    broken = [sum(f.rule in TONE_RULES for f in each.faults) for each in analyses]
    checks = sum(each.checks for each in analyses)
    shares = (
        len(own) / len(texts),
        sum(rhymed(text, pattern) for text in own) / len(own),
        broken.count(0) / len(own),
        1 - sum(broken) / checks,
        sum(rhymed(text, pattern) for text in shifted) / len(own),
    )
    return [name, f"{len(texts):,}", *(f"{share:.1%}" for share in shares)]


def _shifted(poems: Sequence[Poem], at: int) -> list[str]:
    """A poem whose lines are those of as many poems, each at its place."""
    return [poems[(at + line) % len(poems)][line] for line in range(len(poems[0]))]


def main() -> None:
    """Write the patterns, or print how held-out poems agree with them."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a clone of chinese-poetry")
    parser.add_argument("--write", action="store_true", help="induce the patterns and write them")
    arguments = parser.parse_args()
    found = poems_by_tune(arguments.folder)
    if arguments.write:
        write_patterns(found)
        return
    rows = [row(name, found[name][::FIFTH]) for name in known_tunes()]
    print(
        "`python -m bench.tunes data/raw/chinese-poetry > bench/tunes.md`\n\n"
        "Held-out poems against the patterns that were induced from the others. Form is the share"
        " of poems with\nthe pattern's lines; the other shares are of these poems. Tones by place"
        " is the share of the pattern's\nplaces whose tone the poems keep. Shuffled lines are those"
        f" of different poems, each at its place.\n\n{table(HEADS, rows)}"
    )


if __name__ == "__main__":
    main()
