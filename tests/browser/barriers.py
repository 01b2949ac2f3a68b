"""What axe-core finds on a page that keeps people out."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from scripts.test import AXE

SCRIPT = AXE / "node_modules" / "axe-core" / "axe.min.js"
"""To be put into the page first; `python -m scripts.test` installs it."""
SERIOUS = frozenset({"serious", "critical"})
RUN = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.map(({id, impact, help, nodes}) => ({id, impact, help,
    nodes: nodes.map(({target, html, failureSummary}) => ({target: target.join(" "),
      html: html.slice(0, 200), why: failureSummary.slice(0, 300)}))}));
}"""


def violations(page: Page) -> list[str]:
    """What is serious, one line an element."""
    found: list[dict[str, Any]] = page.evaluate(RUN)
    return ["\n    ".join([f"{one['id']} ({one['impact']}): {node['target']}", node["html"],
                          node["why"]])
            for one in found if one["impact"] in SERIOUS for node in one["nodes"]]
