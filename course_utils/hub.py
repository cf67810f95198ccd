"""Repositories of the Hugging Face Hub: fetched whole, checked, and found again offline.

    snapshot = fetch("FacebookAI/roberta-large", "model", wanted=weights_and_tokenizer)
    snapshot.folder, snapshot.commit

The Hub's own client downloads, caches and goes on where a download broke off. What is added here:
only the files that are wanted; a check of every file against the checksum that the Hub lists for it
(the client compares sizes); a note in the cache of what belongs to a fetched revision, so that half
a repository is never taken for a whole one; and every failure as one `CourseError` that says what
to do.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub import errors as hub_errors
from huggingface_hub.file_download import repo_folder_name

from course_utils.errors import CourseError
from course_utils.records import read_json, write_json

KINDS = {"model": "", "dataset": " --repo-type dataset"}
NOTES = "course-kit"  # beside blobs, refs and snapshots in a repository's folder of the cache
DEFAULT_REVISION = "main"
BUSY = (429, 500, 502, 503, 504)  # the Hub's own troubles


@dataclass(frozen=True)
class Snapshot:
    """A fetched repository.

    Attributes:
        folder: where its files lie, under their names in the repository.
        commit: what the revision stood for.
        files: the names of the files that were wanted.
    """

    folder: Path
    commit: str
    files: tuple[str, ...]


def fetch(
    repository: str,
    kind: str,
    *,
    wanted: Callable[[Sequence[str]], Sequence[str]],
    revision: str | None = None,
    offline_hint: str = "",
) -> Snapshot:
    """The wanted files of a repository at a revision, from the Hub or, without one, the cache.

    Args:
        kind: "model" or "dataset".
        wanted: from all file names of the repository to those needed; an empty answer means the
            repository is not what was expected.
        revision: branch, tag or commit.
        offline_hint: one more sentence where there is no network, such as another source.

    Raises:
        CourseError: no such repository, revision or file; a licence to accept; a Hub that can't
            be reached, is busy or broken; a full disk or a cache that can't be written; a file
            that arrived damaged. It says which, and what to do.
    """
    source = _Source(repository, kind, revision or DEFAULT_REVISION, offline_hint)
    if re.fullmatch(r"[0-9a-f]{40}", source.revision) and (noted := source.noted(wanted)):
        return noted  # a commit never changes: nothing to ask
    if not reachable():
        found = source.cached(wanted)
        if found is None:
            raise source.offline()
        return found
    try:
        return source.fetched(wanted)
    except CourseError:
        raise
    except Exception as failed:  # the client raises dozens of kinds
        silent = _no_answer(failed)
        found = source.cached(wanted) if silent or _status(failed) in BUSY else None
        if found is not None:
            return found
        raise (source.offline(failed) if silent else source.explained(failed)) from None


@dataclass(frozen=True)
class _Source:
    repository: str
    kind: str
    revision: str
    offline_hint: str

    def fetched(self, wanted: Callable[[Sequence[str]], Sequence[str]]) -> Snapshot:
        endpoint = constants.ENDPOINT
        info = HfApi(endpoint=endpoint).repo_info(
            self.repository, repo_type=self.kind, revision=self.revision, files_metadata=True
        )
        listed = {file.rfilename: file for file in info.siblings or ()}
        names = self._chosen(wanted, listed)
        note = self._note()
        known = note["files"] if note and note["commit"] == info.sha else {}
        sizes = dict(known)
        for name in names:
            path = Path(
                hf_hub_download(
                    self.repository,
                    name,
                    repo_type=self.kind,
                    revision=info.sha,
                    endpoint=endpoint,
                )
            )
            if known.get(name) != path.stat().st_size:
                self._check(path, name, listed[name])
            sizes[name] = path.stat().st_size
        folder = self._cache() / "snapshots" / info.sha
        note = {"commit": info.sha, "listed": sorted(listed), "files": sizes}
        write_json(self._note_path(), note)
        return Snapshot(folder, info.sha, tuple(names))

    def noted(self, wanted: Callable[[Sequence[str]], Sequence[str]]) -> Snapshot | None:
        """What earlier fetches left, if all that is wanted is there and has its size."""
        note = self._note()
        if note is None:
            return None
        folder = self._cache() / "snapshots" / note["commit"]
        names = list(wanted(note["listed"]))
        for name in names:
            path = folder / name
            if not path.is_file() or path.stat().st_size != note["files"].get(name):
                return None
        return Snapshot(folder, note["commit"], tuple(names)) if names else None

    def cached(self, wanted: Callable[[Sequence[str]], Sequence[str]]) -> Snapshot | None:
        """What an earlier fetch left, or another program's complete download."""
        found = self.noted(wanted)
        if found is not None:
            return found
        others = self._others()
        if others is None:
            return None
        folder, names = others
        chosen = tuple(wanted(names))
        if not chosen or _missing_parts(chosen):
            return None
        return Snapshot(folder, folder.name, chosen)

    def _chosen(
        self, wanted: Callable[[Sequence[str]], Sequence[str]], listed: Iterable[str]
    ) -> list[str]:
        names = list(wanted(sorted(listed)))
        if not names:
            some = ", ".join(sorted(listed)[:6]) or "nothing"
            raise CourseError(
                f"{self.repository!r} at {self.revision!r} does not hold the files expected of "
                f"it; it has {some}."
            )
        return names

    def _check(self, path: Path, name: str, listed: Any) -> None:
        """Compares a file with the checksum that the Hub lists; a damaged one is removed."""
        large = listed.lfs.sha256 if listed.lfs is not None else None
        expected = large or listed.blob_id
        if expected is None:
            return
        if (_sha256(path) if large else _git_sha1(path)) != expected:
            path.resolve().unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise CourseError(
                f"{name} of {self.repository!r} arrived damaged (another checksum than the Hub "
                "lists) and was removed. Run the same again; if that repeats, something on the "
                "way to the Hub changes files: try another network."
            )

    def _cache(self) -> Path:
        name = repo_folder_name(repo_id=self.repository, repo_type=self.kind)
        return Path(constants.HF_HUB_CACHE).expanduser() / name

    def _note_path(self) -> Path:
        return self._cache() / NOTES / f"{re.sub(r'[^A-Za-z0-9.-]', '_', self.revision)}.json"

    def _note(self) -> dict[str, Any] | None:
        path = self._note_path()
        if not path.is_file():
            return None
        try:
            note = read_json(path)
        except CourseError:  # half a note is none
            return None
        return note if {"commit", "listed", "files"} <= note.keys() else None

    def _others(self) -> tuple[Path, list[str]] | None:
        """The snapshot that the cache holds for this revision, whoever put it there."""
        commit, ref = self.revision, self._cache() / "refs" / self.revision
        if ref.is_file():
            commit = ref.read_text(encoding="utf-8").strip()
        folder = self._cache() / "snapshots" / commit
        if not folder.is_dir():
            return None
        names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
        return folder, sorted(names)

    def offline(self, because: Exception | None = None) -> CourseError:
        """Nobody answers, and the cache has nothing."""
        said = "can't be reached" if because is None else f"does not answer ({_first(because)})"
        if constants.HF_HUB_OFFLINE:
            said = "is not asked (HF_HUB_OFFLINE is set)"
        folder = self.repository.rsplit("/", 1)[-1]
        command = f"hf download {self.repository}{KINDS[self.kind]} --local-dir {folder}"
        if self.revision != DEFAULT_REVISION:
            command += f" --revision {self.revision}"
        return CourseError(
            f"the Hub {said}, and {self.repository!r} is not, or not whole, on this machine. "
            f"Offline: on a machine with network run `{command}` and copy the folder here."
            + (f" {self.offline_hint}" if self.offline_hint else "")
            + " What was fetched here before is found by itself."
        )

    def explained(self, failed: Exception) -> CourseError:
        """What went wrong, as one sentence and the way out."""
        chain = list(_chain(failed))
        name, page = repr(self.repository), "its page of the Hub"

        def is_a(*kinds: type) -> bool:
            return any(isinstance(link, kinds) for link in chain)

        status = _status(failed)
        numbers = {link.errno for link in chain if isinstance(link, OSError)}
        if is_a(hub_errors.GatedRepoError):
            said = (
                f"{name} asks for its licence to be accepted: do so on {page}, then run: "
                "hf auth login"
            )
        elif is_a(hub_errors.RevisionNotFoundError):
            said = f"{name} has no revision {self.revision!r} on the Hub."
        elif is_a(hub_errors.EntryNotFoundError):
            said = f"{name} lacks a file that it lists: {_first(failed)}"
        elif is_a(hub_errors.RepositoryNotFoundError) or status == 404:
            said = (
                f"there is no {self.kind} {name} on the Hub, or it is private. Check the name; for "
                "one of your own run: hf auth login"
            )
        elif numbers & {errno.ENOSPC, errno.EDQUOT}:
            said = (
                f"the disk is full: {name} did not fit into {constants.HF_HUB_CACHE}. Free some "
                "space, or set HF_HOME to a folder on another disk; then run the same again. "
                "Files that arrived whole are kept."
            )
        elif numbers & {errno.EACCES, errno.EROFS, errno.EPERM}:
            said = (
                f"the Hub's cache {constants.HF_HUB_CACHE} can't be written. Set HF_HOME to a "
                "folder of your own, and run the same again."
            )
        elif status == 429:
            said = (
                "the Hub asks to wait: too many requests from this network (Colab's machines share "
                "one). Run the same again in some minutes, or after hf auth login, with which the "
                "limit is higher. Files that arrived whole are kept."
            )
        elif status is not None and status >= 500:
            said = (
                f"the Hub is in trouble (it answered {status}). Run the same again later; files "
                "that arrived whole are kept."
            )
        elif status in (401, 403):
            said = (
                f"the Hub refused {name} ({status}). If it is gated or private, accept its licence "
                f"on {page} and run: hf auth login"
            )
        else:
            said = (
                f"the download of {name} broke off: {_first(failed)}. Run the same again; files "
                "that arrived whole are kept."
            )
        return CourseError(said)


