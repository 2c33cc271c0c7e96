"""What the shapes of a model's weights tell before anything is loaded: its layers, its memory."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from wenmo.model.folder import weights_metadata

LINEAR = re.compile(r"\.\d+\..*?([^.]+)\.weight")
"""The weight of a module within a numbered layer, and the module's own name."""

GIB = 2**30


@dataclass(frozen=True)
class Shapes:
    """The number of weights, the linear modules by name, and the memory of the weights (GiB).

    `linear_modules` counts the matrices within layers, which is what an adapter can be laid over.
    With 4 bits a matrix takes 4.5 bits per weight with its scales, and all else stays in bf16.
    """

    parameters: int
    linear_modules: dict[str, int]
    memory_gib: dict[str, float]


def read_shapes(folder: Path, origin: str) -> Shapes:
    """Read the headers of the safetensors files. Raises UserError as `weights_metadata` does."""
    metadata = weights_metadata(folder, origin)
    modules: Counter[str] = Counter()
    parameters = matrices = 0
    for file in metadata.files_metadata.values():
        for name, tensor in file.tensors.items():
            parameters += tensor.parameter_count
            found = LINEAR.search(name)
            if found and len(tensor.shape) == 2:
                modules[found[1]] += 1
                matrices += tensor.parameter_count
    bits = {
        "fp32": 32 * parameters,
        "bf16": 16 * parameters,
        "8bit": 8 * matrices + 16 * (parameters - matrices),
        "4bit": 4.5 * matrices + 16 * (parameters - matrices),
    }
    return Shapes(
        parameters=parameters,
        linear_modules=dict(sorted(modules.items())),
        memory_gib={name: round(each / 8 / GIB, 3) for name, each in bits.items()},
    )
