"""Repositories from a stand-in Hub: whole or not at all, every failure with its way out."""

from __future__ import annotations

import errno
import os
import time

import pytest
from huggingface_hub import constants, file_download
from huggingface_hub import utils as hub_utils

from course_utils import hub as course_hub
from course_utils.errors import CourseError
from course_utils.hub import fetch, reachable

NAME = "owner/data"


def wanted(names):
    return [name for name in names if name.endswith(".parquet")]


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "repository"
    (place / "rte").mkdir(parents=True)
    (place / "rte" / "train-00000-of-00002.parquet").write_bytes(os.urandom(50_000))
    (place / "rte" / "train-00001-of-00002.parquet").write_bytes(os.urandom(40_000))
    (place / "README.md").write_text("about the data\n")
    return place


@pytest.fixture
def served(hub, folder):
    hub.add("dataset", NAME, folder, "refs/convert/parquet")
    return hub


@pytest.fixture
def impatient(monkeypatch):
    """The client's own retries without their waits."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def fetched(**options):
    return fetch(NAME, "dataset", wanted=wanted, **options)


def same_bytes(snapshot, folder):
    assert snapshot.files
    for name in snapshot.files:
        assert (snapshot.folder / name).read_bytes() == (folder / name).read_bytes()


def test_only_what_is_wanted_arrives(served, folder):
    snapshot = fetched()
    same_bytes(snapshot, folder)
    assert snapshot.commit == served.repositories[0].commit
    assert not (snapshot.folder / "README.md").exists()
    assert not any("README" in request for request in served.requests)


def test_what_is_here_is_not_downloaded_again(served):
    fetched()
    before = {r: n for r, n in served.requests.items() if r.startswith("GET /datasets")}
    fetched()
    assert {r: n for r, n in served.requests.items() if r.startswith("GET /datasets")} == before


def test_a_commit_needs_no_question_twice(served):
    commit = served.repositories[0].commit
    fetched(revision=commit)
    served.requests.clear()
    assert fetched(revision=commit).commit == commit
    assert not served.requests


def test_a_branch_with_slashes(served, folder):
    same_bytes(fetched(revision="refs/convert/parquet"), folder)


def test_offline_with_a_cache(served, folder, monkeypatch):
    fetched()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    same_bytes(fetched(), folder)


def test_offline_without_a_cache(served, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CourseError) as caught:
        fetched(offline_hint="Or point at your own copy.")
    message = str(caught.value)
    assert "HF_HUB_OFFLINE is set" in message
    assert "hf download owner/data --repo-type dataset --local-dir data`" in message
    assert "Or point at your own copy." in message
    assert not served.requests


def test_server_down(monkeypatch, served):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert not reachable()
    with pytest.raises(CourseError, match="can't be reached, and 'owner/data' is not"):
        fetched()


def test_server_down_with_a_cache(monkeypatch, served, folder):
    fetched()
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    same_bytes(fetched(), folder)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (401, "asks for its licence to be accepted: .* run: hf auth login"),
        (403, "refused 'owner/data' .403.. .* hf auth login"),
        (404, "no dataset 'owner/data' on the Hub, or it is private"),
        (429, "asks to wait: .* in some minutes, or after hf auth login"),
        (503, "is in trouble .it answered 503.. Run the same again later"),
    ],
)
@pytest.mark.parametrize("where", ["/api/", "train-00001"])
def test_a_refusal_has_its_way_out_and_leaves_no_half(
    served, folder, impatient, fault, says, where
):
    served.faults = {where: fault}
    with pytest.raises(CourseError, match=says) as caught:
        fetched()
    assert "\n" not in str(caught.value)
    served.faults = {}
    same_bytes(fetched(), folder)


@pytest.mark.parametrize("fault", [429, 503])
def test_a_busy_hub_does_not_matter_if_all_is_here(served, folder, impatient, fault):
    fetched()
    served.faults = {"/api/": fault}
    same_bytes(fetched(), folder)


def test_no_such_repository_revision_or_file(served):
    with pytest.raises(CourseError, match="no dataset 'owner/other' on the Hub"):
        fetch("owner/other", "dataset", wanted=wanted)
    with pytest.raises(CourseError, match="has no revision 'v9'"):
        fetched(revision="v9")
    with pytest.raises(
        CourseError, match="does not hold the files expected .*README.md, rte/train"
    ):
        fetch(NAME, "dataset", wanted=lambda names: [])


def test_cut_once_it_goes_on_by_itself(served, folder, impatient):
    served.faults, served.times = {"train-00000": "cut"}, 1
    same_bytes(fetched(), folder)


def test_cut_every_time(served, folder, impatient, monkeypatch):
    served.faults = {"train-00001": "cut"}
    with pytest.raises(CourseError, match="broke off: .* Run the same again"):
        fetched()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CourseError, match="is not, or not whole, on this machine"):
        fetched()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    served.faults = {}
    served.requests.clear()
    same_bytes(fetched(), folder)
    again = [r for r in served.requests if r.startswith("GET /datasets")]
    assert len(again) == 1, "the part that was whole is not downloaded again"


def test_damaged_on_the_way(served, folder):
    served.faults = {"train-00000": "damaged"}
    with pytest.raises(CourseError, match="train-00000-of-00002.parquet .* arrived damaged"):
        fetched()
    served.faults = {}
    same_bytes(fetched(), folder)


def test_a_small_file_is_checked_too(served, folder):
    served.faults = {"README": "damaged"}
    with pytest.raises(CourseError, match="README.md .* arrived damaged"):
        fetch(NAME, "dataset", wanted=lambda names: ["README.md"])


def test_killed_between_download_and_check(served, folder, monkeypatch):
    """What an interrupted fetch left is checked by the next one."""
    served.faults = {"train-00000": "damaged"}
    with monkeypatch.context() as context:
        context.setattr(course_hub._Source, "_check", lambda *a: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            fetched()
    served.faults = {}
    with pytest.raises(CourseError, match="arrived damaged"):
        fetched()
    same_bytes(fetched(), folder)


def test_a_file_cut_short_in_the_cache_is_not_taken_offline(served, folder, monkeypatch):
    snapshot = fetched()
    blob = (snapshot.folder / snapshot.files[0]).resolve()
    blob.write_bytes(blob.read_bytes()[:100])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CourseError, match="not whole"):
        fetched()


def test_another_programs_download_serves_offline(served, folder, monkeypatch):
    from huggingface_hub import snapshot_download

    snapshot_download(NAME, repo_type="dataset", endpoint=served.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    same_bytes(fetched(), folder)


def test_another_programs_half_download_does_not(served, folder, monkeypatch):
    from huggingface_hub import snapshot_download

    snapshot_download(NAME, repo_type="dataset", endpoint=served.url, allow_patterns="*00000-of*")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CourseError, match="not whole"):
        fetched()


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "the disk is full: 'owner/data' did not fit .* set HF_HOME"),
        (errno.EROFS, "can't be written. Set HF_HOME"),
        (errno.EACCES, "can't be written. Set HF_HOME"),
    ],
)
def test_a_disk_that_takes_nothing(served, folder, monkeypatch, number, says):
    def full(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as context:
        context.setattr(file_download, "http_get", full)
        with pytest.raises(CourseError, match=says):
            fetched()
    same_bytes(fetched(), folder)


def test_a_really_full_disk(served, folder, tmp_path, monkeypatch):
    """A file system of 64 KiB, where one may be mounted."""
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    try:
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(small))
        with pytest.raises(CourseError, match="the disk is full"):
            fetched()
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def test_reachable_trusts_a_proxy(monkeypatch, served):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert reachable()


def test_the_clients_own_errors_are_still_what_the_kit_reads():
    """The kinds that `explained` tells apart exist in this version of the client."""
    assert issubclass(hub_utils.GatedRepoError, hub_utils.RepositoryNotFoundError)
    assert issubclass(hub_utils.RevisionNotFoundError, hub_utils.HfHubHTTPError)
