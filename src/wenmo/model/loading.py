"""Opening a folder of weights: safetensors only, nothing fetched, no remote code."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wenmo.config.params_file import Precision
from wenmo.config.train import Quantization
from wenmo.core.errors import UserError
from wenmo.core.language import N_, gettext
from wenmo.core.matrix_products import pin_matrix_products
from wenmo.core.outside import read_json_object
from wenmo.model.chat import end_token
from wenmo.model.folder import PICKLED_WEIGHTS, TOKENIZERS, WEIGHTS, broken_file

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CPU_BF16_UNITS = ("avx512_bf16", "amx_bf16")

WAY_OUT = N_("; `dvc repro` makes it, `dvc checkout` brings it back")
"""How a folder that a stage has written comes to be whole again."""


def resolved(precision: Precision | Literal["auto"]) -> Precision:
    """The dtype to compute in: `auto` is the best one that this machine's hardware has."""
    if precision != "auto":
        return precision
    import torch

    if not torch.cuda.is_available():
        # oneDNN multiplies matrices and looks for these units by itself: ATEN_CPU_CAPABILITY, which
        # a stage pins, binds torch's own kernels alone.
        capabilities = torch.cpu.get_capabilities()
        return "bf16" if any(capabilities.get(unit) for unit in CPU_BF16_UNITS) else "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def load_model(folder: Path, precision: Precision) -> "PreTrainedModel":
    """The causal language model in `folder`, on the first GPU if there is one.

    Raises UserError if there is none, or one that transformers cannot read.
    """
    import torch
    from transformers import AutoModelForCausalLM

    refuse_without_model(folder)
    choose_deterministic_algorithms()
    with refusing_misfits(folder):
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch_dtype(precision),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def choose_deterministic_algorithms() -> None:
    """Let torch compute by algorithms that give the same result every time, where it has them.

    For a few operations on GPUs it has none and warns:
    https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html
    """
    import torch

    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling uninitialised memory takes time, and nothing here reads it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    pin_matrix_products()


def refuse_without_model(folder: Path) -> None:
    """Raise UserError if a folder lacks weights as safetensors, configuration or a tokenizer.

    A file that is broken or cut short is refused likewise.
    """
    _refuse_incomplete(folder, "config.json")
    if not any(path for pattern in TOKENIZERS for path in folder.glob(pattern)):
        raise _unusable(folder, gettext("no tokenizer in this folder"))


def refuse_without_adapter(folder: Path) -> None:
    """Raise UserError if a folder holds no whole adapter: configuration, weights as safetensors."""
    _refuse_incomplete(folder, "adapter_config.json")


def _refuse_incomplete(folder: Path, configuration: str) -> None:
    if not folder.is_dir():
        raise _unusable(folder, gettext("no such folder"))
    if not any(folder.glob(WEIGHTS)):
        pickles = sorted(path.name for each in PICKLED_WEIGHTS for path in folder.glob(each))
        complaint = N_("no weights ({weights}) in this folder")
        if pickles:
            complaint = N_(
                "no weights ({weights}) in this folder; {file} is a pickle, which can run code"
                " when opened"
            )
        file = pickles[0] if pickles else ""
        raise _unusable(folder, gettext(complaint, weights=WEIGHTS, file=file))
    if not (folder / configuration).is_file():
        raise _unusable(folder, gettext("no {file} in this folder", file=configuration))
    if fault := broken_file(folder):
        raise _unusable(folder, fault)


def _unusable(folder: Path, fault: str) -> UserError:
    return UserError("{place}: {error}", place=folder, error=fault + gettext(WAY_OUT))


@contextmanager
def refusing_misfits(folder: Path) -> Iterator[None]:
    """Turn errors about files that do not fit each other, or that no library knows, into one line.

    transformers names the weights that do not fit on stderr before.
    """
    from huggingface_hub.errors import StrictDataclassError

    try:
        yield
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        RecursionError,
        StrictDataclassError,
    ) as error:
        reason = " ".join(str(error).split()).partition(". ")[0]
        raise _unusable(folder, gettext("it cannot be opened: {error}", error=reason)) from None
    except RuntimeError as error:
        # peft's words, and those of transformers.
        if not any(each in str(error) for each in ("size mismatch", "mismatched_sizes")):
            raise
        raise _unusable(
            folder, gettext("the weights do not fit what its configuration says")
        ) from None


