"""Provide the base model in models/base.

PYTHONPATH=src python stages/base_model.py
"""

from pathlib import Path

from wenmo.config import params_file
from wenmo.config.base_model import BaseModelParams
from wenmo.core.records import write_json
from wenmo.core.stage import parse_arguments, run_stage
from wenmo.model.base import provide

if __name__ == "__main__":
    parse_arguments(__doc__)
    with run_stage("base_model"):
        ledger = provide(
            output=Path("models/base"),
            params=BaseModelParams.load("base_model"),
            seed=params_file.seed(),
        )
        write_json(Path("metrics/base_model.json"), ledger)
