"""The fleet's side of MQTT: a broker to begin with, and what all devices say, seen live."""
