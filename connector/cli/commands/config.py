"""`connector config init|show|check`: the settings file, what holds, and what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from connector.cli.console import stderr
from connector.cli.flags.groups import with_flag_groups
from connector.cli.flags.settings import AsJson, SettingsFlags
from connector.cli.tables.settings import HIDDEN, print_settings
from connector.settings.file import build_file, plain_value, write_file
from connector.settings.load import CONFIG_FILE, load, setting_paths, value_at
from connector.settings.warnings import find_warnings

config_app = typer.Typer(no_args_is_help=True, help="Write, show or check the settings.")


@config_app.command()
def init(
    file: Annotated[Path, typer.Argument(help="Where to write it; - for stdout.")] = Path(CONFIG_FILE),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if there is one.")] = False,
) -> None:
    """Write a settings file in which every setting stands with its default and what it means."""
    if file == Path("-"):
        print(build_file(), end="")
        return
    write_file(file, force=force)
    stderr.print(f"wrote {file}", highlight=False)


@config_app.command()
@with_flag_groups
def show(
    flags: SettingsFlags,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only what the file, the environment or a flag gives.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show every setting with its value and where it comes from: default, FILE:LINE, a variable, a flag. Secrets are
    ***.

    Examples:

        connector config show --changed

        connector config show --set search.fusion.kind=linear --set index.vector_field=null
    """
    loaded = flags.load()
    settings = loaded.require()
    paths = list(setting_paths(settings))
    origins = {path: "default" for path in paths if not changed}
    origins |= {path: loaded.given[path].origin for path in paths if path in loaded.given}
    rows = {path: {"value": _visible(value_at(settings, path)), "origin": origins[path]} for path in origins}
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    print_settings(rows)


@config_app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="The settings file; connector.yaml when there is one.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where there is a warning.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the settings and say everything that is wrong with them. Exit code: 0 fine, 1 warnings with --strict, 2
    errors."""
    loaded = load(file=file)
    errors = [str(problem) for problem in loaded.problems]
    warnings = [] if errors else [str(warning) for warning in find_warnings(loaded)]
    if as_json:
        print(json.dumps({"ok": not errors, "errors": errors, "warnings": warnings}, ensure_ascii=False))
    else:
        for kind, messages in (("error", errors), ("warning", warnings)):
            for message in messages:
                print(f"{kind}: {message}")
        where = f"{loaded.file} and the environment" if loaded.file else "the environment (there is no settings file)"
        print(f"{where}: {len(errors)} errors, {len(warnings)} warnings")
    raise typer.Exit(2 if errors else 1 if warnings and strict else 0)


def _visible(value: Any) -> Any:
    return HIDDEN if isinstance(value, SecretStr) else plain_value(value)
