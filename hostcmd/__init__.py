"""The command `changeover` that lives on a host: switch, go back, maintenance, without the control machine.

Standard library only, Python 3.10 or newer; build.py makes one file of it. Pure modules decide (state, plan), thin
ones act (containers, gateway, peers), and transaction.py makes what they do safe to interrupt at any point.
"""

VERSION = "0.1.0"
SCHEMA = 1
