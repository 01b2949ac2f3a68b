"""What a person calls packs: one name on pages and in the API, so that no two are mistaken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from core.fleet.ports import PackState


def names_of(packs: Sequence[PackState]) -> Mapping[tuple[str, str], str]:
    """By site and device. packs: all that there are. "Pack 003"; "north Pack 003" where they are
    of more than one site; "Pack 003 (pack_7)" where another pack of its site has that label."""
    several = len({pack.site for pack in packs}) > 1
    alike = Counter((pack.site, pack.label) for pack in packs)
    return {(pack.site, pack.device):
            (f"{pack.site} " if several else "") + pack.label
            + (f" ({pack.device})" if alike[pack.site, pack.label] > 1 else "")
            for pack in packs}


def name_of_all(site: str, count: int) -> str:
    """All packs of a site: "north: 24 packs"."""
    return f"{site}: {count} pack" + ("" if count == 1 else "s")
