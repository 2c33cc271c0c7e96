"""generate beside one prompt at a time: tokens per second by transformers and by vLLM.

One prompt at a time, by the library's plain call, is the way of the novel challenge's baseline. It
answers a few of the prompts, wenmo's engines answer all. Each contender is a process of its own
that has loaded its model before. The peers compute on the machine's own code path, and wenmo's
transformers on the pinned one.
"""

import atexit
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.corpus import sentence
from bench.rounds import Measurement, contender_table, in_turn, rate, ratio
from bench.stage_run import built_model, unpinned_environment, write_params

from wenmo.core.records import write_json

PROMPTS, FEW, ROUNDS = 1000, 20, 3

PLAIN_TRANSFORMERS = "one prompt at a time, transformers"
PLAIN_VLLM = "one prompt at a time, vLLM"
TRANSFORMERS = "wenmo, transformers"
VLLM = "wenmo, vLLM"


def measure(folder: Path, scale: float) -> dict[str, Any]:
    """All contenders in turn; vLLM's are left out if it is not installed."""
    draw = random.Random(0)
    prompts = [sentence(draw) for _ in range(max(FEW, round(PROMPTS * scale)))]
    write_json(folder / "prompts.json", {"all": prompts, "few": prompts[:FEW]})
    write_params(folder, {})
    (folder / "model").symlink_to(built_model("merged/novel").resolve())
    with ExitStack() as workers:
        contenders = {
            name: workers.enter_context(worker(folder, name))
            for name in LOADERS
            if "vLLM" not in name or find_spec("vllm")
        }
        return {"runs": in_turn(contenders, ROUNDS, "generate")}


@contextmanager
def worker(folder: Path, name: str) -> Iterator[Callable[[], Measurement]]:
    """A function that measures a contender once, in a process that has loaded the model."""
    log = folder / f"{name}.log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", "bench.generate", name],
            cwd=folder,
            env=unpinned_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        # Libraries print, too.
        answers = (json.loads(line) for line in process.stdout if line.startswith("{"))

        def answer() -> Measurement:
            for found in answers:
                return found
            said = log.read_text(encoding="utf-8")[-3000:]
            sys.exit(f"{name}: ended with exit code {process.wait()}: {said}")

        def measure_once() -> Measurement:
            print("go", file=process.stdin, flush=True)
            return answer()

        answer()
        yield measure_once


Ask = Callable[[], int]
"""Answers the prompts and returns the number of tokens."""


def plain_transformers(prompts: list[str]) -> Ask:
    """model.generate, one prompt at a time."""
    import torch

    from wenmo.config.generate import GenerateParams
    from wenmo.model.loading import load_model, load_tokenizer

    params, folder = GenerateParams.load("generate", "novel"), Path("model")
    model, tokenizer = load_model(folder, params.precision).eval(), load_tokenizer(folder)
    texts = chat_texts(prompts, folder)
    sampling = params.sampling.model_dump(include={"temperature", "top_p", "max_new_tokens"})

    def ask() -> int:
        tokens = 0
        torch.manual_seed(0)
        for text in texts:
            asked = tokenizer(text, return_tensors="pt", add_special_tokens=False).to(model.device)
            answer = model.generate(**asked, do_sample=True, top_k=0, **sampling)
            tokens += answer.shape[1] - asked["input_ids"].shape[1]
        return tokens

    return ask


def plain_vllm(prompts: list[str]) -> Ask:
    """LLM.generate, one prompt at a time."""
    from vllm import LLM, SamplingParams

    from wenmo.config.generate import GenerateParams
    from wenmo.engines.vllm_arguments import DTYPES, ENVIRONMENT

    os.environ.update(ENVIRONMENT | os.environ)
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
    texts = chat_texts(prompts, Path("model"))
    return lambda: sum(
        len(llm.generate(text, sampling, use_tqdm=False)[0].outputs[0].token_ids) for text in texts
    )


def our_engine(name: str, prompts: list[str]) -> Ask:
    """An engine of the stage generate, with all prompts at once."""
    # Pins the code path, before torch is imported.
    import wenmo.core.stage  # noqa: F401
    from wenmo.config.chat import ChatParams
    from wenmo.config.generate import GenerateParams
    from wenmo.engines.answering import load_engine
    from wenmo.engines.engine import Model, Prompt, prompt_seed
    from wenmo.model.chat import prompt_messages

    params = GenerateParams.load("generate", "novel").model_copy(update={"engine": name})
    system, model = ChatParams.load("chat", "novel").system_prompt, Model("tuned", Path("model"))
    engine = load_engine(params, [model]).__enter__()
    # Python waits at its end for vLLM's processes, which end with the engine.
    atexit.register(engine.__exit__, None, None, None)
    asked = [
        Prompt(prompt_messages(system, prompt), prompt_seed(0, f"{at}"))
        for at, prompt in enumerate(prompts)
    ]
    # The first prompt loads the model.
    list(engine.generate(model, asked[:1], params.sampling))
    return lambda: sum(each.tokens for each in engine.generate(model, asked, params.sampling))


def chat_texts(prompts: list[str], folder: Path) -> list[str]:
    """The prompts in the chat template of the model in `folder`."""
    from wenmo.config.chat import ChatParams
    from wenmo.model.chat import chat_text, prompt_messages
    from wenmo.model.loading import load_tokenizer

    chat, tokenizer = ChatParams.load("chat", "novel"), load_tokenizer(folder)
    return [chat_text(tokenizer, prompt_messages(chat.system_prompt, each)) for each in prompts]


LOADERS: dict[str, Callable[[dict[str, list[str]]], Ask]] = {
    PLAIN_TRANSFORMERS: lambda prompts: plain_transformers(prompts["few"]),
    PLAIN_VLLM: lambda prompts: plain_vllm(prompts["few"]),
    TRANSFORMERS: lambda prompts: our_engine("transformers", prompts["all"]),
    VLLM: lambda prompts: our_engine("vllm", prompts["all"]),
}
"""For each contender, the function that loads its model."""


def tables(result: dict[str, Any]) -> list[str]:
    """Tokens per second beside one prompt at a time, by either library."""
    runs = result["runs"]
    columns = {"tokens per second": lambda own: rate(own, "tokens").shown(0)}
    for library, plain in (("transformers", PLAIN_TRANSFORMERS), ("vLLM", PLAIN_VLLM)):
        if plain in runs:
            columns[f"times {library} one by one"] = lambda own, theirs=runs[plain]: ratio(
                own, theirs, "tokens"
            ).shown()
    return [contender_table(runs, columns)]


if __name__ == "__main__":
    ask = LOADERS[sys.argv[1]](json.loads(Path("prompts.json").read_text(encoding="utf-8")))
    print(json.dumps({}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        tokens = ask()
        print(json.dumps({"seconds": time.perf_counter() - started, "tokens": tokens}), flush=True)
