"""The pages for compliance officers and content managers: server-rendered, without scripts, from released figures only.

The invariant: no page reads anything but the released vault, spends any budget, names a person or loads anything from another host.
"""
