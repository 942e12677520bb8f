"""What record.json says of what a release changed, and of a record that was made from the hosts' journals."""

from changeover.record_base import Count, Output, Part


class Migration(Part):
    """The versions of a schema, as its engine names them."""

    from_: str
    """Before this run; empty: none yet."""
    to: str
    """After this run; empty: it was not asked, or did not answer."""


class Setting(Part):
    """A setting that is another one than before."""

    where: str
    """The service, and its hosts where not all have the change; `the host command` for what that reads."""
    key: str
    """The setting, as compose or the host command names it."""
    before: Output
    """What it was; empty: it was not set."""
    after: Output
    """What it is; empty: it is not set any more."""


class Rebuilt(Part):
    """That nobody wrote this record when the run ended, and what it was made from."""

    host: str
    """The coordinator whose journal was read."""
    lines: Count
    """The lines of its audit at that time."""
    head: str
    """The digest of the last of them: whoever asks again can see whether more came since."""
    unknown: list[str]
    """What only the control machine knew, and nobody can say now."""
