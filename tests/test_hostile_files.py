"""Files from strangers: each is refused in one line, in bounded time and memory.

Each case runs in a process of its own, whose peak of memory is measured.
"""

import io
import json
import os
import resource
import sqlite3
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow.parquet import write_table

from tests.test_base_model import MODEL, TOKENIZER, WEIGHTS, base_model, write
from wenmo.core.encoding import read_text
from wenmo.core.errors import UserError
from wenmo.core.outside import LARGEST_JSON, LARGEST_TEXT, LONGEST_LINE, opened
from wenmo.core.records import Row, read_json_lines, read_records
from wenmo.llm.store import Reply, Request, Store
from wenmo.model.base import provide
from wenmo.tasks.raw import (
    MalformedRows,
    raw_files,
    read_csv,
    read_json_array,
    read_parquet,
)

MIB = 2**20
NESTED = b"[" * 200_000
LONG = b"9" * 5000


def refused(work: Callable[[], Any], seconds: float, most: int) -> str:
    """The one line that a piece of work is refused with, within seconds and `most` bytes."""
    import transformers.models.auto.modeling_auto  # noqa: F401

    receiver, sender = os.pipe()
    before = time.monotonic()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    child = os.fork()
    if child == 0:
        complaint = "it was taken"
        try:
            work()
        except UserError as error:
            complaint = str(error)
        except BaseException as error:
            complaint = f"a traceback of {error!r}"
        os.write(sender, complaint.encode()[:4000])
        os._exit(0)
    os.close(sender)
    with os.fdopen(receiver, "rb") as pipe:
        complaint = pipe.read().decode(errors="replace")
    usage = os.wait4(child, 0)[2]
    assert time.monotonic() - before < seconds
    assert usage.ru_maxrss * 1024 - resident < most
    assert "\n" not in complaint
    assert "Traceback" not in complaint
    return complaint


def index(shard: Any) -> dict[str, bytes | None]:
    content = json.dumps({"weight_map": {"a": shard}}).encode()
    files = {"model.safetensors.index.json": content, "b.safetensors": WEIGHTS}
    return files | {"model.safetensors": None}


def header(content: bytes) -> bytes:
    return struct.pack("<Q", len(content)) + content


def own(**changes: Any) -> bytes:
    return json.dumps({"model_type": "qwen2", "eos_token_id": 2} | changes).encode()


def tokenizer(**changes: Any) -> bytes:
    return json.dumps(TOKENIZER | changes).encode()


