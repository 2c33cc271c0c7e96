"""Which linear layers of a model got an adapter, and which decoder layers got less than others."""

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

IN_A_LAYER = re.compile(r"\.(\d+)\.(.+)")
"""A module within a decoder layer: the layer's number, and the module's path in it."""


@dataclass(frozen=True)
class Coverage:
    """The number of decoder layers, and of those with fewer adapters than the fullest one.

    Models that mix kinds of attention name the linear modules of each kind otherwise, and a list of
    names that fits one kind leaves the other as it was. `missed` are the names that would fit.
    """

    layers: int
    short: int
    missed: list[str]


def coverage(model: "nn.Module") -> Coverage:
    """Compare the adapters of the decoder layers of a model that peft has wrapped."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from torch import nn

    adapted: dict[int, set[str]] = defaultdict(set)
    bare: dict[int, set[str]] = defaultdict(set)
    wrapped = ""
    for name, module in model.named_modules():
        found = IN_A_LAYER.search(name)
        if not found or (wrapped and name.startswith(wrapped)):
            continue
        layer, path = int(found[1]), found[2]
        if isinstance(module, BaseTunerLayer):
            adapted[layer].add(path)
            wrapped = f"{name}."
        elif isinstance(module, nn.Linear):
            bare[layer].add(path)
    layers = adapted.keys() | bare.keys()
    most = max((len(adapted[layer]) for layer in layers), default=0)
    fewer = {layer for layer in layers if len(adapted[layer]) < most}
    known = {path for layer in layers - fewer for path in bare[layer]}
    # A kind of layer with fewer linear modules than another lacks nothing if each has its adapter.
    short = {layer for layer in fewer if bare[layer] - known}
    missed = {path.rpartition(".")[2] for layer in short for path in bare[layer] - known}
    return Coverage(len(layers), len(short), sorted(missed))
