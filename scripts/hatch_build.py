"""The wheel's build: fetch the dashboard's packages first, so that they are in it, with their licences."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DashboardPackages(BuildHookInterface):  # type: ignore[type-arg,misc]
    """Without npm the wheel is built all the same: a device needs no dashboard. It is said in the build's output."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  (the interface's)
        path = Path(self.root) / "scripts/frontend.py"
        spec = importlib.util.spec_from_file_location("edgesdk_frontend", path)
        assert spec is not None  # noqa: S101
        assert spec.loader is not None  # noqa: S101
        frontend = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(frontend)
        try:
            frontend.ensure()
        except frontend.FrontendMissing as missing:
            self.app.display_warning(f"The dashboard's charts are left out: {missing}")