MODELS: dict[str, tuple[dict[str, bytes | None], str]] = {
    "code of its own": (
        {"config.json": own(model_type="own", auto_map={"AutoConfig": "own.C"})},
        "never run",
    ),
    "code of another repository": (
        {"config.json": own(model_type="x", auto_map={"AutoModelForCausalLM": "a/b--own.M"})},
        "never run",
    ),
    "no model type": ({"config.json": b"{}"}, "never run"),
    "a list of model types": ({"config.json": own(model_type=["qwen2"])}, "cannot be opened"),
    "a list as configuration": ({"config.json": b"[]"}, "config.json: expected an object"),
    "a text as configuration": ({"config.json": b'"own"'}, "config.json: expected an object"),
    "nested configuration": ({"config.json": NESTED}, "config.json: JSON nested more than 64"),
    "closed nested configuration": (
        {"config.json": b'{"a":' * 100 + b"1" + b"}" * 100},
        "config.json: JSON nested more than 64 deep",
    ),
    "an integer of 5,000 digits": (
        {"config.json": b'{"hidden_size": ' + LONG + b"}"},
        "config.json: an integer of 5000 digits",
    ),
    "configuration that is no UTF-8": ({"config.json": b"\xff\xfe{}"}, "config.json: not UTF-8"),
    "ends that are objects": ({"config.json": own(eos_token_id={"a": 1})}, "eos_token_id"),
    "an end that is a text": ({"config.json": own(eos_token_id="</s>")}, "eos_token_id"),
    "a size that is a text": ({"config.json": own(hidden_size="wide")}, "cannot be opened"),
    "ends of generation": (
        {"generation_config.json": b'{"eos_token_id": [[1]]}'},
        "generation_config.json: eos_token_id",
    ),
    "generation as a list": ({"generation_config.json": b"[]"}, "expected an object"),
    "nested tokenizer": ({"tokenizer.json": NESTED}, "tokenizer.json: JSON nested more than 64"),
    "a list as tokenizer": ({"tokenizer.json": b"[1]"}, "tokenizer.json: expected an object"),
    "an empty tokenizer": ({"tokenizer.json": b"{}"}, "cannot be opened"),
    "a tokenizer of wrong types": ({"tokenizer.json": tokenizer(model=7)}, "cannot be opened"),
    "a tokenizer's settings as a list": ({"tokenizer_config.json": b"[]"}, "expected an object"),
    "any other file of nested JSON": ({"other.json": NESTED}, "other.json: JSON nested"),
    "a header that is a list": ({"model.safetensors": header(b"[]")}, "model.safetensors: cut"),
    "a header with an integer": ({"model.safetensors": header(b'{"a":1}')}, "cut short"),
    "a nested header": ({"model.safetensors": header(NESTED)}, "cut short"),
    "a header of 2**63 bytes": ({"model.safetensors": b"\xff" * 8}, "cut short"),
    "a tensor beyond the file": ({"model.safetensors": WEIGHTS[:-9]}, "cut short"),
    "a shard outside the folder": (index("../outside.safetensors"), "no safetensors file beside"),
    "a shard by its whole path": (index("/tmp/outside.safetensors"), "no safetensors file beside"),
    "a pickle as shard": (index("a.bin"), "no safetensors file"),
    "a number as shard": (index(7), "no safetensors file"),
    "an index that is a list": (
        {"model.safetensors.index.json": b"[]"},
        "index.json: expected an object",
    ),
    "an index of nothing": ({"model.safetensors.index.json": b"{}"}, "no weight_map"),
    "a map that is a list": ({"model.safetensors.index.json": b'{"weight_map": [1]}'}, "no weight"),
}
TEMPLATES = {
    "loops": (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "longer than",
    ),
    "a long text": ("{{ 'x' * 99999999999 }}", "4 GiB of memory"),
    "a text of a megabyte": ("{{ 'x' * 1000000 }}", "it writes 1000000 characters"),
    "doubling": (
        "{% set n = namespace(x='xxxxxxxx') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}"
        "{% endfor %}{{ n.x }}",
        "it takes ",
    ),
    "division": ("{{ 1 / 0 }}", "division by zero"),
    "another file": ("{% include 'config.json' %}", "cannot be used"),
    "attributes": ("{{ messages.__class__.__mro__ }}", "cannot be used"),
    "recursion": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "cannot be used"),
    "a power": ("{{ 9 ** 9 ** 9 }}", "cannot be used"),
    "wrong syntax": ("{% for", "cannot be used"),
    "no conversation": ("雪", "cannot be used"),
    "a long template": ("雪" * 200_000, "200000 characters long"),
}


def provided(folder: Path) -> Callable[[], Any]:
    return lambda: provide(
        folder.parent / "base", base_model(source="path", path=str(folder)), seed=1
    )


def model(folder: Path, changes: dict[str, bytes | None]) -> Path:
    files = {name: content for name, content in (MODEL | changes).items() if content is not None}
    return write(folder, files)


@pytest.mark.parametrize("case", MODELS)
def test_a_model_can_do_no_more_than_fail(tmp_path: Path, case: str) -> None:
    changes, complaint = MODELS[case]
    write(tmp_path / "outside", {"outside.safetensors": WEIGHTS})
    told = refused(provided(model(tmp_path / "own", changes)), seconds=60, most=400 * MIB)
    assert told.startswith(f"base_model.path: {tmp_path / 'own'}: ")
    assert complaint in told
    assert not (tmp_path / "base").exists()


