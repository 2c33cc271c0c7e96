"""The web page: a tab a task, base beside tuned, both written at once.

Nothing that a user or a model wrote is put into the page but through Textbox or escaped by
markupsafe; an error's words, which Gradio would show as HTML, are escaped too.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup, escape

from wenmo.config.generate import Sampling
from wenmo.core.errors import UserError
from wenmo.tools.writing.labels import EXAMPLES, Language, language_of, say, translations
from wenmo.tools.writing.link import NUMBERS, RANGES, Linked, linked, most_allowed
from wenmo.tools.writing.poem_html import facts, poem_html, text_html
from wenmo.tools.writing.requests import FORMS, request
from wenmo.tools.writing.together import Runs, Side, write_together
from wenmo.tools.writing.writer import (
    MAX_SEED,
    MAX_TYPED,
    MODELS,
    Asked,
    ModelName,
    Writer,
    changed,
)

FOLDER = Path(__file__).parent
WRITING = 8
"""Pages that are written for at a time; the others wait for their turn and see their place."""

WAITING = 64
"""Pages that may wait; more are asked to come again later."""

translated = gr.I18n(**translations())

# Said in the browser, which knows its own address.
LINK = """(query) => {
  const link = location.origin + location.pathname + query;
  if (query) history.replaceState(null, "", link);
  return link;
}"""
COPY = """async (text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // beyond loopback and without https there is no clipboard
    const area = document.body.appendChild(document.createElement("textarea"));
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}"""
DOWNLOAD = """(text, seed) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text + "\\n"], {type: "text/plain"}));
  link.download = `NAME-${seed}.txt`;
  link.click();
  URL.revokeObjectURL(link.href);
}"""


@dataclass(frozen=True)
class Desk:
    """What the page is made for: the models, and what params.yaml says of them."""

    writer: Writer
    sampling: Mapping[str, Sampling]
    seed: int
    poem_prompts: str
    models: str


@dataclass(frozen=True)
class Tab:
    """The components of one task that others read or write."""

    typed: gr.Textbox
    form: gr.Radio
    seed: gr.Number
    new_seed: gr.Checkbox
    numbers: dict[str, gr.Slider]
    called: gr.Textbox
    query: gr.Textbox
    texts: dict[ModelName, gr.Textbox]
    panels: dict[ModelName, gr.HTML]

    @property
    def asked_for(self) -> list[Any]:
        """What a text follows from, in the order in which `write` takes it."""
        return [self.typed, self.form, self.seed, *self.numbers.values()]

    @property
    def called_up(self) -> list[Any]:
        """What a link fills in; the last makes it write."""
        return [*self.asked_for, self.new_seed, self.called]


def build(desk: Desk) -> gr.Blocks:
    """The page; `theme` and `css` go to where it is mounted."""
    runs = Runs()
    blocks = gr.Blocks(title="文墨 wenmo", analytics_enabled=False)
    with blocks:
        with gr.Row(elem_id="masthead"):
            gr.HTML(Markup("<h1>文墨<small>wenmo</small></h1>"))
        gr.Markdown(translated("lead"), elem_id="lead")
        notice = gr.HTML(elem_id="notice", container=False, padding=False)
        with gr.Tabs() as tabs:
            parts = {task: _tab(desk, runs, task) for task in desk.writer.tasks}

        def leave(http: gr.Request) -> None:
            runs.stop(http.session_hash or "")

        filled_in = [each for tab in parts.values() for each in tab.called_up]
        blocks.load(
            _calling_up(desk, parts),
            None,
            [tabs, notice, *filled_in],
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        blocks.unload(leave)
    blocks.queue(max_size=WAITING, default_concurrency_limit=WRITING, api_open=False)
    return blocks


def theme() -> gr.themes.Base:
    """The report page's paper and inks, with fonts that are on the reader's machine."""
    fonts = ["system-ui", "Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", "Microsoft YaHei"]
    light = {
        "body_background_fill": "#fbf9f4",
        "body_text_color": "#24211c",
        "body_text_color_subdued": "#6a6356",
        "background_fill_primary": "#fbf9f4",
        "background_fill_secondary": "#f3efe6",
        "block_background_fill": "transparent",
        "border_color_primary": "#ded7c9",
        "input_background_fill": "#fffdf8",
        "button_primary_background_fill": "#ab3a2b",
        "button_primary_background_fill_hover": "#8f2f22",
        "button_primary_text_color": "#fffdf8",
        "button_secondary_background_fill": "#f3efe6",
        "button_secondary_background_fill_hover": "#e9e2d3",
        "button_secondary_text_color": "#24211c",
        "block_label_text_color": "#6a6356",
        "block_title_text_color": "#6a6356",
        "block_info_text_color": "#6a6356",
        "slider_color": "#ab3a2b",
        "color_accent": "#ab3a2b",
        "checkbox_background_color_selected": "#ab3a2b",
        "checkbox_border_color_selected": "#ab3a2b",
        "checkbox_label_background_fill_selected": "#f3efe6",
        "checkbox_label_text_color_selected": "#24211c",
    }
    dark = {
        "body_background_fill": "#191714",
        "body_text_color": "#e9e4d9",
        "body_text_color_subdued": "#a59d8e",
        "background_fill_primary": "#191714",
        "background_fill_secondary": "#22201c",
        "border_color_primary": "#3c3831",
        "input_background_fill": "#22201c",
        "button_secondary_background_fill": "#22201c",
        "button_secondary_background_fill_hover": "#2c2924",
        "button_secondary_text_color": "#e9e4d9",
        "block_label_text_color": "#a59d8e",
        "block_title_text_color": "#a59d8e",
        "block_info_text_color": "#a59d8e",
        "checkbox_label_background_fill_selected": "#22201c",
        "checkbox_label_text_color_selected": "#e9e4d9",
    }
    plain = {"block_border_width": "0px", "block_shadow": "none", "block_padding": "0px"}
    base = gr.themes.Base(font=[*fonts, "sans-serif"], font_mono=["ui-monospace", "monospace"])
    colours = {f"{name}_dark": value for name, value in dark.items()}
    themed: gr.themes.Base = base.set(**plain, **light, **colours)
    return themed


def css() -> str:
    """The page's own style."""
    return (FOLDER / "web_page.css").read_text(encoding="utf-8")


