"""Matrix products in float32 on a CPU by the OpenBLAS that NumPy brings, in place of torch's MKL.

MKL has one code path that gives the same bytes on processors of all makers, and that is SSE2. The
kernels of OpenBLAS for Haswell run on any processor with AVX2, whoever made it. They add the terms
of a product in an order that its shape decides: the sizes of blocks are constants
(https://github.com/OpenMathLib/OpenBLAS/blob/v0.3.30/param.h, `#ifdef HASWELL`). They are two
to four times as fast (bench/product_shapes.md).
"""

import warnings
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch


class Kernel(Protocol):
    """A kernel of torch, called with the keys by which torch came to it (`torch.library`)."""

    def call_boxed(self, keys: Any, *arguments: Any, **options: Any) -> "torch.Tensor":
        """The operator's result."""


@cache
def pin_matrix_products() -> None:
    """Let torch multiply matrices by the pinned OpenBLAS from now on, if NumPy has it.

    Other dtypes and devices stay with torch. Attention in one piece, whose products torch leaves to
    MKL, is switched off where there is no GPU: attention is then computed in steps.
    """
    import torch

    if not has_pinned_openblas():
        return
    with warnings.catch_warnings():
        # torch warns of every kernel that another takes the place of.
        warnings.simplefilter("ignore")
        for name, ours in KERNELS.items():
            theirs = torch.library.get_kernel(f"aten::{name}", "CPU")
            kernel = partial(ours, theirs)
            _library().impl(name, kernel, "CPU", with_keyset=True)  # type: ignore[no-untyped-call]
    torch.backends.cuda.enable_flash_sdp(torch.cuda.is_available())


def has_pinned_openblas() -> bool:
    """Whether NumPy multiplies by an OpenBLAS with its kernels for Haswell, in one thread."""
    import numpy  # noqa: F401  (loads the library)
    from threadpoolctl import threadpool_info

    return any(
        each["internal_api"] == "openblas"
        and "numpy" in each["filepath"]
        and (each["architecture"], each["num_threads"]) == ("Haswell", 1)
        for each in threadpool_info()
    )


@cache
def _library() -> "torch.library.Library":
    import torch

    # torch forgets the kernels of a library that is collected as garbage.
    return torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]


def _by_either(
    ours: Callable[..., "torch.Tensor"],
    theirs: Kernel,
    keys: Any,
    *tensors: "torch.Tensor",
    **factors: float,
) -> "torch.Tensor":
    """By our function of the tensors, or by torch for other dtypes and where factors are given."""
    if factors or not _are_single(*tensors):
        return theirs.call_boxed(keys, *tensors, **factors)
    return ours(*tensors)


def _product(a: "torch.Tensor", b: "torch.Tensor") -> "torch.Tensor":
    import numpy as np
    import torch

    # torch makes room for it, and says in its own words if there is none.
    found = torch.empty(*a.shape[:-1], b.shape[-1], dtype=a.dtype)
    np.matmul(_array(a), _array(b), out=found.numpy())
    return found


def _product_into(
    theirs: Kernel, keys: Any, a: "torch.Tensor", b: "torch.Tensor", *, out: "torch.Tensor"
) -> "torch.Tensor":
    if not _are_single(a, b, out) or out.shape != (a.shape[0], b.shape[1]):
        return theirs.call_boxed(keys, a, b, out=out)
    return out.copy_(_product(a, b))


def _sum_with_product(c: "torch.Tensor", a: "torch.Tensor", b: "torch.Tensor") -> "torch.Tensor":
    return _product(a, b).add_(c)


def _product_added(c: "torch.Tensor", a: "torch.Tensor", b: "torch.Tensor") -> "torch.Tensor":
    return c.add_(_product(a, b))


KERNELS: dict[str, Callable[..., "torch.Tensor"]] = {
    "mm": partial(_by_either, _product),
    "mm.out": _product_into,
    "addmm": partial(_by_either, _sum_with_product),
    "addmm_": partial(_by_either, _product_added),
    "bmm": partial(_by_either, _product),
}
"""The operators of torch that layers, attention, losses and their gradients come down to."""


def _are_single(*tensors: "torch.Tensor") -> bool:
    import torch

    return all(each.dtype == torch.float32 for each in tensors)


def _array(tensor: "torch.Tensor") -> "np.ndarray[Any, np.dtype[np.float32]]":
    """The tensor's memory as an array; a copy where neither rows nor columns lie side by side.

    NumPy multiplies arrays of such a layout by itself.
    """
    strides = tensor.stride()[-2:]
    found = tensor.detach()
    return (found if 1 in strides and 0 not in strides else found.contiguous()).numpy()
