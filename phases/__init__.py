"""How a release goes forward. Each file is one phase: a few lines over the deploys in operations/."""
