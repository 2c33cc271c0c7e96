"""generate beside one prompt at a time: tokens a second by transformers and by vLLM.

One prompt at a time is what the novel challenge's baseline did, with its library's plain call; it
is asked a few of the prompts. wenmo's engines get all of them. Each contender is a process of its
own, which has loaded its model before and waits for its turn; the peers compute on the machine's
own code path, wenmo on the pinned one, where transformers runs.
"""

import json
import os
import random
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.corpus import sentence
from bench.markdown import Table
from bench.random_weights import write_model
from bench.rounds import Measurement, in_turn, rates, spread, times_faster
from bench.stage_run import built_model, unpinned_environment, write_params

from wenmo.core.records import write_json

PROMPTS, SLICE = 1000, 20
ROUNDS = 3
OF_REAL_SIZE = {
    "precision": "bf16",
    "sampling": {"max_new_tokens": 200},
    # All contenders share the one GPU.
    "vllm": {"gpu_memory_utilization": 0.3},
}
"""Random weights hardly ever end a text by themselves, so each has as many tokens as it may."""

PROMPTS_OF_REAL_SIZE, SLICE_OF_REAL_SIZE = 500, 2

PLAIN_TRANSFORMERS = "one prompt at a time, transformers"
PLAIN_VLLM = "one prompt at a time, vLLM"
TRANSFORMERS = "wenmo, transformers"
VLLM = "wenmo, vLLM"


def measure(folder: Path, scale: float, architecture: str = "") -> dict[str, Any]:
    """All contenders in turn; vLLM's are left out where it is not installed."""
    if architecture:
        model, count, few = folder / "random", PROMPTS_OF_REAL_SIZE, SLICE_OF_REAL_SIZE
        write_model(model, architecture)
    else:
        model, count, few = built_model("merged/novel"), PROMPTS, SLICE
    draw = random.Random(0)
    prompts = [sentence(draw) for _ in range(max(few, round(count * scale)))]
    write_json(folder / "prompts.json", {"all": prompts, "few": prompts[:few]})
    (folder / "model").symlink_to(model.resolve())
    update = OF_REAL_SIZE if architecture else {}
    names = [PLAIN_TRANSFORMERS, PLAIN_VLLM, TRANSFORMERS, VLLM]
    if find_spec("vllm") is None:
        names = [PLAIN_TRANSFORMERS, TRANSFORMERS]
    write_params(folder, {"generate": update})
    workers = {name: Worker(folder, name) for name in names}
    try:
        return {"runs": in_turn({n: w.ask for n, w in workers.items()}, ROUNDS, "generate")}
    finally:
        for worker in workers.values():
            worker.end()


class Worker:
    """A process that has loaded a model and measures once for each line that it is sent."""

    def __init__(self, folder: Path, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.generate", name],
            cwd=folder,
            env=unpinned_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / f"{name}.log").open("w"),
            text=True,
        )
        self.log = folder / f"{name}.log"
        self._answer()

    def ask(self) -> Measurement:
        """Let it work once."""
        print("go", file=self.process.stdin, flush=True)
        return self._answer()

    def end(self) -> None:
        """Close its input, at which it ends."""
        self.process.communicate()

    def _answer(self) -> Measurement:
        for line in self.process.stdout:
            # Libraries may print, too.
            if line.startswith("{"):
                answer: Measurement = json.loads(line)
                return answer
        sys.exit(self.log.read_text(encoding="utf-8")[-3000:])


Asking = Callable[[], int]
"""Answers prompts and says how many tokens that took."""


def plain_transformers(prompts: list[str]) -> Asking:
    """model.generate, a prompt at a time."""
    import torch

    from wenmo.config.generate import GenerateParams
    from wenmo.model.loading import load_model, load_tokenizer

    params, folder = GenerateParams.load("generate", "novel"), Path("model")
    model, tokenizer = load_model(folder, params.precision).eval(), load_tokenizer(folder)
    texts, sampling = conversations(prompts), params.sampling

    def ask() -> int:
        tokens = 0
        torch.manual_seed(0)
        for text in texts:
            asked = tokenizer(text, return_tensors="pt", add_special_tokens=False).to(model.device)
            answer = model.generate(
                **asked,
                do_sample=True,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                top_k=0,
                max_new_tokens=sampling.max_new_tokens,
            )
            tokens += answer.shape[1] - asked["input_ids"].shape[1]
        return tokens

    return ask


