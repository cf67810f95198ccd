"""Small untrained PLMs of every architecture and head, for the tests of several packages.

`make` gives one by name, over a vocabulary of 50 numbers; `bert`, `roberta`, `gpt2` and `t5` give
a language model that fits a tokenizer.
"""

from __future__ import annotations

import torch
import transformers as hf

VOCAB = 50
SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
}
GPT2 = {
    "vocab_size": VOCAB,
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 40,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "pad_token_id": 0,
}
LLAMA = SIZES | {"num_key_value_heads": 2, "pad_token_id": 0}
T5 = {
    "vocab_size": VOCAB,
    "d_model": 16,
    "d_kv": 4,
    "d_ff": 32,
    "num_layers": 2,
    "num_heads": 4,
    "pad_token_id": 0,
    "decoder_start_token_id": 0,
}
GATED = T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
MODELS = {
    "bert": (hf.BertForSequenceClassification, hf.BertConfig, SIZES),
    "bert-lm": (hf.BertForMaskedLM, hf.BertConfig, SIZES),
    "bert-bare": (hf.BertModel, hf.BertConfig, SIZES),
    "bert-tagger": (hf.BertForTokenClassification, hf.BertConfig, SIZES),
    "bert-choice": (hf.BertForMultipleChoice, hf.BertConfig, SIZES),
    "roberta": (hf.RobertaForSequenceClassification, hf.RobertaConfig, SIZES),
    "roberta-lm": (hf.RobertaForMaskedLM, hf.RobertaConfig, SIZES),
    "roberta-bare": (hf.RobertaModel, hf.RobertaConfig, SIZES),
    "xlm-roberta-lm": (hf.XLMRobertaForMaskedLM, hf.XLMRobertaConfig, SIZES),
    "camembert-lm": (hf.CamembertForMaskedLM, hf.CamembertConfig, SIZES),
    "gpt2": (hf.GPT2LMHeadModel, hf.GPT2Config, GPT2),
    "gpt2-classifier": (hf.GPT2ForSequenceClassification, hf.GPT2Config, GPT2),
    "llama": (hf.LlamaForCausalLM, hf.LlamaConfig, LLAMA),
    "llama-classifier": (hf.LlamaForSequenceClassification, hf.LlamaConfig, LLAMA),
    "mistral": (hf.MistralForCausalLM, hf.MistralConfig, LLAMA),
    "qwen2": (hf.Qwen2ForCausalLM, hf.Qwen2Config, LLAMA),
    "t5": (hf.T5ForConditionalGeneration, hf.T5Config, T5),
    "t5-gated": (hf.T5ForConditionalGeneration, hf.T5Config, GATED),
    "t5-encoder": (hf.T5EncoderModel, hf.T5Config, T5),
    "t5-tagger": (hf.T5ForTokenClassification, hf.T5Config, T5),
    "mt5": (hf.MT5ForConditionalGeneration, hf.MT5Config, T5),
}
"""name -> (class, class of its config, settings); the bare name of a decoder is its LM."""


def make(name: str, seed: int = 0, **changes) -> hf.PreTrainedModel:
    """The model of that name in eval mode, without its chatter; `changes` go to its config."""
    model_class, config_class, settings = MODELS[name]
    level = hf.utils.logging.get_verbosity()
    hf.utils.logging.set_verbosity_error()
    try:
        torch.manual_seed(seed)
        return model_class(config_class(**(settings | changes))).eval()
    finally:
        hf.utils.logging.set_verbosity(level)


LOUD = {"initializer_range": 0.5}  # so that answers differ visibly from word to word


def bert(tokenizer, **changes) -> hf.BertForMaskedLM:
    settings = LOUD | {"num_attention_heads": 2, "max_position_embeddings": 48} | changes
    return make("bert-lm", **(_padding(tokenizer) | settings))


def roberta(tokenizer, **changes) -> hf.RobertaForMaskedLM:
    settings = LOUD | {"num_attention_heads": 2, "max_position_embeddings": 50} | changes
    return make("roberta-lm", **(_padding(tokenizer) | settings))


def gpt2(tokenizer, **changes) -> hf.GPT2LMHeadModel:
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    settings = LOUD | {"n_head": 2, "n_positions": 64, "pad_token_id": None} | ends | changes
    return make("gpt2", **({"vocab_size": len(tokenizer)} | settings))


def t5(tokenizer) -> hf.T5ForConditionalGeneration:
    ends = {
        "decoder_start_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    return make("t5", **_padding(tokenizer), **ends, d_kv=8, num_heads=2)


def saved(folder, model, tokenizer) -> str:
    """The PLM as a folder that `load_plm` takes by its name."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _padding(tokenizer) -> dict[str, int]:
    return {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
