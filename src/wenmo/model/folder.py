"""A model's folder: which files belong to it, whether it is whole, how it is copied."""

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from wenmo.core.errors import UserError
from wenmo.model.provenance import RECORD_FILE

if TYPE_CHECKING:
    from huggingface_hub.utils._safetensors import SafetensorsRepoMetadata

WEIGHTS = "*.safetensors"
MODEL_FILES = (WEIGHTS, "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken")
# Some repositories hold all weights twice: once more as one file in their author's own format.
NOT_MODEL_FILES = ("consolidated*", RECORD_FILE)
PICKLED_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.*", "spiece.model", "*.tiktoken")


def belongs(name: str) -> bool:
    """Whether a file is needed to open the model: weights, configuration, tokenizer, chat format.

    Files in folders below and pickled weights, which can run code when opened, are not.
    """
    return (
        "/" not in name and _is_one_of(name, MODEL_FILES) and not _is_one_of(name, NOT_MODEL_FILES)
    )


def select(names: Iterable[str], origin: str) -> list[str]:
    """The files of a model among `names`, sorted.

    Raises UserError, opening with `origin`, if they lack weights, configuration or a tokenizer.
    """
    names = list(names)
    chosen = sorted(filter(belongs, names))
    pickled = sorted(name for name in names if _is_one_of(name, PICKLED_WEIGHTS))
    if not any(fnmatch(name, WEIGHTS) for name in chosen):
        reason = f"; {pickled[0]} is a pickle, which can run code when opened" if pickled else ""
        raise UserError(f"{origin}: no weights as safetensors{reason}")
    if "config.json" not in chosen:
        raise UserError(f"{origin}: no config.json, so this is no model for transformers")
    if not any(_is_one_of(name, TOKENIZERS) for name in chosen):
        raise UserError(f"{origin}: no tokenizer ({', '.join(TOKENIZERS)})")
    return chosen


def weights_metadata(folder: Path, origin: str) -> "SafetensorsRepoMetadata":
    """The headers of the safetensors files: name, dtype and shape of every tensor.

    Raises UserError if a shard is missing or a file of the model cannot be read.
    https://huggingface.co/docs/safetensors/index#format
    """
    from huggingface_hub import get_local_safetensors_metadata
    from huggingface_hub.errors import NotASafetensorsRepoError, SafetensorsParsingError

    try:
        metadata = get_local_safetensors_metadata(folder)
    except FileNotFoundError as error:
        missing = Path(error.filename).name if error.filename else error
        raise UserError(f"{origin}: {missing} is missing, which the weights' index names") from None
    except NotASafetensorsRepoError:
        raise UserError(
            f"{origin}: neither model.safetensors nor model.safetensors.index.json"
        ) from None
    except SafetensorsParsingError:
        raise UserError(
            f"{origin}: a weights file is broken or a git-lfs pointer (`git lfs pull` fetches it)"
        ) from None
    except json.JSONDecodeError:
        raise UserError(f"{origin}: the weights' index is not JSON") from None
    if fault := broken_file(folder):
        raise UserError(f"{origin}: {fault}")
    return metadata


def broken_file(folder: Path) -> str:
    """The fault of the first file of a model that is not whole; empty if every file is whole.

    A weights file is whole if its header can be read and the file is as long as the header says.
    """
    from safetensors import SafetensorError, safe_open

    for path in sorted(path for path in folder.iterdir() if belongs(path.name)):
        if path.suffix == ".json":
            try:
                json.loads(path.read_bytes())
            except ValueError:
                return f"{path.name} is not JSON"
        if path.match(WEIGHTS):
            try:
                with safe_open(path, framework="numpy"):
                    pass
            except SafetensorError:
                return f"{path.name} is cut short or no safetensors file"
    return ""


def place(source: Path, names: Iterable[str], output: Path, *, link_weights: bool) -> None:
    """Put files into a new folder `output`, in which no link leads out.

    `link_weights` gives weights a second name instead of copying gigabytes. That is right for a
    cache, in which nothing is written in place; a change to a user's own file would show through.
    """
    if output.exists():
        shutil.rmtree(output)
    output.mkdir(parents=True)
    try:
        with disk_errors_in_one_line(output):
            for name in names:
                origin = (source / name).resolve()
                if not (link_weights and fnmatch(name, WEIGHTS) and _linked(origin, output / name)):
                    shutil.copyfile(origin, output / name)
    except BaseException:
        shutil.rmtree(output)
        raise


@contextmanager
def disk_errors_in_one_line(folder: Path) -> Iterator[None]:
    """A full disk, or a folder that cannot be written, becomes one line that names it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a client's own exception, not one of the operating system
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            complaint = (
                f"{folder}: no space left on its disk; free some and run again, what is there is"
                " kept"
            )
        else:
            complaint = f"{error.filename or folder}: {error.strerror}"
        raise UserError(complaint) from None


def _linked(origin: Path, target: Path) -> bool:
    try:
        os.link(origin, target)
    except OSError:  # another file system, or one without hard links
        return False
    return True


def _is_one_of(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