def _tab(desk: Desk, runs: Runs, task: str) -> Tab:
    """A task's part of the page, with what its buttons do."""
    private: dict[str, Any] = {"api_visibility": "private"}
    sampling = desk.sampling[task]
    with gr.Tab(translated(task), id=task, elem_id=f"tab-{task}"):
        with gr.Row(elem_classes="question"):
            typed = gr.Textbox(
                label=translated(f"ask_{task}"),
                lines=1,
                max_lines=4,
                max_length=MAX_TYPED,
                scale=5,
                elem_classes="typed",
            )
            write = gr.Button(translated("write"), variant="primary", scale=0, min_width=112)
            stop = gr.Button(translated("stop"), scale=0, min_width=80)
        form = gr.Radio(
            list(FORMS),
            value=next(iter(FORMS)),
            label=translated("form"),
            show_label=False,
            visible=task == "poetry",
            elem_classes="form",
        )
        gr.Examples(
            [[each] for each in EXAMPLES[task]],
            inputs=[typed],
            label=translated("examples"),
            api_visibility="private",
        )
        with gr.Accordion(translated("settings"), open=False, elem_classes="settings"):
            with gr.Row():
                numbers = {
                    name: gr.Slider(
                        least,
                        most_allowed(name, sampling),
                        value=getattr(sampling, name),
                        step=step,
                        label=translated(name),
                        min_width=200,
                    )
                    for name, (least, _, step) in RANGES.items()
                }
            with gr.Row():
                seed = gr.Number(
                    value=desk.seed % MAX_SEED,
                    precision=0,
                    minimum=0,
                    maximum=MAX_SEED - 1,
                    label=translated("seed"),
                    min_width=200,
                    elem_classes="seed",
                )
                new_seed = gr.Checkbox(
                    value=True, label=translated("new_seed"), min_width=200, scale=2
                )
        called, query = gr.Textbox(visible=False), gr.Textbox(visible=False)
        texts: dict[ModelName, gr.Textbox] = {}
        panels: dict[ModelName, gr.HTML] = {}
        with gr.Row(elem_classes="texts"):
            for model in MODELS:
                with gr.Column(elem_classes=["written", model], min_width=300):
                    with gr.Row(elem_classes="head"):
                        gr.Markdown(translated(model), elem_classes="name")
                        copy = gr.Button(translated("copy"), size="sm", scale=0, min_width=64)
                        get = gr.Button(translated("download"), size="sm", scale=0, min_width=64)
                    panels[model] = gr.HTML(
                        elem_classes=["panel", task], container=False, padding=False
                    )
                    texts[model] = gr.Textbox(
                        visible="hidden", elem_classes="raw", interactive=False
                    )
                    copy.click(None, [texts[model]], None, js=COPY, **private)
                    save = DOWNLOAD.replace("NAME", f"{task}-{model}")
                    get.click(None, [texts[model], seed], None, js=save, **private)
        if task == "poetry":
            gr.Markdown(translated("legend"), elem_classes="legend")
        link = gr.Textbox(
            label=translated("link"),
            interactive=False,
            lines=1,
            max_lines=1,
            buttons=["copy"],
            elem_classes="link",
        )
        tab = Tab(typed, form, seed, new_seed, numbers, called, query, texts, panels)
        shown = [*texts.values(), *panels.values(), query]
        asking: dict[str, Any] = {
            "trigger_mode": "once",
            "show_progress": "minimal",
            "show_progress_on": list(panels.values()),
            **private,
        }

        def write_both(http: gr.Request, *values: Any) -> Iterator[list[Any]]:
            yield from _write(desk, runs, task, http, *values)

        writing = [
            gr.on(
                [write.click, typed.submit],
                _drawn_seed,
                [new_seed, seed],
                [seed],
                queue=False,
                show_progress="hidden",
                **private,
            ).then(write_both, tab.asked_for, shown, **asking),
            called.change(write_both, tab.asked_for, shown, **asking),
        ]

        def stop_both(http: gr.Request) -> None:
            runs.stop(http.session_hash or "")

        stop.click(stop_both, None, None, cancels=writing, queue=False, **private)
        query.change(None, [query], [link], js=LINK, **private)
    return tab


