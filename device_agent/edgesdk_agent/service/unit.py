"""The text of systemd's unit: started at boot, watched, restarted, and allowed no more than it needs.

`Type=notify` and `WatchdogSec` belong to `edgesdk_agent.health.sd_notify`: the agent says `alive` only while its pipeline
advances. `MemoryDenyWriteExecute` is missing on purpose: the runtimes compile code for the processor they find.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.health.sd_notify import START_WITHIN_S

UNIT_NAME = "edgesdk-agent.service"
# Longer than the agent's own watchdog takes (`health.exit_after_s`, 90 s): its end says more than a kill.
_WATCHDOG_S = 120
_HOMES = ("/home", "/root", "/run/user")


@dataclass(frozen=True, slots=True)
class Service:
    """What is to be a service.

    Attributes:
        executable: of `edgesdk-agent`, absolute.
        config: the agent's configuration, absolute.
        bundle: its model; only where it lies matters.
        user: whom it runs as, and the name of its folders.
        memory_max: as systemd writes it, such as `1G`; empty sets none.
    """

    executable: Path
    config: Path
    bundle: Path
    user: str = "edgesdk"
    memory_max: str = ""

    @property
    def home_access(self) -> str:
        """What the service may see of people's folders: nothing, unless its own files lie there."""
        in_homes = any(str(path).startswith(_HOMES) for path in (self.executable, self.config, self.bundle))
        return "read-only" if in_homes else "yes"


def unit_text(service: Service) -> str:
    """Return the unit."""
    memory = f"MemoryMax={service.memory_max}\n" if service.memory_max else ""
    return f"""\
# Written by `edgesdk agent install`; change it with `systemctl edit {UNIT_NAME}`.
[Unit]
Description=edgesdk device agent
Documentation=https://edgesdk.readthedocs.io
Wants=network-online.target
After=network-online.target time-sync.target
# A device on a wall has nobody to start it again: it never gives up.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={_quoted(service.executable)} run --config {_quoted(service.config)} --log-format json
# The configuration is read again, and applied whole or not at all; what came of it is in the log.
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=3
WatchdogSec={_WATCHDOG_S}
TimeoutStartSec={START_WITHIN_S}
TimeoutStopSec=15
OOMPolicy=stop
{memory}
User={service.user}
Group={service.user}
StateDirectory={service.user}
StateDirectoryMode=0750
CacheDirectory={service.user}
RuntimeDirectory={service.user}
# Others on the device may read the status.
RuntimeDirectoryMode=0755
WorkingDirectory=/var/lib/{service.user}
Environment=XDG_CACHE_HOME=/var/cache PYTHONUNBUFFERED=1
UMask=0027

# Cameras, video decoders and accelerators; nothing else under /dev.
DevicePolicy=closed
DeviceAllow=char-video4linux rw
DeviceAllow=char-media rw
DeviceAllow=char-drm rw
DeviceAllow=char-usb_device rw
DeviceAllow=/dev/vchiq rw
DeviceAllow=/dev/dma_heap rw
DeviceAllow=char-nvidia rw
DeviceAllow=char-nvhost rw
DeviceAllow=char-nvmap rw

CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome={service.home_access}
PrivateTmp=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=sched_setaffinity sched_setscheduler setpriority mbind set_mempolicy get_mempolicy
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def sysusers_text(service: Service, groups: tuple[str, ...]) -> str:
    """Return the declaration of the service's own user, and of the groups whose devices it may open."""
    lines = [f'u {service.user} - "edgesdk device agent" /var/lib/{service.user}']
    return "\n".join([*lines, *(f"m {service.user} {group}" for group in groups)]) + "\n"


def _quoted(path: Path) -> str:
    """Write a path as one word of `ExecStart`."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if any(c in text for c in " \\\"'") else text
