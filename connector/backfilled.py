"""What a back-fill added to an index that somebody else made: the fields, what filled them, and how `_meta` says so."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from connector.errors import SettingsError
from connector.schema import EncoderFingerprint, PassageSettings

JSON = dict[str, Any]
META_KEY = "connector_backfill"
OTHERS_KEY = "connector_backfill_others"  # what stands beside it while an index changes its encoder, by its field
LEAVING_KEY = "connector_backfill_leaving"  # the fields that are being taken out, which nobody fills any more
META_VERSION_BACKFILL = 1
WITHOUT_TEXT = "none"  # in the marker of a document that has nothing to encode
MARKED = "passages"  # a term that every document of ours has, and no nested object
MARKER_END = "_of"  # of the marker's name, after that of the passages
GENERATION = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class AddedNames:
    """What our fields are called: the nested object of passages, and the marker beside it."""

    passages: str = "passages"
    vector_name: str = "vector"

    @property
    def marker(self) -> str:
        """The keyword of a document that says of what its passages were made."""
        return f"{self.passages}{MARKER_END}"

    @property
    def vector(self) -> str:
        return f"{self.passages}.{self.vector_name}"

    @property
    def text(self) -> str:
        return f"{self.passages}.text"


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What was added to an index: which encoder made the vectors, of which text fields (with the boosts that they are
    searched with), cut how, and what our fields are called."""

    encoder: EncoderFingerprint
    text: Mapping[str, float]
    passages: PassageSettings
    names: AddedNames = field(default_factory=AddedNames)
    versions_checked: bool = True  # False: somebody said that the engine counts them, whatever they look like

    @property
    def generation(self) -> str:
        """Changes where the same text would become other passages or vectors. Every marker begins with it."""
        encoder = asdict(replace(self.encoder, name=""))  # a copy under another name is the same encoder
        made_by = [META_VERSION_BACKFILL, encoder, list(self.text), asdict(self.passages)]
        return _short_hash(made_by)

    def marker(self, texts: Mapping[str, str], *, has_passages: bool) -> str:
        """The marker of a document with these texts, by the name of their field."""
        of = _short_hash([[name, texts[name]] for name in self.text if name in texts])
        return f"{self.generation}:{of if has_passages else WITHOUT_TEXT}"

    def marker_values(self, marker: str) -> list[str]:
        """What the marker's field holds: terms to ask for, and the marker itself.

        The markers of an index are as many as its texts, and a query for a prefix would go through them all."""
        return [MARKED, self.generation, marker]

    @property
    def without_text(self) -> str:
        """The marker of a document that has nothing to encode."""
        return self.marker({}, has_passages=False)

    def to_meta(self, meta: Mapping[str, Any]) -> JSON:
        """The `_meta` of a mapping with this in it, beside all that was there: the engines replace it as a whole."""
        return {**_staying(meta, self.names.passages), META_KEY: self._to_entry()}

    def to_meta_as_other(self, meta: Mapping[str, Any]) -> JSON:
        """The `_meta` of a mapping with this beside the back-fill that searches use."""
        others = {**meta.get(OTHERS_KEY, {}), self.names.passages: self._to_entry()}
        return {**_staying(meta, self.names.passages), OTHERS_KEY: others}

    def _to_entry(self) -> JSON:
        return {
            "version": META_VERSION_BACKFILL,
            "encoder": asdict(self.encoder),
            "text": [list(pair) for pair in self.text.items()],  # the engines keep no order of keys
            "passages": asdict(self.passages),
            "names": asdict(self.names),
            "versions_checked": self.versions_checked,
            "generation": self.generation,
        }

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Backfilled | None:
        """What the `_meta` of a mapping says was added; None where nothing was. Raises SettingsError."""
        return cls._from_entry(meta.get(META_KEY))

    @classmethod
    def others_from_meta(cls, meta: Mapping[str, Any]) -> tuple[Backfilled, ...]:
        """What was added beside that, by other encoders."""
        entries = map(cls._from_entry, meta.get(OTHERS_KEY, {}).values())
        return tuple(entry for entry in entries if entry is not None)

    @classmethod
    def all_from_meta(cls, meta: Mapping[str, Any]) -> tuple[Backfilled, ...]:
        """What searches use, and then what was added beside it; nothing where nothing is used."""
        used = cls.from_meta(meta)
        return (used, *cls.others_from_meta(meta)) if used else ()

    @classmethod
    def _from_entry(cls, ours: Any) -> Backfilled | None:
        if not isinstance(ours, Mapping):
            return None
        if ours.get("version") != META_VERSION_BACKFILL:
            raise SettingsError(
                f"the index was back-filled by another version of the connector ({META_KEY} version "
                f"{ours.get('version')}, this one reads {META_VERSION_BACKFILL}); take that out with: "
                "connector backfill INDEX --undo, and back-fill it again"
            )
        return cls(
            encoder=EncoderFingerprint(**ours["encoder"]),
            text=dict(ours["text"]),
            passages=PassageSettings(**ours["passages"]),
            names=AddedNames(**ours["names"]),
            versions_checked=bool(ours.get("versions_checked", True)),
        )


