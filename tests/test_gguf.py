"""A GGUF file that is broken, or a part of one, is refused in one line."""

import struct
from pathlib import Path

import numpy as np
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


def test_one_part_of_a_split_model_is_refused(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    file = tmp_path / "own-00001-of-00002.gguf"
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_vocab_size(16)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tensor("token_embd.weight", np.zeros((16, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UserError, match=r"it lacks 19 tensors .*llama-gguf-split --merge"):
        dequantise(file, tmp_path / "base")
    assert not (tmp_path / "base").exists()
