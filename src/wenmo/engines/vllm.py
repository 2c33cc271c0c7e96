"""vLLM's offline engine, on this machine or on the nodes of a Ray cluster."""

from collections.abc import Sequence

from wenmo.config.generate import GenerateParams
from wenmo.core.cluster import VARIABLE
from wenmo.core.keys import secret
from wenmo.engines.engine import Engine, Model, refuse_without
from wenmo.engines.vllm_cluster import ClusterEngine
from wenmo.engines.vllm_replicas import VllmEngine


def load(params: GenerateParams, models: Sequence[Model]) -> Engine:
    """The engine for these models, on a Ray cluster if there is one; it starts at the first prompt.

    Raises UserError if a model is missing.
    """
    refuse_without(models)
    adapters = [model.adapter for model in models if model.adapter]
    if address := secret(VARIABLE):
        return ClusterEngine(params, adapters, address)
    return VllmEngine(params, adapters)
