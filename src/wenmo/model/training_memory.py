"""The memory that a training takes, from the shapes of its model alone: nothing is loaded.

The model is built without weights, as the stage `train` builds it, and a forward and a backward
pass are replayed on tensors that have shapes and no data (torch's FakeTensorMode). What lives at
each moment is counted, so that any architecture of transformers is reckoned by what it computes.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from wenmo.config.params_file import Precision
from wenmo.config.train import OPTIMIZERS_OF_8_BITS, TrainParams
from wenmo.core.errors import UserError
from wenmo.model.loading import torch_dtype
from wenmo.model.lora import adapter_config, refusing_unknown_layers

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

LEAST_IN_8_BITS = 4096
"""bitsandbytes keeps the optimizer's states of a smaller matrix in 32 bits.

https://huggingface.co/docs/bitsandbytes/optimizers
"""

STATE_BITS = 8 + 32 / 256
"""An optimizer state in 8 bits with its share of a scale per block of 256 (ibid.)."""

SCALE_BITS = {True: 0.127, False: 0.5}
"""Bits per 4-bit weight for scales, by whether they are quantized as well.

Dettmers et al. 2023, section 3, https://arxiv.org/abs/2305.14314
"""


@dataclass(frozen=True)
class Memory:
    """The bytes of a training at its peak.

    `weights` are the base's. `adapter` counts its gradients and the optimizer's states as well.
    `activations` are kept from the forward pass for the backward one. `temporary` is what is needed
    on top for a moment: logits and loss, attention, recomputed layers, dequantized weights.
    """

    weights: int
    adapter: int
    activations: int
    temporary: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.adapter + self.activations + self.temporary


def training_memory(
    config: "PreTrainedConfig", params: TrainParams, precision: Precision, on_gpu: bool
) -> Memory:
    """The memory of supervised training on full batches of rows of `max_length` tokens.

    A GPU computes attention and the loss by fused kernels, a CPU in steps, as stages have it. The
    context of a GPU and the gaps between its blocks of memory come on top, as does what Python and
    its libraries take on a CPU.

    A model repeats its layers, and each repetition adds the same. So one and two are replayed, and
    the others are added up. Raises UserError if no layer is to get an adapter, or if the shapes of
    what the model computes depend on its data.
    """
    model = _trainable(config, params, torch_dtype(precision))
    weights = sum(map(_size, {*model.parameters(), *model.buffers()} - set(_adapter(model))))
    adapter = sum(
        2 * _size(each) + _states(each, params.optim in OPTIMIZERS_OF_8_BITS)
        for each in _adapter(model)
    )
    layers = _layers(model)
    repeats, period = len(layers), _period(layers)
    with refusing_unknown_shapes(config), FakeTensorMode(), _as_computed(on_gpu):
        if repeats <= 2 * period:
            return Memory(weights, adapter, *_replayed(model, params, precision))
        del layers[2 * period :]
        twice = _replayed(model, params, precision)
        del layers[period:]
        once = _replayed(model, params, precision)
    each = [b - a for a, b in zip(once, twice, strict=True)]
    more = repeats / period - 1
    activations, temporary = (round(a + more * b) for a, b in zip(once, each, strict=True))
    return Memory(weights, adapter, activations, temporary)


@contextmanager
def refusing_unknown_shapes(config: "PreTrainedConfig") -> Iterator[None]:
    """Turn torch's errors about shapes that only data can tell into one line."""
    try:
        yield
    except (DynamicOutputShapeException, DataDependentOutputException) as error:
        raise UserError(
            "{kind} cannot be reckoned from its shapes, since what it computes depends on the"
            " texts ({operator}); train a few steps with train.max_steps instead",
            kind=config.model_type,
            operator=error.func,
        ) from None


