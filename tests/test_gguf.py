"""A GGUF file that is broken, or a part of one, is refused in one line."""

import struct
from pathlib import Path

import pytest

from wenmo.core.errors import UserError
from wenmo.model.gguf import dequantise

# Magic, version, tensors, keys; then a key, its type (8, a text) and its value.
HEADER = b"GGUF" + struct.pack("<IQQ", 3, 0, 1)
KEY = struct.pack("<Q", 20) + b"general.architecture" + struct.pack("<IQ", 8, 5) + b"llama"


@pytest.mark.parametrize("length", [0, 3, 10, len(HEADER), len(HEADER + KEY) - 2])
def test_a_file_cut_short_is_refused_without_a_stage_that_would_make_it(
    tmp_path: Path, length: int
) -> None:
    pytest.importorskip("gguf")
    file = tmp_path / "own.gguf"
    file.write_bytes((HEADER + KEY)[:length])
    with pytest.raises(UserError) as refused:
        dequantise(file, tmp_path / "base")
    assert str(refused.value).startswith(f"{file}: it cannot be opened: ")
    assert "\n" not in str(refused.value)
    assert "dvc" not in str(refused.value)
