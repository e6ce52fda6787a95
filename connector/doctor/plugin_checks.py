"""The plug-ins that are installed: what they are called, who brings them, and whether they can be loaded."""

from __future__ import annotations

from connector.doctor.findings import Finding
from connector.errors import PluginError
from connector.plugins import KINDS, Plugin, list_plugins


def judge_plugins() -> list[Finding]:
    """A finding for each plug-in, none where there is none. Each is imported, which takes what its imports take."""
    return [_judge(plugin) for plugin in list_plugins(*KINDS)]


def _judge(plugin: Plugin) -> Finding:
    check = f"plug-in {plugin.name}"
    facts = {"kind": plugin.kind, "package": plugin.package, "version": plugin.version}
    try:
        plugin.load()
    except PluginError as error:
        seen, _, advice = str(error).rpartition("; ")
        return Finding(check, "warn", seen, advice, facts)
    return Finding(check, "ok", f"{plugin.kind} of {plugin.package} {plugin.version}", facts=facts)