def _drawn_seed(new_seed: bool, seed: float) -> int:
    """The seed of the next text."""
    return secrets.randbelow(MAX_SEED) if new_seed else int(seed or 0)


def _write(
    desk: Desk,
    runs: Runs,
    task: str,
    http: gr.Request,
    typed: str,
    form: str,
    seed: float,
    *numbers: float,
) -> Iterator[list[Any]]:
    """Both texts as they grow, what is told of them, and the link that calls them up again."""
    language = language_of(http.headers.get("accept-language", ""))
    if not typed.strip():
        raise _said(say("nothing", language))
    if len(typed) > MAX_TYPED:
        raise _said(say("too_long", language, MAX_TYPED))
    with runs.run(http.session_hash or "") as stop:
        try:
            given = {
                name: kind(value)
                for (name, kind), value in zip(NUMBERS.items(), numbers, strict=True)
            }
            sampling = changed(desk.sampling[task], **given)
            wanted = Linked(task, typed, form, int(seed), sampling, desk.models)
            asked = Asked(
                task, request(task, typed, form, desk.poem_prompts), wanted.seed, sampling
            )
            for sides in write_together(desk.writer, asked, stop):
                texts = [side.text for side in sides.values()]
                panels = [_panel(side, asked, language) for side in sides.values()]
                yield [*texts, *panels, wanted.query()]
        except UserError as error:
            raise _said(str(error)) from None


def _panel(side: Side, asked: Asked, language: Language) -> Markup:
    """A text with its facts below."""
    text = poem_html(side.text) if asked.task == "poetry" else text_html(side.text)
    reason = side.whole.finish_reason if side.whole else ""
    return text + facts(side.text, reason, asked.seed, asked.task, language)


def _calling_up(desk: Desk, tabs: Mapping[str, Tab]) -> Callable[[gr.Request], list[Any]]:
    """What happens when a page is opened.

    If its address asks for a text, that task's tab is shown, filled in and told to write.
    """
    untouched = {task: [gr.skip()] * len(tab.called_up) for task, tab in tabs.items()}

    def call_up(http: gr.Request) -> list[Any]:
        language = language_of(http.headers.get("accept-language", ""))
        shown, notice, filled_in = gr.skip(), "", dict(untouched)
        try:
            found = linked(dict(http.query_params), desk.sampling)
        except UserError as error:
            found, notice = None, say("bad_link", language, error)
        if found:
            if found.models and found.models != desk.models:
                notice = say("other_models", language)
            shown = gr.Tabs(selected=found.task)
            numbers = [getattr(found.sampling, name) for name in NUMBERS]
            filled_in[found.task] = [
                *(found.typed, found.form, found.seed),
                *numbers,
                *(False, found.query()),
            ]
        return [shown, escape(notice), *(each for part in filled_in.values() for each in part)]

    return call_up


def _said(message: str) -> gr.Error:
    """An error that Gradio shows, which it does as HTML."""
    return gr.Error(str(escape(message)), print_exception=False)
