"""Adjustments: learning from releases alone, signed bundles, decisions taken from them, and what they achieved."""
