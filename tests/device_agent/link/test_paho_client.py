from __future__ import annotations

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgesdk_agent.link.paho_client import publish_properties


@pytest.mark.parametrize("expires_s", [0, 60], ids=["for ever", "a minute"])
def test_what_is_packed_once_says_what_paho_would(expires_s: int) -> None:
    properties = publish_properties("application/json", expires_s)
    read = Properties(PacketTypes.PUBLISH)
    read.unpack(properties.pack())
    assert read.json() == properties.json()
    assert read.pack() == properties.pack() == Properties.pack(properties)
    assert properties.pack() is properties.pack()
