"""What every protocol shares: the exception family."""
