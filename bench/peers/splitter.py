"""The splitter of the novel challenge's baseline: split at every 。, pack up to 800 characters.

python -m bench.peers.splitter RAW_FOLDER OUTPUT_FILE
"""

import json
import sys
from pathlib import Path

from wenmo.core.processes import peak_mebibytes

LONGEST = 800


def passages(text: str) -> list[str]:
    """Whole sentences without their 。, packed up to 800 characters; a longer one stands alone."""
    found, passage = [], ""
    for sentence in text.split("。"):
        if passage and len(passage) + len(sentence) > LONGEST:
            found.append(passage)
            passage = ""
        passage += sentence
    return [*found, passage]


if __name__ == "__main__":
    folder, output = map(Path, sys.argv[1:])
    with (folder / "train.jsonl").open(encoding="utf-8") as books, output.open("w") as file:
        for line in books:
            for passage in passages(json.loads(line)["text"]):
                file.write(json.dumps({"output": passage}, ensure_ascii=False) + "\n")
    print(json.dumps({"peak_mebibytes": peak_mebibytes()}))
