"""The protocols that come with the library; others join through the entry-point group `communicator.protocols`."""
