"""Keeps the directory bucket equal to the database: what edges need to decide alone.

One task owns every write, so an older record never overwrites a newer one: it is told which things changed
and reads them again itself. A change that could not be written, or a bucket that was wiped, is put right by
the full comparison at start and every minute. Nothing but this package writes into the bucket.
"""

from coordinator.directory.service import Directory

__all__ = ["Directory"]
