"""LanceDB imported in a third of the time: without what it imports only for servers and namespaces, until that is
used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pydantic import BaseModel

CLIENT = "lance_namespace_urllib3_client"  # of LanceDB's REST namespaces: two thirds of the time that its import takes
ASKED_FOR_BY_NAME = ("__all__", "__version__")


@contextmanager
def quick_import() -> Iterator[None]:
    """Around the first import of lancedb.

    The client's code runs when something of it is first used, its models are built when they first hold something, and
    `override` checks nothing, as in Python 3.12, where LanceDB takes that of `typing`."""
    _defer(CLIENT)
    before = BaseModel.model_config.get("defer_build", False)
    BaseModel.model_config["defer_build"] = True
    checking = sys.modules.get("overrides")
    if checking is None:
        sys.modules["overrides"] = _marking_only()
    try:
        yield
    finally:
        BaseModel.model_config["defer_build"] = before
        if checking is None:
            del sys.modules["overrides"]


class _Deferred(ModuleType):
    """A package whose modules can be imported, and whose own code runs when a name is first looked for in it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ASKED_FOR_BY_NAME:
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__
        assert self.__spec__.loader
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def _defer(name: str) -> None:
    if name in sys.modules or (spec := find_spec(name)) is None or spec.submodule_search_locations is None:
        return
    package = _Deferred(name)
    package.__spec__, package.__loader__, package.__file__ = spec, spec.loader, spec.origin
    package.__path__, package.__package__ = spec.submodule_search_locations, name
    sys.modules[name] = package


def _marking_only() -> ModuleType:
    """The library overrides, with marks that check nothing."""
    module = ModuleType("overrides")
    module.override = module.overrides = lambda method: method  # type: ignore[attr-defined]
    module.EnforceOverrides = object  # type: ignore[attr-defined]
    return module
