"""Imports every room's tables, so that the two metadata objects are complete."""

import adjust.tables
import audit.tables
import consent.officer_tables
import consent.rights_tables
import consent.tables
import ingest.tables
import privacy.tables
import tacit.core.access
import tacit.core.claims

__all__ = ["adjust", "audit", "consent", "ingest", "privacy", "tacit"]
