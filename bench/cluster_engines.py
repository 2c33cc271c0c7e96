"""Rows per second of `generate` by one and by two engines of vLLM on Ray nodes of one core each.

python -m bench.cluster_engines > bench/cluster_engines.md

The first run starts the engines, and its time is told apart. Both ways must write the same texts.
"""

import os
import sys
import time
from tempfile import TemporaryDirectory

from bench.machine import describe, in_words
from bench.rounds import Measurement, quantity, rate, table
from bench.stage_run import built_model

from wenmo.config.generate import GenerateParams
from wenmo.core.cluster import VARIABLE
from wenmo.engines.engine import Completion, Model, Prompt, prompt_seed
from wenmo.engines.vllm import load
from wenmo.model.chat import prompt_messages

ROWS, ROUNDS = 128, 3

# Ray reads them when it is imported: no message to its makers, and no port beyond the loopback.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def measured(engines: int, params: GenerateParams) -> tuple[list[Completion], list[Measurement]]:
    """The texts of some engines, and what each round took, the first one with their start."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    for _ in range(engines):
        cluster.add_node(num_cpus=1)
    os.environ[VARIABLE] = cluster.address
    model = Model("tuned", built_model("merged/novel"))
    prompts = [
        Prompt(prompt_messages("你是一位小说家。", f"写第{row}章。"), prompt_seed(1, f"{row}"))
        for row in range(ROWS)
    ]
    runs = []
    with load(params, [model]) as engine:
        for _ in range(1 + ROUNDS):
            started = time.monotonic()
            texts = list(engine.generate(model, prompts, params.sampling))
            tokens = sum(each.tokens for each in texts)
            runs.append({"seconds": time.monotonic() - started, "rows": ROWS, "tokens": tokens})
    cluster.shutdown()
    return texts, runs


def main() -> None:
    """Print the table as Markdown."""
    params, lines, texts = GenerateParams.load("generate", "novel"), [], []
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        for engines in (1, 2):
            written, (start, *rounds) = measured(engines, params)
            texts.append(written)
            lines.append(
                [
                    f"{engines}",
                    f"{start['seconds']:.0f}",
                    quantity(rounds).shown(),
                    rate(rounds, "rows").shown(),
                    rate(rounds, "tokens").shown(0),
                ]
            )
    if texts[0] != texts[1]:
        sys.exit("two engines write other texts than one")
    heads = ["engines", "first run, with their start (s)", "seconds", "rows per second"]
    told = f"`python -m bench.cluster_engines`, {ROWS} rows, on {in_words(describe())}"
    print(f"{told}\n\n{table([*heads, 'tokens per second'], lines)}")


if __name__ == "__main__":
    main()