def _trainable(config: "PreTrainedConfig", params: TrainParams, dtype: torch.dtype) -> Any:
    """The base with an adapter, as `wenmo.model.training` makes it, without weights."""
    from peft import get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    eager = params.attn_implementation == "eager"
    with torch.device("meta"):
        base = AutoModelForCausalLM.from_config(
            config, dtype=dtype, attn_implementation="eager" if eager else "sdpa"
        )
        if params.quantization != "none":
            base = prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
            _quantize(base, params, dtype)
        # What SVDs fill in is as large as what begins with zeros.
        lora = params.lora.model_copy(update={"init_lora_weights": "default"})
        add_fused_lm_head(base, outputs=("log_probs", "entropy", "is_top1"))
        with refusing_unknown_layers(lora, config.model_type):
            model = get_peft_model(base, adapter_config(lora), low_cpu_mem_usage=True)
    if params.quantization != "none":
        # https://github.com/huggingface/trl/blob/v1.16.0/trl/trainer/sft_trainer.py#L902
        for name, each in model.named_parameters():
            if each.requires_grad and "lora_magnitude_vector" not in name:
                each.data = each.data.to(torch.bfloat16)
    if params.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    return model.train()


class _Quantized(nn.Linear):
    """A linear layer of bitsandbytes: few bits per weight, a whole matrix while it multiplies.

    `weight` tells peft its shape and takes no memory.
    """

    def __init__(self, layer: nn.Linear, bits: float, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        shape = self.out_features, self.in_features
        weight = torch.empty(1, 1, dtype=dtype).expand(shape)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = layer.bias
        packed = torch.empty(round(layer.weight.numel() * bits / 8), dtype=torch.uint8)
        self.register_buffer("packed", packed)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """The product in the dtype of what was given; peft takes a copy of it for safety."""
        found: torch.Tensor = _Product.apply(given, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return found.to(given.dtype).clone()


class _Product(torch.autograd.Function):
    """Keeps no whole matrix for the backward pass.

    https://github.com/bitsandbytes-foundation/bitsandbytes/blob/0.50.0/bitsandbytes/autograd/_functions.py
    """

    @staticmethod
    def forward(
        ctx: Any, given: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.weight = weight
        given = given.to(weight.dtype)
        whole = torch.empty(weight.shape, dtype=given.dtype)
        return nn.functional.linear(given, whole, None if bias is None else bias.to(given.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        whole = torch.empty(ctx.weight.shape, dtype=gradient.dtype)
        return gradient @ whole, None, None


def _quantize(base: Any, params: TrainParams, dtype: torch.dtype) -> None:
    """Put quantized layers in the place of all linear ones but the output layer."""
    bits = {"8bit": 8.0, "4bit": 4 + SCALE_BITS[params.bnb_4bit_use_double_quant]}
    output = base.get_output_embeddings()
    linear = [each for each in base.named_modules() if isinstance(each[1], nn.Linear)]
    for name, layer in linear:
        if layer is not output:
            base.set_submodule(name, _Quantized(layer, bits[params.quantization], dtype))


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors while they live, and the most of them at a time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, operator: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        found = operator(*arguments, **(options or {}))
        for each in tree_leaves(found):
            if isinstance(each, torch.Tensor) and each.device.type != "meta":
                self._count(each.untyped_storage())
        return found

    def ignore(self, tensor: torch.Tensor) -> None:
        """Count no bytes of a tensor that is counted elsewhere."""
        self._known.add(tensor.untyped_storage()._cdata)

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.remove(key)
        self.now -= size


def _replayed(model: nn.Module, params: TrainParams, precision: Precision) -> tuple[int, int]:
    """The bytes that a forward pass leaves behind, and what comes on top of them at the peak."""
    live = _Live()
    _give_fake_data(model)
    for each in (*model.parameters(), *model.buffers()):
        live.ignore(each)
    for each in _adapter(model):
        each.grad = torch.empty_like(each)
        live.ignore(each.grad)
    rows, length = params.per_device_train_batch_size, params.max_length
    batch = {}
    if params.packing:
        rows, length = 1, rows * length
        batch["position_ids"] = torch.zeros(rows, length, dtype=torch.long)
    elif rows > 1:
        batch["attention_mask"] = torch.zeros(rows, length, dtype=torch.long)
    batch |= dict.fromkeys(("input_ids", "labels"), torch.zeros(rows, length, dtype=torch.long))
    computing = torch.autocast("cpu", torch_dtype(precision), enabled=precision != "fp32")
    with live, _offloading(model) if params.activation_offloading else nullcontext():
        with computing:
            found = model(**batch, fused_lm_head=True)
            loss = -found.log_probs.sum()
        del found
        kept = live.now
        loss.backward()
    return kept, live.most - kept


def _give_fake_data(model: nn.Module) -> None:
    """Put tensors of FakeTensorMode, each with its own memory, in the place of those without."""
    given: dict[torch.Tensor, torch.Tensor] = {}
    for module in model.modules():
        owned: Any = (module._parameters, module._buffers)
        for tensors in owned:
            for name, old in tensors.items():
                if old is None:
                    continue
                if old not in given:
                    new = torch.empty_strided(old.shape, old.stride(), dtype=old.dtype)
                    is_parameter = isinstance(old, nn.Parameter)
                    given[old] = nn.Parameter(new, old.requires_grad) if is_parameter else new
                tensors[name] = given[old]


def _offloading(model: nn.Module) -> AbstractContextManager[Any]:
    """Let activations wait for the backward pass outside the device's memory, as TRL does."""
    weights = {each.untyped_storage()._cdata for each in model.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        return tensor if tensor.untyped_storage()._cdata in weights else tensor.to("meta")

    def unpack(tensor: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(tensor, device="cpu") if tensor.is_meta else tensor

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


@contextmanager
def _as_computed(on_gpu: bool) -> Iterator[None]:
    """Replay attention and the loss as they are computed on a GPU, or on a CPU."""
    from trl.kernels import chunked_logprob

    if not on_gpu:
        # wenmo.core.matrix_products switches off attention in one piece.
        with sdpa_kernel(SDPBackend.MATH):
            yield
        return

    def nothing(*_: Any, **__: Any) -> None:
        """Triton and cuBLAS compute in place."""

    kernels: dict[str, Any] = dict.fromkeys(
        ("_forward_tile", "_backward_tile", "_addmm_fp32"), nothing
    )
    attention = nn.functional.scaled_dot_product_attention
    with (
        patch.multiple(chunked_logprob, **kernels),
        patch.object(nn.functional, attention.__name__, partial(_fused_attention, attention)),
    ):
        yield


def _fused_attention(
    in_steps: Callable[..., torch.Tensor],
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    is_causal: bool = False,
    enable_gqa: bool = False,
    **options: Any,
) -> Any:
    """Attention by the kernel that torch chooses on a GPU: flash, memory-efficient, or none.

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
    """
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        query, key, value = (each.to(dtype) for each in (query, key, value))
    is_half, same_size = query.dtype != torch.float32, query.shape[-1] == value.shape[-1]
    if attn_mask is None and is_half and same_size and query.shape[-1] <= 256:
        return torch.ops.aten._scaled_dot_product_flash_attention(
            query, key, value, is_causal=is_causal
        )[0]
    if enable_gqa:
        return in_steps(
            query, key, value, attn_mask, is_causal=is_causal, enable_gqa=True, **options
        )
    bias = None
    if attn_mask is not None:
        bias = torch.empty(attn_mask.shape, dtype=query.dtype)
        bias = bias.expand(*query.shape[:-1], key.shape[-2])
    return torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, bias, True, is_causal=is_causal
    )[0]


def _adapter(model: nn.Module) -> list[nn.Parameter]:
    return [each for each in model.parameters() if each.requires_grad]


def _states(weight: nn.Parameter, in_8_bits: bool) -> int:
    """The bytes of Adam's two states of a matrix."""
    if not in_8_bits:
        return 2 * _size(weight)
    bits = STATE_BITS if weight.numel() >= LEAST_IN_8_BITS else 32
    return round(2 * weight.numel() * bits / 8)


def _size(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().nbytes()


def _layers(model: nn.Module) -> nn.ModuleList:
    """The decoder layers: of all lists of modules the outermost."""
    return next(each for each in model.modules() if isinstance(each, nn.ModuleList))


def _period(layers: nn.ModuleList) -> int:
    """After how many layers they repeat."""
    kinds = [
        [(name, each.shape, each.dtype) for name, each in layer.named_parameters()]
        for layer in layers
    ]
    return next(
        period
        for period in range(1, len(kinds) + 1)
        if all(kind == kinds[at % period] for at, kind in enumerate(kinds))
    )
