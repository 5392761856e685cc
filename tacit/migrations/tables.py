"""Imports every room's tables, so that the two metadata objects are complete."""

import adjust.tables
import audit.evidence_tables
import audit.officer_tables
import audit.tables
import consent.notice_tables
import consent.officer_tables
import consent.rights_tables
import consent.tables
import ingest.tables
import privacy.tables
import tacit.core.access
import tacit.core.claims
import tacit.core.idempotency

__all__ = ["adjust", "audit", "consent", "ingest", "privacy", "tacit"]
