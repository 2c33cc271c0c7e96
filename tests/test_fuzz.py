"""Readers of what comes from outside give data or one line, whatever the bytes.

Seconds by default; `WENMO_FUZZ=600 pytest -n 0 -rP tests/test_fuzz.py` gives each reader its share
of ten minutes and prints how many inputs it was given.
"""

import json
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wenmo.core.encoding import read_text
from wenmo.core.errors import UserError
from wenmo.core.outside import read_json
from wenmo.core.records import Row, read_json_lines, read_records
from wenmo.model.contract import find_contract
from wenmo.model.folder import weights_metadata
from wenmo.model.loading import open_tokenizer
from wenmo.model.trial import within_limits
from wenmo.tasks.raw import MalformedRows, read_csv, read_json_array, read_parquet

SECONDS = float(os.environ.get("WENMO_FUZZ", "0"))

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=20,
)
ROWS = st.dictionaries(
    st.sampled_from(["id", "source", "position", "instruction", "input", "output", "text", "雪"]),
    VALUES,
)


def edited(content: bytes, at: int, piece: bytes, cut: int) -> bytes:
    """A text in which some bytes have been replaced by others."""
    at %= len(content) + 1
    return content[:at] + piece + content[at + cut :]


def broken(texts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Good texts, such as have been edited, and anything else."""
    pieces = st.binary(max_size=8) | st.sampled_from([b"[" * 2000, b"9" * 5000, b'"', b"\n", b"\0"])
    cuts = st.integers(0, 9)
    return texts | st.builds(edited, texts, st.integers(0, 9999), pieces, cuts) | st.binary()


JSON = broken(st.builds(lambda value: json.dumps(value).encode(), VALUES))
LINES = broken(
    st.builds(lambda rows: "\n".join(map(json.dumps, rows)).encode(), st.lists(ROWS, max_size=4))
)
ARRAYS = broken(st.builds(lambda rows: json.dumps(rows).encode(), st.lists(ROWS, max_size=4)))
TABLES = broken(
    st.builds(
        lambda rows: "\n".join(["title,content", *map(",".join, rows)]).encode(),
        st.lists(st.lists(st.text("雪,\"\r\n '"), min_size=1, max_size=3), max_size=4),
    )
)
HEADERS = st.dictionaries(
    st.text(max_size=3) | st.just("__metadata__"),
    VALUES
    | st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "BF16", "F4", "X"]) | VALUES,
            "shape": st.lists(st.integers(-1, 3) | st.just(2**62), max_size=3) | VALUES,
            "data_offsets": st.lists(st.integers(-1, 40), min_size=1, max_size=3) | VALUES,
        }
    ),
)
WEIGHTS = broken(
    st.builds(
        lambda header, data: struct.pack("<Q", len(header)) + header + data,
        st.builds(lambda header: json.dumps(header).encode(), HEADERS),
        st.binary(max_size=40),
    )
)
STATEMENTS = st.sampled_from(
    [
        *("{% for m in messages %}", "{% endfor %}", "{% if m %}", "{% else %}", "{% endif %}"),
        *("{{ m.content }}", "{{ m['role'] }}", "{{ messages }}", "{{ m.content * 3 }}", "雪"),
        *("{{ eos_token }}", "{{ 1 / 0 }}", "{% set m = messages[0] %}", "{{ m.content[9] }}"),
        *("{% include 'x' %}", "{% macro f() %}", "{% endmacro %}", "{{ f() }}", "{%", "}}"),
        *("{{ m.__class__ }}", "{{ raise_exception('no') }}", "{{ messages | tojson }}"),
    ]
)
TEMPLATES = st.lists(STATEMENTS | st.text(max_size=4), max_size=12).map("".join)


PARQUET = broken(
    st.builds(
        lambda texts, numbers: pd.DataFrame(
            {"text": texts, "n": [numbers] * len(texts)}
        ).to_parquet(),
        st.lists(st.text("雪a"), min_size=1, max_size=4),
        st.lists(st.integers(0, 9), max_size=2),
    )
)


def drain(rows: Any) -> None:
    for _ in rows:
        pass


READERS: dict[str, tuple[st.SearchStrategy[bytes], str, Callable[[Path], Any]]] = {
    "json": (JSON, "a.json", read_json),
    "rows": (LINES, "a.jsonl", lambda path: read_records(Row, path)),
    "json lines": (LINES, "a.jsonl", lambda path: drain(read_json_lines(path, lambda _: None))),
    "arrays": (ARRAYS, "a.json", lambda path: drain(read_json_array(path, MalformedRows(True)))),
    "tables": (
        TABLES,
        "a.csv",
        lambda path: drain(read_csv(path, ("content",), MalformedRows(True))),
    ),
    "parquet": (PARQUET, "a.parquet", lambda path: drain(read_parquet(path, ("text", "numbers")))),
    "texts": (st.binary() | JSON, "a.txt", read_text),
    "weights": (WEIGHTS, "model.safetensors", lambda path: weights_metadata(path.parent, "own")),
    "index": (
        JSON | st.builds(lambda each: json.dumps({"weight_map": each}).encode(), VALUES),
        "model.safetensors.index.json",
        lambda path: weights_metadata(path.parent, "own"),
    ),
    "configuration": (JSON, "config.json", lambda path: weights_metadata(path.parent, "own")),
}


def for_its_share(reads: Callable[[Any], None], inputs: st.SearchStrategy[Any]) -> None:
    """Try a reader on 100 inputs, or on as many as its share of the time allows."""
    until, tried = time.monotonic() + SECONDS / (len(READERS) + 1), 0

    @settings(max_examples=100, suppress_health_check=list(HealthCheck), database=None)
    @given(inputs)
    def attempt(each: Any) -> None:
        nonlocal tried
        tried += 1
        reads(each)

    attempt()
    while time.monotonic() < until:
        attempt()
    print(f"{tried} inputs")


@pytest.mark.parametrize("name", READERS)
def test_a_reader_gives_data_or_one_line(tmp_path: Path, name: str) -> None:
    contents, file, read = READERS[name]

    def attempt(content: bytes) -> None:
        (tmp_path / file).write_bytes(content)
        try:
            read(tmp_path / file)
        except UserError as error:
            assert "\n" not in str(error)

    for_its_share(attempt, contents)


def test_a_template_gives_a_contract_or_one_line(tiny_model: Path) -> None:
    tokenizer = open_tokenizer(tiny_model)

    def attempt(template: str) -> None:
        def find() -> str:
            tokenizer.chat_template = template
            return find_contract(tokenizer, set(), {}).template

        try:
            within_limits(find)
        except UserError as error:
            assert "\n" not in str(error)
            assert str(error).startswith("the chat template cannot be used: ") or not template

    for_its_share(attempt, TEMPLATES)
