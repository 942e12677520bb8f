"""The rehearsal's throwaway hosts, until a team has staging hosts of its own (docs/adopt.md)."""

from rehearsal.inventory import hosts as _hosts

edge = _hosts("edge1")
app = _hosts("app1", "app2")
data = _hosts("data1")
ops = _hosts("ops1")

# Each system's hosts. Its settings are in group_data/<the same name>.py
tasktracker = _hosts("edge1", "app1", "app2", "data1")
hello = _hosts("edge1", "app1", "app2")
