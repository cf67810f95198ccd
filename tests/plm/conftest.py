"""Model folders as save_pretrained writes them."""

from __future__ import annotations

import pytest
import torch
import transformers as hf
from tiny_models import MODELS, word_tokenizer


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    """folder_of(name, half=False): a saved model of MODELS, written once."""
    written = {}

    def folder(name: str, half: bool = False) -> str:
        if (name, half) not in written:
            path = tmp_path_factory.mktemp(name)
            level = hf.utils.logging.get_verbosity()
            hf.utils.logging.set_verbosity_error()
            torch.manual_seed(0)
            model = MODELS[name]()
            (model.half() if half else model).save_pretrained(path)
            word_tokenizer(pad=name not in ("gpt2", "llama")).save_pretrained(path)
            hf.utils.logging.set_verbosity(level)
            written[name, half] = str(path)
        return written[name, half]

    return folder
