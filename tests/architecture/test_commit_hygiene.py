"""What must not be in the repository: big files, and addresses of anybody's package mirror."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.architecture.test_style import ROOT, tracked

LARGEST_BYTES = 500_000
# Assembled, so that this file does not find itself.
INDEX_OPTIONS = re.compile("|".join(["index" + "-url", "find" + "-links", "^registry" + r"\s*="]),
                           re.MULTILINE)
RESOLVED = re.compile(r'"resol' + r'ved"\s*:\s*"')
ADDRESS = re.compile(r"https?://[^\s\"'<>)\]]+")
REGISTRY_WORDS = ("py" + "pi.", "python" + "hosted.", "npm" + "js.", "artifact" + "ory")
SYMLINK = "120000"


def texts() -> dict[str, str]:
    """Every tracked file that is text, by its path."""
    found = {}
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content[:8000]:
            found[str(path.relative_to(ROOT))] = content.decode(errors="replace")
    return found


def test_no_tracked_file_is_big() -> None:
    big = {str(path.relative_to(ROOT)): path.stat().st_size for path in tracked()
           if path.stat().st_size > LARGEST_BYTES}
    assert not big, f"built or third-party files do not belong in git: {big}"


def test_lock_files_name_no_download_address() -> None:
    found = [name for name, text in texts().items()
             if Path(name).name.endswith(("lock.json", ".lock", "lock.yaml"))
             and (RESOLVED.search(text) or ADDRESS.search(without_funding(text)))]
    assert not found, f"lock files with addresses (npm: omit-lockfile-registry-resolved): {found}"


def without_funding(text: str) -> str:
    """A lock file less its `funding` notes: who to thank, not where to download."""
    return re.sub(r'"funding":\s*(\{[^}]*\}|\[[^\]]*\]|"[^"]*")', "", text)


def test_no_package_index_is_named() -> None:
    found = {}
    for name, text in texts().items():
        hosts = {address.split("/")[2] for address in ADDRESS.findall(text)}
        named = {host for host in hosts if any(word in host + "." for word in REGISTRY_WORDS)}
        options = set(INDEX_OPTIONS.findall(text))
        if named | options:
            found[name] = sorted(named | options)
    assert not found, f"these files name a package index or mirror: {found}"


def test_no_link_leads_out_of_the_repository() -> None:
    listed = subprocess.run(["git", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout
    links = [line.split("\t")[1] for line in listed.splitlines() if line.startswith(SYMLINK)]
    outside = [name for name in links if ROOT not in (ROOT / name).resolve().parents]
    assert not outside, f"symbolic links out of the repository: {outside}"
