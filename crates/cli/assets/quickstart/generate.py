"""Goes on with a text: what a checkpoint of `mashbill train` is to `transformers`."""

import sys

from transformers import AutoModelForCausalLM, AutoTokenizer

checkpoint, text = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False)
model = AutoModelForCausalLM.from_pretrained(checkpoint, trust_remote_code=False)
given = tokenizer(text, return_tensors="pt")
generated = model.generate(**given, max_new_tokens=40, do_sample=False, pad_token_id=model.config.eos_token_id)
print(tokenizer.decode(generated[0], skip_special_tokens=True))
