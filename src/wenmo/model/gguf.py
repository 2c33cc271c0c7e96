"""GGUF, the one-file format of llama.cpp: a base model for training has to be dequantised."""

import shutil
import struct
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.core.outside import read_bytes
from wenmo.model.folder import disk_errors_in_one_line, of_path, refuse_links
from wenmo.model.loading import WAY_OUT, refusing_misfits


def only_file(folder: Path) -> Path | None:
    """The GGUF file of a folder without safetensors; None if there is none.

    Raises UserError if there are several, since nothing says which one is meant.
    """
    files = sorted(folder.glob("*.gguf"))
    if not files or any(folder.glob("*.safetensors")):
        return None
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise UserError(
            "base_model.path: {folder}: one GGUF file is read, not several ({names})",
            folder=folder,
            names=names,
        )
    refuse_links(folder, [files[0].name], of_path(folder))
    return files[0]


def dequantise(file: Path, output: Path) -> None:
    """Write the model of a GGUF file as safetensors in bf16, with tokenizer and chat template.

    A chat_template.jinja beside the file stands for the one within. Raises UserError if the
    package gguf or some of the weights are missing, or if transformers does not know the file's
    architecture.
    https://huggingface.co/docs/transformers/gguf
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        import gguf  # noqa: F401
    except ImportError:
        raise UserError(
            "{file}: GGUF needs its package; pip install -e '.[export]'", file=file
        ) from None
    told = gettext(
        "{file} is dequantised to bf16; what its quantization rounded away stays lost, so prefer"
        " the published safetensors where you have them",
        file=file.name,
    )
    print(told, file=sys.stderr)
    try:
        # Alone, so that nothing beside it is opened, such as the configuration of an adapter.
        with tempfile.TemporaryDirectory() as alone, refusing_misfits(file):
            Path(alone, file.name).symlink_to(file.resolve())
            model, loading = AutoModelForCausalLM.from_pretrained(
                alone,
                gguf_file=file.name,
                trust_remote_code=False,
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.bfloat16,
                local_files_only=True,
                output_loading_info=True,
            )
            _refuse_missing(loading["missing_keys"], file)
            tokenizer = AutoTokenizer.from_pretrained(
                alone, gguf_file=file.name, local_files_only=True, trust_remote_code=False
            )
    except UserError as error:  # No stage makes a user's own file.
        told = str(error).removesuffix(gettext(WAY_OUT))
        raise UserError(told) from None
    except (struct.error, MemoryError) as error:  # what the package raises in a broken header
        raise UserError("{file}: it cannot be opened: {error}", file=file, error=error) from None
    template = file.parent / "chat_template.jinja"
    if template.is_file():
        refuse_links(file.parent, [template.name], str(file.parent))
        tokenizer.chat_template = read_bytes(template).decode("utf-8", "replace")
    shutil.rmtree(output, ignore_errors=True)
    try:
        with disk_errors_in_one_line(output):
            model.save_pretrained(output)
            tokenizer.save_pretrained(output)
    except BaseException:
        shutil.rmtree(output, ignore_errors=True)
        raise


def _refuse_missing(names: Collection[str], file: Path) -> None:
    """Raise UserError if weights are missing, which transformers would draw at random."""
    if names:
        raise UserError(
            "{file}: it lacks {count} tensors of the model, such as {first}; if it is one part of"
            " several, `llama-gguf-split --merge` joins them",
            file=file,
            count=len(names),
            first=min(names),
        )
