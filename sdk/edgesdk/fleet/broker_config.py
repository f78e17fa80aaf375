"""The configuration files of the brokers that we start: MQTT 5, one listener, nothing kept on disk."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from pathlib import Path

# A little above the largest message, which is 256 kB.
_MAX_PACKET_BYTES = 300_000


def mosquitto_config(folder: Path, host: str, port: int, username: str, password: str) -> Path:
    """Write mosquitto's configuration into `folder`, with a password file where there is a login."""
    lines = [f"listener {port} {host}", "persistence false", "log_dest stderr", "log_type error", "log_type warning"]
    lines.append(f"max_packet_size {_MAX_PACKET_BYTES}")
    # Bursts of a whole camera's backlog to a slow reader; the default of 1000 drops the rest without a word.
    lines.append("max_queued_messages 100000")
    # Without it a result waits until the one before is acknowledged by its reader's system, which takes its time: up to 40 ms.
    lines.append("set_tcp_nodelay true")
    if username:
        passwords = folder / "passwords"
        passwords.touch(mode=0o600)
        passwords.write_text(f"{username}:{_mosquitto_hash(password)}\n")
        lines += ["allow_anonymous false", f"password_file {passwords}"]
    else:
        lines.append("allow_anonymous true")
    if os.geteuid() == 0:
        # Otherwise it would become another user, who cannot read the password file in our folder.
        lines.append("user root")
    config = folder / "mosquitto.conf"
    config.write_text("\n".join(lines) + "\n")
    return config


def iotcore_config(folder: Path, host: str, port: int, username: str, password: str) -> Path:
    """Write iotcore's configuration into `folder`."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    login = f'[v5.1.connections.auth]\n"{username}" = "{password}"\n' if username else ""
    config = folder / "iotcore.toml"
    config.touch(mode=0o600)
    config.write_text(f"""id = 0
[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 200
max_segment_size = 10485760
max_segment_count = 4
[v5.1]
name = "v5-1"
listen = "{where}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {_MAX_PACKET_BYTES}
max_inflight_count = 100
dynamic_filters = true
{login}""")
    return config


def _mosquitto_hash(password: str) -> str:
    """Return the form in which mosquitto 2 keeps a password: PBKDF2 with SHA-512."""
    salt, rounds = secrets.token_bytes(12), 10_000
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)
    return f"$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
