"""Any body that a client may send to the page's functions."""

import json
from typing import Any

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenmo.tools.writing.web_values import BODIES, fault

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def page() -> gr.Blocks:
    """One function of all components that the page has."""
    with gr.Blocks() as blocks:
        inputs = [
            *(
                gr.Textbox(),
                gr.Dropdown(["五言绝句", "七言绝句"]),
                gr.Number(minimum=0),
                gr.Number(),
            ),
            *(gr.Slider(0, 2), gr.Checkbox(), gr.Dataset(["textbox"], samples=[["雪"], ["月"]])),
        ]
        gr.Button().click(lambda *values: None, inputs, None)
    return blocks


PAGE = page()
RIGHT = ["雪", "五言绝句", 1, None, 0.5, True, 1]


def call(data: Any, **changed: Any) -> bytes:
    body = {"data": data, "fn_index": 0, "session_hash": "a1", "trigger_id": 3, "event_data": None}
    return json.dumps(body | changed).encode()


def test_what_the_page_itself_sends_is_right() -> None:
    assert fault(PAGE, "/gradio_api/queue/join", call(RIGHT)) == ""
    for path in ("/gradio_api/cancel", "/gradio_api/reset"):
        ids = {"event_id": "0f", "session_hash": "a1", "fn_index": 0}
        body = ids if path.endswith("cancel") else {"event_id": "0f"}
        assert fault(PAGE, path, json.dumps(body).encode()) == ""


@given(
    st.sampled_from(sorted(BODIES)), st.binary() | JSON.map(lambda each: json.dumps(each).encode())
)
def test_any_other_body_is_refused(path: str, body: bytes) -> None:
    told = fault(PAGE, path, body)
    assert told
    assert len(told.splitlines()) == 1


@given(st.integers(0, len(RIGHT) - 1), JSON)
def test_a_value_is_right_or_named(place: int, value: Any) -> None:
    data = [*RIGHT[:place], value, *RIGHT[place + 1 :]]
    told = fault(PAGE, "/gradio_api/run/predict", call(data))
    expected = RIGHT[place]
    if told:
        assert told.startswith((f"data.{place}: expected ", "body: Invalid JSON"))
    else:
        number = isinstance(expected, int | float | None) and not isinstance(expected, bool)
        kinds = (int, float, type(None)) if number else (type(expected),)
        assert isinstance(value, kinds)


@given(JSON)
def test_any_function_and_session_is_refused(value: Any) -> None:
    if value != 0 or isinstance(value, bool | float):
        assert fault(PAGE, "/gradio_api/run/predict", call(RIGHT, fn_index=value))
    if not isinstance(value, str):
        assert fault(PAGE, "/gradio_api/run/predict", call(RIGHT, session_hash=value))


@pytest.mark.parametrize("name", ["batched", "simple_format", "oauth_token", "request"])
def test_keys_that_the_page_does_not_send_are_refused(name: str) -> None:
    assert fault(PAGE, "/gradio_api/queue/join", call(RIGHT, **{name: True})).startswith(name)