@pytest.mark.parametrize("case", TEMPLATES)
def test_a_template_can_do_no_more_than_fail(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wenmo.model.trial.SECONDS", 5)
    template, complaint = TEMPLATES[case]
    folder = model(tmp_path / "own", {"chat_template.jinja": template.encode()})
    told = refused(provided(folder), seconds=120, most=4500 * MIB)
    assert complaint in told


def sparse(path: Path, size: int) -> None:
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


ODD_FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a FIFO": (lambda own: os.mkfifo(own / "f.json"), "f.json is no regular file"),
    "a device": (lambda own: (own / "z.json").symlink_to("/dev/zero"), "z.json is no regular"),
    "a link to nothing": (lambda own: (own / "n.json").symlink_to("nothing"), "no regular file"),
    "a link to itself": (lambda own: (own / "l.json").symlink_to("l.json"), "no regular file"),
    "a folder": (lambda own: (own / "d.json").mkdir(), "d.json is no regular file"),
    "a link out": (lambda own: (own / "p.txt").symlink_to("/etc/passwd"), "p.txt is a link out"),
    "JSON of 10 GB": (lambda own: sparse(own / "big.json", 10**10), "larger than"),
    "a tokenizer of 10 GB": (lambda own: sparse(own / "tokenizer.model", 10**10), "larger than"),
    "a GGUF file that is a link out": (
        lambda own: [
            (own / "model.safetensors").unlink(),
            (own / "own.gguf").symlink_to("/etc/passwd"),
        ],
        "is a link out",
    ),
}


@pytest.mark.parametrize("case", ODD_FILES)
def test_only_regular_files_of_the_model_are_opened(tmp_path: Path, case: str) -> None:
    make, complaint = ODD_FILES[case]
    folder = write(tmp_path / "own", MODEL)
    make(folder)
    assert complaint in refused(provided(folder), seconds=60, most=400 * MIB)


def test_a_model_in_the_hub_s_cache_may_link_to_its_blobs(tmp_path: Path) -> None:
    write(tmp_path / "blobs", {"blob": MODEL["config.json"]})
    folder = write(tmp_path / "snapshots" / "commit", MODEL)
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("../../blobs/blob")
    provide(tmp_path / "base", base_model(source="path", path=str(folder)), seed=1)
    assert not (tmp_path / "base/config.json").is_symlink()


def test_a_configuration_of_an_adapter_beside_whole_weights_is_left_out(tmp_path: Path) -> None:
    content = b'{"base_model_name_or_path": "/elsewhere", "peft_type": "LORA"}'
    folder = write(tmp_path / "own", MODEL | {"adapter_config.json": content})
    provide(tmp_path / "base", base_model(source="path", path=str(folder)), seed=1)
    assert not (tmp_path / "base/adapter_config.json").exists()


@pytest.mark.parametrize(
    "computing",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ '%99999999d' % 5 }}",
        "{% set loop = namespace(index='%99999999d') %}{{ loop.index % 5 }}",
        "{{ messages[-1].content * 99999 * 99999 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ messages[-1].content.center(99999999) }}",
        "{{ messages[-1].content | center(99999999) }}",
        "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}",
        "{% for a in messages[-1].content %}" * 4 + "{% endfor %}" * 4,
        "{% set n = namespace(x='雪') %}{% for a in messages[-1].content %}"
        "{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% set n = namespace(x='雪', y='月') %}{% for a in messages[-1].content %}"
        "{% set n.x = n.x ~ n.y %}{% set n.y = n.y ~ n.x %}{% endfor %}",
        "{% set n = namespace(x='雪') %}{% for a in messages[-1].content %}{% for b in [n.x] %}"
        "{% set n.x = n.x ~ b %}{% endfor %}{% endfor %}",
        "{% set n = namespace(x='雪') %}{% for a in messages[-1].content %}"
        "{% set n.x = n.x | replace('雪', '雪雪') %}{% endfor %}",
        "{% set n = namespace(x='雪') %}{% for a in messages[-1].content %}"
        "{% set x %}{{ n.x }}{{ n.x }}{% endset %}{% set n.x = x %}{% endfor %}",
        "{% macro f(a) %}{{ a }}{{ a }}{% endmacro %}{% set n = namespace(x='雪') %}"
        "{% for a in messages[-1].content %}{% set n.x = f(n.x) %}{% endfor %}",
        "{% macro f(a) %}{{ f(a ~ a) }}{% endmacro %}{{ f('雪') }}",
        "{{ messages[-1].content" + " | replace('雪', '雪雪')" * 40 + " }}",
        "{% set x = messages[-1].content %}" + "{% set x = x ~ x %}" * 40,
    ],
)
def test_a_template_that_may_take_long_at_other_texts_is_written_anew(
    tmp_path: Path, computing: str
) -> None:
    own = MODEL["chat_template.jinja"].decode()
    template = f"{own}{{% if '雪崩' in messages[-1].content %}}{computing}{{% endif %}}"
    folder = write(tmp_path / "own", MODEL | {"chat_template.jinja": template.encode()})
    provide(tmp_path / "base", base_model(source="path", path=str(folder)), seed=1)
    assert "雪崩" not in (tmp_path / "base/chat_template.jinja").read_text()


