"""A file that is written whole: what it replaces, what it leaves as it is, and what is written into."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.programs.other_user import NOBODY, as_other_user

from connector.whole_file import check_writable, is_one_file, write_whole


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """One that holds something, and that its owner alone may read."""
    file = tmp_path / "kept.json"
    file.write_text("as it was\n")
    file.chmod(0o600)
    return file


def test_it_replaces_what_was_there_and_leaves_nothing_beside_it(file: Path) -> None:
    inode = file.stat().st_ino
    check_writable(file)
    untouched = (file.read_text(), file.stat().st_ino)
    write_whole(file, ("é\r\n", "and more\n"))

    assert untouched == ("as it was\n", inode)
    assert file.read_bytes() == "é\r\nand more\n".encode()
    assert file.stat().st_ino != inode
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_new_one_has_the_usual_mode_or_that_of_another(file: Path, tmp_path: Path) -> None:
    usual, alike = tmp_path / "usual", tmp_path / "alike"
    (tmp_path / "touched").touch()
    write_whole(usual, "")
    write_whole(alike, "", like=file)

    assert usual.stat().st_mode == (tmp_path / "touched").stat().st_mode
    assert stat.S_IMODE(alike.stat().st_mode) == 0o600


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_stays_a_link(file: Path, tmp_path: Path, is_there: bool) -> None:
    link = tmp_path / "link"
    target = file if is_there else tmp_path / "none"
    link.symlink_to(target.name)
    check_writable(link)
    write_whole(link, "new\n")

    assert link.is_symlink()
    assert target.read_text() == "new\n"
    assert set(tmp_path.iterdir()) == {file, link, target}


def test_a_link_to_nowhere_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("none/file")

    for tried in (check_writable, lambda path: write_whole(path, "")):
        with pytest.raises(FileNotFoundError):
            tried(tmp_path / "link")


def test_several_write_at_once(file: Path) -> None:
    def pieces() -> Iterator[str]:
        write_whole(file, "the second one")
        yield "the first one"

    write_whole(file, pieces())

    assert file.read_text() == "the first one"
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("name", ["kept.json", "none"])
def test_where_half_of_it_is_written_nothing_is(file: Path, name: str) -> None:
    def pieces() -> Iterator[str]:
        yield "x" * 100_000
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_whole(file.with_name(name), pieces())

    assert file.read_text() == "as it was\n"
    assert list(file.parent.iterdir()) == [file]


def test_a_name_that_is_as_long_as_may_be_can_be_written(tmp_path: Path) -> None:
    longest, too_long = tmp_path / ("ä" * 127), tmp_path / ("ä" * 128)
    check_writable(longest)
    write_whole(longest, "all of it")

    assert longest.read_text() == "all of it"
    for tried in (check_writable, lambda path: write_whole(path, "")):
        with pytest.raises(OSError, match="File name too long"):
            tried(too_long)


def test_what_utf8_cannot_hold_stands_as_its_escape(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "file", Path("/dev/stdout")):
        write_whole(path, "caf\udce9\n")

    assert (tmp_path / "file").read_text() == capfd.readouterr().out == "caf\\udce9\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_file_stays_its_owner_s(file: Path) -> None:
    os.chown(file, NOBODY, NOBODY)
    write_whole(file, "new\n")
    write_whole(file.with_name("alike"), "", like=file)

    assert (file.stat().st_uid, file.stat().st_gid) == (NOBODY, NOBODY)
    assert file.with_name("alike").stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a file of somebody else's")
def test_somebody_else_s_file_in_a_folder_such_as_tmp_is_written_over() -> None:
    """Nothing may take its place there, as nothing may that of a file which is mounted by itself."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o1777)
        file = folder / "report.json"
        file.write_text("longer than what comes\n")
        file.chmod(0o666)
        with as_other_user():
            check_writable(file)
            write_whole(file, "new\n")

        assert file.read_text() == "new\n"
        assert list(folder.iterdir()) == [file]


def test_a_file_is_one_by_whatever_name_but_no_pipe_device_or_output(file: Path, tmp_path: Path) -> None:
    link, ahead, fifo = tmp_path / "link", tmp_path / "ahead", tmp_path / "fifo"
    link.symlink_to(file)
    ahead.symlink_to(tmp_path / "none")
    os.mkfifo(fifo)

    assert is_one_file(file, link)
    assert is_one_file(link, file)
    assert is_one_file(ahead, tmp_path / "none")
    assert not is_one_file(file, tmp_path / "none")
    assert not is_one_file(tmp_path / "none", file)
    for path in (fifo, Path("/dev/null"), Path("/dev/stdout")):
        assert not is_one_file(path, path)


def test_a_pipe_is_written_into_and_a_device_too(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    check_writable(pipe)
    with pytest.raises(OSError, match="nobody reads it; begin with its reader"):
        write_whole(pipe, "for nobody\n")
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as opened:
        os.set_blocking(opened.fileno(), True)
        text = "for whoever reads\n" * 10_000  # more than a pipe holds
        reader = threading.Thread(target=lambda: read.append(opened.read()), daemon=True)
        writer = threading.Thread(target=write_whole, args=(pipe, text), daemon=True)
        writer.start()
        writer.join(0.05)
        reader.start()
        writer.join(60)
        reader.join(60)
    ours, theirs = os.openpty()  # a device that root cannot replace by a file either
    write_whole(Path(os.ttyname(theirs)), "on the terminal")
    output = os.read(ours, 100)
    os.close(ours)
    os.close(theirs)

    assert read == [text]
    assert output == b"on the terminal"
    assert pipe.is_fifo()


def test_what_goes_where_the_output_goes_stands_among_it(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from connector.whole_file import check_writable, write_whole
print("before", flush=True)
for path in map(Path, sys.argv[1:]):
    check_writable(path)
    write_whole(path, f"the report in {path.name}\\n")
print("after", flush=True)
sys.stderr.write("after")
os.close(1)
for text in ("new", "without an output"):
    write_whole(path.with_name("new"), text)
"""
    out, stdout_link, err = tmp_path / "out.txt", tmp_path / "stdout", tmp_path / "err.txt"
    stdout_link.symlink_to("/dev/stdout")
    with out.open("w") as stdout, err.open("w") as stderr:
        command = [sys.executable, "-c", program, str(err), str(stdout_link), str(out)]
        subprocess.run(command, stdout=stdout, stderr=stderr, check=True, timeout=60)

    assert err.read_text() == "the report in err.txt\nafter"
    assert (tmp_path / "new").read_text() == "without an output"
    assert out.read_text().splitlines() == ["before", "the report in stdout", "the report in out.txt", "after"]


def test_a_folder_and_what_may_not_be_written_to_are_refused() -> None:
    with tempfile.TemporaryDirectory() as made:  # those of pytest are for root alone
        folder = Path(made)
        folder.chmod(0o777)
        file = folder / "kept.json"
        file.write_text("as it was\n")
        file.chmod(0o444)
        refused = {file: PermissionError, folder: IsADirectoryError, folder / "none" / "file": FileNotFoundError}
        with as_other_user():
            for path, error in refused.items():
                for tried in (check_writable, lambda path: write_whole(path, "new")):
                    with pytest.raises(error):
                        tried(path)

        assert file.read_text() == "as it was\n"
        assert list(folder.iterdir()) == [file]