def load_trainable(
    folder: Path,
    precision: Precision,
    attn_implementation: str,
    use_kernels: bool,
    quantization: Quantization,
    bnb_4bit_quant_type: str,
    bnb_4bit_use_double_quant: bool,
) -> "PreTrainedModel":
    """The base model for training, its weights in fewer bits where asked.

    The trainer decides on the device, and may shard the model over several. Quantised weights
    cannot be moved, so they are read onto this process's device, where kernels are chosen, too.
    Kernels of the Hugging Face Hub are those of the local cache, since the stage sets
    HF_HUB_OFFLINE. Raises UserError as `load_model` does, and if a kernel is not there.
    """
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    choose_deterministic_algorithms()
    options = {
        "dtype": torch_dtype(precision),
        "attn_implementation": attn_implementation,
        "use_kernels": use_kernels,
        "local_files_only": True,
        "trust_remote_code": False,
        "use_safetensors": True,
    }
    refuse_without_model(folder)
    if quantization != "none" or use_kernels:
        from accelerate import PartialState

        options["device_map"] = {"": PartialState().device}
    if quantization == "none":
        with refusing_misfits(folder), refusing_missing_kernels():
            return AutoModelForCausalLM.from_pretrained(folder, **options)

    from peft import prepare_model_for_kbit_training

    bits = BitsAndBytesConfig(
        load_in_4bit=quantization == "4bit",
        load_in_8bit=quantization == "8bit",
        bnb_4bit_quant_type=bnb_4bit_quant_type,
        bnb_4bit_use_double_quant=bnb_4bit_use_double_quant,
        bnb_4bit_compute_dtype=torch_dtype(precision),
    )
    with refusing_misfits(folder), refusing_missing_kernels():
        model = AutoModelForCausalLM.from_pretrained(folder, quantization_config=bits, **options)
    for layer in model.modules():
        # On CPUs with AVX-512 BF16, bitsandbytes 0.50 repacks 4-bit weights when a held-out loss is
        # measured, for a kernel without gradients, and training then goes on without them.
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False
    # Activation checkpointing is turned on by the trainer.
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


@contextmanager
def refusing_missing_kernels() -> Iterator[None]:
    """Turn the error of a kernel that is not in the local cache into one line with the way out."""
    try:
        yield
    except (OSError, ValueError) as error:
        if "kernels-community/" not in str(error):
            raise
        raise UserError(
            "{error} `hf download --repo-type kernel NAME --revision v1` brings a kernel into the"
            " local cache, by its name and version",
            error=" ".join(str(error).split()),
        ) from None


def refuse_unknown_architecture(folder: Path) -> None:
    """Raise UserError if transformers itself has no causal language model for a configuration.

    Some repositories bring code of their own for it, which is never run.
    """
    from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    with refusing_misfits(folder):
        model_type = read_json_object(folder / "config.json").get("model_type")
        if model_type not in CONFIG_MAPPING:
            raise ValueError(
                gettext(
                    "{kind!r} is no architecture of transformers, and code that a model brings is"
                    " never run",
                    kind=model_type,
                )
            )
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
            raise ValueError(
                gettext(
                    "{kind!r} is no causal language model of transformers", kind=config.model_type
                )
            )


def context_length(folder: Path) -> int:
    """The longest text that the model in `folder` can read (tokens)."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return int(config.get_text_config().max_position_embeddings)


def end_tokens(folder: Path) -> frozenset[int]:
    """The tokens that end an answer, by generation_config.json or else config.json.

    Nothing else of the former is heeded: it has sampling settings, which would add to ours.
    """
    from transformers import AutoConfig, GenerationConfig

    named = GenerationConfig if (folder / "generation_config.json").is_file() else AutoConfig
    # GenerationConfig brings no code and knows no such argument.
    options = {} if named is GenerationConfig else {"trust_remote_code": False}
    ids = named.from_pretrained(folder, local_files_only=True, **options).eos_token_id
    return frozenset([ids] if isinstance(ids, int) else ids or [])


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer beside the weights, padding on the left, as generation in batches needs.

    Raises UserError if it has no chat template, or one that words no conversation with an end.
    """
    from jinja2 import TemplateError

    tokenizer = open_tokenizer(folder)
    if not tokenizer.chat_template:
        raise _unusable(folder, gettext("its tokenizer has no chat template"))
    try:
        end_token(tokenizer)
    except (TemplateError, UserError) as error:
        reason = " ".join(str(error).split())
        raise _unusable(
            folder, gettext("the chat template words no conversation: {error}", error=reason)
        ) from None
    return tokenizer


def open_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer of a folder, with or without a chat template."""
    from transformers import AutoTokenizer

    with refusing_misfits(folder):
        return AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, padding_side="left"
        )


def torch_dtype(precision: Precision) -> "torch.dtype":
    """A precision in torch's terms."""
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