def reachable(seconds: float = 3.0) -> bool:
    """Whether the Hub's address answers; asked first, so that being offline costs no minute.

    The Hub's own client would try again and again for about 25 s per file. Behind a proxy its
    verdict is trusted instead of ours.
    """
    if constants.HF_HUB_OFFLINE:
        return False
    if any(os.environ.get(k) for k in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    address = urlsplit(constants.ENDPOINT)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname, port), timeout=seconds).close()
    except OSError:
        return False
    return True


def _missing_parts(names: Sequence[str]) -> bool:
    """Whether a file in parts (NAME-00001-of-00004) lacks one of them."""
    found: dict[tuple[str, int], set[int]] = {}
    for name in names:
        part = re.fullmatch(r"(.*)-(\d{5})-of-(\d{5})(.*)", name)
        if part:
            key = (part[1] + part[4], int(part[3]))
            found.setdefault(key, set()).add(int(part[2]))
    return any(len(parts) < count for (_, count), parts in found.items())


def _no_answer(failed: Exception) -> bool:
    """Whether nobody answered at all, in which case the cache may still serve."""
    if isinstance(failed, hub_errors.OfflineModeIsEnabled | ConnectionError | TimeoutError):
        return True
    return any(
        type(link).__name__ in ("ConnectError", "ConnectTimeout", "ReadTimeout")
        for link in _chain(failed)
    )


def _status(failed: Exception) -> int | None:
    """The number that the Hub answered with, if it was an answer that failed."""
    for link in _chain(failed):
        if isinstance(link, hub_errors.HfHubHTTPError) and link.response is not None:
            return link.response.status_code
    return None


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(". ")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_sha1(path: Path) -> str:
    """Git's name of a file's content: the checksum of files that are not large."""
    digest = hashlib.sha1(usedforsecurity=False)
    digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()
