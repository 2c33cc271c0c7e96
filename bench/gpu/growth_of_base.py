"""Tokens per second of pretraining/, for the base as it is and for larger growths.

The texts are drawn (bench.corpus), as those that the base has read are not in git. As a module it
measures one growth, of which the first half warms up:

python -m bench.gpu.growth_of_base      in a folder with params.yaml
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.corpus import passages
from bench.gpu import turns
from bench.random_weights import REHEARSAL
from bench.rounds import Measurement, quantity, rate
from bench.stage_run import ROOT, run_module
from ruamel.yaml import YAML

from wenmo.config.params_file import read

PRETRAINING = ROOT / "pretraining"
TOKENS, DOCUMENTS, CHARACTERS = 8_000_000, 4000, 400
"""Tokens that are read in all; documents, and characters of each."""

# 25 million parameters, as pretraining/README.md has them.
LARGER = {"hidden_size": 512, "intermediate_size": 1408, "layers": 7, "heads": 8}
GROWTHS: dict[str, dict[str, int]] = {
    "the base, 32 sequences per step": {},
    "the base, 256 sequences per step": {"batch_size": 256},
    "25 million parameters, 32 sequences per step": LARGER,
    "25 million parameters, 256 sequences per step": {"batch_size": 256} | LARGER,
}
"""What differs from section `pretrain`."""
REHEARSED = {"layers": 1, "vocabulary": 2000, "block_length": 32, "batch_size": 2, "tokens": 400}


def contenders(folder: Path, architecture: str) -> dict[str, Any]:
    """The growths, for some steps each."""
    section = read(PRETRAINING / "params.yaml")["pretrain"] | {"tokens": TOKENS}

    def measure(growth: dict[str, int]) -> Measurement:
        params = section | growth | (REHEARSED if architecture == REHEARSAL else {})
        params["eval_every"] = params["tokens"] // 2
        # A growth goes on from a checkpoint that it finds in its folder.
        with TemporaryDirectory(dir=folder) as own:
            with (Path(own) / "params.yaml").open("w") as file:
                YAML().dump({"pretrain": params}, file)
            return run_module(Path(own), "bench.gpu.growth_of_base")

    return {name: lambda growth=growth: measure(growth) for name, growth in GROWTHS.items()}


def once() -> Measurement:
    """Grow a model as params.yaml says, and measure the second half."""
    # The modules of pretraining/ are in no package.
    sys.path.insert(0, str(PRETRAINING))
    import torch

    from documents import NOVEL, Document
    from pretrain import Growth, PretrainParams, encode, grow
    from wenmo.model.cost import peak_device_mebibytes
    from wenmo.model.tiny import new_model, train_tokenizer

    params = PretrainParams.load("pretrain")
    texts = passages(DOCUMENTS, CHARACTERS)
    # The drawn texts have fewer characters than the vocabulary has.
    every = "".join(chr(0x4E00 + at) for at in range(params.vocabulary))
    tokenizer = train_tokenizer([*texts, every], params.vocabulary, params.max_position_embeddings)
    tokens = encode(tokenizer, [Document(NOVEL, text) for text in texts])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = new_model(tokenizer, params, params.seed).to(device)

    def note(growth: Growth, read_tokens: int) -> None:
        growth.curve.append({"tokens": read_tokens, "seconds": growth.seconds})
        noted[:] = growth.curve

    noted: list[dict[str, float]] = []
    grow(model, tokens, params, Path("state.pt"), note, device)
    half, end = noted[0], noted[-1]
    difference = {name: end[name] - half[name] for name in ("tokens", "seconds")}
    return difference | {"peak_mebibytes": peak_device_mebibytes()}


def tables(result: dict[str, Any]) -> list[str]:
    """Tokens per second and memory of each growth."""
    return turns.tables(
        result,
        {
            "tokens per second": lambda own: rate(own, "tokens").shown(0),
            "memory (MiB)": lambda own: quantity(own, "peak_mebibytes").shown(0),
        },
    )


if __name__ == "__main__":
    print(json.dumps(once()))
