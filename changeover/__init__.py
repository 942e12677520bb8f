"""The pure core: what is decided, apart from what is done."""

VERSION = "0.1.0"
