"""What every room may use: the declaration, the two vaults' engines, keys, clock, errors and logs. Imports no other room."""
