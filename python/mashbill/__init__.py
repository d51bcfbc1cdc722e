"""The data pipeline for language-model training and distillation."""

from mashbill._mashbill import __version__

__all__ = ["__version__"]
