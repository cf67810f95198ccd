"""Where each architecture keeps the maps of its layers: one table of module paths per family.

transformers names the same map differently in every family: the way into the FFN is
"intermediate.dense" in BERT, "mlp.c_fc" in GPT-2. To describe another architecture, add its table
here; `course_utils.plm.architectures` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

from course_utils.errors import CourseError


@dataclass(frozen=True)
class Block:
    """Paths inside one layer. `fused` names the module holding query, key and value together."""

    output: str
    end: str
    query: str = ""
    key: str = ""
    value: str = ""
    fused: str = ""


@dataclass(frozen=True)
class Stack:
    """Paths inside one stack of layers."""

    layers: str
    attention: Block
    ffn_in: str
    ffn_out: str
    ffn_end: str
    layer_norms: tuple[str, ...]
    outer_norms: tuple[str, ...]
    embeddings: str
    ffn_gate: str = ""
    cross: Block | None = None


_BERT = Stack(
    layers="encoder.layer",
    attention=Block(
        query="attention.self.query",
        key="attention.self.key",
        value="attention.self.value",
        output="attention.output.dense",
        end="attention.output.dropout",
    ),
    ffn_in="intermediate.dense",
    ffn_out="output.dense",
    ffn_end="output.dropout",
    layer_norms=("attention.output.LayerNorm", "output.LayerNorm"),
    outer_norms=("embeddings.LayerNorm",),
    embeddings="embeddings.word_embeddings",
)

_GPT2 = Stack(
    layers="h",
    attention=Block(fused="attn.c_attn", output="attn.c_proj", end="attn.resid_dropout"),
    ffn_in="mlp.c_fc",
    ffn_out="mlp.c_proj",
    ffn_end="mlp.dropout",
    layer_norms=("ln_1", "ln_2"),
    outer_norms=("ln_f",),
    embeddings="wte",
)

_LLAMA = Stack(
    layers="layers",
    attention=Block(
        query="self_attn.q_proj",
        key="self_attn.k_proj",
        value="self_attn.v_proj",
        output="self_attn.o_proj",
        end="self_attn.o_proj",
    ),
    ffn_in="mlp.up_proj",
    ffn_gate="mlp.gate_proj",
    ffn_out="mlp.down_proj",
    ffn_end="mlp.down_proj",
    layer_norms=("input_layernorm", "post_attention_layernorm"),
    outer_norms=("norm",),
    embeddings="embed_tokens",
)


def _t5_block(place: str, name: str) -> Block:
    return Block(
        query=f"{place}.{name}.q",
        key=f"{place}.{name}.k",
        value=f"{place}.{name}.v",
        output=f"{place}.{name}.o",
        end=f"{place}.dropout",
    )


def t5_stack(*, decoder: bool, gated: bool) -> Stack:
    """T5 and its version 1.1 with a gated FFN; the FFN comes after cross-attention in a decoder."""
    ffn = "layer.2" if decoder else "layer.1"
    norms = tuple(f"layer.{i}.layer_norm" for i in range(3 if decoder else 2))
    return Stack(
        layers="block",
        attention=_t5_block("layer.0", "SelfAttention"),
        cross=_t5_block("layer.1", "EncDecAttention") if decoder else None,
        ffn_in=f"{ffn}.DenseReluDense.{'wi_1' if gated else 'wi'}",
        ffn_gate=f"{ffn}.DenseReluDense.wi_0" if gated else "",
        ffn_out=f"{ffn}.DenseReluDense.wo",
        ffn_end=f"{ffn}.dropout",
        layer_norms=norms,
        outer_norms=("final_layer_norm",),
        embeddings="embed_tokens",
    )


ENCODERS = {"bert": _BERT, "roberta": _BERT, "xlm-roberta": _BERT, "camembert": _BERT}
DECODERS = {"gpt2": _GPT2, "llama": _LLAMA, "mistral": _LLAMA, "qwen2": _LLAMA}
ENCODER_DECODERS = ("t5", "mt5")
FROM_PADDING = ("roberta", "xlm-roberta", "camembert")  # positions count from padding_idx + 1

SUPPORTED = (*ENCODERS, *DECODERS, *ENCODER_DECODERS)
"""The architectures (transformers' model_type) that `sites` describes."""

_REFUSED = {
    "distilbert": "DistilBERT's attention ignores given keys and values without a word, so a "
    "prefix would train and change nothing; it also has no token types and no pooler",
    "deberta": "DeBERTa attends to content and to relative position by separate maps, so given "
    "keys and values have no position to stand at, and its query, key and value are fused by head",
    "deberta-v2": "DeBERTa attends to content and to relative position by separate maps, so given "
    "keys and values have no position to stand at",
    "albert": "ALBERT uses one layer's weights at every depth, so a module placed in a layer "
    "would act at all depths at once",
}


def refusal(kind: str) -> CourseError:
    """Why this architecture has no table, and which have one."""
    reason = _REFUSED.get(kind, "its layers are not described in course_utils/plm/layer_paths.py")
    return CourseError(
        f"the sites of a {kind!r} model are not available: {reason}. "
        f"Architectures that work: {', '.join(SUPPORTED)}."
    )
