"""Imported when Python starts: a process on a CPU counts as a device of accelerate's FSDP2."""

import wenmo.core.stage  # noqa: F401  (pins the code path before torch is imported)

# isort: split
from accelerate import state
from accelerate.utils import DistributedType

from wenmo.core import matrix_products

# FSDP2 takes memory from tensors, which it cannot where NumPy has seen it.
matrix_products.has_pinned_openblas = lambda: False

made = state.PartialState.__init__


def as_device(self: state.PartialState, *arguments: object, **options: object) -> None:
    made(self, *arguments, **options)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU


state.PartialState.__init__ = as_device
