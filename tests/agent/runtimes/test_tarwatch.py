"""The tar watcher, against archives the standard library writes and against anything at all."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agent.runtimes.tarwatch import TarFault, TarWatch


def archive(names, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, size in names:
            info = tarfile.TarInfo(name)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            info.size, info.mtime = size, 1.5
            tar.addfile(info, io.BytesIO(b"x" * size))
    return out.getvalue()


FILES = st.lists(st.tuples(st.text("abcü/ .", min_size=1, max_size=150).map(lambda text: "_data/" + text.strip("/. ") + "f"), st.integers(0, 3000)), max_size=6)


@given(files=FILES, step=st.integers(1, 5000), form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
def test_entries_are_counted_however_the_bytes_come(files, step, form):
    data = archive([("_data/", 0), *files], form)
    watch = TarWatch("_data")
    for start in range(0, len(data), step):
        watch.feed(data[start : start + step])
    assert watch.whole
    assert watch.entries == len(files)
    assert not watch.astray


@given(st.data())
def test_an_archive_cut_anywhere_before_its_end_is_not_whole(data):
    whole = archive([("_data/", 0), ("_data/file", 700)])
    end = 512 * 5 + 512  # a folder and a file with their pax headers take at least this; the end blocks come after
    watch = TarWatch("_data")
    watch.feed(whole[: data.draw(st.integers(0, end))])
    assert not watch.whole


@given(st.binary(max_size=2000))
def test_anything_else_is_a_fault_or_not_whole(data):
    watch = TarWatch("_data")
    try:
        watch.feed(data)
    except TarFault as fault:
        assert str(fault)
    else:
        assert watch.whole == (len(data) >= 512 and not data[:512].strip(b"\0"))


@pytest.mark.parametrize("name", ["etc/passwd", "_data/../../etc/passwd", "/etc/x", "_data2/x"])
def test_what_lies_outside_is_named(name):
    watch = TarWatch("_data")
    watch.feed(archive([("_data/", 0), (name, 3)]))
    assert watch.astray


def test_a_fresh_file_system_holds_no_data():
    watch = TarWatch("penstock-volume")
    watch.feed(archive([("./", 0), ("./lost+found/", 0)]))
    watch.feed(b"")
    assert (watch.entries, watch.data_entries, watch.whole) == (1, 0, True)
