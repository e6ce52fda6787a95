"""An index that applications write to all the time is back-filled, followed, and changes its encoder, by commands that
are killed at random moments. At the end it is held against one that is built anew from the final documents.

    make bench-backfill-whole CLUSTER=http://localhost:9200 DATA="FOLDER ..."
    make bench-backfill-whole CLUSTER=URL ARGS="--documents 2000 --kills 50"

Writers insert, update, replace, read-modify-write and delete; each write carries a number. Searches by the library go
on all the while, with each encoder that the index has vectors of, and every hit is held against what its document has
ever held. The commands are those of a user: `connector backfill`, `follow`, `migrate --encoder`, `--switch` (there,
back, and there again) and `--clean`; the last four over and over until there were enough kills (SIGKILL). Then the
writers end, `follow` catches up, and the index is held against what the writers wrote last, and in passages and vectors
against one that `connector ingest` makes of that. The encoders are of words, and cost next to nothing. Both indexes are
dropped in the end."""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import logging
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from machine import print_result
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "servers")]

from built_anew import compare, write_documents  # noqa: E402
from checked_searches import CheckedSearches  # noqa: E402
from killed_commands import LONGEST_S, KilledCommands, Stoppable  # noqa: E402
from support.indices.shop_writers import ShopWriter  # noqa: E402
from support.programs.command import launching  # noqa: E402
from support.programs.plugins import installed  # noqa: E402
from support.programs.word_plugin import install_word_plugin  # noqa: E402

from connector.backfilled import Backfilled  # noqa: E402

ENCODERS = ("words-8", "words-12")
# of the kills; the last three in each change of the encoder, "switch" in each step of it
SHARES = {"backfill": 0.35, "follow": 0.2, "migrate": 0.1, "clean": 0.03, "switch": 0.01}
SHOWN_FAULTS = 10
MOST_CHARS = 20_000  # of a text: of two encoders, longer ones have more passages than OpenSearch 3 restores vectors of
CATCH_UP_S = 900
LOOK_S = 0.2
FILLED = (0, 1)  # 1: some documents were written at each try
MAPPINGS = {
    "properties": {"title": {"type": "text"}, "body": {"type": "text"}, "price": {"type": "integer"},
                   "n": {"type": "long"}},
    "_meta": {"owner": "shop"},
}  # fmt: skip
console = Console(stderr=True, highlight=False, markup=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT / "examples" / "corpus"], help="BEIR's layout")
    parser.add_argument("--cluster", required=True, help="an Elasticsearch or OpenSearch")
    parser.add_argument("--documents", type=int, default=20_000, help="of the collections, in turn, under new ids")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--soon", type=float, default=4.0, help="seconds within which nine of ten kills come")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two writes of one, and searches")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="bench-backfill-whole-") as scratch:
        install_word_plugin(Path(scratch) / "packages")
        with installed(Path(scratch) / "packages"), launching() as launcher:
            trial = Trial(options, KilledCommands(launcher, Path(scratch), options.seed, options.soon), Path(scratch))
            try:
                found = asyncio.run(trial.run())
            finally:
                trial.drop()
    show(found)
    print_result({"bench": "backfill-whole"} | found)
    sys.exit(0 if found["ok"] else 1)


def read_texts(folders: Sequence[Path]) -> list[tuple[str, str]]:
    """Title and text of each document of the collections."""
    texts = []
    for folder in folders:
        (file,) = folder.glob("corpus.jsonl*")
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else open(file, encoding="utf-8") as rows:
            texts += [(row.get("title") or "", row["text"][:MOST_CHARS]) for row in map(json.loads, rows)]
    return texts


