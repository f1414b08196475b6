"""The app's broker: Mosquitto's configuration, its users, and whether it answers."""
