"""The flags of `connector backfill`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from connector.errors import SettingsError

if TYPE_CHECKING:
    from connector.backfill.elsewhere import ElsewhereWish
    from connector.backfill.pace.watch import LoadBounds
    from connector.backfill.planning.plan import BackfillWish

BackfilledIndex = Annotated[
    str | None,
    typer.Argument(
        metavar="INDEX",
        help="The index, or an alias or data stream for those behind it. [CONNECTOR_INDEX_NAME]",
        show_default=False,
    ),
]
TextFields = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        metavar="FIELD[^BOOST]",
        help="A text field to encode, the title first. Can be repeated; found out from the mapping and a sample when "
        "not given. [CONNECTOR_INDEX_TEXT_FIELDS]",
    ),
]


@dataclass(frozen=True, slots=True)
class BackfillFlags:
    """What is added, and how."""

    PANEL: ClassVar[str] = "Back-fill"

    text: TextFields = None
    field: Annotated[
        str | None,
        typer.Option("--field", metavar="NAME", help="A name for our nested field, if passages is taken. [passages]"),
    ] = None
    versions: Annotated[
        str,
        typer.Option(
            metavar="auto|internal|external",
            help="Who counts the versions of documents: the engine (internal), or the application (external), which "
            "rules out a back-fill in place; auto: looks at a sample.",
        ),
    ] = "auto"
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Write nothing: say whether the index can be filled in place, what it would get, and what that takes "
            "in time, disk and memory, from a sample that the encoder encodes.",
        ),
    ] = False
    max_search_ms: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="MS",
            help="Slow down while other people's searches take longer than this (mean of a shard's query phase).",
        ),
    ] = None
    max_search_ratio: Annotated[
        float | None,
        typer.Option(
            min=1, metavar="N", help="Slow down while other people's searches take N times their mean time so far."
        ),
    ] = None
    max_cpu: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=100,
            metavar="PERCENT",
            help="Slow down while a node's processors are busier than this; not if the encoder runs on the same "
            "machine.",
        ),
    ] = None
    beside: Annotated[
        bool,
        typer.Option("--beside", help="Keep passages and vectors in an index of their own; this one is only read."),
    ] = False
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="With --beside: go on, and bring over within seconds what applications write, until it is ended.",
        ),
    ] = False
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="FOLDER",
            help="With --follow: the folder of INDEX.UUID.follow.json, from which the next such run goes on. [.]",
        ),
    ] = None
    into: Annotated[
        str | None,
        typer.Option("--into", metavar="NEW", help="Copy the index with passages and vectors into a new one."),
    ] = None
    swap: Annotated[
        bool | None,
        typer.Option(
            "--swap/--no-swap",
            help="With --into: let the new index take the old one's place in the end. [only if INDEX is an alias]",
            show_default=False,
        ),
    ] = None
    block_writes: Annotated[
        bool,
        typer.Option(
            "--block-writes", help="With --swap: answer writes with 403 for that moment, so that none is missed."
        ),
    ] = False
    copied: Annotated[
        list[str] | None,
        typer.Option(
            "--copy",
            metavar="FIELD",
            help="With --beside: copy this field, to filter by it. Can be repeated; none: no field. [all that can be]",
        ),
    ] = None
    undo: Annotated[
        bool, typer.Option("--undo", help="Take our passages, vectors and markers out of every document again.")
    ] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
    rejects: Annotated[
        Path | None,
        typer.Option(
            help="Where the ids of refused documents are kept with the reason. [INDEX.backfill.rejects.jsonl]"
        ),
    ] = None
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|local",
            help="Share the shards out to the processes of a Ray cluster; local: to several of this machine. "
            "[CONNECTOR_RAY_ADDRESS]",
        ),
    ] = None
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Write a JSON report of the job to this file.")
    ] = None

    @property
    def bounds(self) -> LoadBounds:
        """What the load of the engine is to stay below."""
        from connector.backfill.pace.watch import LoadBounds

        return LoadBounds(self.max_search_ms, self.max_search_ratio, self.max_cpu)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the index itself is not written to."""
        return self.into is not None or self.beside

    def check(self) -> None:
        """Raise SettingsError for flags that do not go together, or would do nothing."""
        into, beside, undo = self.into is not None, self.beside, self.undo
        is_switch = self.swap is not None or self.block_writes
        is_bounded = any((self.max_search_ms, self.max_search_ratio, self.max_cpu))
        in_place = "is for a back-fill in place, without --beside, --into and --undo; leave it out"
        for is_wrong, words in (
            (undo and self.dry_run, "--dry-run is about a back-fill; --undo says what it would change, and asks"),
            (self.dry_run and self.report_file, "--dry-run makes no report; --json prints what it found"),
            (into and beside, "--into and --beside are two ways; take one"),
            (is_switch and not into, "--swap and --block-writes belong to --into NEW"),
            (self.state and not self.follow, "--state belongs to --follow; any other run looks at everything"),
            (self.copied and not beside, "--copy belongs to --beside"),
            (self.follow and not beside, "--follow belongs to --beside; in place, the command is: connector follow"),
            (
                undo and (into or beside),
                "nothing is to be taken out of the index; drop the other: connector index drop",
            ),
            (self.field and beside, "--field names what is added to the index; with --beside nothing is"),
            (self.rejects and (into or beside or undo), f"--rejects {in_place}"),
            (self.ray and (into or beside or undo), f"--ray {in_place}"),
            (undo and is_bounded, "--max-search-ms, --max-search-ratio and --max-cpu slow a back-fill, and no --undo"),
        ):
            if is_wrong:
                raise SettingsError(words)

    def elsewhere(self) -> ElsewhereWish:
        """Where to."""
        from connector.backfill.elsewhere import ElsewhereWish

        names = [name.strip() for value in self.copied or () for name in value.split(",")]
        copied = None if self.copied is None else [name for name in names if name != "none"]
        return ElsewhereWish(
            self.into, self.swap, self.block_writes, copied, self.follow, self.state or Path(), self.bounds
        )

    def wish(self, text: dict[str, float] | None) -> BackfillWish:
        """What is wished for, with the text fields of the settings. Raises SettingsError."""
        from connector.backfill.planning.plan import BackfillWish

        if self.versions not in ("auto", "internal", "external"):
            raise SettingsError(f"--versions is auto, internal or external, not {self.versions!r}")
        return BackfillWish(text, self.field, self.versions)  # type: ignore[arg-type]  # checked just above


def read_text_fields(given: list[str] | None) -> dict[str, float] | None:
    """`title^2` as {"title": 2.0}. Raises SettingsError."""
    fields: dict[str, float] = {}
    for part in (part.strip() for value in given or () for part in value.split(",")):
        name, separator, boost = part.partition("^")
        try:
            fields[name] = float(boost) if separator else 1.0
        except ValueError:
            raise SettingsError(f"--text takes FIELD or FIELD^BOOST, not {part!r}") from None
        if not name:
            raise SettingsError(f"--text takes FIELD or FIELD^BOOST, not {part!r}")
    return fields or None
