"""How people and machines are told: by webhook, by e-mail, and over MQTT; one file each."""
