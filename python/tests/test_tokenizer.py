"""Tokenizers beside those of Hugging Face."""

import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import mashbill
import numpy as np
import pytest
from mashbill import _mashbill
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TEXTS = [
    "",
    " ",
    "The quick brown fox jumps over the lazy dog. It's 10:45, isn't it?",
    "  two  three   four    \t tab\n\n\nnewlines\r\n and  ends  ",
    "Grüße aus Köln, café, cafe\u0301, Ǆ, ﬁne, x²",
    "你好，世界！日本語のテスト。한국어 ไทย",
    "👨‍👩‍👧‍👦 flags 🇩🇪🇮🇩 and \x00\x07 controls \u200b\ufeff",
    "def f(x):\n    return {'a': [1, 22, 333]}  # comment\n",
    "[CLS] <s> <|endoftext|> </s> [MASK] inside",
    "a" * 500 + " " * 300 + "中" * 200,
]


SENTENCE = "the still house runs rye corn malted barley and wheat through copper until dawn"


def corpus() -> list[str]:
    """What the tokenizers of these tests are trained on."""
    words = SENTENCE.split()
    return [" ".join(words[(i * j) % len(words)] for j in range(1, 40)) for i in range(1, 60)] + TEXTS[2:8]


def wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(corpus(), trainers.WordPieceTrainer(vocab_size=400, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=None, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>")
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair=None, special_tokens=[("</s>", 1)])
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def byte_level() -> Tokenizer:
    return Tokenizer.from_str(_mashbill.tokenizer_files("gpt2")["tokenizer.json"])


MADE = {"wordpiece": wordpiece, "unigram": unigram, "byte_level": byte_level}


@pytest.fixture(scope="module", params=MADE)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[mashbill.Tokenizer, PreTrainedTokenizerFast]:
    folder = tmp_path_factory.mktemp("tokenizer") / request.param
    theirs = PreTrainedTokenizerFast(
        tokenizer_object=MADE[request.param](),
        pad_token={"wordpiece": "[PAD]", "unigram": "<pad>", "byte_level": "<|endoftext|>"}[request.param],
        clean_up_tokenization_spaces=False,
    )
    theirs.save_pretrained(folder)
    return mashbill.Tokenizer(folder), theirs


def test_ids_are_those_of_transformers(both: tuple[mashbill.Tokenizer, PreTrainedTokenizerFast]) -> None:
    ours, theirs = both
    assert ours.engine.startswith("mashbill-subword")
    assert ours.why_not_fast is None
    for adds in (True, False):
        expected = [theirs.encode(text, add_special_tokens=adds) for text in TEXTS]
        assert [ours.encode(text, add_special_tokens=adds).tolist() for text in TEXTS] == expected
        for threads in (0, 1, 3):
            found = ours.encode_batch(TEXTS * 40, add_special_tokens=adds, threads=threads)
            assert [ids.tolist() for ids in found] == expected * 40
    assert ours.encode("rye").dtype == np.int32
    assert ours.encode_batch([]) == []


def test_ids_become_texts_as_in_transformers(both: tuple[mashbill.Tokenizer, PreTrainedTokenizerFast]) -> None:
    ours, theirs = both
    for text in TEXTS:
        ids = ours.encode(text)
        for skips in (True, False):
            expected = theirs.decode(ids.tolist(), skip_special_tokens=skips)
            for given in (ids, ids.astype(np.int64), ids.tolist()):
                assert ours.decode(given, skip_special_tokens=skips) == expected
    with pytest.raises(ValueError, match="-1 is no token"):
        ours.decode([-1])


def test_offsets_are_characters_of_the_text(both: tuple[mashbill.Tokenizer, PreTrainedTokenizerFast]) -> None:
    ours, theirs = both
    backend = Tokenizer.from_str(theirs.backend_tokenizer.to_str())
    # What would leave spaces out.
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    for text in TEXTS:
        ids, offsets = ours.encode_with_offsets(text, add_special_tokens=False)
        expected = backend.encode(text, add_special_tokens=False)
        assert ids.tolist() == expected.ids
        assert [tuple(row) for row in offsets.tolist()] == expected.offsets, text
    ids, offsets = ours.encode_with_offsets("rye")
    assert ids.tolist() == theirs.encode("rye")
    assert offsets.shape == (len(ids), 2)
    around = np.flatnonzero(np.isin(ids, theirs.all_special_ids))
    assert (offsets[around] == 0).all()


def test_special_tokens_in_a_text_may_be_text(tmp_path: Path) -> None:
    theirs = PreTrainedTokenizerFast(tokenizer_object=wordpiece(), pad_token="[PAD]")
    theirs.save_pretrained(tmp_path)
    ours = mashbill.Tokenizer(tmp_path, split_special_tokens=True)
    backend = Tokenizer.from_str(theirs.backend_tokenizer.to_str())
    backend.encode_special_tokens = True
    for text in TEXTS:
        assert (
            ours.encode(text, add_special_tokens=False).tolist() == backend.encode(text, add_special_tokens=False).ids
        )


def test_what_it_is_can_be_asked(both: tuple[mashbill.Tokenizer, PreTrainedTokenizerFast]) -> None:
    ours, theirs = both
    assert ours.vocabulary_size == len(theirs)
    assert ours.pad_token_id == theirs.pad_token_id
    assert repr(ours) == f"Tokenizer({json.dumps(ours.name)}, engine={json.dumps(ours.engine)})"


def test_it_can_be_pickled(both: tuple[mashbill.Tokenizer, PreTrainedTokenizerFast]) -> None:
    ours, _ = both
    again = pickle.loads(pickle.dumps(ours))
    assert [again.encode(text).tolist() for text in TEXTS] == [ours.encode(text).tolist() for text in TEXTS]
    split = mashbill.Tokenizer("gpt2", split_special_tokens=True)
    assert pickle.loads(pickle.dumps(split)).encode("<|endoftext|>").tolist() == split.encode("<|endoftext|>").tolist()
    assert split.encode("<|endoftext|>").size > 1


def test_long_batches_come_in_order() -> None:
    ours = mashbill.Tokenizer("gpt2")
    texts = [f"{number} {'rye ' * (number * 7919 % 20_000)}" for number in range(64)]
    expected = [ours.encode(text).tolist() for text in texts]
    for threads in (1, 2, 7, 1000):
        assert [ids.tolist() for ids in ours.encode_batch(texts, threads=threads)] == expected


def test_threads_share_one(both: tuple[mashbill.Tokenizer, PreTrainedTokenizerFast]) -> None:
    ours, _ = both
    expected = [ours.encode(text).tolist() for text in TEXTS]
    found: list[list[list[int]]] = []
    threads = [
        threading.Thread(target=lambda: found.append([ours.encode(text).tolist() for text in TEXTS * 20]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected * 20] * 4


def test_what_is_no_tokenizer_is_told(tmp_path: Path) -> None:
    with pytest.raises(mashbill.MashbillError, match=r"no tokenizer at .*nowhere.json"):
        mashbill.Tokenizer(tmp_path / "nowhere.json")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(mashbill.MashbillError, match="cannot be used"):
        mashbill.Tokenizer(tmp_path)
    with pytest.raises(UnicodeEncodeError):
        mashbill.Tokenizer("gpt2").encode("\ud800")


def test_a_family_that_the_engine_does_not_take_is_named(tmp_path: Path) -> None:
    tokenizer = wordpiece()
    tokenizer.pre_tokenizer = pre_tokenizers.UnicodeScripts()
    theirs = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]")
    theirs.save_pretrained(tmp_path)
    ours = mashbill.Tokenizer(tmp_path)
    assert ours.engine.startswith("tokenizers ")
    assert ours.why_not_fast is not None and "UnicodeScripts" in ours.why_not_fast
    assert [ours.encode(text).tolist() for text in TEXTS] == [theirs.encode(text) for text in TEXTS]


def test_nothing_else_is_loaded() -> None:
    """Neither torch nor transformers, which take seconds."""
    code = "import sys, mashbill; mashbill.Tokenizer('gpt2').encode('rye'); print(sorted(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'numpy'" in said
    assert "'torch'" not in said and "'transformers'" not in said and "'tokenizers'" not in said
