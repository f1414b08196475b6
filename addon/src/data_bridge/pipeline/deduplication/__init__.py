"""Recognition of duplicates: by trace id, and of the broker's redeliveries."""
