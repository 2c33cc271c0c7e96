"""What pydantic says of a value, in the reader's language."""

import re

from pydantic_core import ErrorDetails

from wenmo.core.choices import nearest
from wenmo.core.language import N_, gettext, language

BY_PYDANTIC = {
    "bool_type": N_("Input should be a valid boolean"),
    "dict_type": N_("Input should be a valid dictionary"),
    "finite_number": N_("Input should be a finite number"),
    "float_type": N_("Input should be a valid number"),
    "greater_than": N_("Input should be greater than {gt}"),
    "greater_than_equal": N_("Input should be greater than or equal to {ge}"),
    "int_type": N_("Input should be a valid integer"),
    "less_than": N_("Input should be less than {lt}"),
    "less_than_equal": N_("Input should be less than or equal to {le}"),
    "list_type": N_("Input should be a valid list"),
    "literal_error": N_("Input should be {expected}"),
    "model_type": N_("Input should be a valid dictionary"),
    "string_pattern_mismatch": N_("String should match pattern '{pattern}'"),
    "string_too_short": N_("String should have at least {min_length} characters"),
    "string_type": N_("Input should be a valid string"),
    "too_short": N_("List should have at least {min_length} items"),
}
"""By type of error: https://docs.pydantic.dev/latest/errors/validation_errors/"""


def complaint_about(error: ErrorDetails) -> str:
    """What is wrong with a value: pydantic's own words in English, else their translation."""
    values = error.get("ctx", {})
    if error["type"] == "value_error":
        return str(values["error"])
    if error["type"] == "literal_error":
        allowed = re.findall("'(.*?)'", values["expected"])
        if near := nearest(error["input"], allowed):
            return near
    if language() == "en" or error["type"] not in BY_PYDANTIC:
        return error["msg"]
    told = {
        name: f"{each:g}" if isinstance(each, float) else str(each).replace(" or ", gettext(" or "))
        for name, each in values.items()
    }
    return gettext(BY_PYDANTIC[error["type"]], **told)
