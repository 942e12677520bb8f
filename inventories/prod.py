"""An example to fill in: your hosts, their groups, the systems on them. docs/adopt.md explains each line.

`address` is the private address at which the other hosts reach this one.
"""

edge = [("edge1.example.com", {"address": "10.0.0.11"})]
app = [
    ("app1.example.com", {"address": "10.0.0.12"}),
    ("app2.example.com", {"address": "10.0.0.13"}),
]
data = [("data1.example.com", {"address": "10.0.0.14"})]

tasktracker = [*edge, *app, *data]
