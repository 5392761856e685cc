"""The privacy boundary: bounds what one person adds, charges the ledger, adds noise, publishes once and forgets.

Nothing leaves the intake side but what `Sanitiser` publishes. Where to look:

- *a window's way*: `service` (the steps), `bounding` with `bounding_sql` and `repeats` (exact counts, bounded), `presence` (who was
  counted), `ledger` and `accounting` (what it may cost, and the noise for it), `making` and `noise` (noise meets numbers; the only use of
  OpenDP), `blocks` and `stream` (what correlated noise remembers), `releases` (published, once).
- *correlated noise*: `strategy` (its coefficients as a value), `choosing` (which has the least error).
- *reading releases*: `models`, `series` (sums over windows), `estimates`, `quantiles`, `consistent`, `local` (randomised answers),
  `reading` (all of it for one question), `least_squares` (rows for learners), `budget`.
- *before anything is collected*: `plan`, `outlook`, `plan_needs`, `plan_advice`, `plan_words`, `plans`.

What web processes read with loads neither numpy nor OpenDP: `models`, `tables`, `releases`, `budget`, `plans`, `strategy`, `series`,
`estimates`, `quantiles`, `consistent`, `local`, `reading`.
"""
