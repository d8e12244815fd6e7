"""Where a stream is watched, and the grant where it is not for everybody.

Answers 404 for what never was and 410 for what is over; of protected channels 401 and 403 to whom they are closed.
"""
