"""The writer of a demo: an endpoint, or the models in models/."""

from collections.abc import Sequence

from wenmo.tools.writing.endpoint import EndpointWriter
from wenmo.tools.writing.local import LocalWriter, trained
from wenmo.tools.writing.writer import Writer


def open_writer(endpoint: str, tasks: Sequence[str], *, only_trained: bool) -> Writer:
    """The writer of these tasks; with `only_trained` it leaves out those without an adapter.

    Raises UserError if a model is missing or the endpoint's address is wrong.
    """
    if endpoint:
        return EndpointWriter(endpoint, tasks)
    return LocalWriter((trained(tasks) if only_trained else tasks) or tasks)
