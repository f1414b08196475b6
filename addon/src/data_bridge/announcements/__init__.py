"""What the bridge publishes about itself: availability, catalog, states, metrics and events."""
