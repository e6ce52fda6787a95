"""What holds for the whole of the code: sizes, those of tests too, and where defaults and the environment are read.
Which room may use which is in test_rooms.py, and what things are called in test_names.py."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from support.repository.pages import ROOT
from support.repository.syntax import CODE, PROGRAMS, TESTS, name_of, nodes

from connector.settings.load import setting_names
from connector.settings.sections import Settings

MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60
MIN_COPIED_LINES = 4  # of a function without its docstring
DOCSTRING = re.compile(r'(#!.*\n)?r?"""\S')

# beside the table of rooms in CONTRIBUTING.md, which test_rooms.py holds: who calls a server does not import it
APART = {
    ("rerankers", "worker"),
    ("search", "worker"),
    ("search", "native"),
    ("ingest", "search"),
    ("client", "ingest"),
}

# who reads os.environ, and what for; CONNECTOR_* are read by the settings alone
READERS = {
    "connector/settings/load.py": "CONNECTOR_*, and the variables that a settings file names for its secrets",
    "connector/remote/process.py": "handed on to a worker that is a child of this process",
    "connector/no_telemetry.py": "nothing is read: the switches of libraries' telemetry are set to off",
    "connector/cli/console.py": "COLUMNS: how wide a table may be",
    "connector/models/cache.py": "XDG_CACHE_HOME: where models, graphs and measurements are kept",
    "connector/models/places/maven_settings.py": "MAVEN_HOME, M2_HOME, and the variables that Maven's settings name",
    "connector/models/onnx/session.py": "OMP_NUM_THREADS: how many cores may be used",
}

# where numbers that somebody may want to change have their defaults; elsewhere a default is taken from one of these
HOMES_OF_DEFAULTS = (
    "connector/settings/",
    "connector/training/options.py",
    "connector/tuning/goal.py",
    "connector/evaluation/defaults.py",
    "connector/judging/defaults.py",
    "connector/judging/page/defaults.py",
)

NEUTRAL = (-1, 0, 1)  # before the first, none of it, and no change to it
NO_SETTINGS = {  # numbers that are about one call, or that nobody but a test wants otherwise
    ("connector/cli/tables/comparison.py", "side_by_side"),  # how many hits an example prints
    ("connector/doctor/local_checks.py", "choose_words"),  # of a probe query
    ("connector/cli/commands/gateway.py", "proxy_config"),  # the port in the text that is printed
    ("connector/backfill/beside/filling.py", "__init__"),  # how often it looks at what was written meanwhile
    ("connector/clusters/reading/term_counts.py", "find_words"),  # how many words the engine is asked to count
    ("connector/contract/clusters/store.py", "dense"),  # of a contract's documents: all
    ("connector/contract/clusters/store.py", "lexical"),
    ("connector/contract/synthetic.py", "make_documents"),
    ("connector/evaluation/statistics/power.py", "queries_needed"),  # the two shares that statistics has agreed on
    ("connector/evaluation/statistics/power.py", "smallest_difference"),
    ("connector/evaluation/statistics/significance.py", "randomisation_test"),  # how fine p is, and the seed
    ("connector/judging/trust/agreement.py", "compare_judges"),  # how fine an interval is, and the seed
    ("connector/judging/model/chat.py", "__init__"),  # when a language model is asked again
    ("connector/remote/encoder.py", "__init__"),  # texts of one request
    ("connector/remote/process.py", "running_worker"),  # for how long a worker may load its model
}


