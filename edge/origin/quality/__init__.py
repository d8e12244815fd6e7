"""What viewers get: the reports of their players, taken, added up and told to the centre.

Runs in the origin's loop. A report costs no I/O: sums are kept in memory, bounded, and leave every ten seconds
as an event of the outbox. Nothing here may hold up media, keep an id or an address, or let players choose how
much memory is used.
"""