def read_added_names(meta: Mapping[str, Any]) -> AddedNames | None:
    """What our fields are called, whichever version of the connector added them; None where nothing was added."""
    ours = meta.get(META_KEY)
    names = ours.get("names") if isinstance(ours, Mapping) else None
    return AddedNames(str(names["passages"])) if isinstance(names, Mapping) and names.get("passages") else None


def switch_to_other(meta: Mapping[str, Any], name: str) -> JSON:
    """The `_meta` in which searches use the other back-fill whose field has that name, and theirs is the other; as it
    is where they use it already, as when a switch that was cut off comes through late. Raises SettingsError where it
    was taken out meanwhile."""
    before = Backfilled.from_meta(meta)
    others = {entry.names.passages: entry for entry in Backfilled.others_from_meta(meta)}
    if before and before.names.passages == name:
        return dict(meta)
    if name not in others:
        raise SettingsError(f"the vectors in {name!r} were taken out meanwhile; fill them again, and switch then")
    switched = others[name].to_meta(without_other(meta, name))
    return before.to_meta_as_other(switched) if before else switched


def without_other(meta: Mapping[str, Any], name: str) -> JSON:
    """The `_meta` without the other back-fill whose field has that name."""
    others = {key: value for key, value in meta.get(OTHERS_KEY, {}).items() if key != name}
    rest = {key: value for key, value in _staying(meta, name).items() if key != OTHERS_KEY}
    return rest | ({OTHERS_KEY: others} if others else {})


def leaving_from_meta(meta: Mapping[str, Any]) -> frozenset[str]:
    """The names of our nested fields that are being taken out."""
    return frozenset(map(str, meta.get(LEAVING_KEY, ())))


def with_leaving(meta: Mapping[str, Any], name: str) -> JSON:
    """The `_meta` that says that our field of that name is being taken out."""
    return {**meta, LEAVING_KEY: sorted(leaving_from_meta(meta) | {name})}


def _staying(meta: Mapping[str, Any], name: str) -> JSON:
    """The `_meta` that says of no such thing."""
    left = sorted(leaving_from_meta(meta) - {name})
    rest = {key: value for key, value in meta.items() if key != LEAVING_KEY}
    return rest | ({LEAVING_KEY: left} if left else {})


def read_marker(value: Any) -> str:
    """The marker in what the field of a document holds; "" where there is none."""
    values = value if isinstance(value, list) else [value]
    return next((text for text in values if isinstance(text, str) and ":" in text), "")


def find_added(fields: Mapping[str, Any]) -> set[str]:
    """The fields of a document that a back-fill added, whatever they are called: their marker tells them, also those of
    which the mapping said nothing when it was read."""
    markers = [name for name, value in fields.items() if name.endswith(MARKER_END) and _is_marker(value)]
    return {name for marker in markers for name in (marker, marker.removesuffix(MARKER_END))}


def _is_marker(value: Any) -> bool:
    """Whether a field holds what `marker_values` gives, in any order."""
    if not isinstance(value, list) or MARKED not in value:
        return False
    generation = read_marker(value).partition(":")[0]
    return generation in value and GENERATION.fullmatch(generation) is not None


def without_ours(meta: Mapping[str, Any]) -> JSON:
    """The `_meta` of a mapping with nothing of ours in it."""
    return {key: value for key, value in meta.items() if key not in (META_KEY, OTHERS_KEY, LEAVING_KEY)}


def _short_hash(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