def room_of(module: str) -> str:
    """`connector.search.legs.dense` -> `search`."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """The modules of ours that a file imports, anywhere in it, with the line."""
    for node in nodes(file):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "connector":
            module = node.module or ""
            yield from (
                ((f"connector.{part.name}", node.lineno) for part in node.names)
                if module == "connector"
                else [(module, node.lineno)]
            )
        elif isinstance(node, ast.Import):
            yield from ((part.name, node.lineno) for part in node.names if part.name.split(".")[0] == "connector")


def test_a_room_that_calls_a_server_does_not_import_it() -> None:
    used = {(room_of(".".join(file.relative_to(ROOT).with_suffix("").parts)), room_of(module), name_of(file), line)
            for file in CODE for module, line in imports(file)}  # fmt: skip

    assert [f"{name}:{line}: {user} uses {room}" for user, room, name, line in used if (user, room) in APART] == []


def test_a_file_holds_one_idea_and_is_read_without_scrolling() -> None:
    lengths = {name_of(file): len(file.read_text(encoding="utf-8").splitlines()) for file in CODE + PROGRAMS + TESTS}

    assert {name: count for name, count in lengths.items() if count > MAX_FILE_LINES} == {}


def test_a_file_says_in_its_first_line_what_it_holds() -> None:
    files = [file for file in CODE + PROGRAMS + TESTS if file.stat().st_size]

    assert [name_of(file) for file in files if not DOCSTRING.match(file.read_text(encoding="utf-8"))] == []


def test_a_function_is_seen_at_once_and_stands_once() -> None:
    """Of tests too: what two of their files need is in tests/support, or a fixture of a conftest.py."""
    long, homes = [], defaultdict[tuple[str, ...], set[str]](set)
    for file in CODE + PROGRAMS + TESTS:
        lines = file.read_text(encoding="utf-8").splitlines()
        for node in functions(file):
            end = node.end_lineno or node.lineno
            if end - node.lineno >= MAX_FUNCTION_LINES:
                long.append(f"{name_of(file)}:{node.lineno} {node.name}: {end - node.lineno + 1} lines")
            start = node.body[min(ast.get_docstring(node) is not None, len(node.body) - 1)].lineno
            body = tuple(line.strip() for line in lines[start - 1 : end])
            if len(body) >= MIN_COPIED_LINES:
                homes[body].add(f"{name_of(file)} {node.name}")
    copied = [sorted(places) for places in homes.values() if len({place.split()[0] for place in places}) > 1]

    assert long == []
    assert copied == []


def test_a_file_that_is_run_by_its_name_begins_with_what_runs_it() -> None:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    programs = [line.split("\t", 1)[1] for line in listed.splitlines() if line.startswith("100755 ")]

    assert "tests/servers/engines.py" in programs
    assert [name for name in programs if not (ROOT / name).read_bytes().startswith(b"#!")] == []


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in nodes(file) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_a_command_parses_and_calls_and_leaves_tables_to_the_files_of_tables() -> None:
    commands = [file for file in CODE if name_of(file).startswith("connector/cli/commands/")]
    builders = [name_of(file) for file in commands if "rich" in packages(file)]

    assert commands
    assert builders == []


def packages(file: Path) -> Iterator[str]:
    """The packages that a file imports, anywhere in it."""
    for node in nodes(file):
        if isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]
        elif isinstance(node, ast.Import):
            yield from (part.name.split(".")[0] for part in node.names)


def test_the_environment_is_read_in_named_places() -> None:
    """`os.environ`, `os.getenv` and `from os import environ` alike."""
    readers = {
        name_of(file)
        for file in CODE
        for node in nodes(file)
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"))
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and node.names[0].name in ("environ", "getenv"))
    }

    assert readers == set(READERS)


def test_only_the_settings_know_how_their_variables_are_called() -> None:
    named = {
        name_of(file)
        for file in CODE
        for node in nodes(file)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("CONNECTOR_")
    }

    assert named == {"connector/settings/names.py"}


def test_defaults_live_in_one_place() -> None:
    elsewhere = [
        (name_of(file), owner, value, line)
        for file in CODE
        if not name_of(file).startswith(HOMES_OF_DEFAULTS)
        for owner, value, line in number_defaults(nodes(file))
    ]

    assert {
        f"{name}:{line}: {owner} has the default {value}"
        for name, owner, value, line in elsewhere
        if (name, owner) not in NO_SETTINGS
    } == set()
    assert NO_SETTINGS - {(name, owner) for name, owner, _, _ in elsewhere} == set()


def number_defaults(module: Sequence[ast.AST]) -> Iterator[tuple[str, float, int]]:
    """(owner, number, line) of the parameters and fields whose default is a number that was chosen, also where a
    constant of the same file stands for it."""
    constants = dict(number_constants(module))
    for node in module:
        defaults: list[ast.expr | None] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            defaults = [*node.args.defaults, *node.args.kw_defaults]
        elif isinstance(node, ast.ClassDef):
            defaults = [field.value for field in node.body if isinstance(field, ast.AnnAssign)]
        for default in defaults:
            number = constants.get(default.id) if isinstance(default, ast.Name) else number_of(default)
            if default is not None and number is not None and number not in NEUTRAL:
                yield getattr(node, "name", ""), number, default.lineno


def number_constants(module: Iterable[ast.AST]) -> Iterator[tuple[str, float]]:
    """The names that stand for a number: `LIMIT = 3`, `A, B = 1, 2`, `C: Final = 0.5`."""
    for node in module:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            pairs: list[tuple[ast.expr, ast.expr | None]] = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            for name, value in pairs:
                number = number_of(value)
                if isinstance(name, ast.Name) and name.id.isupper() and number is not None:
                    yield name.id, number


def number_of(value: ast.expr | None) -> float | None:
    """What a number in the source says; None for anything else."""
    sign = 1
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        sign, value = -1, value.operand
    is_number = isinstance(value, ast.Constant) and type(value.value) in (int, float)
    return sign * float(str(value.value)) if isinstance(value, ast.Constant) and is_number else None


def test_a_default_that_is_a_number_is_found() -> None:
    module = ast.parse(
        "A, B = 7, -8\nLATE: int = 9\nNAME = 'x'\ndef f(a, b=2, *, c=0.5, d=1): ...\n"
        "class C:\n    e: int = 3\n    f: bool = True\n    g: int = -4\n    h: int = LATE\n"
        "def i(a=A, b=B, c=NAME, d=imported): ...\n"
    )
    found = number_defaults(list(ast.walk(module)))

    assert sorted((owner, number) for owner, number, _ in found) == [
        ("C", -4.0),
        ("C", 3.0),
        ("C", 9.0),
        ("f", 0.5),
        ("f", 2.0),
        ("i", -8.0),
        ("i", 7.0),
    ]


# pages are read by test_pages.py
TEXTS = sorted(
    file
    for pattern in ("connector/**/*.py", "bench/*.py", "examples/**/*", "docker/*")
    for file in ROOT.glob(pattern)
    if file.is_file() and file.suffix in (".md", ".py", ".yaml", ".yml", ".sh")
)
SECTIONS = "|".join(Settings.model_fields)
# a path as a user would write it: `search.fusion.alpha`, --set search.k=3
PATHS = re.compile(rf"(?:`|--set[ =][\"']?)((?:{SECTIONS})(?:\.[a-z_0-9]+)+)(?=[`=: ]|$)", re.MULTILINE)
VARIABLES = re.compile(r"\bCONNECTOR_[A-Z0-9_]*[A-Z0-9]\b(?![*])")
NO_PATHS = re.compile(
    # an engine's
    r"index\.(number_of|refresh|search|default_pipeline|final_pipeline|blocks|knn|max_|mapping|schema)\S*"
    r"|passages\.(text|vector|ordinal)"  # fields of a document
    r"|\w+\.(json|py|sh|md|yaml|jsonl|tsv|csv|info)"
)
# of the demonstration images, and of what Kubernetes makes
NO_VARIABLES = re.compile(r"CONNECTOR_(WORKER_)?(SERVICE|PORT)\w*|CONNECTOR_(FOO|INDEX|CLUSTER|SEARCH|WORKER)")


def written_paths(text: str) -> set[str]:
    return {found[1] for found in PATHS.finditer(text) if not NO_PATHS.fullmatch(found[1])}


def test_every_setting_that_is_named_somewhere_is_there() -> None:
    names = setting_names()
    below = tuple(f"{path}." for path in names.paths)  # fields.text.title
    wrong = []
    for file in TEXTS:
        text = file.read_text(encoding="utf-8")
        paths = {path for path in written_paths(text) if not names.is_setting(path) and not names.is_section(path)}
        variables = {
            name
            for name in VARIABLES.findall(text)
            if not names.of_variable(name) and not names.of_file_variable(name) and not NO_VARIABLES.fullmatch(name)
        }
        wrong += [(name_of(file), name) for name in variables]
        wrong += [(name_of(file), path) for path in paths if not path.startswith(below)]

    assert TEXTS
    assert wrong == []


def test_a_setting_that_is_not_there_would_be_found() -> None:
    text = "`search.rank_constant`, `--set search.kk=3`, --set 'index.vectors.kind=x', `search.k` and `passages.text`"

    assert written_paths(text) == {"search.rank_constant", "search.kk", "index.vectors.kind", "search.k"}
