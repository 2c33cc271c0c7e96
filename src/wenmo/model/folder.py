"""A model's folder: which files belong to it, whether it is whole, how it is copied."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from wenmo.core.errors import UserError
from wenmo.core.language import gettext
from wenmo.core.outside import LARGEST_JSON, MIB, read_json, read_json_object
from wenmo.core.system_words import system_words
from wenmo.model.provenance import RECORD_FILE

if TYPE_CHECKING:
    from huggingface_hub.utils._safetensors import SafetensorsRepoMetadata

WEIGHTS = "*.safetensors"
MODEL_FILES = (WEIGHTS, "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken")
# Some repositories hold all weights twice: once more as one file in their author's own format.
NOT_MODEL_FILES = ("consolidated*", RECORD_FILE)
ADAPTER = "adapter_config.json"
"""Beside whole weights it would make transformers open the model that it names instead."""

INDEX = "model.safetensors.index.json"
OBJECTS = (
    "*config.json",
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "chat_template.json",
    INDEX,
)
"""JSON files of which libraries take for granted that they hold an object."""

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
    chosen = sorted(name for name in names if belongs(name) and name != ADAPTER)
    pickled = sorted(name for name in names if _is_one_of(name, PICKLED_WEIGHTS))
    if not any(fnmatch(name, WEIGHTS) for name in chosen):
        if pickled:
            raise UserError(
                "{place}: no weights as safetensors; {file} is a pickle, which can run code when"
                " opened",
                place=origin,
                file=pickled[0],
            )
        raise UserError("{place}: no weights as safetensors", place=origin)
    if "config.json" not in chosen:
        raise UserError(
            "{place}: no config.json, so this is no model for transformers", place=origin
        )
    if not any(_is_one_of(name, TOKENIZERS) for name in chosen):
        raise UserError(
            "{place}: no tokenizer ({files})", place=origin, files=", ".join(TOKENIZERS)
        )
    return chosen


def weights_metadata(folder: Path, origin: str) -> "SafetensorsRepoMetadata":
    """The headers of the safetensors files: name, dtype and shape of every tensor.

    Raises UserError if a shard is missing or a file of the model cannot be read.
    https://huggingface.co/docs/safetensors/index#format
    """
    from huggingface_hub import get_local_safetensors_metadata
    from huggingface_hub.errors import NotASafetensorsRepoError, SafetensorsParsingError

    if fault := broken_file(folder):
        raise UserError("{place}: {error}", place=origin, error=fault)
    try:
        return get_local_safetensors_metadata(folder)
    except NotASafetensorsRepoError:
        raise UserError(
            "{place}: neither model.safetensors nor {index}", place=origin, index=INDEX
        ) from None
    except (SafetensorsParsingError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            "{place}: the weights cannot be read: {error}", place=origin, error=error
        ) from None


def refuse_links(folder: Path, names: Iterable[str], origin: str) -> None:
    """Raise UserError if a name is a link out of the model's folder, or no regular file.

    The cache of Hugging Face's client has snapshots/<commit> link to blobs beside it.
    https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    homes = [folder.resolve()]
    if homes[0].parent.name == "snapshots":
        homes.append(homes[0].parent.parent / "blobs")
    for name in names:
        path = folder / name
        if not path.is_file():
            raise UserError("{place}: {name} is no regular file", place=origin, name=name)
        if not any(path.resolve().is_relative_to(home) for home in homes):
            raise UserError(
                "{place}: {name} is a link out of the folder; put the file itself there",
                place=origin,
                name=name,
            )


def broken_file(folder: Path) -> str:
    """The fault of the first file of a model that is not whole; empty if every file is whole.

    A weights file is whole if its header can be read and the file is as long as the header says.
    An index of weights may name files of the same folder alone.
    """
    for path in sorted(path for path in folder.iterdir() if belongs(path.name)):
        try:
            _refuse_broken(path)
        except UserError as error:
            return str(error).removeprefix(f"{folder}/")
    return ""


def _refuse_broken(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise UserError("{path}: no regular file", path=path)
    if path.match(WEIGHTS):
        try:
            with safe_open(path, framework="numpy"):
                return
        except (SafetensorError, OSError):
            raise UserError(
                "{path}: cut short, no safetensors file or a git-lfs pointer (`git lfs pull`"
                " fetches it)",
                path=path,
            ) from None
    if path.stat().st_size > LARGEST_JSON:
        raise UserError(
            "{path}: larger than {size} MiB, and no weights", path=path, size=LARGEST_JSON // MIB
        )
    if path.name == INDEX:
        _refuse_foreign_shards(path)
    elif _is_one_of(path.name, OBJECTS):
        read_json_object(path)
    elif path.suffix == ".json":
        read_json(path)


def _refuse_foreign_shards(index: Path) -> None:
    shards = read_json_object(index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise UserError("{index}: no weight_map", index=index)
    for name in {str(each): each for each in shards.values()}.values():
        if not isinstance(name, str) or not fnmatch(name, WEIGHTS) or not belongs(name):
            raise UserError(
                "{index}: weight_map names {name!r}, no safetensors file beside it",
                index=index,
                name=name,
            )
        if not (index.parent / name).exists():
            raise UserError(
                "{index}: {name} is missing, which weight_map names", index=index, name=name
            )


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


def of_path(folder: Path | str) -> str:
    """How an error names a model that params.yaml has by its path."""
    return gettext("base_model.path: {folder}", folder=folder)


@contextmanager
def disk_errors_in_one_line(folder: Path) -> Iterator[None]:
    """A full disk, or a folder that cannot be written, becomes one line that names it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a client's own exception, not one of the operating system
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                "{path}: no space left on its disk; free some and run again, what is there is kept",
                path=folder,
            ) from None
        raise UserError(
            "{place}: {error}", place=error.filename or folder, error=system_words(error)
        ) from None


def _linked(origin: Path, target: Path) -> bool:
    try:
        os.link(origin, target)
    except OSError:  # another file system, or one without hard links
        return False
    return True


def _is_one_of(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
