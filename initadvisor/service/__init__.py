"""The HTTP service: an API with a queue, workers with limits, a store with a history, and a page for people.

Nothing is imported here: workers live in this package too and need neither the web framework nor the database.
"""