def rows(path: Path) -> Any:
    return read_records(Row, path)


def lines(path: Path) -> Any:
    return list(read_json_lines(path))


def array(path: Path) -> Any:
    return list(read_json_array(path, MalformedRows()))


def table(path: Path) -> Any:
    return list(read_csv(path, ("content",), MalformedRows()))


def columns(path: Path) -> Any:
    return sum(1 for _ in read_parquet(path, ("text",)))


def parquet(values: Any) -> bytes:
    file = io.BytesIO()
    write_table(pa.table({"text": values}), file, compression="zstd")
    return file.getvalue()


def deep_type(levels: int) -> Any:
    kind = pa.string()
    for _ in range(levels):
        kind = pa.list_(kind)
    return kind


def parquet_of_one_text(text: str, times: int) -> bytes:
    """As small as the text compressed, whatever the times."""
    indices = pa.array([0] * times, pa.int32())
    return parquet(pa.DictionaryArray.from_arrays(indices, pa.array([text])))


def parquet_of_bytes(content: bytes) -> bytes:
    """A column of texts that holds these bytes."""
    buffers = [None, pa.py_buffer(struct.pack("<ii", 0, len(content))), pa.py_buffer(content)]
    return parquet(pa.Array.from_buffers(pa.string(), 1, buffers))


RAW: dict[str, tuple[Callable[[Path], Any], bytes | int, str]] = {
    "nested rows": (rows, b"\n" + NESTED, ":2: JSON nested"),
    "nested lines": (lines, NESTED, ":1: JSON nested"),
    "lines nested and closed": (lines, b'{"a":' * 99 + b"1" + b"}" * 99, ":1: JSON nested"),
    "a line's long integer": (lines, b'{"a":' + LONG + b"}", ":1: an integer of 5000 digits"),
    "a line of 700 MB": (lines, 700 * MIB, ":1: a line longer than 64 MiB"),
    "a nested array": (array, NESTED, ":1: JSON nested"),
    "an array's long integer": (array, b"[\n" + LONG + b"]", ":2: an integer of 5000 digits"),
    "2 GB of zero bytes as text": (read_text, 2 * 10**9, "larger than 128 MiB"),
    "2 GB of zero bytes as an array": (array, 2 * 10**9, " "),
    "2 GB of zero bytes as a table": (table, 2 * 10**9, " "),
    "a field beyond the bound": (
        table,
        b'content\n"' + b"x" * (LONGEST_LINE + 9) + b'"\n',
        " ",
    ),
    "a table that is no UTF-8": (table, b"content\n\xff\n", ":2: not UTF-8"),
    "Parquet that is no UTF-8": (columns, parquet_of_bytes(b"\xff\xfe"), "after row 0: 'utf-8'"),
    "Parquet of durations beyond all time": (
        columns,
        parquet(pa.array([2**62], pa.duration("s"))),
        "after row 0: ",
    ),
    "Parquet of types within each other": (
        columns,
        parquet(pa.array([None], deep_type(90))),
        "too deeply nested",
    ),
    "Parquet of 3 KB with texts of 80 MB": (
        columns,
        parquet_of_one_text("x" * 80 * 10**6, 1000),
        "a row longer than 64 MiB",
    ),
    "Parquet cut short": (columns, parquet(["雪"])[:-9], "not Parquet"),
}


@pytest.mark.parametrize("case", RAW)
def test_a_raw_file_takes_bounded_memory(tmp_path: Path, case: str) -> None:
    read, content, complaint = RAW[case]
    path = tmp_path / "own.txt"
    if isinstance(content, int):
        sparse(path, content)
    else:
        path.write_bytes(content)
    told = refused(lambda: read(path), seconds=60, most=800 * MIB)
    assert told.startswith(str(path))
    assert complaint in told


def test_links_and_devices_among_raw_files_are_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.txt")
    (tmp_path / "zero.txt").symlink_to("/dev/zero")
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    (tmp_path / "up").symlink_to(tmp_path)
    (tmp_path / "..own.txt").write_text("雪")
    (tmp_path / "own...txt").write_text("雪")
    assert raw_files(tmp_path, "*.txt", deep=True) == [tmp_path / "own...txt"]


