"""Tests of the record run on both databases."""

from support.databases import database, dialect, new_url, templates, url, world  # noqa: F401 - fixtures
