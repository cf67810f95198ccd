"""Tiny random models of each architecture, and a word-level tokenizer for them."""

from __future__ import annotations

import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
}
GPT2 = {"vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40,
        "bos_token_id": 2, "eos_token_id": 3}  # fmt: skip
T5 = {"vocab_size": 50, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2,
      "decoder_start_token_id": 0}  # fmt: skip
MODELS = {
    "bert": lambda: hf.BertForMaskedLM(hf.BertConfig(**SIZES)),
    "bert-without-head": lambda: hf.BertModel(hf.BertConfig(**SIZES)),
    "bert-classifier": lambda: hf.BertForSequenceClassification(
        hf.BertConfig(**SIZES, id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1})
    ),
    "roberta": lambda: hf.RobertaForMaskedLM(hf.RobertaConfig(**SIZES)),
    "gpt2": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**GPT2)),
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**SIZES, num_key_value_heads=1)),
    "t5": lambda: hf.T5ForConditionalGeneration(hf.T5Config(**T5)),
    "distilbert": lambda: hf.DistilBertForMaskedLM(
        hf.DistilBertConfig(vocab_size=50, dim=16, n_heads=2, n_layers=1, hidden_dim=32)
    ),
}


def word_tokenizer(pad: bool) -> hf.PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = special + [f"w{i}" for i in range(5, 50)]
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    extra = {"pad_token": "[PAD]"} if pad else {}
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", eos_token="[SEP]", **extra
    )
