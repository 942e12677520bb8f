"""Figures of Changeover beside those of the alternatives, measured on this machine (docs/benchmarks.md)."""
