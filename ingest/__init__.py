"""From an event to sealed contributions: the door, pseudonyms, key custody, staging. Imports core and consent only."""
