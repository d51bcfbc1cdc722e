"""Trains a model from what `mashbill tokenize` wrote, as a YAML file says.

The reference consumer of the loader, to be read in one sitting: `config` (the file), `data` (batches), `checks` (what
has to fit), `model` (the loss), `optimizer`, `checkpoint`, `metrics`, and `trainer`, the run.
"""
