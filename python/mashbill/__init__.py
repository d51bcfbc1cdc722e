"""The data pipeline for language-model training and distillation."""

from mashbill._mashbill import MashbillError, ShardError, StateError, Tokenizer, __version__
from mashbill.loader import Appearance, Batch, DataLoader, Dataset, Split

__all__ = [
    "Appearance",
    "Batch",
    "DataLoader",
    "Dataset",
    "MashbillError",
    "ShardError",
    "Split",
    "StateError",
    "Tokenizer",
    "__version__",
]
