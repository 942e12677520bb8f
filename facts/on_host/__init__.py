"""Scripts that a fact runs on a host with its own Python."""
