"""The text of systemd's unit: started at boot, watched, restarted, and allowed no more than it needs.

`Type=notify` and `WatchdogSec` belong to `edgesdk_agent.health.sd_notify`: the agent says `alive` only while its pipeline
advances. `MemoryDenyWriteExecute` is missing on purpose: the runtimes compile code for the processor they find.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.health.sd_notify import START_WITHIN_S

UNIT_NAME = "edgesdk-agent.service"
# Outside of the environment that the agent is installed in: it works on where that one is broken.
LAUNCHER_PATH = Path("/usr/local/lib/edgesdk/launcher.py")
# Longer than the agent's own watchdog takes (`health.exit_after_s`, 90 s): its end says more than a kill.
_WATCHDOG_S = 120
_HOMES = ("/home", "/root", "/run/user")


@dataclass(frozen=True, slots=True)
class Launch:
    """What starts the agent where its bundle may be replaced.

    Attributes:
        python: the system's own, absolute; folder: of the slots, absolute.
    """

    python: Path
    folder: Path


@dataclass(frozen=True, slots=True)
class Service:
    """What is to be a service.

    Attributes:
        executable: of `edgesdk-agent`, absolute.
        config: the agent's configuration, absolute.
        bundle: its model; only where it lies matters.
        python: the interpreter that runs it, where it really lies: an environment's is often one of somebody's home.
        user: whom it runs as, and the name of its folders.
        memory_max: as systemd writes it, such as `1G`; empty sets none.
        launch: by the launcher; None starts the agent itself.
    """

    executable: Path
    config: Path
    bundle: Path
    python: Path
    user: str = "edgesdk"
    memory_max: str = ""
    launch: Launch | None = None

    @property
    def home_access(self) -> str:
        """What the service may see of people's folders: nothing, unless its own files lie there."""
        files = (self.executable, self.python, self.config, self.bundle)
        in_homes = any(str(path).startswith(_HOMES) for path in files)
        return "read-only" if in_homes else "yes"


def unit_text(service: Service) -> str:
    """Return the unit."""
    memory = f"MemoryMax={service.memory_max}\n" if service.memory_max else ""
    start = _direct(service) if service.launch is None else _launched(service, service.launch)
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
{start}# The configuration is read again, and applied whole or not at all; what came of it is in the log.
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=3
WatchdogSec={_WATCHDOG_S}
TimeoutStartSec={START_WITHIN_S}
TimeoutStopSec=15
# A shadow run's process is the first to go, which is no reason to stop the agent; the main process's own end is Restart's.
OOMPolicy=continue
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


def _direct(service: Service) -> str:
    return f"""\
NotifyAccess=main
ExecStart={_quoted(service.executable)} run --config {_quoted(service.config)} --log-format json
"""


def _launched(service: Service, launch: Launch) -> str:
    agent, config, folder = _quoted(service.executable), _quoted(service.config), _quoted(launch.folder)
    return f"""\
# The agent is the launcher's child, and says itself how it goes; asked to stop, it is told by the launcher, once.
NotifyAccess=all
KillMode=mixed
# Puts the first bundle into a slot; where there is one it does nothing, and an agent that cannot start holds nothing up.
ExecStartPre=-{agent} update begin --config {config}
ExecStart={_quoted(launch.python)} {LAUNCHER_PATH} {folder} -- {agent} run --config {config} \
--bundle {{slot}}/model.edgebundle --log-format json
ReadWritePaths=-{folder}
"""


def sysusers_text(service: Service, groups: tuple[str, ...]) -> str:
    """Return the declaration of the service's own user, and of the groups whose devices it may open."""
    lines = [f'u {service.user} - "edgesdk device agent" /var/lib/{service.user}']
    return "\n".join([*lines, *(f"m {service.user} {group}" for group in groups)]) + "\n"


def _quoted(path: Path) -> str:
    """Write a path as one word of `ExecStart`."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if any(c in text for c in " \\\"'") else text
