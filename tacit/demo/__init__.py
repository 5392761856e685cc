"""The demonstration: people of a made newsroom arrive, choose, read and click, and everything they cause goes through the public HTTP API.

Only `twin` looks behind it: a learner without privacy on the same people, which tells what the noise costs.
"""
