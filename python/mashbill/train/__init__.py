"""Trains a model on what `mashbill tokenize` wrote, as a YAML file describes.

The reference consumer of the loader, to be read in one sitting: `strict_yaml`, `config`, `config_file` and
`contradictions` (the file), `resume` (what was changed since), `data` (batches), `checks` and `vocabulary` (what has to
fit), `model` (the loss), `optimizer`, `checkpoint`, `lock`, `publish` (files), `metrics` and `printer` (what is said),
and `trainer`, the run.
"""
