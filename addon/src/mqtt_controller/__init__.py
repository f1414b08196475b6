"""The smart basket's own program: RFID reader in, price display out, MQTT between basket and server."""
