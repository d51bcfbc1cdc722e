"""The model and what it is trained for: cross-entropy, and the divergence from a teacher.

Both are computed over a few thousand tokens at a time and again in the backward pass, so that what has the
vocabulary's width stays small: at 128 thousand entries and 4 rows of 8,192 tokens the logits alone take 17 GB.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForCausalLM, LlamaConfig

from mashbill.train import printer
from mashbill.train.config import Config
from mashbill.train.data import IGNORED, Data
from mashbill.train.error import TrainError

CHUNK_TOKENS = 2048


def build(config: Config, data: Data) -> Any:
    """The model that is trained, on the CPU, with weights of 32 bits."""
    if config.model.llama is None:
        return load(str(config.model.start_from), config, config.place("model", "start_from"))
    torch.manual_seed(config.seed)
    llama = LlamaConfig(
        vocab_size=data.dataset.vocabulary_size,
        max_position_embeddings=data.dataset.row_length,
        bos_token_id=data.bos_id,
        eos_token_id=data.eos_id,
        rope_parameters={"rope_type": "default", "rope_theta": config.model.llama.rope_theta},
        **config.model.llama.model_dump(exclude={"rope_theta"}),
    )
    attention = config.model.attention
    try:
        return AutoModelForCausalLM.from_config(llama, attn_implementation=attention, trust_remote_code=False)
    except (ValueError, ImportError) as error:
        said = f"{config.place('model', 'attention')}: `attention: {attention}` is not here: {printer.reason(error)}"
        raise TrainError(said, "use `--set model.attention=sdpa`") from error


def load(name: str, config: Config, place: str) -> Any:
    """A model of the Hub or of a folder, with weights of 32 bits, all of which are its own. `place` is where it was
    named. Nothing of it is run: no code that it brings, and no pickle but one of tensors."""
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=torch.float32,
            attn_implementation=config.model.attention,
            trust_remote_code=False,
            weights_only=True,
            output_loading_info=True,
        )
    except ImportError as error:
        said = f"`attention: {config.model.attention}` is not here: {printer.reason(error)}"
        raise TrainError(f"{config.place('model', 'attention')}: {said}", "use `--set model.attention=sdpa`") from error
    # Damaged weights have errors of safetensors, torch and others.
    except Exception as error:
        raise TrainError(
            f"{place}: the model `{name}` cannot be loaded: {printer.reason(error)}",
            "give a Hub id or a folder of `save_pretrained`",
        ) from error
    missing = sorted(found["missing_keys"])
    if missing:
        said = f"{len(missing)} of its weights are not there and would be random: {', '.join(missing[:3])}"
        raise TrainError(f"{place}: the model `{name}` is not whole: {said}", "get it again, or take another one")
    spoilt = not_finite(model)
    if spoilt:
        said = f"{len(spoilt)} of its weights are not finite: {', '.join(spoilt[:3])}"
        raise TrainError(f"{place}: the model `{name}` cannot be used: {said}", "take another one")
    return model


def not_finite(model: nn.Module) -> list[str]:
    """The names of the weights that hold a NaN or an infinity."""
    return [name for name, each in model.named_parameters() if not torch.isfinite(each).all()]


class Objective(nn.Module):
    """The sums over the tokens of a batch that bear loss: `(loss, cross_entropy, divergence)`."""

    def __init__(self, model: Any, teacher: Any | None, config: Config, ids: int) -> None:
        """`ids` are those of the data's tokenizer. Heads are padded to more than those, and not to the same number."""
        super().__init__()
        self.model = model
        self.ids = ids
        # Not a submodule: it has no gradients and is in no checkpoint.
        self.teacher = [] if teacher is None else [teacher]
        self.weight = config.teacher.weight if config.teacher else 0.0
        self.temperature = config.teacher.temperature if config.teacher else 1.0
        for each in (model, *self.teacher):
            _check_head(each)

    def forward(
        self, input_ids: Tensor, labels: Tensor, position_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`input_ids`, `labels` (shifted: the token after each) and `position_ids` are rows × row length."""
        hidden = hidden_states(self.model, input_ids, position_ids)
        taught = None
        for teacher in self.teacher:
            with torch.no_grad():
                taught = hidden_states(teacher, input_ids, position_ids)
        flat = labels.reshape(-1)
        # One chunk's logits are as small when they are kept, and need not be computed again.
        keep = flat.numel() <= CHUNK_TOKENS
        sums = []
        for start in range(0, flat.numel(), CHUNK_TOKENS):
            part = slice(start, start + CHUNK_TOKENS)
            given = hidden[part], flat[part], None if taught is None else taught[part]
            sums.append(self._chunk(*given) if keep else checkpoint(self._chunk, *given, use_reentrant=False))
        entropy, divergence = (torch.stack(each).sum() for each in zip(*sums, strict=True))
        loss = (1 - self.weight) * entropy + self.weight * divergence
        return loss, entropy.detach(), divergence.detach()

    def _chunk(self, hidden: Tensor, labels: Tensor, taught: Tensor | None) -> tuple[Tensor, Tensor]:
        logits = self.model.get_output_embeddings()(hidden).float()
        ce = cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
        if taught is None:
            return ce, torch.zeros_like(ce)
        with torch.no_grad():
            # Padding is cut off before the sum: probability on it would be of nothing.
            target = self.teacher[0].get_output_embeddings()(taught).float()[:, : self.ids]
            target = log_softmax(target / self.temperature, dim=-1)
        student = log_softmax(logits[:, : self.ids] / self.temperature, dim=-1)
        each = kl_div(student, target, reduction="none", log_target=True).sum(-1)
        # Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", section 2: the square of the
        # temperature keeps the gradients' size.
        return ce, (each * (labels != IGNORED)).sum() * self.temperature**2


def hidden_states(model: Any, input_ids: Tensor, position_ids: Tensor | None) -> Tensor:
    """The last layer's output, tokens × width. Positions that begin again keep attention inside of each document;
    `transformers` sees that only where there is neither an attention mask nor a cache."""
    output = model.base_model(input_ids=input_ids, position_ids=position_ids, use_cache=False)
    hidden: Tensor = output.last_hidden_state
    return hidden.flatten(0, 1)


@torch.no_grad()
def check_documents(model: Any, device: torch.device) -> None:
    """Fails where the model's attention passes the border between documents, which it would do silently."""
    training = model.training
    model.eval()
    input_ids = torch.arange(16, device=device).unsqueeze(0) % _ids(model)
    position_ids = torch.cat([torch.arange(7, device=device), torch.arange(9, device=device)]).unsqueeze(0)
    packed = hidden_states(model, input_ids, position_ids)[7:].float()
    alone = hidden_states(model, input_ids[:, 7:], None).float()
    model.train(training)
    if (packed - alone).norm() > 0.05 * alone.norm():
        raise TrainError(
            f"attention of `{type(model).__name__}` does not stay inside of documents",
            "try `--set model.attention=sdpa`, or `--set document_mask=false` to let documents see each other",
        )


def _check_head(model: Any) -> None:
    """Some models do more after their last layer than a linear map (a cap, a factor): those are refused."""
    input_ids = torch.arange(8).unsqueeze(0) % _ids(model)
    with torch.no_grad():
        whole = model(input_ids=input_ids, use_cache=False).logits.flatten(0, 1)
        ours = model.get_output_embeddings()(hidden_states(model, input_ids, None))
    if not torch.isfinite(whole).all():
        raise TrainError(
            f"`{type(model).__name__}` gives logits that are not finite: its weights are out of bounds",
            "take another model; a run's own: resume from an earlier checkpoint, or start afresh with a smaller rate",
        )
    if not torch.allclose(whole, ours, rtol=1e-4, atol=1e-5):
        raise TrainError(
            f"`{type(model).__name__}` changes its logits after the output layer, which this trainer does not",
            "take a model whose logits are those of its output layer, such as a Llama, Qwen or Mistral",
        )


def _ids(model: Any) -> int:
    """How many ids a model has; one of texts and images says it of its text."""
    ids: int = model.config.get_text_config().vocab_size
    return ids
