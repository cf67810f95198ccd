"""Where a PLM comes from: a pocket folder, a folder of the user's, or the Hub.

Everything that can go wrong on the way ends in one `CourseError` that says what to do, also
without network.
"""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import constants as hub
from huggingface_hub import errors as hub_errors

from course_utils.errors import CourseError, unknown_name
from course_utils.plm.names import SHORT_NAMES, known_names, pocket_folder


@dataclass(frozen=True)
class Source:
    """Where a PLM comes from: a folder (`local`), or an id of the Hub at a revision.

    A pocket model's revision is the checksum of its weights, since those can be made anew.
    """

    name: str
    local: bool
    revision: str | None = None
    online: bool = False


def resolve(name: str | os.PathLike, revision: str | None) -> Source:
    """What transformers should open for this name."""
    text = os.fspath(name)
    pocket = pocket_folder(text)
    if pocket is not None:
        if not (pocket / "config.json").is_file():
            raise CourseError(
                f"the weights of {pocket.name!r} are not installed (looked in {pocket}). "
                f"Recreate them with: course pocket pretrain --model "
                f"{pocket.name.removeprefix('pocket-')}"
            )
        return Source(str(pocket), local=True, revision=_checksum(pocket / "model.safetensors"))
    folder = Path(text).expanduser()
    if (
        text.strip()
        and folder.is_dir()
        and (text not in SHORT_NAMES or (folder / "config.json").is_file())
    ):
        return Source(str(_checked_folder(folder)), local=True)
    if text.startswith((".", "~")) or folder.is_absolute() or text.count("/") > 1:
        raise CourseError(
            f"there is no folder {text!r}. A local model is a folder with config.json, "
            "model.safetensors and a tokenizer, as save_pretrained writes it."
        )
    if text.lower() in SHORT_NAMES:
        text = SHORT_NAMES[text.lower()]
    if text.count("/") == 1 and all(text.split("/")):
        return Source(text, local=False, revision=revision, online=_hub_reachable())
    raise unknown_name(
        "PLM", text, known_names(), "Or give a folder, or an id of the Hub as owner/name."
    )


def _checksum(weights: Path) -> str | None:
    if not weights.is_file():
        return None
    return f"sha256:{hashlib.sha256(weights.read_bytes()).hexdigest()[:12]}"


def _checked_folder(folder: Path) -> Path:
    if not (folder / "config.json").is_file():
        found = sorted(path.name for path in folder.iterdir())[:6]
        raise CourseError(
            f"the folder {str(folder)!r} holds no config.json (found: "
            f"{', '.join(found) or 'nothing'}). A local model is a folder as save_pretrained "
            "writes it: config.json, model.safetensors and a tokenizer."
        )
    return folder


def from_source(auto_class, source: Source, **settings):
    """`from_pretrained` with every failure turned into one line that says what to do."""
    if not source.local:
        settings |= {"revision": source.revision, "local_files_only": not source.online}
    try:
        return auto_class.from_pretrained(source.name, **settings)
    except Exception as error:
        raise _explained(source, error) from None


def _explained(source: Source, error: Exception) -> CourseError:
    chain, link = [], error
    while link is not None:
        chain.append(link)
        link = link.__cause__ or link.__context__
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    name = source.name
    if source.local:
        return CourseError(
            f"the folder {name!r} can't be loaded: {first_line} A local model is a folder as "
            "save_pretrained writes it: config.json, model.safetensors and a tokenizer."
        )
    if any(isinstance(link, hub_errors.GatedRepoError) for link in chain):
        return CourseError(
            f"{name!r} asks for its licence to be accepted: do so on its page of the Hub, then "
            "run: hf auth login"
        )
    if any(isinstance(link, hub_errors.RevisionNotFoundError) for link in chain):
        return CourseError(f"{name!r} has no revision {source.revision!r} on the Hub.")
    if any(type(link) is hub_errors.RepositoryNotFoundError for link in chain):
        return unknown_name("model of the Hub", name, known_names(), "Or give a folder.")
    unreachable = (
        hub_errors.LocalEntryNotFoundError,
        hub_errors.OfflineModeIsEnabled,
        ConnectionError,
    )
    if not source.online or any(isinstance(link, unreachable) for link in chain):
        folder = name.rsplit("/", 1)[-1]
        return CourseError(
            f"the Hub can't be reached and {name!r} is not on this machine. Offline: on a "
            f"machine with network run `hf download {name} --local-dir {folder}`, copy the "
            f"folder here and use load_plm('./{folder}'); what was downloaded here before is "
            "found by itself (HF_HUB_OFFLINE=1 skips asking the Hub). The pocket models need no "
            "network: load_plm('pocket-bert')."
        )
    return CourseError(f"{name!r} can't be loaded: {first_line}")


def _hub_reachable(seconds: float = 3.0) -> bool:
    """Whether the Hub answers; asked once per PLM, so that being offline costs no minute.

    The Hub's own client would try again and again for about 25 s per file. Behind a proxy its
    verdict is trusted instead of ours.
    """
    if hub.HF_HUB_OFFLINE:
        return False
    if any(os.environ.get(k) for k in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    address = urlsplit(hub.ENDPOINT)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname, port), timeout=seconds).close()
    except OSError:
        return False
    return True