def test_a_book_and_a_poem_of_any_length_that_is_written_are_read(tmp_path: Path) -> None:
    book = "雪" * (LONGEST_LINE // 8)
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": book}, ensure_ascii=False))
    assert lines(tmp_path / "a.jsonl")[0][1] == {"text": book}
    (tmp_path / "a.csv").write_text(f"content\n{'雪' * 200_000}\n")
    assert table(tmp_path / "a.csv")[0][1] == {"content": "雪" * 200_000}
    assert LONGEST_LINE < LARGEST_TEXT < LARGEST_JSON


def test_after_a_line_that_is_too_long_reading_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x" * (LONGEST_LINE + 5) + b'\n{"a": 1}\n')
    malformed = MalformedRows(skip=True)
    assert list(read_json_lines(path, malformed.refuse)) == [(f"{path}:2", {"a": 1})]
    assert malformed.count == 1


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    reading = read_json_lines(path)
    next(reading)
    with path.open("a") as file:
        file.write('{"a": 3}\n')
    with pytest.raises(UserError, match=r"a\.jsonl: changed while it was read; run again"):
        list(reading)


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", "/dev/stdin"])
def test_a_device_is_no_file(name: str) -> None:
    with pytest.raises((UserError, OSError)), opened(Path(name)) as file:
        file.read(1)


# The store of answers.


def edit(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for each in statements:
            connection.execute(each)
    connection.close()


def answered(path: Path) -> None:
    with Store(path) as store:
        for n in range(300):
            store.put(f"{n}", "m", Reply("雪" * 500, "stop", 1, 1))


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))


STORES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pages damaged in the middle": (damage, "damaged, or no SQLite file"),
    "no database": (lambda path: path.write_bytes(b"x" * 5000), "damaged, or no SQLite file"),
    "a further column": (
        lambda path: edit(path, "ALTER TABLE answers ADD COLUMN cost REAL"),
        "one of another version of wenmo",
    ),
    "a view of the name": (
        lambda path: edit(path, "DROP TABLE answers", "CREATE VIEW answers AS SELECT 1 AS request"),
        "no store of answers",
    ),
    "tables of another program": (
        lambda path: edit(path, "DROP TABLE answers", "CREATE TABLE bookmarks (a)"),
        "no store of answers",
    ),
    "bytes for a text": (
        lambda path: edit(
            path,
            "INSERT OR REPLACE INTO answers VALUES ('k', 'm', x'ff00', 'stop', 1, 1)",
        ),
        "an answer that wenmo did not write (it holds bytes",
    ),
    "a FIFO": (lambda path: (path.unlink(), os.mkfifo(path)), "no regular file"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "no regular file"),
}


@pytest.mark.parametrize("case", STORES)
def test_a_store_that_cannot_be_used_is_named_with_the_way_out(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, complaint = STORES[case]
    path = tmp_path / "answers.sqlite"
    answered(path)
    spoil(path)
    monkeypatch.setattr(Request, "key", property(lambda request: request["key"]))

    def use() -> None:
        with Store(path) as store:
            store.get(Request(key="k"))
            for n in range(300):
                store.get(Request(key=f"{n}"))

    told = refused(use, seconds=30, most=200 * MIB)
    assert told.startswith(f"{path}: ")
    assert complaint in told
    assert "set WENMO_STORE to another file" in told


@pytest.mark.parametrize("lock", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_store_that_another_process_keeps_locked_says_what_to_wait_for(
    tmp_path: Path, lock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wenmo.llm.store.PATIENCE", 0.1)
    path = tmp_path / "answers.sqlite"
    answered(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute(f"BEGIN {lock}")

    def use() -> None:
        with Store(path) as store:
            store.put("new", "m", Reply("雪", "stop", 1, 1))

    with pytest.raises(UserError, match=r"locked for .* wait until that one ends"):
        use()
    holder.close()


def test_the_store_is_its_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "wenmo" / "answers.sqlite"
    with Store(path) as store:
        store.put("k", "m", Reply("雪", "stop", 1, 1))
        modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}


def test_a_store_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    answered(path)
    path.chmod(0o644)
    with Store(path):
        assert path.stat().st_mode & 0o777 == 0o600
