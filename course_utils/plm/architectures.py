"""Where a Transformer can be changed: the sites of its layers.

Every layer of every Transformer does the same few things, under different names:

    a = attention_output(softmax(query(x) key(x)ᵀ / √d_head) value(x))      x ← x + a
    f = ffn_out(activation(ffn_in(x)))                                      x ← x + f

with a norm before or after each addition. A *site* is one of these maps; a tuning method is a
small module placed at a site. The tables of `layer_paths` name the module behind each site, so that
methods never search parameter names for substrings (which finds too much: "output.dense" is two
different modules of a BERT layer).

Three things differ between architectures and are hidden here:
* GPT-2 stores its maps as `Conv1D`, whose weight is (in, out), the transpose of `nn.Linear`'s.
* GPT-2 computes query, key and value in one fused map (d -> 3d); each is a third of its columns.
* Encoder-decoders have two stacks; a decoder layer also attends to the encoder (`layer.cross`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn
from transformers.pytorch_utils import Conv1D

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.layer_paths import (
    DECODERS,
    ENCODER_DECODERS,
    ENCODERS,
    FROM_PADDING,
    SUPPORTED,
    Block,
    Stack,
    refusal,
    t5_stack,
)

ROLES = ("query", "key", "value", "attention_output", "ffn_in", "ffn_out")
"""What a site does in its layer; the names methods take in `sites=(...)`."""


@dataclass(frozen=True)
class Site:
    """One map of a layer: `module`, found at `path` in the model.

    `columns` is None for a map of its own. Where several are fused into one module it is the
    (start, stop) range of output features that belongs to this site.
    """

    role: str
    path: str
    module: nn.Module = field(repr=False)
    columns: tuple[int, int] | None = None

    @property
    def transposed(self) -> bool:
        """Whether the weight is stored as (in, out): Conv1D and embeddings do so."""
        return isinstance(self.module, (Conv1D, nn.Embedding))

    @property
    def in_features(self) -> int:
        return self.module.weight.shape[0 if self.transposed else 1]

    @property
    def out_features(self) -> int:
        if self.columns is not None:
            return self.columns[1] - self.columns[0]
        return self.module.weight.shape[1 if self.transposed else 0]


@dataclass(frozen=True)
class Attention:
    """The four maps of one attention block, and where its result joins the residual stream.

    `end` is the last module before the addition: the dropout after the output map, or that map.
    """

    query: Site
    key: Site
    value: Site
    attention_output: Site
    end: nn.Module = field(repr=False)


@dataclass(frozen=True)
class Layer:
    """One Transformer layer. `ffn_gate` and `cross` are None where the layer has none."""

    stack: str  # "encoder" or "decoder"
    index: int  # from 0, within its stack
    path: str
    module: nn.Module = field(repr=False)
    attention: Attention
    ffn_in: Site
    ffn_out: Site
    ffn_end: nn.Module = field(repr=False)
    norms: tuple[nn.Module, ...] = field(repr=False)
    ffn_gate: Site | None = None
    cross: Attention | None = None

    @property
    def query(self) -> Site:
        return self.attention.query

    @property
    def key(self) -> Site:
        return self.attention.key

    @property
    def value(self) -> Site:
        return self.attention.value

    @property
    def attention_output(self) -> Site:
        return self.attention.attention_output

    def at(self, role: str) -> tuple[Site, ...]:
        """The sites with this role: more than one for the attention of a decoder that also has
        cross-attention, and for the way into a gated FFN (its gate and its content)."""
        if role not in ROLES:
            raise unknown_name("site", role, ROLES)
        if role == "ffn_in":
            return (self.ffn_in,) if self.ffn_gate is None else (self.ffn_in, self.ffn_gate)
        if role == "ffn_out":
            return (self.ffn_out,)
        blocks = (self.attention,) if self.cross is None else (self.attention, self.cross)
        return tuple(getattr(block, role) for block in blocks)


@dataclass(frozen=True)
class Sites:
    """The map of one model.

    Attributes:
        architecture: transformers' model_type, such as "bert".
        kind: "encoder", "decoder" or "encoder-decoder".
        layers: encoder layers first, then decoder layers.
        embeddings: the word embeddings that are looked up in a forward pass (two in a T5, one per
            stack, sharing a weight).
        entry: the module that turns input ids into hidden states; inputs enter here.
        decoder: an encoder-decoder's second stack, else None.
        pooler: the module behind the encoder that reads the first position, else None.
        norms: norms outside the layers (after the embeddings, before the head).
        hidden_size: width of the residual stream.
        max_positions: how many tokens fit, or None where positions are relative or rotary.
    """

    architecture: str
    kind: str
    layers: tuple[Layer, ...] = field(repr=False)
    embeddings: tuple[Site, ...] = field(repr=False)
    entry: nn.Module = field(repr=False)
    decoder: nn.Module | None = field(repr=False)
    pooler: nn.Module | None = field(repr=False)
    norms: tuple[nn.Module, ...] = field(repr=False)
    hidden_size: int
    max_positions: int | None

    @property
    def post_norm(self) -> bool:
        """Whether a block is norm(x + block(x)), as in BERT, and not x + block(norm(x))."""
        return self.architecture in ENCODERS

    def at(self, *roles: str) -> tuple[Site, ...]:
        """All sites with one of these roles, layer by layer; "embeddings" is allowed here."""
        found = [site for layer in self.layers for role in roles if role in ROLES
                 for site in layer.at(role)]  # fmt: skip
        for role in roles:
            if role == "embeddings":
                found.extend(self.embeddings)
            elif role not in ROLES:
                raise unknown_name("site", role, [*ROLES, "embeddings"])
        return tuple(found)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)


def sites(model: nn.Module) -> Sites:
    """Describe where `model` can be changed.

    Args:
        model: a transformers model of BERT's, RoBERTa's, GPT-2's, T5's or Llama's kind, bare or
            with any head.

    Raises:
        CourseError: for another architecture, with the reason where there is a special one.
    """
    config = getattr(model, "config", None)
    kind = getattr(config, "model_type", None)
    if kind is None:
        raise CourseError(
            f"sites() needs a transformers model with a config, not {type(model).__name__}. "
            "load_plm(name) returns one."
        )
    if kind not in SUPPORTED:
        raise refusal(kind)
    paths = {id(module): path for path, module in model.named_modules()}
    base = model.base_model
    if kind in ENCODER_DECODERS:
        return _encoder_decoder_sites(kind, config, base, paths)
    table = ENCODERS.get(kind) or DECODERS[kind]
    return Sites(
        architecture=kind,
        kind="encoder" if kind in ENCODERS else "decoder",
        layers=_layers(base, table, "encoder" if kind in ENCODERS else "decoder", paths),
        embeddings=(_site("embeddings", base, table.embeddings, paths),),
        entry=base,
        decoder=None,
        pooler=getattr(base, "pooler", None),
        norms=tuple(base.get_submodule(path) for path in table.outer_norms),
        hidden_size=config.hidden_size,
        max_positions=_max_positions(kind, config),
    )


def _encoder_decoder_sites(kind: str, config, base: nn.Module, paths: dict[int, str]) -> Sites:
    gated = bool(getattr(config, "is_gated_act", False))
    tables = {"encoder": t5_stack(decoder=False, gated=gated)}
    if getattr(base, "decoder", None) is not None:
        tables["decoder"] = t5_stack(decoder=True, gated=gated)
    layers, embeddings, norms = [], [], []
    for name, table in tables.items():
        stack = getattr(base, name)
        layers.extend(_layers(stack, table, name, paths))
        embeddings.append(_site("embeddings", stack, table.embeddings, paths))
        norms.extend(stack.get_submodule(path) for path in table.outer_norms)
    return Sites(
        architecture=kind,
        kind="encoder-decoder" if "decoder" in tables else "encoder",
        layers=tuple(layers),
        embeddings=tuple(embeddings),
        entry=base.encoder,
        decoder=getattr(base, "decoder", None),
        pooler=None,
        norms=tuple(norms),
        hidden_size=config.d_model,
        max_positions=None,
    )


def _layers(stack: nn.Module, table: Stack, name: str, paths: dict[int, str]) -> tuple[Layer, ...]:
    layers = []
    for index, module in enumerate(stack.get_submodule(table.layers)):
        layers.append(
            Layer(
                stack=name,
                index=index,
                path=paths[id(module)],
                module=module,
                attention=_attention(module, table.attention, paths),
                cross=_attention(module, table.cross, paths) if table.cross else None,
                ffn_in=_site("ffn_in", module, table.ffn_in, paths),
                ffn_gate=_site("ffn_in", module, table.ffn_gate, paths) if table.ffn_gate else None,
                ffn_out=_site("ffn_out", module, table.ffn_out, paths),
                ffn_end=module.get_submodule(table.ffn_end),
                norms=tuple(module.get_submodule(path) for path in table.layer_norms),
            )
        )
    return tuple(layers)


def _attention(layer: nn.Module, block: Block, paths: dict[int, str]) -> Attention:
    if block.fused:
        fused = layer.get_submodule(block.fused)
        third = fused.weight.shape[1] // 3  # Conv1D: (d, 3d)
        parts = {
            role: Site(role, paths[id(fused)], fused, (i * third, (i + 1) * third))
            for i, role in enumerate(("query", "key", "value"))
        }
    else:
        parts = {
            role: _site(role, layer, getattr(block, role), paths)
            for role in ("query", "key", "value")
        }
    output = _site("attention_output", layer, block.output, paths)
    return Attention(**parts, attention_output=output, end=layer.get_submodule(block.end))


def _site(role: str, parent: nn.Module, path: str, paths: dict[int, str]) -> Site:
    module = parent.get_submodule(path)
    return Site(role, paths[id(module)], module)


def _max_positions(kind: str, config) -> int | None:
    if kind in FROM_PADDING:
        return config.max_position_embeddings - config.pad_token_id - 1
    if kind in ENCODERS or kind == "gpt2":
        return config.max_position_embeddings
    return None  # rotary: no table that ends
