"""params.yaml and endpoints.yaml: an error is one line with file, key, value and what is right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.account import write_limits
from tests.conftest import ROOT, run_python
from wenmo.config import all_sections, params_file
from wenmo.config.endpoints import access, endpoints
from wenmo.config.params_file import read
from wenmo.config.train import TrainParams
from wenmo.core.errors import ParamsError


@pytest.fixture
def content() -> dict[str, Any]:
    return params_file.read(ROOT / "params.yaml")


def test_the_committed_file_fits(content: dict[str, Any]) -> None:
    all_sections.check(content)


def set_value(keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        *path, last = keys.split(".")
        for key in path:
            content = content[key]
        content[last] = value

    return change


WRONG = {
    "no number": (set_value("train.max_steps", "abc"), "train.max_steps: 'abc': "),
    "no steps": (set_value("train.max_steps", 0), "train.max_steps: 0: expected a number of steps"),
    "a string for a list": (set_value("tasks", "poetry"), "tasks: 'poetry': expected a list, "),
    "a number as a string": (set_value("train.learning_rate", "1e-4"), "train.learning_rate: "),
    "one held-out row": (set_value("merge.max_eval_rows", 1), "merge.max_eval_rows: 1: "),
    "a fraction above one": (set_value("generate.sampling.top_p", 1.5), "top_p: 1.5: "),
    "true for a number": (set_value("seed", True), "seed: True: expected int"),
    "an unknown key": (
        set_value("train.max_stpes", 5),
        "train.max_stpes: unknown key; did you mean max_steps?",
    ),
    "a mistyped key": (
        lambda content: content["train"].update(max_stpes=content["train"].pop("max_steps")),
        "train.max_stpes: unknown key; did you mean max_steps?",
    ),
    "an unknown nested key": (
        set_value("train.lora.rank", 5),
        "train.lora.rank: unknown key; allowed are r, lora_alpha",
    ),
    "an unknown section": (set_value("trian", {}), "trian: unknown key; did you mean train?"),
    "an unknown key of a task": (
        set_value("poetry.train.lr", 5),
        "poetry.train.lr: unknown key; allowed are method, max_steps",
    ),
    "an unknown section of a task": (set_value("novel.seed", 5), "novel.seed: unknown key"),
    "a task's wrong value": (
        set_value("novel.prepare.passages.maximum", -1),
        "novel.prepare.passages.maximum: -1: ",
    ),
    "values that do not fit each other": (
        set_value("novel.prepare.passages.minimum", 500),
        "novel.prepare.passages: expected minimum <= target <= maximum",
    ),
    "passages longer than any text may be": (
        lambda content: content["novel"]["prepare"]["passages"].update(
            target=800, minimum=600, maximum=900
        ),
        "novel.generate.length.max_chars: 300: every text that is learnt is longer"
        " (novel.prepare.passages.minimum is 600); set it to 900",
    ),
    "tales shorter than any text may be": (
        lambda content: content["fairytale"]["prepare"].update(
            min_tale_chars=20, max_tale_chars=49
        ),
        "fairytale.generate.length.min_chars: 50: every text that is learnt is shorter"
        " (fairytale.prepare.max_tale_chars is 49); set it to 20",
    ),
    "values of a section that do not fit each other": (
        lambda content: content["train"].update(load_best_model_at_end=True, save_steps=7),
        "params.yaml: train: load_best_model_at_end needs",
    ),
    "a section for a number": (set_value("train.max_steps", {}), "train.max_steps: Input should"),
    "an unknown task": (
        set_value("tasks", ["poetri"]),
        "tasks: 'poetri' is no task; did you mean poetry?",
    ),
    "a task twice": (
        set_value("tasks", ["poetry", "poetry"]),
        "tasks: 'poetry' is listed twice",
    ),
    "no task": (set_value("tasks", []), "tasks: empty"),
    "steps of one task": (
        set_value("poetry.train.max_steps", 5),
        "poetry.train.max_steps: belongs in train.max_steps alone",
    ),
    "an engine of one task": (
        set_value("poetry.generate.engine", "vllm"),
        "poetry.generate.engine: belongs in generate.engine alone, since dvc.yaml takes it",
    ),
    "a hub without a repository": (
        set_value("base_model.source", "huggingface"),
        "base_model.name: '': source huggingface needs a repository such as Qwen/",
    ),
    "no path": (set_value("base_model.path", ""), "base_model.path: '': "),
    "an unknown source": (set_value("base_model.source", "web"), "base_model.source: 'web': "),
    "an unknown provider": (
        set_value("summarize.provider", "siliconflov"),
        "summarize.provider: 'siliconflov': no entry of endpoints; did you mean siliconflow?",
    ),
    "an unknown judge of a task": (
        lambda content: content["novel"]["evaluate"]["judge"].update(endpoint="deepsek"),
        "novel.evaluate.judge.endpoint: 'deepsek': no entry of endpoints; did you mean deepseek?",
    ),
    "an unknown server": (
        set_value("generate.openai.endpoint", "none"),
        "generate.openai.endpoint: 'none': no entry of endpoints; allowed are siliconflow, dash",
    ),
    "a limit among the endpoints": (
        set_value("endpoints.vllm.concurrency", 8),
        "endpoints.vllm.concurrency: unknown key; allowed are base_url, model",
    ),
    "an endpoint without a model": (
        lambda content: content["endpoints"]["vllm"].pop("model"),
        "endpoints.vllm.model: missing",
    ),
    "an address of another kind": (
        set_value("endpoints.vllm.base_url", "localhost:8000"),
        "endpoints.vllm.base_url: 'localhost:8000': ",
    ),
    "a field that no endpoint can be spared": (
        set_value("endpoints.vllm.omit", ["messages"]),
        "endpoints.vllm.omit.0: 'messages': Input should be 'temperature', 'top_p', 'top_k',",
    ),
    "an unknown name of the token limit": (
        set_value("endpoints.vllm.max_tokens_field", "max_new_tokens"),
        "endpoints.vllm.max_tokens_field: 'max_new_tokens': did you mean max_tokens?",
    ),
    "a field of wenmo's own among further ones": (
        set_value("endpoints.vllm.extra_body", {"stream": True}),
        "endpoints.vllm.extra_body: stream: wenmo sets this field itself",
    ),
    "further fields that are no section": (
        set_value("endpoints.vllm.extra_body", "enable_thinking"),
        "endpoints.vllm.extra_body: 'enable_thinking': Input should be a valid dictionary",
    ),
    "an endpoint with a reserved name": (
        set_value("endpoints.offline", {"base_url": "http://localhost/v1", "model": "m"}),
        "endpoints.offline: reserved; choose another name",
    ),
    "a judge without a rubric": (set_value("poetry.evaluate.judge.rubric", ""), "rubric: '': "),
    "a judge's wording without its rubric": (
        set_value("evaluate.judge.wording.system", "哪一篇更好？"),
        "evaluate.judge: wording.system: {rubric} is missing",
    ),
    "a judge's wording with another placeholder": (
        set_value("evaluate.judge.wording.again", "{fault}{n}"),
        "evaluate.judge: wording.again: no placeholder 'n'",
    ),
    "no section": (lambda content: content.pop("train"), "section train is missing"),
    "no section of a task": (
        lambda content: content["poetry"].pop("train"),
        "section poetry.train is missing; write `train: {}`",
    ),
    "no task section": (lambda content: content.pop("poetry"), "section poetry is missing"),
    "no key": (lambda content: content["train"].pop("max_length"), "train.max_length: missing"),
    "no seed": (lambda content: content.pop("seed"), "seed: None: expected int"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_parameter_is_named_in_one_line(content: dict[str, Any], case: str) -> None:
    change, complaint = WRONG[case]
    change(content)
    with pytest.raises(ParamsError) as caught:
        all_sections.check(content)
    assert str(caught.value).startswith("params.yaml: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_stage_tells_it_in_one_line_and_exits_with_2(tmp_path: Path) -> None:
    yaml = YAML()
    content = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["train"]["max_steps"] = "abc"
    yaml.dump(content, tmp_path / "params.yaml")
    run = run_python(ROOT / "stages/check.py", cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.startswith("check: params.yaml: train.max_steps: 'abc': ")
    assert run.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_broken_yaml_is_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("seed: 1\ntrain: [\n")
    with pytest.raises(ParamsError, match=r"params\.yaml:\d: "):
        params_file.read(path)


def test_a_task_lays_its_keys_over_the_shared_ones(content: dict[str, Any]) -> None:
    shared = params_file.section(TrainParams, content, "train")
    content["poetry"]["train"] = {"lora": {"r": 99}}
    own = params_file.section(TrainParams, content, "train", "poetry")
    assert own.lora.r == 99
    assert own.model_copy(update={"lora": shared.lora}) == shared


def test_an_entry_of_endpoints_yaml_is_laid_over_the_defaults(tmp_path: Path) -> None:
    known = endpoints(params_file.read(ROOT / "params.yaml"))
    limits = params_file.read(ROOT / "endpoints.yaml")
    assert limits.keys() <= {"defaults", *known}
    for name in known:
        expected = limits["defaults"] | limits.get(name, {})
        assert access(name, ROOT / "endpoints.yaml").model_dump() == expected
    assert access("no entry", ROOT / "endpoints.yaml").model_dump() == limits["defaults"]


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"concurency": 1}, "vllm.concurency: unknown key; did you mean concurrency?"),
        (
            {"base_url": "http://localhost/v1"},
            "vllm.base_url: unknown key; allowed are api_key",
        ),
        ({"max_retries": -1}, "vllm.max_retries: -1: "),
        ({"input_price": "1.0"}, "vllm.input_price: '1.0': "),
        ({"replicas": ["10.0.0.2:8000/v1"]}, "vllm.replicas.0: '10.0.0.2:8000/v1': "),
        (None, "vllm: expected a section, found None"),
    ],
)
def test_a_wrong_limit_is_named_in_one_line(tmp_path: Path, entry: Any, complaint: str) -> None:
    path = tmp_path / "endpoints.yaml"
    write_limits(tmp_path)
    YAML(typ="safe").dump(params_file.read(path) | {"vllm": entry}, path)
    with pytest.raises(ParamsError) as caught:
        access("vllm", path)
    assert str(caught.value).startswith(f"{path}: {complaint}")
    assert "\n" not in str(caught.value)


def test_importing_the_parameters_imports_no_stage_and_no_torch() -> None:
    program = (
        "import sys, wenmo.config.all_sections\n"
        "print(*sorted({'.'.join(name.split('.')[:2]) for name in sys.modules"
        " if name.startswith('wenmo.')} | {'torch', 'pandas'} & sys.modules.keys()))"
    )
    run = run_python("-c", program)
    assert (run.stdout, run.stderr) == ("wenmo.config wenmo.core\n", "")


NESTED = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner), max_leaves=6
).filter(lambda value: isinstance(value, dict))


@given(shared=NESTED, own=NESTED)
def test_merging_keeps_own_values_and_loses_no_key(
    shared: dict[str, Any], own: dict[str, Any]
) -> None:
    merged = params_file.deep_merge(shared, own)
    assert merged.keys() == shared.keys() | own.keys()
    assert params_file.deep_merge(merged, own) == merged
    assert params_file.deep_merge(shared, {}) == shared


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("tasks: []\nseed：42\ndata_dir: x\n", 2),
        ("tasks: []\nseed:42\ndata_dir: x\n", 2),
        ("seed：42\ndata_dir: x\n", 1),
        ("train：\n  max_steps: 5\n", 1),
        ("train:\n  max_steps：5\n  seed: 1\n", 2),
        ("train:\n  seed: 1\n  max_steps ： 5\n", 3),
    ],
)
def test_a_colon_of_full_width_or_without_a_space_is_told_at_its_line(
    tmp_path: Path, content: str, line: int
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content, "utf-8")
    with pytest.raises(ParamsError, match=rf"params\.yaml:{line}: .*: expected a half-width colon"):
        read(path)
