"""The engine: learns from releases alone, publishes signed bundles, decides, and says what a policy achieves.

`model`, `learn` and `service` need numpy and run in the sanitiser; everything else is light enough for a web process.
"""
