"""Rows of a dataset on the Hugging Face hub, at one commit.

The library `datasets` finds the files of a subset and a split, and keeps them in its cache, so that
a later run needs no network. HF_TOKEN in the environment or .env opens datasets of your own.
https://huggingface.co/docs/datasets/loading
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from wenmo.config.prepare import DatasetParams
from wenmo.core.errors import ParamsError, UserError
from wenmo.core.keys import secret
from wenmo.core.language import gettext
from wenmo.model.hubs import dataset_commit, is_commit, of_hub
from wenmo.tasks.raw import Located, chosen_columns

if TYPE_CHECKING:
    from datasets import Dataset


def source_name(params: DatasetParams) -> str:
    """The repository as the name of a file."""
    return params.name.replace("/", "--")


def read_dataset(params: DatasetParams, task: str, columns: Collection[str]) -> Located:
    """The rows of a split as far as they are in these columns, each with its number.

    Raises ParamsError for a revision that is no full commit, with the commit at which it stands,
    and UserError if the dataset cannot be had or has none of the columns.
    """
    if not is_commit(params.revision):
        commit = dataset_commit(params.name, params.revision)
        key = f"{task}.prepare.dataset.revision"
        raise ParamsError(
            "params.yaml: {key}: {revision!r}: expected a commit of 40 hexadecimal digits, since a"
            " branch or tag can move; today's is -S {key}={commit}",
            key=key,
            revision=params.revision,
            commit=commit,
        )
    origin = gettext("dataset {name}", name=params.name)
    rows = _fetched(params, origin)
    wanted = chosen_columns(rows.column_names, columns, origin)
    for number, content in enumerate(rows.select_columns(wanted), start=1):
        place = gettext(
            "{origin}: {split} row {number}", origin=origin, split=params.split, number=number
        )
        yield place, content


def _fetched(params: DatasetParams, origin: str) -> "Dataset":
    from datasets import load_dataset_builder
    from datasets.exceptions import DatasetGenerationError

    try:
        builder = load_dataset_builder(
            # Without the scheme, a folder of this name would be taken for it.
            f"hf://datasets/{params.name}",
            params.subset or None,
            revision=params.revision,
            token=secret("HF_TOKEN") or False,
        )
        # If the hub cannot be reached, the library takes any commit that it has kept.
        if builder.hash != params.revision:
            raise UserError("{place}: the hub cannot be reached; run again later", place=origin)
        builder.download_and_prepare()
        return builder.as_dataset(split=params.split)
    except UserError:
        raise
    except Exception as error:  # a stranger's files, which can fail in any way
        # An error of generation wraps what is wrong with the files.
        cause = (isinstance(error, DatasetGenerationError) and error.__cause__) or error
        reason = " ".join(f"{type(cause).__name__}: {cause}".split())[:300]
        raise UserError(
            "{place}: {error}", place=of_hub(origin, params.revision), error=reason
        ) from None
