"""Who may be counted, and for what. Choices are recorded with their proof, a withdrawal rules before it is answered, and the gate admits
nothing without a current grant. Identifiers become pseudonyms before anything is stored."""
