"""The web page: a tab per task, in which base and tuned write at the same time, side by side.

What users and models write gets into the page only through a Textbox or escaped by markupsafe; the
message of an error, which Gradio would show as HTML, is escaped too.
"""

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from markupsafe import Markup, escape

from wenmo.core.errors import UserError
from wenmo.core.language import gettext, in_language, language_of
from wenmo.tools.writing.both_models import StopEvents
from wenmo.tools.writing.link import NUMBERS, PageLink, read_link
from wenmo.tools.writing.web_queue import SharedQueue
from wenmo.tools.writing.web_tab import PRIVATE, PageContext, Tab, build_tab
from wenmo.tools.writing.web_texts import translated

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
        selected, filled_in = gr.skip(), dict(untouched)
        with in_language(language_of(http.headers.get("accept-language", ""))):
            link, notice = _read_link(context, http)
        if link:
            selected = gr.Tabs(selected=link.task)
            numbers = [getattr(link.sampling, name) for name in NUMBERS]
            new_seed = False
            filled_in[link.task] = [
                *(link.typed, link.form, link.verse, link.rhyme, link.seed),
                *numbers,
                *(new_seed, link.query()),
            ]
        return [selected, escape(notice), *(each for part in filled_in.values() for each in part)]

    return on_load


def _read_link(context: PageContext, http: gr.Request) -> tuple[PageLink | None, str]:
    """The link to texts that the address is, if any, and what its reader has to know."""
    try:
        link = read_link(dict(http.query_params), context.sampling)
    except UserError as error:
        return None, gettext("This link cannot be read: {error}", error=error)
    if link and link.weights_digest and link.weights_digest != context.weights_digest:
        return link, gettext(
            "The models have changed since this link was made; the texts may differ."
        )
    return link, ""
