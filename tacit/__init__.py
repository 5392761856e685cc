"""Tacit, the product: settings, wiring, the HTTP application, the command line and the sanitiser's loop.

Everything that knows more than one room lives here; the rooms themselves are the sibling packages.
"""

__version__ = "0.1.0"
