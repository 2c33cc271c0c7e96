"""What a browser may send to the page's functions: values of the types that the components have."""

from collections.abc import Mapping
from typing import Annotated, Any

import gradio as gr
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

Session = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

MAX_NUMBER = 2**53
"""Bound of numbers whose component has none: integers that JavaScript writes exactly."""


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Call(_Body):
    """`/run/predict` and `/queue/join`."""

    data: list[Any]
    event_data: Any = None
    fn_index: int
    trigger_id: int | None = None
    session_hash: Session


class Cancel(_Body):
    """`/cancel`."""

    event_id: Session
    session_hash: Session
    fn_index: int


class Reset(_Body):
    """`/reset`."""

    event_id: Session


BODIES: Mapping[str, type[_Body]] = {
    "/gradio_api/run/predict": Call,
    "/gradio_api/queue/join": Call,
    "/gradio_api/cancel": Cancel,
    "/gradio_api/reset": Reset,
}


def fault(page: gr.Blocks, path: str, body: bytes) -> str:
    """What is wrong with a JSON body that is sent to `path`; empty if nothing is."""
    try:
        call = BODIES[path].model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(each) for each in first["loc"]) or "body"
        return f"{place}: {first['msg']}"
    if not isinstance(call, Call):
        return ""
    function = page.fns.get(call.fn_index)
    if function is None:
        return "fn_index: no such function"
    if function.cancels:
        return ""
    if len(call.data) != len(function.inputs):
        return f"data: expected {len(function.inputs)} values, got {len(call.data)}"
    for number, (component, value) in enumerate(zip(function.inputs, call.data, strict=True)):
        expected = _expected(component, value)
        if expected:
            return f"data.{number}: expected {expected}"
    return ""


def _expected(component: Any, value: Any) -> str:
    """What a component takes, if it does not take this value; else nothing."""
    match component:
        case gr.Number() if value is None and not isinstance(component, gr.Slider):
            return ""  # an emptied field
        case gr.Number() | gr.Slider():
            least = -MAX_NUMBER if component.minimum is None else component.minimum
            most = MAX_NUMBER if component.maximum is None else component.maximum
            number = isinstance(value, int | float) and not isinstance(value, bool)
            fits = number and least <= value <= most
            return "" if fits else f"a number from {least:g} to {most:g}"
        case gr.Checkbox():
            return "" if isinstance(value, bool) else "true or false"
        case gr.Radio() | gr.Dropdown():
            choices = [each for _, each in component.choices]
            return "" if isinstance(value, str) and value in choices else "one of the choices"
        case gr.Textbox():
            return "" if isinstance(value, str) else "a text"
        case gr.Dataset():
            fits = type(value) is int and 0 <= value < len(component.samples)
            return "" if fits else "the number of an example"
    return "no value from a browser"
