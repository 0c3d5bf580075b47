"""Files as they are written: whole or not at all, with the mode, the links and the pipes that are there."""

from __future__ import annotations

import os
import re
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import FileError
from chainrule.base.files import disk as files
from chainrule.base.files.disk import check_writable, descriptor, opened, write_whole
from chainrule.cli.folder import read_description
from chainrule.cli.training.networks import read_network_file
from chainrule.training.history import History, Row


def put(target: Path | str, content: bytes) -> None:
    write_whole(target, lambda stream: stream.write(content))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def network(value: float = 1.0) -> cr.Network:
    net = cr.Network([cr.Dense(2)], input_shape=3)
    net.parameters["dense1.W"][...] = value
    return net


WRITERS = {
    "net.npz": lambda path: network().save(path),
    "net.safetensors": lambda path: network().save(path),
    "history.csv": lambda path: History([Row(1, 0.5, None, None, None, 0.1, 1.0)]).to_csv(path),
    "curves.svg": lambda path: History([Row(1, 0.5, None, None, None, 0.1, 1.0)]).save_svg(path),
    "curves.png": lambda path: History([Row(1, 0.5, None, None, None, 0.1, 1.0)]).plot(path),
    "report.json": lambda path: cr.explain(network(), np.ones((1, 3)), np.ones((1, 2)), check=False).json(
        path
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_whatever_writes_keeps_mode_and_link_and_leaves_nothing_else(name: str, tmp_path: Path) -> None:
    write, real = WRITERS[name], tmp_path / "elsewhere" / name
    real.parent.mkdir()
    link = tmp_path / name
    link.symlink_to(Path("elsewhere") / name)
    write(link)  # the link's target is not there yet
    assert link.is_symlink()
    real.chmod(0o600)
    before = real.stat().st_ino
    write(link)
    assert link.is_symlink()
    assert mode_of(real) == 0o600
    assert real.stat().st_ino != before  # replaced, not overwritten
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(["elsewhere", name, name])


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_follows_the_umask_and_an_old_one_keeps_its_mode(
    umask: int, mode: int, tmp_path: Path
) -> None:
    old = os.umask(umask)
    try:
        put(tmp_path / "new", b"a")
        assert mode_of(tmp_path / "new") == mode
        for kept in (0o600, 0o640, 0o666, 0o755):
            (tmp_path / "new").chmod(kept)
            put(tmp_path / "new", b"b")
            assert mode_of(tmp_path / "new") == kept
    finally:
        os.umask(old)
    assert (tmp_path / "new").read_bytes() == b"b"


def test_a_secret_is_never_readable_while_it_is_written(tmp_path: Path) -> None:
    path, seen = tmp_path / "secret", []
    put(path, b"a")
    path.chmod(0o600)

    def write(stream) -> None:
        seen.extend(mode_of(entry) for entry in tmp_path.iterdir())
        stream.write(b"b")

    write_whole(path, write)
    assert seen == [0o600, 0o600]


def test_a_hard_link_keeps_what_it_had(tmp_path: Path) -> None:
    put(tmp_path / "a", b"old")
    os.link(tmp_path / "a", tmp_path / "b")
    put(tmp_path / "a", b"new")
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"new", b"old")


def test_what_stands_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "to-folder").symlink_to("folder")
    put(tmp_path / "fixed", b"old")
    (tmp_path / "fixed").chmod(0o444)
    for name, words in {
        "folder": "this is a folder",
        "to-folder": "this is a folder",
        "loop": "symbolic links",
        "fixed": "it is read-only",
        "none/file": "there is no folder .*none: make it first",
        "fixed/file": "there is no folder|Not a directory",
        "a\0b": "NUL",
        "x" * 300: "File name too long",
        "\ud800": "no name of a file",
    }.items():
        for attempt in (lambda path: put(path, b"new"), check_writable):
            with pytest.raises(FileError, match=words):
                attempt(tmp_path / name)
    assert (tmp_path / "fixed").read_bytes() == b"old"
    assert {entry.name for entry in tmp_path.iterdir()} == {"folder", "loop", "to-folder", "fixed"}
    check_writable(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_pipes_and_devices_are_written_to_and_stay(tmp_path: Path) -> None:
    pipe, received = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    put(pipe, b"all of it")
    reader.join()
    assert received == [b"all of it"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    put(os.devnull, b"gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    with pytest.raises(FileError, match=r"/dev/full: cannot be written \(No space left"):
        put("/dev/full", b"x")
    with pytest.raises(FileError, match="it is no file"), opened(pipe):
        pass  # reading waits for no writer either


def test_the_own_descriptors_are_found_whatever_leads_to_them(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/stderr")
    assert descriptor("/dev/stdout") == 1
    assert descriptor("/dev/fd/7") == 7
    assert descriptor(f"/proc/{os.getpid()}/fd/3") == descriptor("/proc/self/fd/3") == 3
    assert descriptor(tmp_path / "link") == 2
    assert descriptor(tmp_path / "none") is None
    assert descriptor("/dev/null") is None
    with pytest.raises(FileError, match="Bad file descriptor"):
        put("/dev/fd/999", b"")


SCRIPT = """
import sys
from chainrule.base.files.disk import write_whole
print("before")
write_whole("/dev/stdout", lambda stream: stream.write(b"content\\n"))
print("after")
"""


def test_standard_output_is_appended_to_where_it_stands(tmp_path: Path) -> None:
    """Redirected to a file, that file is neither replaced nor emptied, and the order is kept."""
    path = tmp_path / "out"
    path.write_text("first\n")
    with path.open("a") as out:
        subprocess.run([sys.executable, "-c", SCRIPT], stdout=out, check=True)
    assert path.read_text() == "first\nbefore\ncontent\nafter\n"
    piped = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert piped.stdout == b"before\ncontent\nafter\n"


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """The limit of a file's size, which a process may set for itself, stands for the disk."""
    path = tmp_path / "file"
    put(path, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(FileError, match=r"file: cannot be written \(File too large\)"):
            put(path, bytes(20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("refused", ["creating", "replacing"])
def test_a_file_whose_folder_takes_no_other_is_overwritten_in_place(
    refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a folder without the right to write refuses, and a file that is mounted by itself; a test as root
    meets neither.
    """
    path = tmp_path / "file"
    put(path, b"old and longer than the new")
    path.chmod(0o640)
    inode = path.stat().st_ino

    def denied(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    def busy(*arguments: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(*((files, "_create", denied) if refused == "creating" else (os, "replace", busy)))
    for content in (b"new", bytes(range(256)) * 5000):
        check_writable(path)
        put(path, content)
        assert path.read_bytes() == content
    assert (path.stat().st_ino, mode_of(path)) == (inode, 0o640)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(FileError, match="No space left"):
        put(path, bytes(2_000_000))
    assert path.read_bytes() == content  # nothing was overwritten before there was room
    with pytest.raises(FileError, match=r"Permission denied|resource busy"):
        put(tmp_path / "new", b"")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


# -- what the dead have left
KILLED = """
import os, signal, sys
from chainrule.base.files.disk import write_whole
def write(stream):
    stream.write(b"half")
    stream.flush()
    {end}
write_whole(sys.argv[1], write)
"""


def left_by(end: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", KILLED.format(end=end), folder / "file"])


def leftovers(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name.startswith(".chainrule-"))


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    killed = left_by("os.kill(os.getpid(), signal.SIGKILL)", tmp_path)
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # dead, and not buried yet
    assert len(leftovers(tmp_path)) == 1
    put(tmp_path / "other", b"")
    assert leftovers(tmp_path) == []
    killed.wait()
    left_by("os.kill(os.getpid(), signal.SIGKILL)", tmp_path).wait()
    assert len(leftovers(tmp_path)) == 1
    network().save(tmp_path / "net.npz")
    assert leftovers(tmp_path) == []


def test_what_a_living_writer_writes_stays(tmp_path: Path) -> None:
    living = left_by("import time; time.sleep(600)", tmp_path)
    try:
        while not leftovers(tmp_path):
            assert living.poll() is None
            time.sleep(0.01)
        put(tmp_path / "other", b"")
        assert len(leftovers(tmp_path)) == 1
    finally:
        living.kill()
        living.wait()
    put(tmp_path / "other", b"")
    assert leftovers(tmp_path) == []


def test_what_is_in_doubt_stays_for_a_day(tmp_path: Path) -> None:
    """Of another machine, of a version that did not say who writes; and what only looks like one for ever."""
    own = files._part(tmp_path).name
    host, pid = re.fullmatch(r"\.chainrule-(\w{12})-(\d+)-\d+-\w{8}", own).groups()
    assert int(pid) == os.getpid()
    strange = [f".chainrule-{'0' * 12}-1-1-{'0' * 8}", f".chainrule-{'0' * 16}"]
    lookalikes = [".chainrule-notes", f".chainrule-{'0' * 16}.npz"]
    reused = f".chainrule-{host}-{pid}-1-{'0' * 8}"  # the number of this process, which began later
    for name in [*strange, *lookalikes, own, reused]:
        (tmp_path / name).touch()
    put(tmp_path / "file", b"")
    assert leftovers(tmp_path) == sorted([*strange, *lookalikes, own])
    past = time.time() - files.STALE_SECONDS - 60
    for name in leftovers(tmp_path):
        os.utime(tmp_path / name, (past, past))
    put(tmp_path / "file", b"")
    assert leftovers(tmp_path) == sorted([*lookalikes, own])


def test_many_writers_of_one_file_leave_one_of_theirs(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([number]) * 100_000 for number in range(8)]

    def write(content: bytes) -> None:
        for _ in range(10):
            put(path, content)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if path.exists():
            assert path.read_bytes() in contents
    for writer in writers:
        writer.join()
    assert path.read_bytes() in contents
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


READERS = {
    "history.csv": History.from_csv,
    "report.json": cr.Report.from_json,
    "net.toml": read_network_file,
    "run.json": read_description,
}


@pytest.mark.parametrize("name", READERS)
def test_a_text_is_read_from_a_regular_file_only(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that nobody writes to and a device without an end are refused, also through a link."""
    path = tmp_path / name

    def refused(said: str) -> None:
        with pytest.raises(cr.FileError) as caught:
            READERS[name](path)
        assert str(caught.value) == f"{path}: {said}"

    if name == "run.json":
        assert read_description(path) is None
    else:
        refused("no such file")
    if os.name != "nt":
        os.mkfifo(path)
        refused("cannot be read, it is no file")
        path.unlink()
        path.symlink_to("/dev/zero")
        refused("cannot be read, it is no file")
        path.unlink()
    path.mkdir()
    refused("cannot be read, it is a directory")
    path.rmdir()
    path.write_bytes(b"epoch \xff")
    refused("not a text file in UTF-8 (byte 0xff)")
    monkeypatch.setattr(files, "LONGEST_TEXT", 6)
    refused("not read, it has more than 6 bytes")
