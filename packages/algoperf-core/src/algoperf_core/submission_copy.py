"""The copy of a submission in a trial's folder, `submission.zip`: what ran, whatever becomes of the original.

    submission.json             how it is loaded, and its digest
    files/<folder>/...          its files; of an installed submission, the whole package

The archive depends on names and contents alone: the same files give the same bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from algoperf_core.errors import CampaignError, SubmissionError
from algoperf_core.sources import COPY_FILES, COPY_MANIFEST, SubmissionSource, find_submission
from algoperf_core.spec import Framework
from algoperf_scoring.files import write_bytes_atomic

COPY_FILE = "submission.zip"
COPY_FOLDER = "submission"
MAX_BYTES = 64 * 2**20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that the format knows


def pack(source: SubmissionSource, framework: Framework) -> bytes:
    """The copy of a submission, as the bytes of an archive.

    Raises:
        CampaignError: Its files are too large to be copied into every trial.
    """
    files = source.source_files(framework)
    size = sum(path.stat().st_size for path in files.values())
    if size > MAX_BYTES:
        largest = max(files, key=lambda name: files[name].stat().st_size)
        raise CampaignError(
            f"submission {source.reference}: its folder {source.root} holds {size / 2**20:.0f} MiB in "
            f"{len(files)} files, the largest is {largest}; every trial keeps a copy of at most "
            f"{MAX_BYTES >> 20} MiB: move data and results elsewhere"
        )
    top = source.root.name
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        manifest = json.dumps(_manifest(source, framework), indent=2)
        archive.writestr(_entry(COPY_MANIFEST), manifest)
        for name, path in files.items():
            archive.writestr(_entry(f"{COPY_FILES}/{top}/{name}"), path.read_bytes())
    return buffer.getvalue()


def _manifest(source: SubmissionSource, framework: Framework) -> dict[str, Any]:
    return {
        "format": 1,
        "name": source.name,
        "reference": source.reference,
        "module": source.module,
        "alone": source.alone,
        "root": source.root.name,
        "folder": source.folder.relative_to(source.root.parent).as_posix(),
        "files": {
            name: path.relative_to(source.root.parent).as_posix()
            for name, path in source.files.items()
        },
        "sha256": source.sha256(framework),
    }


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def write_copy(trial_dir: Path, archive: bytes) -> None:
    """Puts a copy into a trial's folder."""
    path = trial_dir / COPY_FILE
    if not path.exists() or path.read_bytes() != archive:
        write_bytes_atomic(path, archive)


def unpack(archive: Path, folder: Path, sha256: str) -> Path:
    """Unpacks a copy and checks that it is what ran.

    Args:
        archive: The `submission.zip` of a trial.
        folder: Where to unpack it.
        sha256: Digest that the trial recorded.

    Returns:
        The folder, which `find_submission` takes for a submission.

    Raises:
        SubmissionError: It is no such archive, too large, or was altered.
    """
    try:
        with zipfile.ZipFile(archive) as members:
            if sum(entry.file_size for entry in members.infolist()) > 2 * MAX_BYTES:
                raise SubmissionError(f"{archive}: larger than a copy of a submission can be")
            members.extractall(folder)  # which lets no name leave the folder
    except (OSError, zipfile.BadZipFile) as error:
        raise SubmissionError(
            f"{archive}: not the copy of a submission: {error}; name the submission to run it anew"
        ) from None
    check_unaltered(folder, sha256)
    return folder


def check_unaltered(folder: Path, sha256: str) -> None:
    """Checks that an unpacked copy is what ran.

    Raises:
        SubmissionError: It is not; the message names both digests.
    """
    source = find_submission(str(folder))
    if (found := source.sha256(next(iter(source.files)))) != sha256:
        raise SubmissionError(
            f"{folder}: not the submission that ran: digest {found[:12]}, recorded was {sha256[:12]}; "
            "get the trial's folder anew from where it ran"
        )
