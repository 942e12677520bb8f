"""testinfra: every host is as the inventory and the data say. docs: pytest tests/server --inventory INVENTORY."""
