"""TRL's preparation of conversations: ids and masks of the assistant's words, packed rows.

    python prepare_trl.py TOKENIZER CHATS WORK

TOKENIZER is a folder with a chat template that TRL knows, CHATS a JSON Lines file, WORK a folder for what `datasets`
writes. What is done is all that `SFTTrainer` does before it trains: the model is as small as can be.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    tokenizer_folder, chats, work = (Path(argument) for argument in sys.argv[1:])
    os.environ["HF_HOME"] = str(work)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    from datasets import load_dataset
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(str(tokenizer_folder))
    tokenizer.pad_token = tokenizer.eos_token
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **shape))
    config = SFTConfig(
        output_dir=str(work / "out"),
        max_length=2048,
        packing=True,
        assistant_only_loss=True,
        padding_free=True,
        report_to="none",
        use_cpu=True,
        bf16=False,
    )
    dataset = load_dataset("json", data_files=str(chats), split="train")
    trainer = SFTTrainer(model, config, train_dataset=dataset, processing_class=tokenizer)
    print(len(trainer.train_dataset))


if __name__ == "__main__":
    main()
