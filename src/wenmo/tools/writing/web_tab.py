"""A task's tab of the page: its components, its buttons, and writing both texts."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup, escape

from wenmo.config.generate import VERSE_RULES, Sampling, VerseRule
from wenmo.core.errors import UserError
from wenmo.core.language import gettext, in_language, language_of
from wenmo.text.asked_verse import FORMS, asked_tune
from wenmo.text.certain_readings import rhyme_names
from wenmo.text.patterns import tunes
from wenmo.tools.writing.both_models import ModelText, StopEvents, write_both
from wenmo.tools.writing.link import DEFAULT_RULE, MAX_TYPED, NUMBERS, RANGES, PageLink, maximum
from wenmo.tools.writing.poem_html import facts, poem_html, text_html
from wenmo.tools.writing.web_texts import EXAMPLES, TEXTS, translated
from wenmo.tools.writing.wording import DEFAULT_FORM, task_prompt, verse_of
from wenmo.tools.writing.writer import (
    MAX_SEED,
    MODELS,
    ModelName,
    TextRequest,
    Writer,
    Written,
    sampling_with,
)

PRIVATE: dict[str, Any] = {"api_visibility": "private"}

# These run in the browser, which knows the page's address.
SHOW_LINK = """(query) => {
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
class PageContext:
    """The models, and what params.yaml says about them."""

    writer: Writer
    sampling: Mapping[str, Sampling]
    seed: int
    poem_prompts: str
    weights_digest: str


@dataclass(frozen=True)
class Tab:
    """The components of a task that event handlers read or write."""

    typed: gr.Textbox
    form: gr.Dropdown
    verse: gr.Dropdown
    rhyme: gr.Dropdown
    seed: gr.Number
    new_seed: gr.Checkbox
    numbers: dict[str, gr.Slider]
    linked: gr.Textbox
    query: gr.Textbox
    texts: dict[ModelName, gr.Textbox]
    panels: dict[ModelName, gr.HTML]

    @property
    def request(self) -> list[Any]:
        """The components that a text depends on, in the order of the arguments of `_write`."""
        verse = [self.form, self.verse, self.rhyme]
        return [self.typed, *verse, self.seed, *self.numbers.values()]

    @property
    def filled_by_link(self) -> list[Any]:
        """The components that a link fills in; a change of the last one starts the writing."""
        return [*self.request, self.new_seed, self.linked]


def build_tab(context: PageContext, stops: StopEvents, task: str) -> Tab:
    """A task's tab with its event handlers."""
    sampling = context.sampling[task]
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
        with gr.Row(visible=task == "poetry", elem_classes="verse"):
            form = gr.Dropdown([*FORMS, *tunes()], value=DEFAULT_FORM, label=translated("form"))
            verse = gr.Dropdown(
                [(translated(f"verse_{rule}"), rule) for rule in VERSE_RULES],
                value=DEFAULT_RULE,
                label=translated("verse"),
            )
            rhymes: list[Any] = [
                (translated("any_rhyme"), ""),
                *((translated(name), name) for name in rhyme_names()),
            ]
            rhyme = gr.Dropdown(rhymes, value="", label=translated("rhyme"))
        gr.Examples(
            [[each] for each in EXAMPLES[task]],
            inputs=[typed],
            label=translated("examples"),
            **PRIVATE,
        )
        with gr.Accordion(translated("settings"), open=False, elem_classes="settings"):
            with gr.Row():
                numbers = {
                    name: gr.Slider(
                        least,
                        maximum(name, sampling),
                        value=getattr(sampling, name),
                        step=step,
                        label=translated(name),
                        min_width=200,
                    )
                    for name, (least, _, step) in RANGES.items()
                }
            with gr.Row():
                seed = gr.Number(
                    value=context.seed % MAX_SEED,
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
        linked, query = gr.Textbox(visible=False), gr.Textbox(visible=False)
        texts: dict[ModelName, gr.Textbox] = {}
        panels: dict[ModelName, gr.HTML] = {}
        with gr.Row(elem_classes="texts"):
            for model in MODELS:
                with gr.Column(elem_classes=["written", model], min_width=300):
                    texts[model], panels[model] = _build_panel(task, model, seed)
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
        tab = Tab(typed, form, verse, rhyme, seed, new_seed, numbers, linked, query, texts, panels)
        outputs = [*texts.values(), *panels.values(), query]
        options: dict[str, Any] = {
            "trigger_mode": "once",
            "concurrency_id": "write",  # all tabs share the places
            "show_progress": "minimal",
            "show_progress_on": list(panels.values()),
            **PRIVATE,
        }

        def on_write(http: gr.Request, *values: Any) -> Iterator[list[Any]]:
            yield from _write(context, stops, task, http, *values)

        writing = [
            gr.on(
                [write.click, typed.submit],
                _next_seed,
                [new_seed, seed],
                [seed],
                queue=False,
                show_progress="hidden",
                **PRIVATE,
            ).then(on_write, tab.request, outputs, **options),
            linked.change(on_write, tab.request, outputs, **options),
        ]

        def on_stop(http: gr.Request) -> None:
            stops.stop(http.session_hash or "")

        stop.click(on_stop, None, None, cancels=writing, queue=False, **PRIVATE)
        query.change(None, [query], [link], js=SHOW_LINK, **PRIVATE)
    return tab


def _build_panel(task: str, model: ModelName, seed: gr.Number) -> tuple[gr.Textbox, gr.HTML]:
    """A model's name and buttons, its text as a hidden component, and the panel that shows it."""
    with gr.Row(elem_classes="head"):
        gr.Markdown(translated(model), elem_classes="name")
        copy = gr.Button(translated("copy"), size="sm", scale=0, min_width=64)
        download = gr.Button(translated("download"), size="sm", scale=0, min_width=64)
    panel = gr.HTML(elem_classes=["panel", task], container=False, padding=False)
    text = gr.Textbox(visible="hidden", elem_classes="raw", interactive=False)
    copy.click(None, [text], None, js=COPY, **PRIVATE)
    script = DOWNLOAD.replace("NAME", f"{task}-{model}")
    download.click(None, [text, seed], None, js=script, **PRIVATE)
    return text, panel


def _next_seed(new_seed: bool, seed: float) -> int:
    """The seed of the next text: a random one if the box is ticked."""
    return secrets.randbelow(MAX_SEED) if new_seed else int(seed or 0)


def _write(
    context: PageContext,
    stops: StopEvents,
    task: str,
    http: gr.Request,
    typed: str,
    form: str,
    rule: VerseRule,
    rhyme: str,
    seed: float,
    *numbers: float,
) -> Iterator[list[Any]]:
    """Both texts as they grow, their panels, and the query of the link to them."""
    language = language_of(http.headers.get("accept-language", ""))
    if not typed.strip():
        with in_language(language):
            asked = gettext(TEXTS[f"ask_{task}"])
            gr.Warning(gettext("Fill in “{field}” first, or click an example.", field=asked))
        yield [gr.skip()] * (2 * len(MODELS) + 1)
        return
    if len(typed) > MAX_TYPED:
        with in_language(language):
            raise shown_error(gettext("At most {count} characters, please.", count=MAX_TYPED))
    with stops.registered(http.session_hash or "") as stop:
        try:
            # No longer than this: Gradio asks for each step from another context.
            with in_language(language):
                values = {
                    name: kind(value)
                    for (name, kind), value in zip(NUMBERS.items(), numbers, strict=True)
                }
                sampling = sampling_with(context.sampling[task], **values)
                link = PageLink(
                    task, typed, form, int(seed or 0), sampling, context.weights_digest, rule, rhyme
                )
                prompt = task_prompt(task, typed, form, context.poem_prompts)
                verse = verse_of(prompt, rule, rhyme) if task == "poetry" else None
                request = TextRequest(task, prompt, link.seed, sampling, verse)
            for both in write_both(context.writer, request, stop, language):
                texts = [each.text for each in both.values()]
                with in_language(language):
                    panels = [_panel_html(each, request) for each in both.values()]
                yield [*texts, *panels, link.query()]
        except UserError as error:
            raise shown_error(str(error)) from None


def _panel_html(text: ModelText, request: TextRequest) -> Markup:
    """A text with its facts below."""
    reason = text.completion.finish_reason if text.completion else ""
    if request.task != "poetry":
        return text_html(text.text) + facts(text.text, reason, request.seed, request.task)
    tune = asked_tune(request.prompt)
    forced = text.completion.forced if isinstance(text.completion, Written) else ()
    filled = request.verse.pattern if request.verse else tune
    html = poem_html(text.text, filled, forced, is_open=bool(request.verse))
    return html + facts(text.text, reason, request.seed, request.task, tune)


def shown_error(message: str) -> gr.Error:
    """An error for the page; escaped, since Gradio shows its message as HTML."""
    return gr.Error(str(escape(message)), print_exception=False)
