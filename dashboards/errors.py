"""What can go wrong on a page beyond the shared problems."""

from __future__ import annotations

from tacit.core.errors import Forbidden, NotFound


class ForeignForm(Forbidden):
    """A form was sent from another site's page."""

    type = "foreign-form"
    title = "The form came from another site"
    default_next_step = "Open the page on this host and send the form again."


class NoSuchTable(NotFound):
    """A CSV was asked for that the page does not have."""

    type = "no-such-table"
    title = "This page has no such table"
    default_next_step = "Use one of the CSV links on the page."


class NoSuchPolicy(NotFound):
    """A page was asked for a policy that the site does not declare."""

    type = "no-such-policy"
    title = "This site declares no such policy"
    default_next_step = "The page Policies lists all of them."
