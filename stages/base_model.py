"""Provide the base model in models/base.

PYTHONPATH=src python stages/base_model.py
"""

from pathlib import Path

from wenmo import params
from wenmo.model.base import BaseModelParams, provide
from wenmo.records import write_json
from wenmo.stage import parse_arguments, running

if __name__ == "__main__":
    parse_arguments(__doc__)
    with running("base_model"):
        ledger = provide(
            output=Path("models/base"),
            params=BaseModelParams.load("base_model"),
            seed=params.seed(),
        )
        write_json(Path("metrics/base_model.json"), ledger)
