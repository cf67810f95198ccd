"""Small random models of every architecture, built from real configs, and batches for them."""

from __future__ import annotations

import pytest
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
BUILDERS = {
    "bert": (hf.BertForSequenceClassification, hf.BertConfig, SIZES),
    "bert-lm": (hf.BertForMaskedLM, hf.BertConfig, SIZES),
    "bert-bare": (hf.BertModel, hf.BertConfig, SIZES),
    "bert-tagger": (hf.BertForTokenClassification, hf.BertConfig, SIZES),
    "bert-choice": (hf.BertForMultipleChoice, hf.BertConfig, SIZES),
    "roberta": (hf.RobertaForSequenceClassification, hf.RobertaConfig, SIZES),
    "roberta-lm": (hf.RobertaForMaskedLM, hf.RobertaConfig, SIZES),
    "roberta-bare": (hf.RobertaModel, hf.RobertaConfig, SIZES),
    "gpt2": (hf.GPT2LMHeadModel, hf.GPT2Config, GPT2),
    "gpt2-classifier": (hf.GPT2ForSequenceClassification, hf.GPT2Config, GPT2),
    "llama": (hf.LlamaForCausalLM, hf.LlamaConfig, LLAMA),
    "llama-classifier": (hf.LlamaForSequenceClassification, hf.LlamaConfig, LLAMA),
    "t5": (hf.T5ForConditionalGeneration, hf.T5Config, T5),
    "t5-gated": (hf.T5ForConditionalGeneration, hf.T5Config, GATED),
    "t5-encoder": (hf.T5EncoderModel, hf.T5Config, T5),
    "t5-tagger": (hf.T5ForTokenClassification, hf.T5Config, T5),
}


@pytest.fixture
def make_plm():
    """make_plm(name, seed=0): a model of that kind in eval mode, without its chatter."""

    def make(name: str, seed: int = 0, **changes):
        model_class, config_class, settings = BUILDERS[name]
        level = hf.utils.logging.get_verbosity()
        hf.utils.logging.set_verbosity_error()
        try:
            torch.manual_seed(seed)
            return model_class(config_class(**(settings | changes))).eval()
        finally:
            hf.utils.logging.set_verbosity(level)

    return make


@pytest.fixture
def make_batch():
    """make_batch(name, rows=3, tokens=7): right-padded inputs, with labels that fit the head."""

    def make(name: str, rows: int = 3, tokens: int = 7, labels: bool = True) -> dict:
        generator = torch.Generator().manual_seed(1)
        ids = torch.randint(5, VOCAB, (rows, tokens), generator=generator)
        mask = torch.ones_like(ids)
        pad = 1 if name.startswith("roberta") else 0
        for row in range(1, rows):
            mask[row, tokens - row :] = 0
        ids = ids.masked_fill(mask == 0, pad)
        batch = {"input_ids": ids, "attention_mask": mask}
        if name == "bert-choice":
            batch = {key: value[:2].unsqueeze(0) for key, value in batch.items()}
            return batch | ({"labels": torch.tensor([1])} if labels else {})
        if name.split("-")[0] == "t5" and name not in ("t5-encoder", "t5-tagger"):
            target = torch.randint(5, VOCAB, (rows, 4), generator=generator)
            return batch | ({"labels": target} if labels else {"decoder_input_ids": target})
        if not labels or name.endswith(("bare", "encoder")):
            return batch
        if name.endswith("tagger"):
            return batch | {"labels": (ids % 2).masked_fill(mask == 0, -100)}
        if name in ("bert", "roberta") or name.endswith("classifier"):
            return batch | {"labels": torch.arange(rows) % 2}
        return batch | {"labels": ids.masked_fill(mask == 0, -100)}

    return make


@pytest.fixture
def few_steps():
    """few_steps(tuned, batch): three optimizer steps on one batch, in train mode."""

    def run(tuned, batch: dict, steps: int = 3) -> list[float]:
        tuned.train()
        optimizer = torch.optim.SGD(tuned.trainable_parameters(), lr=0.5)
        losses = []
        for _ in range(steps):
            output = tuned(**batch)
            loss = output.loss if "labels" in batch else output[0].pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        tuned.eval()
        return losses

    return run


@pytest.fixture
def output_of():
    """output_of(model, batch): what the head (or the bare encoder) gives, without gradients."""

    def run(model, batch: dict) -> torch.Tensor:
        with torch.no_grad():
            output = model(**batch)
        return output.logits if "logits" in output else output.last_hidden_state

    return run
