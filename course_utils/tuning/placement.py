"""Putting a method's modules into a PLM, in a way that can be undone exactly.

The lecture's picture, h ← h + Δh, is one function here: `_add_change` runs after the module of a
site and adds what the placed module makes of the site's input x and output h.

A placed module becomes a child of the module it acts on (`...query.lora`), and a hook calls it.
The PLM's own modules, parameters and their names stay what they were, so taking out the child and
the hook leaves the PLM as it was found; moving, copying and replicating the PLM takes the child
along, since the hook finds it through the module it is called on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.plm.architectures import Site, Sites


class Storage(Protocol):
    """Another form for a part of the PLM, which can be left again without a trace."""

    def begin(self) -> None:
        """Bring the part into that form, unless it is in it."""

    def end(self) -> None:
        """Bring it back exactly, unless it is back."""


@dataclass
class Placement:
    """What one method added to one PLM.

    Attributes:
        model: the PLM.
        sites: its sites; None for methods that need none.
        tokenizer: for methods that start from words; may be None.
        loading: True when saved weights will replace the start values anyway, so that a start
            that needs words or data can be skipped.
        trained: names of the PLM's own parameters that the method trains.
        wrapper: turns each module that a method adds into the one that is added for it.
    """

    model: nn.Module
    sites: Sites | None = None
    tokenizer: object | None = None
    loading: bool = False
    trained: set[str] = field(default_factory=set)
    wrapper: Callable[[nn.Module], nn.Module] | None = None
    _children: list[tuple[nn.Module, str, nn.Module]] = field(default_factory=list)
    _hooks: list[tuple[nn.Module, str, Callable]] = field(default_factory=list)
    _handles: list = field(default_factory=list)
    _at_sites: list[tuple[Site, nn.Module]] = field(default_factory=list)
    _storages: list[Storage] = field(default_factory=list)

    def add(
        self, host: nn.Module, name: str, module: nn.Module, *, beside: nn.Module | None = None
    ) -> nn.Module:
        """Make `module` a child of `host`, on its device, in float32 or the PLM's wider type.

        A host without parameters, such as a dropout, is on the device of its neighbour `beside`.
        """
        if hasattr(host, name):
            raise CourseError(
                f"{type(host).__name__} already has a part called {name!r}; detach() what is "
                "attached before attaching again."
            )
        if self.wrapper is not None:
            module = self.wrapper(module)
        like = next((host if beside is None else beside).parameters())
        wide = torch.promote_types(like.dtype, torch.float32) if like.is_floating_point() else None
        module.to(device=like.device, dtype=wide).train(host.training)
        host.add_module(name, module)
        self._children.append((host, name, module))
        return module

    def change(self, site: Site, name: str, module: nn.Module) -> None:
        """At `site`: h ← h + module(x, h), with x the site's input and h its output."""
        added = self.add(site.module, name, module)
        self.after(site.module, partial(_add_change, name, site.columns))
        self._at_sites.append((site, added))

    def store(self, storage: Storage) -> None:
        """Keep a part of the PLM itself in another form, until `take_out`."""
        self._storages.append(storage)
        storage.begin()

    def storages(self) -> list[Storage]:
        """What `store` was given, in its order."""
        return list(self._storages)

    def enter_storage(self) -> None:
        """Undo `leave_storage`."""
        for storage in self._storages:
            storage.begin()

    def leave_storage(self) -> None:
        """Bring the parts that are stored in another form back, all else staying in place."""
        for storage in self._storages:
            storage.end()

    def around(self, site: Site) -> nn.Module:
        """The module that holds the site's. Round "ffn_out" that is the FFN, x -> f, of a pre-norm
        layer, and the end of BERT's, (activation, x) -> norm(f + x)."""
        return self.model.get_submodule(site.path.rpartition(".")[0])

    def before(self, host: nn.Module, function: Callable) -> None:
        """Call function(host, args, kwargs) -> (args, kwargs) before `host` runs."""
        self._hook(host, "before", function)

    def after(self, host: nn.Module, function: Callable, *, first: bool = False) -> None:
        """Call function(host, args, kwargs, output) -> output after `host` ran.

        `first`: before other hooks, so that those that record hidden states see the new output.
        """
        self._hook(host, "after, first" if first else "after", function)

    def train(self, names: Iterable[str]) -> None:
        """Train these parameters of the PLM itself."""
        self.trained.update(names)

    def train_in(self, modules: Iterable[nn.Module]) -> None:
        """Train all parameters of these modules of the PLM itself."""
        wanted = {id(p) for module in modules for p in module.parameters()}
        names = {name for name, p in self.model.named_parameters() if id(p) in wanted}
        self.train(names - self.added_names())

    def at_sites(self) -> list[tuple[Site, nn.Module]]:
        """(site, placed module) in the order of placing."""
        return list(self._at_sites)

    def modules(self) -> list[nn.Module]:
        """The placed modules in the order of placing."""
        return [module for _, _, module in self._children]

    def added_names(self) -> set[str]:
        """Names, within the model, of the parameters that were added."""
        added = {id(p) for _, _, module in self._children for p in module.parameters()}
        return {name for name, p in self.model.named_parameters() if id(p) in added}

    def added_modules(self) -> set[int]:
        """The id() of each module that was added (not of the modules inside it)."""
        return {id(module) for _, _, module in self._children}

    def take_out(self) -> None:
        """Leave the PLM without the method, keeping its modules for `put_back`."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for host, name, _ in self._children:
            delattr(host, name)
        self.leave_storage()

    def put_back(self) -> None:
        """Undo `take_out`."""
        self.enter_storage()
        for host, name, module in self._children:
            host.add_module(name, module)
        for host, when, function in self._hooks:
            self._register(host, when, function)

    def _hook(self, host: nn.Module, when: str, function: Callable) -> None:
        self._hooks.append((host, when, function))
        self._register(host, when, function)

    def _register(self, host: nn.Module, when: str, function: Callable) -> None:
        if when == "before":
            handle = host.register_forward_pre_hook(function, with_kwargs=True)
        else:
            handle = host.register_forward_hook(
                function, with_kwargs=True, prepend=when == "after, first"
            )
        self._handles.append(handle)


def _add_change(name: str, columns, host: nn.Module, args, kwargs, output: torch.Tensor):
    """h ← h + Δh at one site; `columns` limits it to one part of a fused map's output."""
    module = getattr(host, name)
    if columns is None:
        return output + module(args[0], output).to(output.dtype)
    start, stop = columns
    h = output[..., start:stop]
    changed = h + module(args[0], h).to(output.dtype)
    return torch.cat((output[..., :start], changed, output[..., stop:]), dim=-1)
