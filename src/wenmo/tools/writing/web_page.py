"""The web page: a tab per task, in which base and tuned write at the same time, side by side.

What users and models write gets into the page only through a Textbox or escaped by markupsafe; the
message of an error, which Gradio would show as HTML, is escaped too.
"""

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup, escape

from wenmo.core.errors import UserError
from wenmo.tools.writing.both_models import StopEvents
from wenmo.tools.writing.link import NUMBERS, read_link
from wenmo.tools.writing.translations import preferred_language, translate
from wenmo.tools.writing.web_queue import SharedQueue
from wenmo.tools.writing.web_tab import PRIVATE, PageContext, Tab, build_tab, translated

MAX_WRITING = 8
"""Requests that are answered at a time; the others wait and see their place in the queue."""

MAX_SESSIONS = 200
"""Open pages whose components' settings Gradio keeps; it makes those of an older one anew."""


def build(context: PageContext) -> gr.Blocks:
    """The page. Its theme and style sheet are set where it is mounted."""
    stops = StopEvents()
    blocks = gr.Blocks(title="文墨 wenmo", analytics_enabled=False)
    with blocks:
        with gr.Row(elem_id="masthead"):
            gr.HTML(Markup("<h1>文墨<small>wenmo</small></h1>"))
        gr.Markdown(translated("lead"), elem_id="lead")
        notice = gr.HTML(elem_id="notice", container=False, padding=False)
        with gr.Tabs() as tabs:
            parts = {task: build_tab(context, stops, task) for task in context.writer.tasks}

        def on_leave(http: gr.Request) -> None:
            stops.stop(http.session_hash or "")

        blocks.load(
            _on_load(context, parts),
            None,
            [tabs, notice, *(each for tab in parts.values() for each in tab.filled_by_link)],
            queue=False,
            show_progress="hidden",
            **PRIVATE,
        )
        blocks.unload(on_leave)
    blocks.queue(api_open=False)
    blocks._queue = SharedQueue(blocks, MAX_WRITING)
    blocks.state_session_capacity = MAX_SESSIONS
    return blocks


def _on_load(context: PageContext, tabs: Mapping[str, Tab]) -> Callable[[gr.Request], list[Any]]:
    """The handler of a page that opens.

    If the address is a link to texts, it selects and fills in the task's tab, which then writes.
    """
    untouched = {task: [gr.skip()] * len(tab.filled_by_link) for task, tab in tabs.items()}

    def on_load(http: gr.Request) -> list[Any]:
        language = preferred_language(http.headers.get("accept-language", ""))
        selected, notice, filled_in = gr.skip(), "", dict(untouched)
        try:
            link = read_link(dict(http.query_params), context.sampling)
        except UserError as error:
            link, notice = None, translate("bad_link", language, error)
        if link:
            if link.weights_digest and link.weights_digest != context.weights_digest:
                notice = translate("other_models", language)
            selected = gr.Tabs(selected=link.task)
            numbers = [getattr(link.sampling, name) for name in NUMBERS]
            new_seed = False
            filled_in[link.task] = [
                *(link.typed, link.form, link.seed),
                *numbers,
                *(new_seed, link.query()),
            ]
        return [selected, escape(notice), *(each for part in filled_in.values() for each in part)]

    return on_load