def plain_vllm(prompts: list[str]) -> Asking:
    """LLM.generate, a prompt at a time."""
    from vllm import LLM, SamplingParams

    from wenmo.config.generate import GenerateParams
    from wenmo.engines.vllm_arguments import DTYPES, ENVIRONMENT

    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    params = GenerateParams.load("generate", "novel")
    llm = LLM(
        "model",
        dtype=DTYPES[params.precision],
        generation_config="vllm",
        gpu_memory_utilization=params.vllm.gpu_memory_utilization,
    )
    sampling = SamplingParams(
        temperature=params.sampling.temperature,
        top_p=params.sampling.top_p,
        max_tokens=params.sampling.max_new_tokens,
        seed=0,
    )
    texts = conversations(prompts)
    return lambda: sum(
        len(llm.generate(text, sampling, use_tqdm=False)[0].outputs[0].token_ids) for text in texts
    )


def wenmo(engine_name: str, prompts: list[str]) -> Asking:
    """The engine that the stage generate runs, with all prompts."""
    # Pins the code path, before torch is imported.
    import wenmo.core.stage  # noqa: F401
    from wenmo.config.chat import ChatParams
    from wenmo.config.generate import GenerateParams
    from wenmo.engines.answering import load_engine
    from wenmo.engines.engine import Model, Prompt, prompt_seed
    from wenmo.model.chat import prompt_messages

    params = GenerateParams.load("generate", "novel").model_copy(update={"engine": engine_name})
    system, model = ChatParams.load("chat", "novel").system_prompt, Model("tuned", Path("model"))
    engine = load_engine(params, [model]).__enter__()
    asked = [
        Prompt(prompt_messages(system, prompt), prompt_seed(0, f"{at}"))
        for at, prompt in enumerate(prompts)
    ]
    # Loads the model.
    list(engine.generate(model, asked[:1], params.sampling))
    return lambda: sum(each.tokens for each in engine.generate(model, asked, params.sampling))


def conversations(prompts: list[str]) -> list[str]:
    """The prompts as the model was taught to read them."""
    from wenmo.config.chat import ChatParams
    from wenmo.model.chat import chat_text, prompt_messages
    from wenmo.model.loading import load_tokenizer

    chat, tokenizer = ChatParams.load("chat", "novel"), load_tokenizer(Path("model"))
    return [chat_text(tokenizer, prompt_messages(chat.system_prompt, each)) for each in prompts]


def tables(result: dict[str, Any]) -> list[Table]:
    """Tokens a second beside either library's one prompt at a time."""
    runs = result["runs"]
    rows = []
    for name, of_one in runs.items():
        shown = [name, spread(rates(of_one, "tokens")).shown(0)]
        shown.append(times_faster(of_one, runs[PLAIN_TRANSFORMERS], "tokens").shown())
        if PLAIN_VLLM in runs:
            shown.append(times_faster(of_one, runs[PLAIN_VLLM], "tokens").shown())
        else:
            shown.append("")
        rows.append(shown)
    heads = ["", "tokens a second", "times transformers one by one", "times vLLM one by one"]
    return [(heads, rows)]


def work(name: str) -> None:
    """Load a model, then measure once for each line of standard input."""
    prompts = json.loads(Path("prompts.json").read_text(encoding="utf-8"))
    load = {
        PLAIN_TRANSFORMERS: lambda: plain_transformers(prompts["few"]),
        PLAIN_VLLM: lambda: plain_vllm(prompts["few"]),
        TRANSFORMERS: lambda: wenmo("transformers", prompts["all"]),
        VLLM: lambda: wenmo("vllm", prompts["all"]),
    }
    ask = load[name]()
    print(json.dumps({}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        tokens = ask()
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "tokens": tokens}), flush=True)


if __name__ == "__main__":
    parser = ArgumentParser(description="One contender of the row `generate`, for its own process.")
    parser.add_argument("name")
    work(parser.parse_args().name)
