"""Model folders as save_pretrained writes them."""

from __future__ import annotations

import pytest
import small_plms
import small_tokenizers

WORDS = [f"w{i}" for i in range(5, small_plms.VOCAB)]
WITHOUT_PADDING = ("gpt2", "llama")


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    """folder_of(name, half=False): a model of small_plms.MODELS, written once."""
    written = {}

    def folder(name: str, half: bool = False) -> str:
        if (name, half) not in written:
            without = {"pad_token": None} if name in WITHOUT_PADDING else {}
            tokenizer = small_tokenizers.of_words(WORDS, eos_token="[SEP]", **without)
            changes = {"pad_token_id": None} if without else {}
            model = small_plms.make(name, **changes)
            path = tmp_path_factory.mktemp(name)
            written[name, half] = small_plms.saved(path, model.half() if half else model, tokenizer)
        return written[name, half]

    return folder
