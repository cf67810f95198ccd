"""A PLM as a tree of text, with equal layers folded and what is trained marked.

BertForSequenceClassification            1,012,354
├─ bert
│  ├─ embeddings                           ...
│  └─ encoder.layer × 4
│     ├─ attention.self.query  Linear 128→128     16,512
│     │  └─ + lora  A (8, 128), B (128, 8)         2,048   ◄ added
└─ classifier  Linear 128→2                          258   ◄ trained
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn
from transformers.pytorch_utils import Conv1D


@dataclass
class _Node:
    """One line of the tree, standing for `times` equal modules of `parameters` each.

    A weight shared between modules is counted where it first occurs.
    """

    name: str
    what: str
    parameters: int
    mark: str = ""
    times: int = 1
    children: list[_Node] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.parameters * self.times

    def same(self, other: _Node) -> bool:
        """Whether the two differ in name only."""
        return (
            (self.what, self.parameters, self.mark) == (other.what, other.parameters, other.mark)
            and len(self.children) == len(other.children)
            and all(
                a.name == b.name and a.times == b.times and a.same(b)
                for a, b in zip(self.children, other.children, strict=True)
            )
        )


def draw(model: nn.Module, added: set[int], trained: set[str]) -> str:
    """The tree.

    Args:
        model: the PLM with a method placed.
        added: id() of each module the method added.
        trained: names of all parameters that train.
    """
    root = _node(type(model).__name__, model, "", added, trained, set())
    lines = [(type(model).__name__, root.parameters, "")]
    _lines(root.children, "", lines)
    width = max(len(text) for text, _, _ in lines) + 2
    digits = max(len(f"{count:,}") for _, count, _ in lines)
    drawn = [f"{text:<{width}}{count:>{digits},}  {mark}".rstrip() for text, count, mark in lines]
    marks = {mark for _, _, mark in lines if mark}
    if marks - {_ADDED}:
        drawn.append("◄ trained: this part of the PLM is trained; everything unmarked is frozen")
    return "\n".join(drawn)


_ADDED = "◄ added"
_TRAINED = "◄ trained"
_PARTLY = "◄ partly trained"


def _node(name, module, path, added, trained, counted) -> _Node:
    if id(module) in added:
        inside = [p for p in module.parameters() if id(p) not in counted]
        counted.update(id(p) for p in inside)
        size = sum(p.numel() for p in inside)
        return _Node(f"+ {name}", module.extra_repr() or type(module).__name__, size, _ADDED)
    own = [
        (f"{path}.{n}" if path else n, p)
        for n, p in module.named_parameters(recurse=False)
        if id(p) not in counted
    ]
    counted.update(id(p) for _, p in own)
    shared = not own and next(module.parameters(recurse=False), None) is not None
    what = f"{_what(module)}  (shared)" if shared else _what(module)
    node = _Node(name, what, sum(p.numel() for _, p in own), _mark(own, trained))
    if hasattr(module, "nf4"):  # its weight is no parameter, for QLoRA keeps it in bytes
        node.parameters += module.nf4.shape.numel()
    for child_name, child in module.named_children():
        child_path = f"{path}.{child_name}" if path else child_name
        child_node = _node(child_name, child, child_path, added, trained, counted)
        if next(child.parameters(), None) is not None:
            node.children.append(child_node)
            node.parameters += child_node.total
    if isinstance(module, nn.ModuleList):
        node.children = _fold(node.children)
    return _without_corridor(node) if path else node


def _mark(own: list, trained: set[str]) -> str:
    hits = sum(name in trained for name, _ in own)
    return "" if not hits else _TRAINED if hits == len(own) else _PARTLY


def _what(module: nn.Module) -> str:
    stored = ", in 4 bits" if hasattr(module, "nf4") else ""
    if isinstance(module, nn.Linear):
        return f"Linear {module.in_features}→{module.out_features}{stored}"
    if isinstance(module, Conv1D):
        return f"Conv1D {module.nx}→{module.nf}{stored}"
    if isinstance(module, nn.Embedding):
        return f"Embedding {module.num_embeddings:,} × {module.embedding_dim}"
    return "" if list(module.children()) else type(module).__name__


def _fold(nodes: list[_Node]) -> list[_Node]:
    """Neighbours that differ in their number only become one node."""
    folded: list[_Node] = []
    for node in nodes:
        if folded and folded[-1].same(node):
            first = folded[-1].name.split(" … ")[0]
            folded[-1].times += 1
            folded[-1].name = f"{first} … {node.name}"
        else:
            folded.append(node)
    return folded


def _without_corridor(node: _Node) -> _Node:
    """A module that only holds one other gets its name joined to it: pooler.dense."""
    if len(node.children) != 1 or node.mark:
        return node
    child = node.children[0]
    if child.total != node.parameters or child.name.startswith("+"):
        return node
    child.name = f"{node.name}.{child.name}"
    return child


def _lines(nodes: list[_Node], indent: str, lines: list) -> None:
    for i, node in enumerate(nodes):
        last = i == len(nodes) - 1
        times = f"  × {node.times}, each {node.parameters:,}" if node.times > 1 else ""
        what = f"  {node.what}" if node.what else ""
        text = f"{indent}{'└─' if last else '├─'} {node.name}{times}{what}"
        lines.append((text, node.total, node.mark))
        _lines(node.children, f"{indent}{'   ' if last else '│  '}", lines)
