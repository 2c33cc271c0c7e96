"""Answer the novel challenge's prompts with each engine, beside one prompt at a time.

python -m bench.generate PROMPTS                              # the tuned novel model in models/
python -m bench.generate PROMPTS --architecture qwen2.5-1.5b  # random weights of that shape, a GPU

PROMPTS is the challenge's test.jsonl. One prompt at a time is what its baseline did: the library's
plain call is measured on a slice, without loading, and scaled. wenmo's rows are the stage generate
itself, which ends with a submit.json with a text for every prompt; its whole time has the starting
of engines and the loading of base and tuned as well.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.train import SHAPES, random_base
from ruamel.yaml import YAML

from wenmo.engines.params import GenerateParams
from wenmo.model.chat import ChatParams, chat_text, prompt_messages
from wenmo.model.cost import hardware
from wenmo.model.loading import load_model, load_tokenizer
from wenmo.params import deep_merge
from wenmo.records import Row, read_json_lines, row_id, write_records

ROOT = Path(__file__).parents[1]
RUNS = 3
SLICE = 20
OF_REAL_SIZE = {"precision": "bf16", "sampling": {"max_new_tokens": 800}}
"""Random weights hardly ever end a text by themselves, so each has 800 tokens."""

NAMES = {
    "plain transformers": "one prompt at a time, transformers",
    "plain vllm": "one prompt at a time, vLLM",
    "transformers": "wenmo, transformers",
    "vllm": "wenmo, vllm",
}


def read_prompts(path: Path) -> list[Row]:
    """The rows of a test.jsonl of the challenge."""
    lines = [content for _, content in read_json_lines(path)]
    return [
        Row(row_id(f"test/{n}", line["input"]), "test", n, line["instruction"], line["input"], "")
        for n, line in enumerate(lines)
    ]


def lay_out(folder: Path, rows: list[Row], model: Path, update: dict[str, Any]) -> None:
    """Write into `folder` all that stages/generate.py reads."""
    yaml = YAML()
    content = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["generate"] = deep_merge(content["generate"], update)
    yaml.dump(content, folder / "params.yaml")
    for name in ("base", "merged/novel", "adapters/novel"):
        (folder / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "models" / name).symlink_to(model.resolve())
    write_records(folder / "data/merged/novel/eval.jsonl", rows[:1])
    write_records(folder / "data/test/novel.jsonl", rows)


def run(arguments: list[str | Path], folder: Path) -> str:
    """What a Python process in `folder` prints; where it fails, so does this."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return done.stdout


def stage_seconds(engine: str, rows: list[Row], model: Path, update: dict[str, Any]) -> Any:
    """Of the stage the seconds in all, and those of the tuned model with the tokens it wrote."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder, rows, model, update | {"engine": engine})
        run([ROOT / "stages/generate.py", "novel"], folder)
        lines = (folder / "outputs/novel/submit.json").read_text(encoding="utf-8").splitlines()
        texts = [json.loads(line)["output"] for line in lines]
        if len(texts) != len(rows) or not all(texts):
            sys.exit(f"{engine}: {len(texts)} lines for {len(rows)} prompts, or an empty one")
        log = json.loads((folder / "logs/generate/novel.json").read_text(encoding="utf-8"))
        start = log["engine"].get("start_seconds", 0)
        answering = log["tuned"]["seconds"] - start
        return {"whole": log["seconds"], "seconds": answering, "tokens": log["tuned"]["tokens"]}


def plain_seconds(library: str, rows: list[Row], model: Path, update: dict[str, Any]) -> Any:
    """Seconds and tokens of a slice, one prompt at a time, scaled to all of the rows."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder, rows[:: max(1, len(rows) // SLICE)][:SLICE], model, update)
        cost = json.loads(
            run(["-m", "bench.generate", "--plain", library], folder).splitlines()[-1]
        )
        scaled = {key: value * len(rows) / min(SLICE, len(rows)) for key, value in cost.items()}
        return scaled | {"whole": scaled["seconds"]}


def plain_transformers(texts: list[str], params: GenerateParams) -> tuple[float, int]:
    """model.generate, a prompt at a time."""
    folder = Path("models/merged/novel")
    model, tokenizer = load_model(folder, params.precision).eval(), load_tokenizer(folder)
    sampling, tokens = params.sampling, 0
    started = time.monotonic()
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
    return time.monotonic() - started, tokens