class Trial:
    """One run: the index, its writers, the searches and the commands."""

    def __init__(self, options: argparse.Namespace, commands: KilledCommands, folder: Path) -> None:
        self._options = options
        self._commands = commands
        self._folder = folder
        self._client = httpx.Client(base_url=options.cluster, timeout=120)
        self._root = self._client.get("/").raise_for_status().json()["version"]
        self._index = f"bench-whole-{uuid.uuid4().hex[:8]}"
        self._anew = f"{self._index}-anew"
        self._seconds: dict[str, float] = {}
        self._since = time.monotonic()
        texts = read_texts(options.folders)
        self._writers = [
            ShopWriter(options.cluster, self._index, f"app{at}", options.seed + at, texts[at :: options.writers])
            for at in range(options.writers)
        ]
        overrides = {
            "cluster.url": options.cluster,
            "index.name": self._index,
            "index.text_fields": {"title": 1.0, "body": 1.0},
            "encoder.kind": "words",
            "search.rerank": [],
            "search.deadline_s": 60.0,
        }
        self._searches = CheckedSearches(overrides, self._writers, options.seed, options.pause)
        self._changes = 0  # of the encoder

    async def run(self) -> dict[str, Any]:
        await self._make()
        writing = Stoppable(self._write_until)
        searching = self._search(ENCODERS[0])
        await self._back_fill()
        following = self._follow(ENCODERS[0], self._options.kills)
        await self._until(lambda: self._commands.kills["follow"] >= self._options.kills * SHARES["follow"], LONGEST_S)
        self._note("followed")
        used, other = ENCODERS
        while self._commands.kills.total() < self._options.kills or not self._changes:
            searching = await self._change_encoder(used, other, searching)
            used, other = other, used
        self._note("changed its encoder")
        await following.end()
        following = self._follow(used, 0)
        await writing.end()
        await searching.end()
        await self._until_caught_up()
        await following.end()
        self._note("caught up")
        return await self._judge(used)

    def drop(self) -> None:
        for index in (self._index, self._anew):
            self._client.delete(f"/{index}")
        self._client.close()

    async def _make(self) -> None:
        """The index as an application would have made it."""
        is_opensearch = self._root.get("distribution") == "opensearch"
        settings = {"index.number_of_shards": 2, "index.number_of_replicas": 0}
        body = {"mappings": MAPPINGS, "settings": settings | ({"index.knn": True} if is_opensearch else {})}
        self._client.put(f"/{self._index}", json=body).raise_for_status()
        for at, writer in enumerate(self._writers):
            await writer.fill(len(range(at, self._options.documents, len(self._writers))))
        self._note("made")

    async def _write_until(self, stop: asyncio.Event) -> None:
        await asyncio.gather(*(writer.write_until(stop, self._options.pause) for writer in self._writers))

    def _search(self, encoder: str) -> Stoppable:
        return Stoppable(lambda stop: self._searches.search_until(stop, encoder))

    async def _search_once_there(self, stop: asyncio.Event, encoder: str) -> None:
        """Search with an encoder from when the index begins to have its vectors: before, it is refused."""
        await self._until(lambda: encoder in self._encoders() or stop.is_set(), LONGEST_S)
        await self._searches.search_until(stop, encoder)

    async def _run_killed(self, name: str, *arguments: str, codes: tuple[int, ...], **more: Any) -> None:
        kills = self._options.kills * SHARES[name]
        await self._commands.run_killed(name, *arguments, codes=codes, kills=kills, **more)

    def _follow(self, encoder: str, kills: int) -> Stoppable:
        least = kills * SHARES["follow"]
        command = ("follow", self._index, "--every", "0.2", *self._with(encoder))
        return Stoppable(lambda stop: self._commands.run_until(stop, "follow", *command, least=least, kills=kills))

    async def _back_fill(self) -> None:
        await self._run_killed("backfill", *self._fill(ENCODERS[0]), codes=FILLED)
        self._note("back-filled")

    async def _change_encoder(self, used: str, other: str, searching: Stoppable) -> Stoppable:
        """Fill vectors of the other encoder, let searches use them, and take the first out. Gives who searches from
        then on."""
        searching_other = Stoppable(lambda stop: self._search_once_there(stop, other))
        fill = ("migrate", self._index, "--encoder", other, "--yes", *self._common, "--rejects", "migrate.rejects")
        await self._run_killed("migrate", *fill, codes=FILLED)
        for goal in (other, used, other):
            switched = partial(self._uses, goal)
            await self._run_killed("switch", *self._step("--switch"), codes=(0,), is_done=switched)
        await searching.end()  # with an encoder whose vectors are taken out: it is refused from then on
        await self._run_killed(
            "clean", *self._step("--clean"), codes=FILLED, is_done=lambda: len(self._encoders()) == 1
        )
        self._changes += 1
        console.print(f"{self._index} changed to {other}; kills: {dict(self._commands.kills)}")
        return searching_other

    async def _until_caught_up(self) -> None:
        if not await self._until(self._is_caught_up, CATCH_UP_S):
            self._commands.faults.append(f"connector follow did not catch up within {CATCH_UP_S} s")

    def _is_caught_up(self) -> bool:
        """Whether what the follower keeps says that every operation was looked at."""
        stats = self._client.get(f"/{self._index}/_stats/docs?level=shards").json()["indices"][self._index]
        newest = [copies[0]["seq_no"]["max_seq_no"] for _, copies in sorted(stats["shards"].items())]
        (added,) = self._backfills()
        states = [json.loads(file.read_text()) for file in self._folder.glob(f"{self._index}*.follow.json")]
        return any((state["generation"], state["upto"]) == (added.generation, newest) for state in states)

    async def _until(self, is_so: Callable[[], bool], limit_s: float) -> bool:
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if is_so():
                return True
            await asyncio.sleep(LOOK_S)
        return False

    async def _judge(self, encoder: str) -> dict[str, Any]:
        """Look once more at every document, build the other index, and hold one against the other."""
        documents = {doc_id: source for writer in self._writers for doc_id, source in writer.documents.items()}
        looked = await self._commands.finish("last look", *self._fill(encoder), codes=(0,))
        write_documents(self._folder / "final.jsonl", documents)
        ingest = ("ingest", "final.jsonl", "--index", self._anew, "--text", "title,body", *self._with(encoder))
        await self._commands.finish("ingest", *ingest, codes=(0,))
        field = self._backfills()[0].names.passages
        differences, examples = compare(self._client, self._index, field, self._anew, documents)
        self._note("compared")
        for writer in self._writers:
            await writer.close()
        counts = json.loads(looked.stdout)["indices"][0]["counts"] if looked and looked.stdout else {}
        return self._describe(len(documents), counts, differences, examples)

    def _describe(
        self, documents: int, looked: Mapping[str, int], differences: Counter[str], examples: Sequence[str]
    ) -> dict[str, Any]:
        writes: Counter[str] = sum((writer.counts for writer in self._writers), Counter())
        refused: Counter[str] = sum((writer.refused for writer in self._writers), Counter())
        faults = [*self._commands.faults, *self._searches.faults, *examples, *refused]
        kind = self._root.get("distribution", "elasticsearch")
        return {
            "ok": not faults and not self._searches.degraded and looked.get("written") == 0,
            "engine": f"{kind} {self._root['number']}",
            "documents": {"at first": self._options.documents, "at last": documents},
            "kills": {"all": self._commands.kills.total(), **self._commands.kills},
            "ended by themselves": dict(self._commands.ends),
            "changes of the encoder": self._changes,
            "writes": {"all": writes.total(), **writes},
            "writes refused": refused.total(),
            "writes tried again": sum(writer.waited_for_others for writer in self._writers),
            "searches": dict(self._searches.counts),
            "degraded": dict(self._searches.degraded),
            "last look": {name: looked.get(name) for name in ("found", "unchanged", "without_text", "written")},
            "differences": differences.total(),
            "seconds": self._seconds,
            "longest run, seconds": self._commands.seconds,
            "faults": faults[:SHOWN_FAULTS],
        }

    @property
    def _common(self) -> tuple[str, ...]:
        return ("--cluster", self._options.cluster, "--set", "encoder.kind=words")

    def _with(self, encoder: str) -> tuple[str, ...]:
        return (*self._common, "--set", f"encoder.model={encoder}")

    def _fill(self, encoder: str) -> tuple[str, ...]:
        text = ("--text", "title", "--text", "body")
        return ("backfill", self._index, *text, "--yes", "--json", *self._with(encoder))

    def _step(self, flag: str) -> tuple[str, ...]:
        return ("migrate", self._index, flag, "--yes", *self._common)

    def _backfills(self) -> list[Backfilled]:
        """What `_meta` says: what searches use, and what stands beside it."""
        meta = self._client.get(f"/{self._index}/_mapping").json()[self._index]["mappings"]["_meta"]
        used = Backfilled.from_meta(meta)
        return [*([used] if used else []), *Backfilled.others_from_meta(meta)]

    def _encoders(self) -> list[str]:
        return [backfill.encoder.name for backfill in self._backfills()]

    def _uses(self, encoder: str) -> bool:
        return self._encoders()[0] == encoder

    def _note(self, phase: str) -> None:
        now = time.monotonic()
        self._seconds[phase], self._since = round(now - self._since, 1), now
        console.print(f"{self._index} {phase}: {self._seconds[phase]} s; kills: {dict(self._commands.kills)}")


def show(found: Mapping[str, Any]) -> None:
    table = Table("what", "", title=found["engine"], title_justify="left", show_edge=False)
    for name, value in found.items():
        if isinstance(value, dict):
            table.add_row(name, ", ".join(f"{key} {count:,}" for key, count in value.items()))
        elif name != "engine":
            table.add_row(name, "\n".join(value) if isinstance(value, list) else str(value))
    console.print(table)


if __name__ == "__main__":
    main()
