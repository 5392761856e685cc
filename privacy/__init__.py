"""The privacy boundary: bounds what one person adds, charges the ledger, adds noise, publishes once and forgets.

Nothing leaves the intake side but what `Sanitiser` publishes. `models`, `tables`, `releases` and `budget` load neither numpy nor OpenDP,
so the rooms that only read releases stay light.
"""