def plain_vllm(texts: list[str], params: GenerateParams) -> tuple[float, int]:
    """LLM.generate, a prompt at a time."""
    from vllm import LLM, SamplingParams

    from wenmo.engines.vllm import DTYPES, ENVIRONMENT

    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    sampling, tokens = params.sampling, 0
    llm = LLM("models/merged/novel", dtype=DTYPES[params.precision], generation_config="vllm")
    asked = SamplingParams(
        temperature=sampling.temperature, top_p=sampling.top_p, max_tokens=sampling.max_new_tokens
    )
    started = time.monotonic()
    for text in texts:
        tokens += len(llm.generate(text, asked, use_tqdm=False)[0].outputs[0].token_ids)
    return time.monotonic() - started, tokens


def print_plain(library: str) -> None:
    """Measure one library in this process, in a folder that was laid out."""
    params = GenerateParams.load("generate", "novel")
    chat = ChatParams.load("chat", "novel")
    tokenizer = load_tokenizer(Path("models/merged/novel"))
    rows = read_prompts(Path("data/test/novel.jsonl"))
    messages = [prompt_messages(chat.system_prompt, row.prompt) for row in rows]
    texts = [chat_text(tokenizer, each) for each in messages]
    measured = plain_vllm if library == "vllm" else plain_transformers
    seconds, tokens = measured(texts, params)
    print(json.dumps({"seconds": seconds, "tokens": tokens}))


def table(costs: dict[str, list[dict[str, float]]]) -> str:
    """A line a way of generating: medians, with the range of the seconds."""
    medians = {
        name: statistics.median(each["seconds"] for each in runs) for name, runs in costs.items()
    }
    lines = [
        "| | answering (s) | tokens a second | times transformers one by one"
        " | times vLLM one by one | whole stage (s) |",
        "|:--|--:|--:|--:|--:|--:|",
    ]
    for name, runs in costs.items():
        seconds = [each["seconds"] for each in runs]
        speed = statistics.median(each["tokens"] / each["seconds"] for each in runs)
        cells = [
            NAMES[name],
            f"{medians[name]:,.0f} ({min(seconds):,.0f} to {max(seconds):,.0f})",
            f"{speed:,.0f}",
            f"{medians['plain transformers'] / medians[name]:.1f}",
            f"{medians['plain vllm'] / medians[name]:.1f}",
            f"{statistics.median(each['whole'] for each in runs):,.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure the four ways in turn, several times, and print the table."""
    arguments = parse_arguments()
    if arguments.plain:
        return print_plain(arguments.plain)
    rows, update = read_prompts(arguments.prompts), {}
    with TemporaryDirectory() as scratch:
        model = ROOT / "models/merged/novel"
        if arguments.architecture:
            model, update = Path(scratch) / "model", OF_REAL_SIZE
            random_base(model, arguments.architecture)
        costs: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}
        for _ in range(RUNS):
            costs["plain transformers"].append(plain_seconds("transformers", rows, model, update))
            costs["plain vllm"].append(plain_seconds("vllm", rows, model, update))
            costs["transformers"].append(stage_seconds("transformers", rows, model, update))
            costs["vllm"].append(stage_seconds("vllm", rows, model, update))
    option = f" --architecture {arguments.architecture}" if arguments.architecture else ""
    print(f"`python -m bench.generate PROMPTS{option}`\n")
    print(f"{arguments.architecture or 'models/merged/novel'}, {hardware()},")
    print(f"{len(rows):,} prompts, medians of {RUNS} runs in turn\n")
    print(table(costs))


def parse_arguments() -> Namespace:
    """The command line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompts", type=Path, nargs="?", help="the challenge's test.jsonl")
    parser.add_argument("--architecture", choices=SHAPES, help="random weights instead of a model")
    parser.add_argument(
        "--plain", choices=("transformers", "vllm"), help="one part, in this folder"
    )
    arguments = parser.parse_args()
    if not arguments.prompts and not arguments.plain:
        parser.error("name the challenge's test.jsonl")
    return arguments


if __name__ == "__main__":
    main()
