"""LanceDB imported in half of the time, and in a fifth where pandas is installed: without what it imports only for
servers, namespaces and data sets of pyarrow, until that is used."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType, new_class
from typing import Any

from pydantic import BaseModel

# package or module -> whether its names are imported one by one: these stand for themselves until they are used
DEFERRED = {
    "lance_namespace_urllib3_client": False,  # of LanceDB's REST namespaces
    "lance_namespace": True,
    "lancedb.namespace": True,
    "lancedb.embeddings": True,  # a class each for a dozen services
    "pyarrow.dataset": True,  # imports pandas where it is there
}
ASKED_FOR_BY_NAME = ("__all__", "__version__")
_loading = threading.RLock()


@contextmanager
def quick_import() -> Iterator[None]:
    """Around the first import of lancedb.

    What is deferred runs when something of it is first used, pydantic's models are built when they first hold
    something, and `override` checks nothing, as in Python 3.12, where LanceDB takes that of `typing`."""
    if "lancedb" in sys.modules:
        yield
        return
    deferred = [module for name, by_name in DEFERRED.items() if (module := _defer(name, by_name))]
    before = BaseModel.model_config.get("defer_build", False)
    BaseModel.model_config["defer_build"] = True
    try:
        with _marking_only():
            yield
    finally:
        BaseModel.model_config["defer_build"] = before
        for module in deferred:
            _settle(module)


class _Deferred(ModuleType):
    """A module whose own code runs when a name is first looked for in it. Modules in it can be imported before."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ASKED_FOR_BY_NAME:
            raise AttributeError(name)
        return _load(self, name)


class _NamesDeferred(_Deferred):
    """One whose classes and functions can be imported by name, too, before its own code has run."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name.isupper():
            return super().__getattr__(name)
        found = self.__dict__[name] = _standing_for(self, name)
        return found


class _StandsFor(type):
    """The type of what stands for a class or a function: called, derived from, asked for an attribute, or for whether
    something is of it, it is that class or function."""

    module: ModuleType
    meant: str

    def _load(cls) -> Any:
        return _load(cls.module, cls.meant)

    def __new__(cls, name: str, bases: tuple[type, ...], given: dict[str, Any]) -> Any:
        if not any(isinstance(base, _StandsFor) for base in bases):
            return super().__new__(cls, name, bases, given)
        real = tuple(base._load() if isinstance(base, _StandsFor) else base for base in bases)
        return new_class(name, real, exec_body=lambda own: own.update(given))

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        return cls._load()(*arguments, **named)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(cls._load(), name)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls._load())

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, cls._load())


def _standing_for(module: ModuleType, name: str) -> Any:
    return _StandsFor(name, (), {"module": module, "meant": name, "__module__": module.__name__})


def _load(module: ModuleType, name: str) -> Any:
    """What is called so in a module, whose own code runs now unless it has run."""
    with _loading:
        if isinstance(module, _Deferred):
            _take_back(module)
            module.__class__ = ModuleType  # type: ignore[assignment]
            assert module.__spec__
            assert module.__spec__.loader
            with _marking_only():
                module.__spec__.loader.exec_module(module)
    return getattr(module, name)


def _defer(name: str, by_name: bool) -> ModuleType | None:
    """Put a module that runs later where the import of it looks first; None where there is none, or it has run."""
    package = name.rpartition(".")[0]
    inside: Sequence[str] | None = None
    if package:  # which is not imported for this
        found = find_spec(package)
        inside = found.submodule_search_locations if found else []
    spec: ModuleSpec | None = None if name in sys.modules else PathFinder.find_spec(name, inside)
    if spec is None:
        return None
    module = (_NamesDeferred if by_name else _Deferred)(name)
    module.__spec__, module.__loader__, module.__file__ = spec, spec.loader, spec.origin
    module.__package__ = spec.parent
    if spec.submodule_search_locations is not None:
        module.__path__ = spec.submodule_search_locations
    sys.modules[name] = module
    return module


def _settle(module: ModuleType) -> None:
    """The module as part of its package, as an import leaves it; from now on a name that is looked for is the real
    one."""
    package, _, own = module.__name__.rpartition(".")
    if package in sys.modules:
        setattr(sys.modules[package], own, module)
    if isinstance(module, _NamesDeferred):
        _take_back(module)
        module.__class__ = _Deferred  # type: ignore[assignment]


def _take_back(module: ModuleType) -> None:
    for name in [name for name, value in module.__dict__.items() if isinstance(value, _StandsFor)]:
        del module.__dict__[name]


@contextmanager
def _marking_only() -> Iterator[None]:
    """Within the block the library overrides has marks that check nothing, since what stands for a class is not that
    class."""
    before = sys.modules.get("overrides")
    module = ModuleType("overrides")
    module.override = module.overrides = lambda method: method  # type: ignore[attr-defined]
    module.EnforceOverrides = object  # type: ignore[attr-defined]
    sys.modules["overrides"] = module
    try:
        yield
    finally:
        del sys.modules["overrides"]
        if before:
            sys.modules["overrides"] = before
