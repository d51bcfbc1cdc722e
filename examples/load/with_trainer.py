"""Trains a tiny Llama with Hugging Face's Trainer, and once more from its checkpoint in the middle: the same losses.

python examples/load/with_trainer.py data/distillation_preprocessed
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import mashbill
import torch
from mashbill.transformers import Trainer
from transformers import LlamaConfig, LlamaForCausalLM, TrainingArguments


def train(folder: Path, output: Path, checkpoint: str | None) -> list[float]:
    """Goes up to step 6 and gives the losses of all steps, those before the checkpoint included."""
    args = TrainingArguments(
        output_dir=str(output),
        per_device_train_batch_size=4,
        max_steps=6,
        save_steps=3,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    # After the arguments: they start torch.distributed, where the loader learns which rank it is.
    dataset = mashbill.Dataset(folder)
    loader = mashbill.DataLoader(dataset, batch_size=4, label_convention="aligned", documents=True, format="torch")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=dataset.vocabulary_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=dataset.row_length,
    )
    trainer = Trainer(model=LlamaForCausalLM(config), args=args, train_dataset=loader)
    trainer.train(resume_from_checkpoint=checkpoint)
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def main(folder: Path) -> None:
    """Compares a run with one that goes on from the checkpoint of its third step."""
    with TemporaryDirectory() as output:
        straight = train(folder, Path(output), None)
        resumed = train(folder, Path(output), str(Path(output) / "checkpoint-3"))
    print("not stopped:", *(f"{loss:.4f}" for loss in straight))
    print("stopped:    ", *(f"{loss:.4f}" for loss in resumed))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
