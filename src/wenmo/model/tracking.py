"""Trackers (`train.report_to`) show a training while it runs; what they write is no output."""

TRACKER_ENVIRONMENT = {
    "SWANLAB_LOG_DIR": "logs/swanlab",
    "SWANLAB_PROJECT": "wenmo",
    "TENSORBOARD_LOGGING_DIR": "logs/tensorboard",
    "TRACKIO_DIR": "logs/trackio",
    "WANDB_DIR": "logs",
    "WANDB_PROJECT": "wenmo",
}
"""The variables by which each tracker takes its folder and the name of the project."""
