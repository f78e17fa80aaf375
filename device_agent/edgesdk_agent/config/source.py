"""Where this agent's configuration comes from, so that it can be read again while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgesdk_agent.config.loading import LoadedConfig, load_config
from edgesdk_agent.config.overlay import Layer, bundle_in
from edgesdk_agent.update.was_launched import was_launched


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """The file, the flags and the environment of a start.

    Attributes:
        path: of the file; None where flags and environment say everything.
        flags: by dotted path; see `load_config`.
        no_mqtt: the agent works without a broker.
    """

    path: str | Path | None = None
    flags: Mapping[str, object] = field(default_factory=dict)
    no_mqtt: bool = False
    environment: Mapping[str, str] | None = None

    def load(self, layer: Layer | None = None) -> LoadedConfig:
        """Read and check the configuration, with what was set from afar.

        Raises:
            InputError: as `load_config`; or a bundle was asked for that is not there.
        """
        loaded = self._load({} if layer is None else layer.values())
        if layer is None or not layer.bundle:
            return loaded
        bundle = bundle_in(loaded.config.commands.bundles, layer.bundle)
        return self._load({**layer.values(), "bundle": (str(bundle), "asked for from afar")})

    def _load(self, values: Mapping[str, tuple[object, str]]) -> LoadedConfig:
        return load_config(
            self.path, flags=self._flags(), environment=self.environment, no_mqtt=self.no_mqtt, overlay=values
        )

    def _flags(self) -> Mapping[str, object]:
        """Return the flags, the bundle's as of the slot that runs now: it may have been taken over since the start."""
        if not was_launched() or not isinstance(bundle := self.flags.get("bundle"), str):
            return self.flags
        from edgesdk_agent.update.launched import bundle_now

        return {**self.flags, "bundle": bundle_now(bundle)}
