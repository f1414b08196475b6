"""Messages of the bridge about itself: availability, catalog, states, metrics and events."""
