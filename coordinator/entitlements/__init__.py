"""What entitles a user to watch a channel: follows and subscriptions.

Whatever takes an entitlement away revokes the grants that were issued on it, in the same unit of work.
"""
