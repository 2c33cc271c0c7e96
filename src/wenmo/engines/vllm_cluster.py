"""vLLM on the nodes of a Ray cluster, each with its own copy of the model.

What a node writes for a prompt is what this machine would write: texts do not depend on the batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from wenmo.config.generate import GenerateParams, Sampling
from wenmo.core.cluster import Cluster
from wenmo.core.ordered_map import in_order
from wenmo.engines.engine import (
    Completion,
    Model,
    OnTokens,
    Prompt,
    ignore,
    refuse_without,
)
from wenmo.engines.vllm_arguments import is_cpu_build
from wenmo.engines.vllm_replicas import VllmEngine


class ClusterEngine:
    """An engine on as many nodes of a Ray cluster as have its GPUs, or on cores of CPU builds.

    The nodes find a model in the folder in which this machine has it.
    """

    def __init__(self, params: GenerateParams, adapters: Sequence[Path], address: str) -> None:
        one = params.vllm.model_copy(update={"data_parallel_size": 1})
        self.params = params.model_copy(update={"vllm": one})
        self.adapters = [each.resolve() for each in adapters]
        self.address = address
        self.cost: dict[str, Any] = {}
        self.nodes: Cluster[Batch, list[Completion]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.nodes:
            self.nodes.end()

    def generate(
        self,
        model: Model,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_tokens: OnTokens = ignore,
    ) -> Iterator[Completion]:
        """One completion per prompt, in the prompts' order."""
        adapter = model.adapter.resolve() if model.adapter else None
        there = replace(model, folder=model.folder.resolve(), adapter=adapter)
        self.nodes = self.nodes or self._start()
        share = -(-len(prompts) // self.nodes.at_once)
        size = min(share, self.params.vllm.max_num_seqs)
        batches = (
            Batch(there, prompts[at : at + size], sampling) for at in range(0, len(prompts), size)
        )
        for answers in in_order(self.nodes, batches):
            on_tokens(sum(each.tokens for each in answers))
            yield from answers

    def _start(self) -> "Cluster[Batch, list[Completion]]":
        gpus = self.params.vllm.tensor_parallel_size
        return Cluster(
            partial(answered, VllmEngine(self.params, self.adapters)),
            self.address,
            {"CPU": 1} if is_cpu_build() else {"GPU": gpus},
        )


@dataclass(frozen=True)
class Batch:
    """Prompts that an engine of a cluster answers at once."""

    model: Model
    prompts: Sequence[Prompt]
    sampling: Sampling


def answered(engine: VllmEngine, batch: Batch) -> list[Completion]:
    """The completions of a batch, in its order, by an engine that goes on to the next batch.

    Raises UserError if this node lacks the model.
    """
    if engine.folder != batch.model.folder:
        refuse_without([batch.model])
    found = {each.id: each for each in engine.generate(batch.model, batch.prompts, batch.sampling)}
    return [found[prompt.id] for prompt in batch.prompts]
