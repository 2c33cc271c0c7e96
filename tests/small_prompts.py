"""Prompts of one endpoint for short passages, and requests about one of them."""

from typing import Any

from tests.conftest import ROOT, make_row
from tests.fault_server import FaultServer
from wenmo.config import params_file
from wenmo.config.summarize import SummarizeParams
from wenmo.core.records import Row
from wenmo.llm.client import Usage
from wenmo.llm.prompt_writer import Prompted, write_prompts


def content(url: str, **update: Any) -> dict[str, Any]:
    """params.yaml with one endpoint, which writes the prompts; `fields` are keys of its entry."""
    params = params_file.read(ROOT / "params.yaml")
    fields = update.pop("fields", {})
    params["endpoints"] = {"server": {"base_url": url, "model": "m", **fields}}
    params["summarize"] |= {"provider": "server", **update}
    params["tasks"] = ["novel"]
    return params


def settings(url: str, **update: Any) -> SummarizeParams:
    return params_file.section(SummarizeParams, content(url, **update), "summarize")


def bare_rows(count: int) -> list[Row]:
    rows = (make_row(n, f"第{n}个人走进了雪里，没有回头。") for n in range(count))
    return [Row(row.id, row.source, row.position, "", "", row.output) for row in rows]


def write(rows: list[Row], server: FaultServer, **update: Any) -> tuple[Prompted, Usage]:
    usage = Usage()
    return write_prompts(rows, settings(server.url, **update), usage), usage


def asks_about(request: dict[str, Any], numbers: range = range(3, 4)) -> bool:
    """Whether a request is about one of these rows."""
    said = "".join(message["content"] for message in request["messages"])
    return any(f"第{n}个人" in said for n in numbers)
